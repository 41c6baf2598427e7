// SPDX-License-Identifier: Apache-2.0
// Unit tests of finding processes, in fixture trees and in the live one. Test code; no state.
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proc/find.h"
#include "support/fixture.h"

// The PIDs found, as "1 2 3"; `name` NULL lists all.
static void check_found(const char *tree, const char *name, const char *wanted)
{
    char *root = fixture_path(tree);
    struct proc_entry *entries;
    size_t count;
    int error =
        name ? proc_find_by_name(root, name, &entries, &count) : proc_list(root, &entries, &count);
    assert_int_equal(error, 0);
    struct buffer pids = {0};
    for (size_t i = 0; i < count; i++)
        buffer_printf(&pids, "%s%d", i > 0 ? " " : "", (int)entries[i].pid);
    assert_string_equal(pids.data ? pids.data : "", wanted);
    buffer_free(&pids);
    free(entries);
    free(root);
}

static void test_list(void **state)
{
    (void)state;
    // 2 and 57 are kernel threads, 4200 is a zombie.
    check_found("linux-6.1-cgroup2/proc", NULL, "900 901 950 4121");
    check_found("linux-4.4-cgroup1/proc", NULL, "1412");
    // 32 and 33 are cut, 34 has no start time, and names that are no PID are not looked at.
    check_found("hostile/proc", NULL, "31");
}

static void test_by_name(void **state)
{
    (void)state;
    const char *tree = "linux-6.1-cgroup2/proc";
    check_found(tree, "api", "4121");
    check_found(tree, "nginx", "900 901");
    // The comm is cut at 15 bytes; the executable has the whole name.
    check_found(tree, "systemd-journald", "950");
    check_found(tree, "systemd-journal", "950");
    check_found(tree, "kthreadd", "");
    check_found(tree, "sh", "");
    check_found("linux-4.4-cgroup1/proc", "", "");
    check_found(tree, "ap", "");
    // By the executable alone, and by all three.
    check_found("linux-6.18-cgroupns/proc", "python3.13", "7");
    check_found("linux-4.18-cgroup1/proc", "skynet", "2207");
    check_found("hostile/proc", "a) S 1 (b\n\x1b[2J", "31");
}

static void test_entry_names(void **state)
{
    (void)state;
    char *root = fixture_path("linux-6.1-cgroup2/proc");
    struct proc_entry *entries;
    size_t count;
    assert_int_equal(proc_list(root, &entries, &count), 0);
    assert_int_equal(count, 4);
    assert_string_equal(entries[2].name, "systemd-journald");
    assert_string_equal(entries[3].name, "api");
    free(entries);
    free(root);
}

// Writes one file of a tree below /tmp.
static void write_file(const char *root, const char *name, const char *content)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
}

// An executable that was replaced under the process keeps its name, with a mark behind it.
static void test_deleted_executable(void **state)
{
    (void)state;
    char root[] = "/tmp/ebb-find-XXXXXX", path[64];
    assert_non_null(mkdtemp(root));
    snprintf(path, sizeof path, "%s/5", root);
    assert_int_equal(mkdir(path, 0700), 0);
    write_file(root, "5/stat",
               "5 (main) S 1 5 5 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 77 4096 1 0 1 1 0 0\n");
    snprintf(path, sizeof path, "%s/5/exe", root);
    assert_int_equal(symlink("/opt/ghost (deleted)", path), 0);
    struct proc_entry *entries = NULL;
    size_t count = 9;
    int error = proc_find_by_name(root, "ghost", &entries, &count);
    unlink(path);
    snprintf(path, sizeof path, "%s/5/stat", root);
    unlink(path);
    snprintf(path, sizeof path, "%s/5", root);
    rmdir(path);
    rmdir(root);
    assert_int_equal(error, 0);
    assert_int_equal(count, 1);
    free(entries);
}

static void test_missing_root(void **state)
{
    (void)state;
    struct proc_entry *entries = (void *)8;
    size_t count = 3;
    assert_int_equal(proc_list("/nonexistent", &entries, &count), -ENOENT);
    assert_int_equal(proc_find_by_name("/dev/null", "x", &entries, &count), -ENOTDIR);
    assert_ptr_equal(entries, (void *)8);
    assert_int_equal(count, 3);
}

// A live child under an odd name is found by it; the caller, who bears the same name, is not.
static void test_live(void **state)
{
    (void)state;
    const char *name = "ebb )( find\n1";
    char before[16];
    prctl(PR_GET_NAME, before);
    prctl(PR_SET_NAME, name);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
    }
    struct proc_entry *entries;
    size_t count;
    int error = proc_find_by_name("/proc", name, &entries, &count);
    close(ends[0]);
    close(ends[1]);
    waitpid(child, NULL, 0);
    prctl(PR_SET_NAME, before);
    assert_int_equal(error, 0);
    assert_int_equal(count, 1);
    assert_int_equal(entries[0].pid, child);
    assert_string_equal(entries[0].name, name);
    free(entries);
}

// Processes that come and go while the list is read are no error.
static void test_race(void **state)
{
    (void)state;
    pid_t breeder = fork();
    if (breeder == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            pid_t child = fork();
            if (child == 0)
                _exit(0);
            waitpid(child, NULL, 0);
        }
    }
    for (int i = 0; i < 50; i++) {
        struct proc_entry *entries;
        size_t count;
        assert_int_equal(proc_list("/proc", &entries, &count), 0);
        assert_true(count > 0);
        for (size_t k = 1; k < count; k++)
            assert_true(entries[k - 1].pid < entries[k].pid);
        free(entries);
    }
    kill(breeder, SIGKILL);
    waitpid(breeder, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),         cmocka_unit_test(test_by_name),
        cmocka_unit_test(test_entry_names),  cmocka_unit_test(test_deleted_executable),
        cmocka_unit_test(test_missing_root), cmocka_unit_test(test_live),
        cmocka_unit_test(test_race),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
