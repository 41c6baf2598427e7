// SPDX-License-Identifier: Apache-2.0
// Unit tests of cheap readings and of looking for processes in a tree of files: identities,
// damaged and hostile files, what is read again and what is not. Test world.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "sample/cheap.h"
#include "sample/find.h"
#include "sample/sampler.h"

static const struct cheap_identity program = {
    .start_ticks = 100, .start_code = 0x1000, .start_stack = 0x7000, .comm = "a"};

static void test_who_it_is(void **state)
{
    (void)state;
    struct cheap_identity now = program;
    assert_int_equal(cheap_compare(&program, &now), CHEAP_SAME);
    strcpy(now.comm, "b");
    assert_int_equal(cheap_compare(&program, &now), CHEAP_RENAMED);
    now.start_stack = 0x8000;
    assert_int_equal(cheap_compare(&program, &now), CHEAP_EXEC);
    now.start_ticks = 101;
    assert_int_equal(cheap_compare(&program, &now), CHEAP_OTHER);
    // Only the mark of a fork shows the exec of a process that hides its addresses.
    struct cheap_identity fork = {.start_ticks = 100, .is_fork = true, .comm = "a"};
    struct cheap_identity other = {.start_ticks = 100, .comm = "a"};
    assert_int_equal(cheap_compare(&fork, &other), CHEAP_EXEC);
    assert_int_equal(cheap_compare(&other, &other), CHEAP_SAME);
}

// Before, in the middle of, and after an exec.
static void test_exec_in_three_looks(void **state)
{
    (void)state;
    struct cheap_identity middle = {.start_ticks = 100, .comm = "a"}, after = program;
    after.start_code = 0x2000;
    assert_int_equal(cheap_compare(&program, &middle), CHEAP_SAME);
    cheap_remember(&program, &middle);
    assert_true(cheap_is_seen(&middle));
    assert_int_equal(cheap_compare(&middle, &after), CHEAP_EXEC);
}

// A tree of files below a new directory, with one process.
struct tree {
    char root[64];
    struct find find;
    struct selection selection;
};

static void tree_write(struct tree *tree, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", tree->root, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void tree_folder(struct tree *tree, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", tree->root, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static const char stat_format[] =
    "77 (%s) S 1 77 77 0 -1 %u 500 0 6 0 100 50 0 0 20 0 3 0 %u 409600 25 18446744073709551615 "
    "4096 8192 32768 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n";

static void tree_stat(struct tree *tree, const char *comm, unsigned flags, unsigned start)
{
    char text[1024];
    snprintf(text, sizeof text, stat_format, comm, flags, start);
    tree_write(tree, "77/stat", text);
}

static struct tree *tree_new(const char *target)
{
    struct tree *tree = calloc(1, sizeof *tree);
    assert_non_null(tree);
    strcpy(tree->root, "/tmp/ebb-cheap-XXXXXX");
    assert_non_null(mkdtemp(tree->root));
    tree_folder(tree, "77");
    tree_folder(tree, "12x");
    tree_write(tree, "meminfo", "MemTotal: 1000 kB\n");
    tree_write(tree, "stat", "btime 1000\n");
    tree_stat(tree, "worker", 0, 200);
    tree_write(tree, "77/statm", "100 25 5 1 0 20 0\n");
    tree_write(tree, "77/cmdline", "/opt/worker-of-a-long-name");
    tree_write(tree, "77/cgroup", "0::/a.slice/b.service\n");
    assert_int_equal(selection_parse(text_of(target), &tree->selection), 0);
    assert_int_equal(find_open(tree->root, &tree->selection, 1, true, &tree->find), 0);
    return tree;
}

static void tree_free(struct tree *tree)
{
    static const char *const names[] = {"77/stat", "77/statm", "77/cmdline", "77/cgroup", "77",
                                        "12x",     "meminfo",  "stat",       ""};
    char path[256];
    find_close(&tree->find);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", tree->root, names[i]);
        remove(path);
    }
    free(tree);
}

static size_t tree_look(struct tree *tree)
{
    struct find_matches matches = {0};
    assert_int_equal(find_look(&tree->find, &matches), 0);
    size_t count = matches.count;
    free(matches.items);
    return count;
}

static void test_reading(void **state)
{
    (void)state;
    struct tree *tree = tree_new("name:nobody");
    struct cheap_reading reading, again;
    assert_int_equal(cheap_read(&tree->find.reader, 77, NULL, &reading), 0);
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    assert_int_equal(reading.rss_bytes, 25 * page);
    assert_int_equal(reading.anon_bytes, 20 * page);
    assert_int_equal(reading.virtual_bytes, 409600);
    assert_int_equal(reading.minor_faults, 500);
    assert_int_equal(reading.major_faults, 6);
    assert_int_equal(reading.cpu_ms, 1500);
    assert_int_equal(reading.threads, 3);
    // statm is left out while stat says that nothing moved.
    tree_write(tree, "77/statm", "100 30 5 1 0 20 0\n");
    assert_int_equal(cheap_read(&tree->find.reader, 77, &reading, &again), 0);
    assert_int_equal(again.rss_bytes, 25 * page);
    reading.minor_faults--;
    assert_int_equal(cheap_read(&tree->find.reader, 77, &reading, &again), 0);
    assert_int_equal(again.rss_bytes, 30 * page);
    tree_free(tree);
}

