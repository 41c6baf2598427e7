// SPDX-License-Identifier: Apache-2.0
// Unit tests of how short memory is: trees of files, the judgement, and a real group where
// one can be made. Test code; no state.
#include "release_test.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "release/pressure.h"

#define FIXTURES EBB_SOURCE_DIR "/tests/fixtures/proc/"
#define NONE     PRESSURE_UNLIMITED

static const char stat_v1[] =
    "cache 160000000\nrss 260000000\nshmem 4096\ninactive_file 150000000\n"
    "hierarchical_memory_limit 1073741824\n"
    "hierarchical_memsw_limit 9223372036854771712\ntotal_cache 360000000\n"
    "total_shmem 8192\ntotal_inactive_file 300000000\n";

static struct pressure_source source_of(const char *mount, const char *group, bool is_v1)
{
    struct pressure_source source = {.is_v1 = is_v1, .is_found = true};
    int len = snprintf(source.group_path, sizeof source.group_path, "%s%s", mount, group);
    assert_in_range(len, 1, sizeof source.group_path - 1);
    source.mount_bytes = strlen(mount);
    return source;
}

static struct pressure_reading read_from(const struct pressure_source *source,
                                         uint64_t own_lazy_bytes)
{
    struct pressure_reading reading;
    memset(&reading, 0x5a, sizeof reading);
    reading.own_lazy_bytes = own_lazy_bytes;
    pressure_read(source, &reading);
    assert_int_equal(reading.own_lazy_bytes, own_lazy_bytes);
    assert_true(reading.host_total >= reading.host_available && reading.host_total > 0);
    return reading;
}

#define POD "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1f0c_aa.slice"

static void test_recorded_v2(void **state)
{
    (void)state;
    struct pressure_source source = source_of(FIXTURES "linux-6.1-cgroup2/sys/fs/cgroup",
                                              POD "/cri-containerd-7ab2.scope", false);
    struct pressure_reading reading = read_from(&source, 0);
    // The limit is the pod's, the container has none.
    assert_int_not_equal(reading.group_limit, NONE);
    assert_true(reading.group_usage > 0 && reading.group_usage <= reading.group_limit);
    source.mount_bytes = strlen(source.group_path) + 1;
    assert_int_equal(read_from(&source, 0).group_limit, NONE);
}

static void test_recorded_v1(void **state)
{
    (void)state;
    struct pressure_source source = source_of(FIXTURES "linux-4.18-cgroup1/sys/fs/cgroup/memory",
                                              "/user.slice/user-1000.slice/session-3.scope", true);
    struct pressure_reading reading = read_from(&source, 0);
    assert_int_not_equal(reading.group_limit, NONE);
    assert_true(reading.stalls_are_hosts);
}

// A tree of files in the test's own folder.
static void write_file(const char *folder, const char *name, const char *text)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

struct tree {
    char top[PATH_MAX - 64];
    char middle[PATH_MAX - 32];
    char leaf[PATH_MAX];
};

static struct tree tree_make(void)
{
    struct tree tree;
    const char *folder = getenv("TMPDIR");
    snprintf(tree.top, sizeof tree.top, "%s/ebb-pressure-XXXXXX", folder ? folder : "/tmp");
    assert_non_null(mkdtemp(tree.top));
    snprintf(tree.middle, sizeof tree.middle, "%s/middle", tree.top);
    snprintf(tree.leaf, sizeof tree.leaf, "%s/leaf", tree.middle);
    assert_int_equal(mkdir(tree.middle, 0700), 0);
    assert_int_equal(mkdir(tree.leaf, 0700), 0);
    return tree;
}

static void tree_remove(const struct tree *tree)
{
    char command[PATH_MAX + 16];
    snprintf(command, sizeof command, "rm -rf '%s'", tree->top);
    assert_int_equal(system(command), 0);
}

static struct pressure_reading read_tree(const struct tree *tree, bool is_v1, uint64_t own_lazy)
{
    struct pressure_source source = source_of(tree->top, "/middle/leaf", is_v1);
    return read_from(&source, own_lazy);
}

