// SPDX-License-Identifier: Apache-2.0
// Unit tests of the verdict: which code, which numbers, traps and next steps. Test world; pure.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "account/verdict.h"

enum { MIB = 1024 * 1024 };

// An account with these rows, each of one runtime, in MiB.
struct scene {
    struct account account;
    struct account_entry entries[ROW_COUNT];
    struct runtime_report report;
    struct cgroup cgroup;
    struct host host;
    struct growth growth;
    struct verdict_input input;
};

static void scene_init(struct scene *scene, const char *runtime)
{
    memset(scene, 0, sizeof *scene);
    strcpy(scene->report.name, runtime);
    scene->account.entries = scene->entries;
    scene->cgroup.limit_bytes = CGROUP_NO_LIMIT;
    scene->host.kernel = (struct kernel_version){6, 1, 0};
    scene->input = (struct verdict_input){.account = &scene->account,
                                          .reports = &scene->report,
                                          .report_count = 1,
                                          .cgroup = &scene->cgroup,
                                          .host = &scene->host,
                                          .pid = 42,
                                          .is_live = true,
                                          .thread_count = 8};
}

static void scene_row(struct scene *scene, enum account_row row, uint64_t mib)
{
    struct account *account = &scene->account;
    struct account_entry *entry = &scene->entries[account->entry_count++];
    *entry = (struct account_entry){.row = row, .bytes = mib * MIB};
    if (row != ROW_CODE_FILES && row != ROW_SHARED && row != ROW_UNEXPLAINED)
        strcpy(entry->runtime, scene->report.name);
    account->row_bytes[row] += mib * MIB;
    account->rss_bytes += mib * MIB;
    if (row == ROW_LAZY)
        account->lazy_bytes += mib * MIB;
    account->effective_bytes = account->rss_bytes - account->lazy_bytes;
}

static enum verdict_code reach(struct scene *scene, struct verdict *verdict)
{
    verdict_reach(&scene->input, verdict);
    assert_true(strlen(verdict->headline) > 20);
    return verdict->code;
}

static bool lines_have(const struct verdict_lines *lines, const char *needle)
{
    for (size_t i = 0; i < lines->count; i++)
        if (strstr(lines->text[i], needle))
            return true;
    return false;
}

static void test_lazy(void **state)
{
    (void)state;
    struct scene scene;
    struct verdict verdict;
    scene_init(&scene, "Go");
    scene_row(&scene, ROW_IN_USE, 400);
    scene_row(&scene, ROW_KEPT, 64);
    scene_row(&scene, ROW_LAZY, 2000);
    scene_row(&scene, ROW_CODE_FILES, 20);
    struct runtime_figure figure = {.name = "HeapReleased", .value = 2100ull * MIB};
    scene.report.figures = &figure;
    scene.report.figure_count = 1;
    scene.report.facts = FACT_GO | FACT_GIVES_LAZILY | FACT_GO_1_12_TO_1_15;
    assert_int_equal(reach(&scene, &verdict), VERDICT_LAZY);
    assert_non_null(strstr(verdict.headline, "not a leak"));
    assert_non_null(strstr(verdict.headline, "81 %"));
    assert_true(lines_have(&verdict.reasons, "HeapReleased 2.05 GiB"));
    assert_true(lines_have(&verdict.reasons, "LazyFree 1.95 GiB"));
    assert_true(lines_have(&verdict.traps, "Go 1.12 to 1.15"));
    // Now, until it restarts, from then on: in this order.
    assert_true(lines_have(&verdict.next, "ebb reclaim 42"));
    assert_true(lines_have(&verdict.next, "ebb tune --madv-free=off 42"));
    assert_true(lines_have(&verdict.next, "madvdontneed=1"));
}

