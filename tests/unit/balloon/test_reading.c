// SPDX-License-Identifier: Apache-2.0
// Unit tests of the balloon's readings: groups of both versions made of plain files, nested limits,
// what is missing, what makes a group dangerous. Test world.
#include <errno.h>
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

#include "lever/balloon/reading.h"
#include "support/fixture.h"

static const uint64_t mib = 1 << 20;

struct tree {
    char root[256];
    char group[320];
};

static void put(const char *directory, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void drop(const char *directory, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    assert_int_equal(unlink(path), 0);
}

// A pod with a container in it; the pod's parent is no group.
static int set_up(void **state)
{
    struct tree *tree = calloc(1, sizeof *tree);
    const char *tmp = getenv("TMPDIR");
    snprintf(tree->root, sizeof tree->root, "%s/balloon-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(tree->root));
    char pod[300];
    snprintf(pod, sizeof pod, "%s/pod", tree->root);
    snprintf(tree->group, sizeof tree->group, "%s/box", pod);
    assert_int_equal(mkdir(pod, 0700), 0);
    assert_int_equal(mkdir(tree->group, 0700), 0);
    put(pod, "cgroup.procs", "");
    put(tree->group, "cgroup.procs", "");
    *state = tree;
    return 0;
}

static int tear_down(void **state)
{
    struct tree *tree = *state;
    char command[400];
    snprintf(command, sizeof command, "rm -rf '%s'", tree->root);
    int status = system(command);
    free(tree);
    return status;
}

static void fill_v2(const char *directory, const char *max, const char *current, const char *stat)
{
    put(directory, "memory.max", max);
    put(directory, "memory.high", "max\n");
    put(directory, "memory.current", current);
    put(directory, "memory.stat", stat);
    put(directory, "memory.swap.max", "0\n");
    put(directory, "memory.swap.current", "0\n");
    put(directory, "memory.events", "low 0\noom 2\noom_kill 1\n");
    put(directory, "memory.oom.group", "0\n");
    put(directory, "cgroup.subtree_control", "");
}

static const char stat_v2[] = "anon 104857600\nfile 52428800\nshmem 0\nfile_mapped 10485760\n"
                              "file_dirty 0\nfile_writeback 0\ninactive_file 157286400\n"
                              "active_file 0\nworkingset_refault_file 5\n";

static struct balloon_place open_v2(struct tree *tree, char **proc_root)
{
    char pod[300];
    snprintf(pod, sizeof pod, "%s/pod", tree->root);
    fill_v2(pod, "419430400\n", "314572800\n", stat_v2);
    fill_v2(tree->group, "max\n", "262144000\n", stat_v2);
    *proc_root = fixture_path("linux-6.1-cgroup2/proc");
    struct balloon_place place;
    assert_int_equal(balloon_place_find(*proc_root, tree->group, &place), 0);
    assert_int_equal(place.version, 2);
    return place;
}

static void test_version_2(void **state)
{
    char *proc_root;
    struct balloon_place place = open_v2(*state, &proc_root);
    struct balloon_room room;
    assert_int_equal(balloon_place_room(&place, &room), 0);
    assert_int_equal(room.limit_bytes, 400 * mib);
    assert_int_equal(room.reserve_bytes, balloon_reserve(400 * mib, 16 * mib, UINT64_MAX));
    assert_int_equal(strlen(room.directory), place.tightest_len);
    assert_true(place.tightest_len < strlen(place.directory));
    assert_int_equal(balloon_place_danger(&place), BALLOON_SAFE);
    struct balloon_reading reading = {0};
    balloon_read(&place, &reading);
    assert_true(reading.is_complete);
    assert_int_equal(reading.free_bytes, 100 * mib);
    assert_int_equal(reading.lazy_bytes, 100 * mib);
    assert_int_equal(reading.cache_bytes, 50 * mib);
    assert_int_equal(reading.slack_bytes, (int64_t)(100 * mib + 20 * mib - room.reserve_bytes));
    assert_int_equal(reading.oom_kills, 1);
    assert_int_equal(reading.refault_pages, 5);
    free(proc_root);
}

// memory.high throttles before memory.max is met.
static void test_high_is_a_limit(void **state)
{
    struct tree *tree = *state;
    char *proc_root;
    struct balloon_place place = open_v2(tree, &proc_root);
    struct balloon_room room;
    put(tree->group, "memory.high", "272629760\n");
    assert_int_equal(balloon_place_room(&place, &room), 0);
    assert_int_equal(room.limit_bytes, 260 * mib);
    // A usage above it leaves no room, and nothing wraps.
    put(tree->group, "memory.current", "1048576000\n");
    struct balloon_reading reading = {0};
    balloon_read(&place, &reading);
    assert_int_equal(reading.free_bytes, 0);
    assert_true(reading.slack_bytes < 20 * (int64_t)mib);
    free(proc_root);
}

static void test_dangers(void **state)
{
    struct tree *tree = *state;
    char *proc_root, pod[300];
    struct balloon_place place = open_v2(tree, &proc_root);
    snprintf(pod, sizeof pod, "%s/pod", tree->root);
    put(pod, "memory.oom.group", "1\n");
    assert_int_equal(balloon_place_danger(&place), BALLOON_OOM_GROUP);
    put(pod, "memory.oom.group", "0\n");
    put(tree->group, "cgroup.subtree_control", "cpu memory\n");
    assert_int_equal(balloon_place_danger(&place), BALLOON_NOT_A_LEAF);
    put(tree->group, "cgroup.subtree_control", "");
    put(pod, "memory.max", "max\n");
    assert_int_equal(balloon_place_danger(&place), BALLOON_WITHOUT_LIMIT);
    free(proc_root);
}

// Whatever must be known and is gone in the middle makes the reading incomplete.
static void test_missing_files(void **state)
{
    static const char *const needed[] = {"memory.current", "memory.stat"};
    struct tree *tree = *state;
    char *proc_root;
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        struct balloon_place place = open_v2(tree, &proc_root);
        char pod[300];
        snprintf(pod, sizeof pod, "%s/pod", tree->root);
        drop(pod, needed[i]);
        struct balloon_reading reading = {0};
        balloon_read(&place, &reading);
        assert_false(reading.is_complete);
        free(proc_root);
    }
    // A limit that was lifted: pressure would be the host's.
    struct balloon_place place = open_v2(tree, &proc_root);
    char pod[300];
    snprintf(pod, sizeof pod, "%s/pod", tree->root);
    put(pod, "memory.max", "max\n");
    struct balloon_reading reading = {0};
    balloon_read(&place, &reading);
    assert_false(reading.is_complete);
    place.proc_root = "/nonexistent";
    balloon_read(&place, &reading);
    assert_false(reading.is_complete);
    free(proc_root);
}

static void test_version_1(void **state)
{
    struct tree *tree = *state;
    char pod[300];
    snprintf(pod, sizeof pod, "%s/pod", tree->root);
    static const char stat[] = "cache 1\ntotal_cache 20971520\ntotal_shmem 10485760\n"
                               "total_inactive_file 104857600\ntotal_active_file 10485760\n"
                               "total_mapped_file 0\ntotal_dirty 0\ntotal_writeback 0\n"
                               "total_swap 4096\ntotal_workingset_refault_file 3\n";
    const char *const levels[] = {pod, tree->group};
    for (int i = 0; i < 2; i++) {
        put(levels[i], "memory.limit_in_bytes", i ? "419430400\n" : "9223372036854771712\n");
        put(levels[i], "memory.memsw.limit_in_bytes", "9223372036854771712\n");
        put(levels[i], "memory.usage_in_bytes", "209715200\n");
        put(levels[i], "memory.stat", stat);
        put(levels[i], "memory.swappiness", "60\n");
        put(levels[i], "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
    }
    char *proc_root = fixture_path("linux-4.18-cgroup1/proc");
    struct balloon_place place;
    struct balloon_room room;
    assert_int_equal(balloon_place_find(proc_root, tree->group, &place), 0);
    assert_int_equal(place.version, 1);
    assert_int_equal(balloon_place_room(&place, &room), 0);
    struct balloon_reading reading = {0};
    balloon_read(&place, &reading);
    assert_true(reading.is_complete);
    assert_int_equal(reading.free_bytes, 200 * mib);
    assert_int_equal(reading.lazy_bytes, 100 * mib);
    assert_int_equal(reading.oom_kills, 4);
    assert_int_equal(reading.swapped_pages, 1);
    put(tree->group, "memory.oom_control", "oom_kill_disable 1\n");
    assert_int_equal(balloon_place_danger(&place), BALLOON_OOM_DISABLED);
    // Memory and swap together have a limit too.
    put(tree->group, "memory.memsw.limit_in_bytes", "314572800\n");
    assert_int_equal(balloon_place_room(&place, &room), 0);
    assert_int_equal(room.limit_bytes, 300 * mib);
    free(proc_root);
}

static void test_no_group(void **state)
{
    struct tree *tree = *state;
    struct balloon_place place;
    assert_int_equal(balloon_place_find("/proc", "/nonexistent-group", &place), -ENOENT);
    assert_int_equal(balloon_place_find("/proc", tree->root, &place), -ENODATA);
    char path[300];
    put(tree->root, "file", "");
    snprintf(path, sizeof path, "%s/file", tree->root);
    assert_int_equal(balloon_place_find("/proc", path, &place), -ENOTDIR);
}

static void test_the_host(void **state)
{
    (void)state;
    static const char *const trees[] = {"linux-6.1-cgroup2/proc", "linux-4.18-cgroup1/proc",
                                        "linux-4.4-cgroup1/proc", "hostile/proc"};
    for (size_t i = 0; i < sizeof trees / sizeof *trees; i++) {
        char *proc_root = fixture_path(trees[i]);
        const struct balloon_place place = {.proc_root = proc_root};
        struct balloon_reading reading = {0};
        balloon_read(&place, &reading);
        assert_true(reading.is_complete || i == 3);
        free(proc_root);
    }
}

static void cut_vmstat(struct text file)
{
    struct balloon_vmstat vmstat = {0};
    balloon_parse_vmstat(file, &vmstat);
}

static void cut_group(struct text file)
{
    struct balloon_group group;
    uint64_t value;
    balloon_parse_group(file, 1, &group);
    balloon_parse_group(file, 2, &group);
    balloon_parse_key(file, "oom_kill", &value);
}

static void test_cut_files(void **state)
{
    (void)state;
    assert_true(fixture_each_prefix("vmstat", cut_vmstat) > 3);
    assert_true(fixture_each_prefix("memory.stat", cut_group) > 1);
    struct balloon_group group;
    assert_int_equal(balloon_parse_group(text_of("nothing 1\n"), 2, &group), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_version_2, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_high_is_a_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dangers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_missing_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_version_1, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_group, set_up, tear_down),
        cmocka_unit_test(test_the_host),
        cmocka_unit_test(test_cut_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