static void test_tree_v2(void **state)
{
    (void)state;
    struct tree tree = tree_make();
    // The root has no such files. Nothing limits.
    write_file(tree.leaf, "memory.max", "max\n");
    write_file(tree.leaf, "memory.high", "max\n");
    write_file(tree.leaf, "memory.current", "1000\n");
    struct pressure_reading reading = read_tree(&tree, false, 0);
    assert_int_equal(reading.group_limit, NONE);
    assert_true(reading.stalls_are_hosts);
    // The lower of max and high; the group's own stalls.
    write_file(tree.leaf, "memory.max", "1073741824\n");
    write_file(tree.leaf, "memory.high", "536870912\n");
    write_file(tree.leaf, "memory.pressure", "some avg10=1.00 avg60=0 avg300=0 total=4711\n");
    reading = read_tree(&tree, false, 0);
    assert_int_equal(reading.group_limit, GIB / 2);
    assert_int_equal(reading.group_usage, 1000);
    assert_int_equal(reading.stalled_us, 4711);
    assert_false(reading.stalls_are_hosts);
    // A parent with a higher limit and less of it left is the tighter one.
    write_file(tree.middle, "memory.max", "2147483648\n");
    write_file(tree.middle, "memory.current", "2000000000\n");
    write_file(tree.middle, "memory.stat", "file 9000000\nshmem 1000000\ninactive_file 6000000\n");
    reading = read_tree(&tree, false, 0);
    assert_int_equal(reading.group_limit, 2 * GIB);
    assert_int_equal(reading.group_usage, 2000000000);
    assert_int_equal(reading.group_reclaim, 6000000);
    // A parent above the mount is nobody's.
    struct pressure_source source = source_of(tree.leaf, "", false);
    assert_int_equal(read_from(&source, 0).group_limit, GIB / 2);
    tree_remove(&tree);
    reading = read_tree(&tree, false, 0);
    assert_int_equal(reading.group_limit, NONE);
    assert_int_equal(reading.group_usage, 0);
}

// Inactive pages that are neither files nor lazily freed are in use.
static void test_reclaimable(void **state)
{
    (void)state;
    struct tree tree = tree_make();
    write_file(tree.leaf, "memory.max", "1000000\n");
    write_file(tree.leaf, "memory.current", "990000\n");
    write_file(tree.leaf, "memory.stat", "file 300000\nshmem 100000\ninactive_file 500000\n");
    assert_int_equal(read_tree(&tree, false, 0).group_reclaim, 200000);
    assert_int_equal(read_tree(&tree, false, 50000).group_reclaim, 250000);
    assert_int_equal(read_tree(&tree, false, UINT64_MAX).group_reclaim, 500000);
    write_file(tree.leaf, "memory.stat", "inactive_file 500000\n");
    assert_int_equal(read_tree(&tree, false, 0).group_reclaim, 500000);
    write_file(tree.leaf, "memory.stat", "inactive_file 5000000\n");
    assert_int_equal(read_tree(&tree, false, 0).group_reclaim, 990000);
    write_file(tree.leaf, "memory.stat", "anon 1\n");
    assert_int_equal(read_tree(&tree, false, 0).group_reclaim, 0);
    // Far from the limit nobody looks.
    write_file(tree.leaf, "memory.stat", "inactive_file 500000\n");
    write_file(tree.leaf, "memory.current", "700000\n");
    assert_int_equal(read_tree(&tree, false, 0).group_reclaim, 0);
    tree_remove(&tree);
}

static void test_tree_v1(void **state)
{
    (void)state;
    struct tree tree = tree_make();
    write_file(tree.leaf, "memory.limit_in_bytes", "9223372036854771712\n");
    write_file(tree.leaf, "memory.usage_in_bytes", "1000000000\n");
    assert_int_equal(read_tree(&tree, true, 0).group_limit, NONE);
    // A limit of a parent that is not seen is in the statistics only.
    write_file(tree.leaf, "memory.stat", stat_v1);
    struct pressure_reading reading = read_tree(&tree, true, 0);
    assert_int_equal(reading.group_limit, GIB);
    assert_int_equal(reading.group_usage, 1000000000);
    assert_int_equal(reading.group_reclaim, 300000000);
    write_file(tree.top, "memory.limit_in_bytes", "2000000000\n");
    write_file(tree.top, "memory.usage_in_bytes", "1900000000\n");
    assert_int_equal(read_tree(&tree, true, 0).group_limit, 2000000000);
    write_file(tree.top, "memory.usage_in_bytes", "many\n");
    assert_int_equal(read_tree(&tree, true, 0).group_limit, GIB);
    tree_remove(&tree);
}