static void test_kept_and_fragmented(void **state)
{
    (void)state;
    struct scene scene;
    struct verdict verdict;
    scene_init(&scene, "glibc");
    scene_row(&scene, ROW_IN_USE, 100);
    scene_row(&scene, ROW_SLACK, 60);
    scene_row(&scene, ROW_KEPT, 80);
    assert_int_equal(reach(&scene, &verdict), VERDICT_KEPT);
    // A lever is named only where it reaches the process.
    assert_true(lines_have(&verdict.next, "ebb reclaim --runtime 42"));
    assert_true(lines_have(&verdict.next, "MALLOC_ARENA_MAX"));
    assert_true(lines_have(&verdict.next, "ebb run --malloc=ebb"));
    scene.input.is_live = false;
    assert_int_equal(reach(&scene, &verdict), VERDICT_KEPT);
    assert_false(lines_have(&verdict.next, "ebb reclaim"));
    scene_init(&scene, "glibc");
    scene_row(&scene, ROW_IN_USE, 100);
    scene_row(&scene, ROW_SLACK, 90);
    scene_row(&scene, ROW_KEPT, 20);
    assert_int_equal(reach(&scene, &verdict), VERDICT_FRAGMENTED);
    // What lasts until it restarts, between now and for good.
    struct scene other;
    scene_init(&other, "jemalloc");
    scene_row(&other, ROW_KEPT, 80);
    assert_int_equal(reach(&other, &verdict), VERDICT_KEPT);
    assert_true(lines_have(&verdict.next, "ebb tune --dirty-decay=1s 42"));
    assert_false(lines_have(&verdict.next, "ebb run --malloc=ebb"));
    scene_init(&other, "mimalloc");
    scene_row(&other, ROW_KEPT, 80);
    assert_int_equal(reach(&other, &verdict), VERDICT_KEPT);
    assert_true(lines_have(&verdict.next, "what no object pins"));
    // Every runtime's holes have an answer to "how do I get it back".
    strcpy(scene.report.name, "jemalloc");
    assert_int_equal(reach(&scene, &verdict), VERDICT_FRAGMENTED);
    assert_true(lines_have(&verdict.next, "restart"));
}

// Lazily freed by somebody that is not known: a filter works all the same.
static void test_lazy_of_nobody(void **state)
{
    (void)state;
    struct scene scene;
    struct verdict verdict;
    scene_init(&scene, "glibc");
    scene_row(&scene, ROW_LAZY, 100);
    scene.entries[0].runtime[0] = '\0';
    assert_int_equal(reach(&scene, &verdict), VERDICT_LAZY);
    assert_true(lines_have(&verdict.next, "ebb run --madv-free=off"));
}

// Only what is true of these files is said of them, and which they are.
static void test_files_are_told_apart(void **state)
{
    (void)state;
    struct scene scene;
    struct verdict verdict;
    scene_init(&scene, "glibc");
    scene_row(&scene, ROW_SHARED, 100);
    strcpy(scene.account.largest_file, "/dev/shm/cache");
    scene.account.largest_file_bytes = 100 * MIB;
    assert_int_equal(reach(&scene, &verdict), VERDICT_FILES);
    assert_true(lines_have(&verdict.reasons, "100 MiB of /dev/shm/cache"));
    assert_true(lines_have(&verdict.next, "Shared memory"));
    assert_false(lines_have(&verdict.next, "Clean file pages"));
    scene_row(&scene, ROW_CODE_FILES, 200);
    assert_int_equal(reach(&scene, &verdict), VERDICT_FILES);
    assert_true(lines_have(&verdict.next, "Clean file pages"));
    assert_false(lines_have(&verdict.next, "written"));
    scene.account.written_file_bytes = 195 * MIB;
    assert_int_equal(reach(&scene, &verdict), VERDICT_FILES);
    assert_true(lines_have(&verdict.next, "written in private mappings"));
    assert_false(lines_have(&verdict.next, "Clean file pages"));
}

// What the JVM says of itself is more than nothing.
static void test_jvm_says_its_heap(void **state)
{
    (void)state;
    struct scene scene;
    struct verdict verdict;
    scene_init(&scene, "JVM");
    scene_row(&scene, ROW_HELD, 400);
    struct runtime_figure figures[] = {{.name = "heap used", .value = 263ull * MIB},
                                       {.name = "heap committed", .value = 388ull * MIB}};
    scene.report.figures = figures;
    scene.report.figure_count = 2;
    assert_int_equal(reach(&scene, &verdict), VERDICT_UNKNOWN);
    assert_true(lines_have(&verdict.reasons, "heap used 263 MiB of 388 MiB committed"));
}

static void test_in_use_files_unknown(void **state)
{
    (void)state;
    struct scene scene;
    struct verdict verdict;
    scene_init(&scene, "Go");
    scene_row(&scene, ROW_IN_USE, 500);
    scene_row(&scene, ROW_LAZY, 50);
    assert_int_equal(reach(&scene, &verdict), VERDICT_IN_USE);
    scene_init(&scene, "glibc");
    scene_row(&scene, ROW_IN_USE, 5);
    scene_row(&scene, ROW_SHARED, 100);
    assert_int_equal(reach(&scene, &verdict), VERDICT_FILES);
    scene_init(&scene, "jemalloc");
    scene_row(&scene, ROW_HELD, 100);
    scene_row(&scene, ROW_IN_USE, 5);
    assert_int_equal(reach(&scene, &verdict), VERDICT_UNKNOWN);
    assert_non_null(strstr(verdict.headline, "held by jemalloc"));
    assert_true(lines_have(&verdict.next, "ebb reclaim --runtime 42"));
    scene_init(&scene, "glibc");
    scene_row(&scene, ROW_IN_USE, 5);
    scene_row(&scene, ROW_UNEXPLAINED, 100);
    assert_int_equal(reach(&scene, &verdict), VERDICT_UNKNOWN);
    assert_non_null(strstr(verdict.headline, "no runtime claims"));
}

