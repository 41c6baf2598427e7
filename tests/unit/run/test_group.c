// SPDX-License-Identifier: Apache-2.0
// Unit tests of the place of a command's cgroup, in plain trees that look like cgroup trees. What a
// kernel does with one is in tests/e2e/run-limit.t. Test code.
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lever/run/group.h"

static char root[] = "/tmp/ebb-group-XXXXXX";

static int make_root(void **state)
{
    (void)state;
    return mkdtemp(root) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    return remove(path);
}

static int remove_root(void **state)
{
    (void)state;
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void path_of(const char *name, char ret_path[PATH_MAX])
{
    snprintf(ret_path, PATH_MAX, "%s%s%s", root, name[0] ? "/" : "", name);
}

static void put_folder(const char *name)
{
    char path[PATH_MAX];
    path_of(name, path);
    assert_int_equal(mkdir(path, 0755), 0);
}

static void put_file(const char *name, const char *contents)
{
    char path[PATH_MAX];
    path_of(name, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, contents, strlen(contents)), strlen(contents));
    close(fd);
}

static void assert_file(const char *name, const char *wanted)
{
    char path[PATH_MAX], contents[256] = "";
    path_of(name, path);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_true(read(fd, contents, sizeof(contents) - 1) >= 0);
    close(fd);
    assert_string_equal(contents, wanted);
}

// Where a command in `directory` would go; the error otherwise.
static int plan(int version, const char *directory, struct group *ret_group)
{
    struct group_surroundings around = {.version = version, .is_root = true};
    char why[GROUP_TEXT_MAX] = "", needs[GROUP_TEXT_MAX] = "";
    path_of(directory, around.directory);
    int error = group_plan(&around, ret_group, why, needs);
    // A refusal without a reason would help nobody.
    assert_int_equal(error != 0, why[0] != '\0' && needs[0] != '\0');
    return error;
}

static void assert_parent(const struct group *group, const char *name)
{
    char path[PATH_MAX];
    path_of(name, path);
    assert_int_equal(group->way, GROUP_OWN);
    assert_string_equal(group->parent, path);
    assert_int_equal(strncmp(group->path, path, strlen(path)), 0);
    assert_non_null(strstr(group->path, "/ebb-run-"));
}

static void test_version_1_goes_below(void **state)
{
    (void)state;
    struct group group;
    put_folder("one");
    assert_int_equal(plan(1, "one", &group), 0);
    assert_parent(&group, "one");
}

// The present group holds ebb itself, so it can pass nothing on: beside it.
static void test_version_2_goes_beside(void **state)
{
    (void)state;
    struct group group;
    put_folder("two");
    put_file("two/cgroup.subtree_control", "cpu memory pids\n");
    put_file("two/cgroup.procs", "");
    put_folder("two/mine");
    put_file("two/mine/cgroup.subtree_control", "\n");
    put_file("two/mine/cgroup.procs", "");
    assert_int_equal(plan(2, "two/mine", &group), 0);
    assert_parent(&group, "two");
    // One that passes memory on is a place itself.
    put_file("two/mine/cgroup.subtree_control", "memory\n");
    assert_int_equal(plan(2, "two/mine", &group), 0);
    assert_parent(&group, "two/mine");
}