// Wherever the end of a buffer comes, in a line or between two.
static void test_long_files(void **state)
{
    (void)state;
    struct tree tree = tree_make();
    char text[4200];
    write_file(tree.leaf, "memory.max", "1000000\n");
    write_file(tree.leaf, "memory.current", "990000\n");
    for (size_t filler = 980; filler < 1100; filler++) {
        for (size_t i = 0; i < filler; i++)
            text[i] = i % 40 == 39 ? '\n' : 'x';
        strcpy(text + filler, "\ninactive_file 400\nfile 40000");
        write_file(tree.leaf, "memory.stat", text);
        if (read_tree(&tree, false, 0).group_reclaim != 400)
            fail_msg("after %d bytes", (int)filler);
    }
    tree_remove(&tree);
}

// A line that no buffer holds is passed over to its very end.
static void test_long_lines(void **state)
{
    (void)state;
    struct tree tree = tree_make();
    static char text[20000];
    write_file(tree.leaf, "memory.max", "1000000\n");
    write_file(tree.leaf, "memory.current", "990000\n");
    for (size_t filler = 512; filler <= 16384; filler *= 2) {
        memset(text, 'x', filler);
        strcpy(text + filler, "inactive_file 7");
        write_file(tree.leaf, "memory.stat", text);
        assert_int_equal(read_tree(&tree, false, 0).group_reclaim, 0);
        strcat(text, "\ninactive_file 400\n");
        write_file(tree.leaf, "memory.stat", text);
        assert_int_equal(read_tree(&tree, false, 0).group_reclaim, 400);
        memmove(text + 19, text, filler + 16);
        memcpy(text, "inactive_file 9999\n", 19);
        text[filler + 19 + 15] = '\0';
        write_file(tree.leaf, "memory.stat", text);
        assert_int_equal(read_tree(&tree, false, 0).group_reclaim, 9999);
    }
    tree_remove(&tree);
}

static struct pressure_reading plenty(void)
{
    return (struct pressure_reading){
        .host_total = 16 * GIB, .host_available = 8 * GIB, .group_limit = NONE};
}

static void test_headroom(void **state)
{
    (void)state;
    struct pressure_reading reading = plenty();
    assert_int_equal(pressure_headroom(&reading), 7 * GIB);
    reading.host_available = GIB;
    assert_int_equal(pressure_headroom(&reading), 0);
    // Of a large host short is 4 GiB, not a sixteenth.
    reading.host_total = 1024 * GIB;
    reading.host_available = 5 * GIB;
    assert_int_equal(pressure_headroom(&reading), GIB);
    reading.group_limit = 160 * MIB;
    reading.group_usage = 100 * MIB;
    assert_int_equal(pressure_headroom(&reading), 50 * MIB);
    reading.group_usage = 155 * MIB;
    assert_int_equal(pressure_headroom(&reading), 0);
    reading.group_reclaim = 20 * MIB;
    assert_int_equal(pressure_headroom(&reading), 15 * MIB);
    reading.group_reclaim = NONE;
    assert_int_equal(pressure_headroom(&reading), 150 * MIB);
    reading.group_reclaim = 0;
    reading.group_usage = 170 * MIB;
    assert_int_equal(pressure_headroom(&reading), 0);
    reading.group_limit = 0;
    reading.group_usage = 0;
    assert_int_equal(pressure_headroom(&reading), 0);
    // Nothing is known: nothing is short.
    struct pressure_reading unknown = {.group_limit = NONE};
    assert_int_equal(pressure_headroom(&unknown), NONE);
    assert_int_equal(pressure_judge(&unknown, &unknown, 1), WIRE_PRESSURE_NONE);
}

static void test_judge(void **state)
{
    (void)state;
    struct pressure_reading reading = plenty();
    assert_int_equal(pressure_judge(&reading, NULL, 0), WIRE_PRESSURE_NONE);
    reading.group_limit = GIB;
    reading.group_usage = GIB - 64 * MIB - 1;
    assert_int_equal(pressure_judge(&reading, NULL, 0), WIRE_PRESSURE_NONE);
    reading.group_usage++;
    assert_int_equal(pressure_judge(&reading, NULL, 0), WIRE_PRESSURE_SHORT);
    reading.group_limit = NONE;
    reading.host_available = GIB;
    assert_int_equal(pressure_judge(&reading, NULL, 0), WIRE_PRESSURE_SHORT);
}