static void test_growing_outweighs_the_rows(void **state)
{
    (void)state;
    struct scene scene;
    struct verdict verdict;
    scene_init(&scene, "Go");
    scene_row(&scene, ROW_LAZY, 500);
    scene_row(&scene, ROW_IN_USE, 100);
    scene.growth =
        (struct growth){.seconds = 10, .sample_count = 10, .is_growing = true, .has_in_use = true};
    scene.growth.effective.change_bytes = 50 * MIB;
    scene.input.growth = &scene.growth;
    assert_int_equal(reach(&scene, &verdict), VERDICT_GROWING);
    assert_non_null(strstr(verdict.headline, "rose by 50.0 MiB"));
    assert_true(lines_have(&verdict.next, "pprof"));
    scene.growth.is_growing = false;
    assert_int_equal(reach(&scene, &verdict), VERDICT_LAZY);
    assert_true(lines_have(&verdict.reasons, "Observed for 10 s"));
}

static void test_no_account_is_unknown(void **state)
{
    (void)state;
    struct scene scene;
    struct verdict verdict;
    scene_init(&scene, "Go");
    scene.input.account = NULL;
    scene.input.lacks_rights = true;
    assert_int_equal(reach(&scene, &verdict), VERDICT_UNKNOWN);
    assert_true(lines_have(&verdict.next, "ebb doctor"));
}

static void test_traps(void **state)
{
    (void)state;
    struct scene scene;
    struct verdict verdict;
    scene_init(&scene, "glibc");
    scene_row(&scene, ROW_IN_USE, 100);
    scene_row(&scene, ROW_LAZY, 20);
    struct runtime_figure arenas = {.name = "arenas", .unit = FIGURE_COUNT, .value = 16};
    scene.report.figures = &arenas;
    scene.report.figure_count = 1;
    scene.report.facts = FACT_MANY_ARENAS | FACT_JEMALLOC_MUZZY | FACT_RACE_DETECTOR;
    scene.account.huge_bytes = 60 * MIB;
    scene.account.shared_anon_bytes = 30 * MIB;
    scene.account.swap_bytes = 30 * MIB;
    scene.account.locked_bytes = 40 * MIB;
    scene.cgroup.version = 2;
    scene.cgroup.limit_bytes = 240ull * MIB;
    scene.host.kernel = (struct kernel_version){4, 4, 0};
    reach(&scene, &verdict);
    assert_true(lines_have(&verdict.traps, "16 arenas for 8 threads"));
    assert_true(lines_have(&verdict.traps, "muzzy_decay_ms"));
    assert_true(lines_have(&verdict.traps, "race detector"));
    assert_true(lines_have(&verdict.traps, "40.0 MiB are locked"));
    assert_true(lines_have(&verdict.traps, "huge pages"));
    assert_true(lines_have(&verdict.traps, "forked process"));
    assert_true(lines_have(&verdict.traps, "swapped out"));
    assert_true(lines_have(&verdict.traps, "working_set"));
    assert_true(lines_have(&verdict.traps, "4.12"));
    assert_true(lines_have(&verdict.reasons, "50 % by RSS, 42 % by effective RSS"));
}

// A sentence names an owner only where most of the row is its own.
static void test_owners_are_owners(void **state)
{
    (void)state;
    struct scene scene;
    struct verdict verdict;
    scene_init(&scene, "Go");
    scene_row(&scene, ROW_LAZY, 1);
    scene_row(&scene, ROW_LAZY, 1000);
    scene.entries[1].runtime[0] = '\0';
    assert_int_equal(reach(&scene, &verdict), VERDICT_LAZY);
    assert_null(strstr(verdict.headline, "Go"));
    // Two sources of one runtime count together.
    scene_row(&scene, ROW_LAZY, 600);
    scene_row(&scene, ROW_LAZY, 600);
    assert_int_equal(reach(&scene, &verdict), VERDICT_LAZY);
    assert_non_null(strstr(verdict.headline, "that Go has given back"));
}