static void test_what_is_no_process(void **state)
{
    (void)state;
    struct tree *tree = tree_new("name:nobody");
    struct cheap_reading reading;
    const struct cheap_reader *reader = &tree->find.reader;
    assert_int_equal(cheap_read(reader, 78, NULL, &reading), -ESRCH);
    tree_stat(tree, "kthread", 0x00200000, 200);
    assert_int_equal(cheap_read(reader, 77, NULL, &reading), -ENOEXEC);
    tree_stat(tree, "exiting", 0x4, 200);
    assert_int_equal(cheap_read(reader, 77, NULL, &reading), -ESRCH);
    tree_write(tree, "77/stat", "77 (zombie) Z 1 2 3");
    assert_int_equal(cheap_read(reader, 77, NULL, &reading), -EBADMSG);
    tree_write(tree, "77/stat", "");
    assert_int_equal(cheap_read(reader, 77, NULL, &reading), -EBADMSG);
    // More pages than there are bytes to count: no sum wraps.
    tree_stat(tree, "hostile", 0, 200);
    tree_write(tree, "77/statm", "18446744073709551615 18446744073709551615 0 0 0 0 0\n");
    assert_int_equal(cheap_read(reader, 77, NULL, &reading), 0);
    assert_true(reading.rss_bytes <= (uint64_t)1 << 50 && reading.rss_bytes > (uint64_t)1 << 40);
    tree_write(tree, "77/statm", "1 2 3");
    assert_int_equal(cheap_read(reader, 77, NULL, &reading), -EBADMSG);
    tree_free(tree);
}

static void test_description(void **state)
{
    (void)state;
    struct tree *tree = tree_new("worker-of-a-long-name");
    struct find_match match;
    assert_int_equal(find_describe(&tree->find, 77, &match), 0);
    assert_string_equal(match.subject.name, "worker");
    tree_stat(tree, "worker-of-a-lon", 0, 200);
    assert_int_equal(find_describe(&tree->find, 77, &match), 0);
    assert_string_equal(match.subject.name, "worker-of-a-long-name");
    assert_string_equal(match.subject.cgroup, "/a.slice/b.service");
    assert_string_equal(match.subject.exe, "");
    assert_int_equal(match.subject.start_ms, 1002000);
    assert_int_equal(tree_look(tree), 1);
    // Once found, it is found no more until it is forgotten.
    assert_int_equal(tree_look(tree), 0);
    find_forget(&tree->find, 77);
    assert_int_equal(tree_look(tree), 1);
    tree_free(tree);
}

// One that did not match is looked at again only when it has become somebody else.
static void test_strangers_are_remembered(void **state)
{
    (void)state;
    struct tree *tree = tree_new("later");
    assert_int_equal(tree_look(tree), 0);
    tree_write(tree, "77/cmdline", "later");
    assert_int_equal(tree_look(tree), 0);
    tree_stat(tree, "later", 0, 200);
    assert_int_equal(tree_look(tree), 1);
    tree_free(tree);
    // An old one is not looked at each time, but within sixteen looks.
    tree = tree_new("later");
    for (int i = 0; i < 40; i++)
        assert_int_equal(tree_look(tree), 0);
    tree_stat(tree, "later", 0, 200);
    size_t found = 0;
    for (int i = 0; i < 16; i++)
        found += tree_look(tree);
    assert_int_equal(found, 1);
    tree_free(tree);
}

// By number in the first look only.
static void test_numbers_once(void **state)
{
    (void)state;
    struct tree *tree = tree_new("77");
    assert_int_equal(tree_look(tree), 1);
    find_forget(&tree->find, 77);
    assert_int_equal(tree_look(tree), 0);
    tree_free(tree);
}

// A tree without smaps: cheap samples go on, and that there is no account is said once.
static void test_tree_without_smaps(void **state)
{
    (void)state;
    struct tree *tree = tree_new("77");
    const struct sampler_options options = {.proc_root = tree->root,
                                            .selections = &tree->selection,
                                            .selection_count = 1,
                                            .interval_ms = 10};
    struct sampler *sampler;
    const struct batch *batch;
    assert_int_equal(sampler_open(&options, &sampler), 0);
    assert_int_equal(sampler_round(sampler, &batch), 0);
    assert_int_equal(batch->event_count, 2);
    assert_int_equal(batch->events[1].kind, EVENT_UNREADABLE);
    assert_string_equal(batch->events[1].text, "its mappings (smaps) are not in the proc tree");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sampler_round(sampler, &batch), 0);
        assert_int_equal(batch->sample_count, 1);
        assert_int_equal(batch->samples[0].kind, SAMPLE_CHEAP);
        assert_int_equal(batch->event_count, 0);
    }
    sampler_close(sampler);
    tree_free(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_it_is),    cmocka_unit_test(test_exec_in_three_looks),
        cmocka_unit_test(test_reading),      cmocka_unit_test(test_what_is_no_process),
        cmocka_unit_test(test_description),  cmocka_unit_test(test_strangers_are_remembered),
        cmocka_unit_test(test_numbers_once), cmocka_unit_test(test_tree_without_smaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