static void test_stalls(void **state)
{
    (void)state;
    struct pressure_reading last = plenty();
    struct pressure_reading reading = plenty();
    last.stalled_us = 1000000;
    reading.stalled_us = 1010000;
    assert_int_equal(pressure_judge(&reading, &last, 100000), WIRE_PRESSURE_NONE);
    reading.stalled_us++;
    assert_int_equal(pressure_judge(&reading, &last, 100000), WIRE_PRESSURE_SHORT);
    assert_int_equal(pressure_judge(&reading, &last, 0), WIRE_PRESSURE_NONE);
    assert_int_equal(pressure_judge(&reading, NULL, 100000), WIRE_PRESSURE_NONE);
    // Another counter, or a new one.
    assert_int_equal(pressure_judge(&last, &reading, 100000), WIRE_PRESSURE_NONE);
    reading.stalls_are_hosts = true;
    assert_int_equal(pressure_judge(&reading, &last, 100000), WIRE_PRESSURE_NONE);
    // The host's count while it has little.
    last.stalls_are_hosts = true;
    assert_int_equal(pressure_judge(&reading, &last, 100000), WIRE_PRESSURE_NONE);
    reading.host_available = 3 * GIB;
    assert_int_equal(pressure_judge(&reading, &last, 100000), WIRE_PRESSURE_SHORT);
}

// 64 MiB of our own were taken: that excuses 32 ms of stalls.
static void test_own_lazy_pages(void **state)
{
    (void)state;
    struct pressure_reading last = plenty();
    struct pressure_reading reading = plenty();
    last.own_lazy_bytes = 100 * MIB;
    reading.own_lazy_bytes = 36 * MIB;
    reading.stalled_us = 42000;
    assert_int_equal(pressure_judge(&reading, &last, 100000), WIRE_PRESSURE_NONE);
    reading.stalled_us = 43000;
    assert_int_equal(pressure_judge(&reading, &last, 100000), WIRE_PRESSURE_SHORT);
    // More of them excuse nothing.
    reading.own_lazy_bytes = 200 * MIB;
    reading.stalled_us = 20000;
    assert_int_equal(pressure_judge(&reading, &last, 100000), WIRE_PRESSURE_SHORT);
}

// Where the group is on a system that is set up as most are; false on others.
static bool guess_group(char *path, size_t size)
{
    char line[1024];
    bool is_found = false;
    FILE *file = fopen("/proc/self/cgroup", "r");
    while (file && fgets(line, sizeof line, file)) {
        char *memory = strstr(line, ":memory:");
        line[strcspn(line, "\n")] = '\0';
        if (memory)
            snprintf(path, size, "/sys/fs/cgroup/memory%s", memory + strlen(":memory:"));
        else if (!is_found && strncmp(line, "0::", 3) == 0)
            snprintf(path, size, "/sys/fs/cgroup%s", line + 3);
        is_found = is_found || memory;
    }
    if (file)
        fclose(file);
    if (path[strlen(path) - 1] == '/')
        path[strlen(path) - 1] = '\0';
    char procs[PATH_MAX + 32];
    snprintf(procs, sizeof procs, "%s/cgroup.procs", path);
    return access(procs, F_OK) == 0;
}

static void test_find_here(void **state)
{
    (void)state;
    struct pressure_source source;
    char path[PATH_MAX] = "/";
    memset(&source, 0x5a, sizeof source);
    pressure_find(&source);
    assert_true(source.is_found);
    if (guess_group(path, sizeof path))
        assert_string_equal(source.group_path, path);
    assert_true(source.mount_bytes <= strlen(source.group_path));
    (void)read_from(&source, 0);
    // No group at all.
    source.group_path[0] = '\0';
    assert_int_equal(read_from(&source, 0).group_limit, NONE);
}