static void test_version_2_without_memory(void **state)
{
    (void)state;
    struct group group;
    put_folder("three");
    put_file("three/cgroup.subtree_control", "cpu memory_recursiveprot\n");
    put_file("three/cgroup.procs", "");
    put_folder("three/mine");
    put_file("three/mine/cgroup.subtree_control", "");
    put_file("three/mine/cgroup.procs", "");
    assert_int_equal(plan(2, "three/mine", &group), -EACCES);
    // Delegation that leaves the common ancestor out.
    put_file("three/cgroup.subtree_control", "memory\n");
    char path[PATH_MAX];
    path_of("three/cgroup.procs", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(plan(2, "three/mine", &group), -EACCES);
    assert_int_equal(plan(0, "three/mine", &group), -ENOTSUP);
}

static void test_systemd_rules_version_2(void **state)
{
    (void)state;
    struct group_surroundings around = {.version = 2, .has_systemd = true, .is_root = true};
    char why[GROUP_TEXT_MAX], needs[GROUP_TEXT_MAX];
    struct group group;
    path_of("two/mine", around.directory);
    assert_int_equal(group_plan(&around, &group, why, needs), 0);
    assert_int_equal(group.way, GROUP_SYSTEMD);
    around.is_root = false;
    around.has_user_systemd = true;
    assert_int_equal(group_plan(&around, &group, why, needs), 0);
    assert_int_equal(group.way, GROUP_SYSTEMD_USER);
    // Nobody's bus: what can be done without.
    around.has_user_systemd = false;
    assert_int_equal(group_plan(&around, &group, why, needs), 0);
    assert_int_equal(group.way, GROUP_OWN);
}

static void test_files(void **state)
{
    (void)state;
    char path[PATH_MAX];
    put_folder("four");
    path_of("four", path);
    // Nothing is created that the kernel did not.
    assert_int_equal(group_set_limit(2, path, 1 << 20), -ENOENT);
    put_file("four/memory.max", "");
    put_file("four/memory.limit_in_bytes", "");
    put_file("four/cgroup.procs", "");
    assert_int_equal(group_set_limit(2, path, 512 << 20), 0);
    assert_int_equal(group_set_limit(1, path, UINT64_C(3) << 30), 0);
    assert_file("four/memory.max", "536870912");
    assert_file("four/memory.limit_in_bytes", "3221225472");
    struct group group = {.version = 2};
    memcpy(group.path, path, sizeof group.path);
    assert_int_equal(group_join(&group), 0);
    assert_file("four/cgroup.procs", "0");
    // A plain folder with files is as a group with somebody in it.
    assert_int_equal(group_remove(&group), -ENOTEMPTY);
}

static void test_failed_group_is_gone(void **state)
{
    (void)state;
    struct group group = {.version = 1};
    put_folder("five");
    path_of("five", group.parent);
    path_of("five/ebb-run-1", group.path);
    assert_int_equal(group_make(&group, 1 << 20), -ENOENT);
    assert_int_equal(access(group.path, F_OK), -1);
}

static void test_escape_is_refused(void **state)
{
    (void)state;
    struct group_surroundings around = {.version = 1, .is_root = true, .would_escape = true};
    char why[GROUP_TEXT_MAX], needs[GROUP_TEXT_MAX];
    struct group group;
    path_of("one", around.directory);
    assert_int_equal(group_plan(&around, &group, why, needs), -ENOTSUP);
    assert_non_null(strstr(why, "use_hierarchy"));
}

static void test_old_number_is_reused(void **state)
{
    (void)state;
    struct group group = {.version = 1};
    put_folder("seven");
    put_folder("seven/ebb-run-1");
    path_of("seven", group.parent);
    path_of("seven/ebb-run-1", group.path);
    // The plain tree has no limit to set, but got as far as that.
    assert_int_equal(group_make(&group, 1 << 20), -ENOENT);
    assert_int_equal(access(group.path, F_OK), -1);
    put_folder("seven/ebb-run-1");
    put_file("seven/ebb-run-1/taken", "");
    assert_int_equal(group_make(&group, 1 << 20), -ENOTEMPTY);
}

// The mount point of a cgroup 2 tree that may be written to.
static bool find_cgroup2(char ret_path[PATH_MAX])
{
    FILE *mounts = fopen("/proc/self/mounts", "re");
    char line[PATH_MAX * 2], point[PATH_MAX], type[32];
    bool found = false;
    while (mounts && !found && fgets(line, sizeof line, mounts)) {
        found = sscanf(line, "%*s %4095s %31s", point, type) == 2 && !strcmp(type, "cgroup2") &&
                access(point, W_OK) == 0;
        if (found)
            memcpy(ret_path, point, strlen(point) + 1);
    }
    if (mounts)
        fclose(mounts);
    return found;
}

// Joining and leaving in a real tree of version 2, with whichever controllers it has.
static void test_real_version_2(void **state)
{
    (void)state;
    struct group group = {.version = 2};
    if (!find_cgroup2(group.parent)) {
        print_message("no cgroup 2 tree may be written to here\n");
        skip();
    }
    int len = snprintf(group.path, sizeof group.path, "%s/ebb-run-test-%d", group.parent, getpid());
    assert_true(len > 0 && (size_t)len < sizeof group.path);
    assert_int_equal(mkdir(group.path, 0755), 0);
    int pipe_fds[2], status;
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    if (child == 0) {
        char byte = group_join(&group) == 0;
        if (write(pipe_fds[1], &byte, 1) == 1)
            pause();
        _exit(0);
    }
    char joined = 0;
    assert_int_equal(read(pipe_fds[0], &joined, 1), 1);
    int busy = group_remove(&group);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    int removed = group_remove(&group);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    assert_true(joined);
    assert_int_equal(busy, -EBUSY);
    assert_int_equal(removed, 0);
}

static void test_sweep(void **state)
{
    (void)state;
    char path[PATH_MAX];
    put_folder("six");
    put_folder("six/ebb-run-7");
    put_folder("six/ebb-run-8");
    put_folder("six/other");
    struct timespec old[2] = {{.tv_sec = time(NULL) - 3600}, {.tv_sec = time(NULL) - 3600}};
    path_of("six/ebb-run-7", path);
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    path_of("six/other", path);
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    path_of("six", path);
    group_sweep(path);
    path_of("six/ebb-run-7", path);
    assert_int_equal(access(path, F_OK), -1);
    // Young ones may be about to be joined; others are nobody's business.
    path_of("six/ebb-run-8", path);
    assert_int_equal(access(path, F_OK), 0);
    path_of("six/other", path);
    assert_int_equal(access(path, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_1_goes_below),
        cmocka_unit_test(test_version_2_goes_beside),
        cmocka_unit_test(test_version_2_without_memory),
        cmocka_unit_test(test_systemd_rules_version_2),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_failed_group_is_gone),
        cmocka_unit_test(test_escape_is_refused),
        cmocka_unit_test(test_old_number_is_reused),
        cmocka_unit_test(test_real_version_2),
        cmocka_unit_test(test_sweep),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