// Where little is in use the sentence gives the figures instead of calling them small.
static void test_in_use_with_large_reserves(void **state)
{
    (void)state;
    struct scene scene;
    struct verdict verdict;
    scene_init(&scene, "Go");
    scene_row(&scene, ROW_IN_USE, 200);
    scene_row(&scene, ROW_KEPT, 250);
    scene_row(&scene, ROW_HELD, 450);
    scene_row(&scene, ROW_STACKS, 100);
    assert_int_equal(reach(&scene, &verdict), VERDICT_IN_USE);
    assert_non_null(strstr(verdict.headline, "250 MiB could be free"));
    assert_non_null(strstr(verdict.headline, "450 MiB cannot be looked into"));
    // Nothing that is hidden is not told.
    scene_init(&scene, "Go");
    scene_row(&scene, ROW_IN_USE, 200);
    scene_row(&scene, ROW_KEPT, 250);
    scene_row(&scene, ROW_METADATA, 450);
    scene_row(&scene, ROW_STACKS, 100);
    assert_int_equal(reach(&scene, &verdict), VERDICT_IN_USE);
    assert_non_null(
        strstr(verdict.headline, "250 MiB could be free (lazily freed, kept or slack)."));
    scene_row(&scene, ROW_STACKS, 2000);
    assert_int_equal(reach(&scene, &verdict), VERDICT_IN_USE);
    assert_non_null(strstr(verdict.headline, "70 % of RSS is stacks; the process has 8 threads"));
}

// What is unexplained inside a runtime's claims is not said to lie in strange mappings.
static void test_unexplained_claims(void **state)
{
    (void)state;
    struct scene scene;
    struct verdict verdict;
    scene_init(&scene, "Go");
    scene_row(&scene, ROW_IN_USE, 100);
    scene_row(&scene, ROW_UNEXPLAINED, 80);
    strcpy(scene.entries[1].runtime, "Go");
    scene.account.largest_unexplained = (struct mapping){.start = 0x1000, .rss_kib = 4};
    scene.account.unexplained_mappings = 1;
    scene.account.unexplained_mapped_bytes = 4096;
    reach(&scene, &verdict);
    assert_true(lines_have(&verdict.reasons, "80.0 MiB that belong to Go"));
    assert_false(lines_have(&verdict.reasons, "anonymous mappings"));
}

static void test_growth_says_what_it_knows(void **state)
{
    (void)state;
    struct scene scene;
    struct verdict verdict;
    scene_init(&scene, "Go");
    scene_row(&scene, ROW_IN_USE, 100);
    scene.growth = (struct growth){.seconds = 1, .sample_count = 2};
    scene.growth.effective.slope_bytes_per_s = 1e300;
    scene.input.growth = &scene.growth;
    scene.report.approximate = true;
    assert_int_equal(reach(&scene, &verdict), VERDICT_IN_USE);
    assert_true(lines_have(&verdict.reasons, "no growth beyond chance"));
    assert_true(lines_have(&verdict.reasons, "two readings tell no spread"));
    assert_true(lines_have(&verdict.traps, "approximate"));
    scene.growth.is_growing = scene.growth.has_busy = true;
    assert_int_equal(reach(&scene, &verdict), VERDICT_GROWING);
    assert_true(lines_have(&verdict.next, "--for 600s 42"));
    assert_false(lines_have(&verdict.reasons, "swings"));
    // What grows in waves is named with its doubt.
    scene.growth.swing_count = 4;
    assert_int_equal(reach(&scene, &verdict), VERDICT_GROWING);
    assert_true(lines_have(&verdict.reasons, "over 4 swings so far"));
    scene.growth.swing_count = 40;
    assert_int_equal(reach(&scene, &verdict), VERDICT_GROWING);
    assert_false(lines_have(&verdict.reasons, "swings"));
}

// HeapIdle counts what is released too: only the difference can be what Go keeps.
static void test_figures_mean_the_same_as_the_row(void **state)
{
    (void)state;
    struct scene scene;
    struct verdict verdict;
    scene_init(&scene, "Go");
    scene_row(&scene, ROW_IN_USE, 100);
    scene_row(&scene, ROW_KEPT, 288);
    struct runtime_figure figures[] = {{.name = "HeapIdle", .value = 474ull * MIB},
                                       {.name = "HeapReleased", .value = 186ull * MIB}};
    scene.report.figures = figures;
    scene.report.figure_count = 2;
    assert_int_equal(reach(&scene, &verdict), VERDICT_KEPT);
    assert_true(lines_have(&verdict.reasons, "HeapIdle - HeapReleased 288 MiB"));
}