// In a child, so that the test's own files stay.
static void test_hide_files(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int result = pressure_hide_files(true);
        if (result == -ENOSYS)
            _exit(77);
        bool is_right = result == 0 && fcntl(2, F_GETFD) >= 0 && fcntl(0, F_GETFD) < 0 &&
                        fcntl(1, F_GETFD) < 0 && pressure_hide_files(false) == 0 &&
                        fcntl(2, F_GETFD) < 0;
        struct pressure_source source;
        struct pressure_reading reading = {.own_lazy_bytes = 0};
        pressure_find(&source);
        pressure_read(&source, &reading);
        _exit(is_right && reading.host_total > 0 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        print_message("the kernel has no close_range()\n");
        skip();
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

// What the child in a group of 64 MiB does. The number of what went wrong; 0.
static int live_in_group(const char *group)
{
    char path[PATH_MAX + 32];
    char pid[32];
    snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    snprintf(path, sizeof path, "%s/cgroup.procs", group);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, pid, strlen(pid)) < 0)
        return 77;
    close(fd);
    struct pressure_source source;
    struct pressure_reading reading = {.own_lazy_bytes = 0};
    pressure_find(&source);
    if (strcmp(source.group_path, group) != 0)
        return 2;
    const size_t bytes = 61 * MIB;
    char *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED)
        return 3;
    memset(block, 1, bytes / 2);
    pressure_read(&source, &reading);
    if (reading.group_limit != 64 * MIB || reading.group_usage < bytes / 2 ||
        pressure_judge(&reading, NULL, 0) != WIRE_PRESSURE_NONE)
        return 4;
    memset(block, 1, bytes);
    pressure_read(&source, &reading);
    if (pressure_judge(&reading, NULL, 0) != WIRE_PRESSURE_SHORT)
        return 5;
    // Given back lazily it can be had, which the usage does not show.
    if (madvise(block, bytes / 2, MADV_FREE) < 0)
        return 6;
    reading.own_lazy_bytes = bytes / 2;
    pressure_read(&source, &reading);
    if (pressure_judge(&reading, NULL, 0) != WIRE_PRESSURE_NONE || reading.group_usage < bytes)
        return 7;
    // Written again it is on the kernel's list of what can be had, all the same.
    memset(block, 1, bytes / 2);
    reading.own_lazy_bytes = 0;
    pressure_read(&source, &reading);
    return pressure_judge(&reading, NULL, 0) == WIRE_PRESSURE_SHORT ? 0 : 8;
}

static bool limit_group(const char *group, bool is_v1)
{
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/%s", group, is_v1 ? "memory.limit_in_bytes" : "memory.max");
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool is_done = fd >= 0 && write(fd, "67108864", 8) == 8;
    if (fd >= 0)
        close(fd);
    return is_done;
}

// Makes the group, has a child live in it, and removes it: in a session of its own, which goes on
// when the test is killed.
static int keep_group(const char *group, bool is_v1)
{
    int status = 77 << 8;
    (void)setsid();
    if (mkdir(group, 0700) < 0)
        return 77;
    pid_t child = limit_group(group, is_v1) ? fork() : -1;
    if (child == 0) {
        (void)alarm(20);
        _exit(live_in_group(group));
    }
    if (child > 0)
        waitpid(child, &status, 0);
    // The last task may still be on its way out.
    for (int i = 0; rmdir(group) < 0 && i < 200; i++)
        usleep(10000);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void test_real_group(void **state)
{
    (void)state;
    struct pressure_source source;
    char group[PATH_MAX];
    int status = 0;
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    print_message("a sanitizer's shadow does not fit into a group of 64 MiB\n");
    skip();
#endif
    pressure_find(&source);
    snprintf(group, sizeof group, "%s/ebb-pressure-%d", source.group_path, (int)getpid());
    pid_t keeper = source.group_path[0] ? fork() : -1;
    if (keeper == 0)
        _exit(keep_group(group, source.is_v1));
    if (keeper < 0 || waitpid(keeper, &status, 0) < 0 || WEXITSTATUS(status) == 77) {
        print_message("a group with a limit cannot be made or entered here\n");
        skip();
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_v2),    cmocka_unit_test(test_recorded_v1),
        cmocka_unit_test(test_tree_v2),        cmocka_unit_test(test_reclaimable),
        cmocka_unit_test(test_tree_v1),        cmocka_unit_test(test_long_files),
        cmocka_unit_test(test_long_lines),     cmocka_unit_test(test_headroom),
        cmocka_unit_test(test_judge),          cmocka_unit_test(test_stalls),
        cmocka_unit_test(test_own_lazy_pages), cmocka_unit_test(test_find_here),
        cmocka_unit_test(test_hide_files),     cmocka_unit_test(test_real_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
