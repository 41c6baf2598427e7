// SPDX-License-Identifier: Apache-2.0
// Groups as trees of plain files: processes of all levels, and what the kernel is asked for.
// Version 2 is only known from its documentation here; version 1 also runs for real (tests/e2e).
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

#include "base/buffer.h"
#include "lever/reclaim/coarse.h"
#include "lever/reclaim/group.h"

struct tree {
    char root[256];
};

static void write_file(const struct tree *tree, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", tree->root, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void make_directory(const struct tree *tree, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", tree->root, name);
    assert_int_equal(mkdir(path, 0755), 0);
}

static struct tree make_tree(void)
{
    struct tree tree;
    const char *folder = getenv("TMPDIR");
    snprintf(tree.root, sizeof tree.root, "%s/groupXXXXXX", folder ? folder : "/tmp");
    assert_non_null(mkdtemp(tree.root));
    write_file(&tree, "cgroup.procs", "30\n10\n0\n");
    return tree;
}

static void remove_tree(const struct tree *tree)
{
    char command[512];
    snprintf(command, sizeof command, "rm -r '%s'", tree->root);
    assert_int_equal(system(command), 0);
}

static void test_list(void **state)
{
    (void)state;
    struct tree tree = make_tree();
    make_directory(&tree, "a");
    make_directory(&tree, "a/b");
    make_directory(&tree, "gone");
    make_directory(&tree, ".hidden");
    write_file(&tree, "a/cgroup.procs", "20\nnonsense\n99999999999999999999\n10\n");
    write_file(&tree, "a/b/cgroup.procs", "5\n40");
    struct group group;
    assert_int_equal(group_find(tree.root, &group), 0);
    assert_int_equal(group.version, 1);
    pid_t *pids;
    size_t count;
    assert_int_equal(group_list(&group, &pids, &count), 0);
    const pid_t wanted[] = {5, 10, 20, 30, 40};
    assert_int_equal(count, sizeof wanted / sizeof *wanted);
    assert_memory_equal(pids, wanted, sizeof wanted);
    free(pids);
    remove_tree(&tree);
    assert_int_equal(group_list(&group, &pids, &count), -ENOENT);
}

static void test_find(void **state)
{
    (void)state;
    struct group group = {.version = 7};
    assert_int_equal(group_find("/no/such/group", &group), -ENOENT);
    assert_int_equal(group_find("/etc", &group), -ENOENT);
    assert_int_equal(group_find("", &group), -ENOENT);
    assert_int_equal(group.version, 7);
}

static void check_file(const struct tree *tree, const char *name, const char *wanted)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", tree->root, name);
    struct buffer file = {0};
    assert_int_equal(buffer_read_at(&file, AT_FDCWD, path), 0);
    assert_string_equal(file.data, wanted);
    buffer_free(&file);
}

static void test_version_2(void **state)
{
    (void)state;
    struct tree tree = make_tree();
    write_file(&tree, "cgroup.controllers", "memory\n");
    write_file(&tree, "memory.current", "900000000\n");
    write_file(&tree, "memory.stat",
               "anon 800000000\nfile 90000000\nshmem 10000000\ninactive_anon 1\nactive_anon 1\n"
               "inactive_file 500000000\nactive_file 80000000\n");
    write_file(&tree, "memory.reclaim", "untouched");
    struct group group;
    assert_int_equal(group_find(tree.root, &group), 0);
    assert_int_equal(group.version, 2);
    struct lever_report report = {0};
    assert_int_equal(group_ask_kernel(&group, true, false, &report), 0);
    assert_int_equal(report.outcome, LEVER_PLANNED);
    assert_int_equal(report.before.rss_bytes, 900000000);
    assert_int_equal(report.note_count, 1);
    check_file(&tree, "memory.reclaim", "untouched");
    lever_report_free(&report);
    // inactive_file + active_file - (file - shmem)
    write_file(&tree, "memory.reclaim", "");
    assert_int_equal(group_ask_kernel(&group, false, false, &report), 0);
    assert_int_equal(report.outcome, LEVER_DONE);
    assert_true(report.has_after);
    check_file(&tree, "memory.reclaim", "500000000 swappiness=0");
    lever_report_free(&report);
    char path[512];
    snprintf(path, sizeof path, "%s/memory.reclaim", tree.root);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(group_ask_kernel(&group, false, false, &report), 0);
    assert_int_equal(report.outcome, LEVER_REFUSED);
    assert_int_equal(report.error, -ENOENT);
    lever_report_free(&report);
    remove_tree(&tree);
}

static void test_large_pages(void **state)
{
    (void)state;
    static const struct {
        const char *name, *setting, *global;
        bool is_used;
    } cases[] = {
        {"hugepages-64kB", "always inherit madvise [never]\n", "[always] madvise never\n", false},
        {"hugepages-64kB", "always inherit [madvise] never\n", "always madvise [never]\n", true},
        {"hugepages-64kB", "[always] inherit madvise never\n", "always madvise [never]\n", true},
        {"hugepages-64kB", "always [inherit] madvise never\n", "always madvise [never]\n", false},
        {"hugepages-64kB", "always [inherit] madvise never\n", "always [madvise] never\n", true},
        {"hugepages-2048kB", "[always] inherit madvise never\n", "[always] madvise never\n", false},
        {"khugepaged", "[always]\n", "[always] madvise never\n", false},
        {"..", "[always]\n", "[always] madvise never\n", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(
            coarse_size_is_used(cases[i].name, cases[i].setting, 2 << 20, cases[i].global),
            cases[i].is_used);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_version_2),
        cmocka_unit_test(test_large_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