// Advice is typed as it stands: it must name the process in the tree that was looked at.
static void test_advice_names_the_tree(void **state)
{
    (void)state;
    struct scene scene;
    struct verdict verdict;
    scene_init(&scene, "JVM");
    scene_row(&scene, ROW_HELD, 100);
    reach(&scene, &verdict);
    assert_true(lines_have(&verdict.next, "jcmd 42 GC.run"));
    assert_true(lines_have(&verdict.next, "ebb explain --for 60s 42"));
    scene.input.is_live = false;
    scene.input.operand = "--proc-root /c 42";
    reach(&scene, &verdict);
    assert_false(lines_have(&verdict.next, "jcmd"));
    assert_true(lines_have(&verdict.next, "ebb explain --for 60s --proc-root /c 42"));
}

// node's inspector is opened by a signal that would end every other host of V8.
static void test_only_node_is_signalled(void **state)
{
    (void)state;
    struct scene scene;
    struct verdict verdict;
    scene_init(&scene, "V8");
    strcpy(scene.report.version, "11.3.244.8-node.38");
    scene_row(&scene, ROW_HELD, 100);
    assert_int_equal(reach(&scene, &verdict), VERDICT_UNKNOWN);
    assert_true(lines_have(&verdict.next, "node inspect -p 42"));
    scene.growth = (struct growth){.seconds = 60, .sample_count = 60, .is_growing = true};
    scene.input.growth = &scene.growth;
    assert_int_equal(reach(&scene, &verdict), VERDICT_GROWING);
    assert_true(lines_have(&verdict.next, "node inspect -p 42"));
    scene.input.is_live = false;
    reach(&scene, &verdict);
    assert_true(lines_have(&verdict.next, "--heapsnapshot-signal"));
    assert_false(lines_have(&verdict.next, "inspect"));
    scene.input.is_live = true;
    strcpy(scene.report.version, "15.6.75.27");
    reach(&scene, &verdict);
    assert_false(lines_have(&verdict.next, "node"));
    assert_true(lines_have(&verdict.next, "two heap snapshots"));
    scene.input.growth = NULL;
    reach(&scene, &verdict);
    assert_false(lines_have(&verdict.next, "node"));
}

// Who watched and saw no rise must not be sent after a leak.
static void test_no_growth_is_said(void **state)
{
    (void)state;
    struct scene scene;
    struct verdict verdict;
    scene_init(&scene, "Go");
    scene_row(&scene, ROW_IN_USE, 500);
    scene.growth = (struct growth){.seconds = 10, .sample_count = 10};
    scene.input.growth = &scene.growth;
    assert_int_equal(reach(&scene, &verdict), VERDICT_IN_USE);
    assert_true(lines_have(&verdict.next, "It did not grow"));
    assert_false(lines_have(&verdict.next, "pprof"));
    // A slope stands right below: one that is beyond chance must not be called chance.
    scene.growth.is_rising = true;
    assert_int_equal(reach(&scene, &verdict), VERDICT_IN_USE);
    assert_true(lines_have(&verdict.reasons, "it rises, but mostly by what is kept"));
    assert_false(lines_have(&verdict.next, "It did not grow"));
    scene.growth.is_doubted = true;
    assert_int_equal(reach(&scene, &verdict), VERDICT_IN_USE);
    assert_true(lines_have(&verdict.next, "It rises, and may be a wave"));
}

static void test_names(void **state)
{
    (void)state;
    static const char *const names[] = {"lazy",   "kept",  "fragmented", "growing",
                                        "in-use", "files", "unknown"};
    for (int code = 1; code <= 7; code++)
        assert_string_equal(verdict_name((enum verdict_code)code), names[code - 1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lazy),
        cmocka_unit_test(test_kept_and_fragmented),
        cmocka_unit_test(test_lazy_of_nobody),
        cmocka_unit_test(test_files_are_told_apart),
        cmocka_unit_test(test_jvm_says_its_heap),
        cmocka_unit_test(test_in_use_files_unknown),
        cmocka_unit_test(test_growing_outweighs_the_rows),
        cmocka_unit_test(test_no_account_is_unknown),
        cmocka_unit_test(test_traps),
        cmocka_unit_test(test_owners_are_owners),
        cmocka_unit_test(test_in_use_with_large_reserves),
        cmocka_unit_test(test_unexplained_claims),
        cmocka_unit_test(test_growth_says_what_it_knows),
        cmocka_unit_test(test_figures_mean_the_same_as_the_row),
        cmocka_unit_test(test_advice_names_the_tree),
        cmocka_unit_test(test_only_node_is_signalled),
        cmocka_unit_test(test_no_growth_is_said),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
