// SPDX-License-Identifier: Apache-2.0
// Unit tests of memory groups: membership, mounts, limits, statistics, whole trees. Test code; no
// state.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proc/cgroup.h"
#include "proc/process.h"
#include "support/fixture.h"

static struct cgroup read_group(const char *tree, pid_t pid)
{
    char *root = fixture_path(tree);
    struct process *process;
    assert_int_equal(process_open(root, pid, &process), 0);
    struct cgroup cgroup;
    memset(&cgroup, 0xaa, sizeof cgroup);
    assert_int_equal(cgroup_read(process, &cgroup), 0);
    process_close(process);
    free(root);
    return cgroup;
}

static void check_membership(const char *file, int error, int version, const char *path)
{
    int got_version = -7;
    char got_path[64] = "untouched";
    assert_int_equal(
        cgroup_parse_membership(text_of(file), &got_version, got_path, sizeof got_path), error);
    assert_int_equal(got_version, error ? -7 : version);
    assert_string_equal(got_path, error ? "untouched" : path);
}

static void test_membership(void **state)
{
    (void)state;
    check_membership("0::/init.scope\n", 0, 2, "/init.scope");
    check_membership("9:cpu:/\n4:memory:/a:b c\n0::/\n", 0, 1, "/a:b c");
    check_membership("3:cpu,memory:/x\n", 0, 1, "/x");
    check_membership("0::/../../x\n", 0, 2, "/../../x");
    // A named hierarchy and a controller that only begins alike are not the memory controller.
    check_membership("1:name=memory:/x\n2:memory_x:/y\n", -ENOENT, 0, "");
    check_membership("", -ENOENT, 0, "");
    check_membership("0::\n", -ENOENT, 0, "");
    check_membership("0::/torn", -ENOENT, 0, "");
    check_membership("0::/0123456789012345678901234567890123456789012345678901234567890123456789\n",
                     -ENAMETOOLONG, 0, "");
}

static void test_join(void **state)
{
    (void)state;
    static const struct {
        const char *root, *path, *directory;
    } cases[] = {
        {"/", "/", "/m"},
        {"/", "/a/b", "/m/a/b"},
        {"/a", "/a", "/m"},
        {"/a", "/a/b", "/m/b"},
        {"/a", "/ab", NULL},
        {"/a/b", "/a", NULL},
        {"/", "/../x", NULL},
        {"/..", "/../x", "/m/x"},
        {"/..", "/x", NULL},
        {"/", "/a/../../etc", NULL},
        {"//a/", "/a//b/", "/m/b/"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char directory[64] = "untouched";
        int error = cgroup_join("/m", cases[i].root, cases[i].path, directory, sizeof directory);
        assert_int_equal(error, cases[i].directory ? 0 : -ENOENT);
        assert_string_equal(directory, cases[i].directory ? cases[i].directory : "untouched");
    }
    char small[4];
    assert_int_equal(cgroup_join("/m", "/", "/ab", small, sizeof small), -ENAMETOOLONG);
}

static void test_mountinfo(void **state)
{
    (void)state;
    char mount[64] = "-", root[64] = "-";
    struct buffer file = fixture_read("linux-6.18-cgroupns/proc/self/mountinfo");
    struct text text = buffer_text(&file);
    assert_int_equal(cgroup_parse_mountinfo(text, 2, "/x", mount, 64, root, 64), 0);
    assert_string_equal(mount, "/sys/fs/cgroup");
    assert_string_equal(root, "/");
    assert_int_equal(cgroup_parse_mountinfo(text, 2, "/../../other/deep", mount, 64, root, 64), 0);
    assert_string_equal(mount, "/mnt/other group");
    assert_string_equal(root, "/../../other");
    assert_int_equal(cgroup_parse_mountinfo(text, 2, "/../y", mount, 64, root, 64), -ENOENT);
    assert_int_equal(cgroup_parse_mountinfo(text, 1, "/", mount, 64, root, 64), -ENOENT);
    assert_int_equal(cgroup_parse_mountinfo(text, 2, "/x", mount, 5, root, 64), -ENOENT);
    assert_string_equal(mount, "/mnt/other group");
    buffer_free(&file);
    // The mount that shows most of the hierarchy wins, whatever the order.
    static const char *const orders[] = {
        "1 2 0:3 /a /small rw - cgroup cgroup rw,memory\n"
        "4 2 0:3 / /all rw shared:1 master:2 - cgroup cgroup rw,memory\n",
        "4 2 0:3 / /all rw - cgroup cgroup rw,memory\n"
        "1 2 0:3 /a /small rw - cgroup cgroup rw,memory\n",
    };
    for (size_t i = 0; i < 2; i++) {
        text = text_of(orders[i]);
        assert_int_equal(cgroup_parse_mountinfo(text, 1, "/a/b", mount, 64, root, 64), 0);
        assert_string_equal(mount, "/all");
    }
}

static void check_limit(const char *file, int error, uint64_t wanted)
{
    uint64_t limit = 77;
    assert_int_equal(cgroup_parse_limit(text_of(file), &limit), error);
    assert_true(limit == (error ? 77 : wanted));
}

static void test_limits(void **state)
{
    (void)state;
    check_limit("max\n", 0, CGROUP_NO_LIMIT);
    check_limit("9223372036854771712\n", 0, CGROUP_NO_LIMIT);
    check_limit("9223372036854710272\n", 0, CGROUP_NO_LIMIT); // 64 KiB pages
    check_limit("9223372036854775807\n", 0, CGROUP_NO_LIMIT);
    check_limit("4294967296\n", 0, 4294967296);
    check_limit("0\n", 0, 0);
    check_limit("", -EBADMSG, 0);
    check_limit("maximum\n", -EBADMSG, 0);
    check_limit("12 kB\n", -EBADMSG, 0);
}

static void test_version_1(void **state)
{
    (void)state;
    struct cgroup cgroup = read_group("linux-4.4-cgroup1/proc", 1412);
    assert_int_equal(cgroup.version, 1);
    assert_string_equal(cgroup.path, "/system.slice/api.service");
    assert_string_equal(cgroup.directory, "/sys/fs/cgroup/memory/system.slice/api.service");
    assert_true(cgroup.limit_bytes == CGROUP_NO_LIMIT);
    assert_string_equal(cgroup.limit_path, "");
    assert_int_equal(cgroup.usage_bytes, 120000000);
    assert_int_equal(cgroup.anon_bytes, 104000000);
    assert_int_equal(cgroup.working_set_bytes, 112000000);
    assert_false(cgroup.has_lazy);
    // The limit of the user's slice, two levels up.
    cgroup = read_group("linux-4.18-cgroup1/proc", 2207);
    assert_int_equal(cgroup.limit_bytes, 8589934592);
    // /user.slice has less, but no say: hierarchical_memory_limit does not name it (use_hierarchy
    // 0).
    assert_string_equal(cgroup.limit_path, "/user.slice/user-1000.slice");
    assert_int_equal(cgroup.swap_bytes, 4096);
    assert_int_equal(cgroup.shmem_bytes, 524288);
}

static void test_container_sees_a_subtree(void **state)
{
    (void)state;
    struct cgroup cgroup = read_group("linux-5.10-hybrid/proc", 1);
    assert_int_equal(cgroup.version, 1);
    assert_string_equal(cgroup.directory, "/sys/fs/cgroup/memory");
    // Only hierarchical_memory_limit tells of the pod's limit, above the mount.
    assert_int_equal(cgroup.limit_bytes, 1073741824);
    assert_string_equal(cgroup.limit_path, "..");
}

static void test_version_2(void **state)
{
    (void)state;
    struct cgroup cgroup = read_group("linux-6.1-cgroup2/proc", 4121);
    assert_int_equal(cgroup.version, 2);
    assert_true(cgroup.has_usage && cgroup.has_lazy);
    assert_int_equal(cgroup.usage_bytes, 2790000000);
    assert_int_equal(cgroup.working_set_bytes, 560000000);
    assert_int_equal(cgroup.lazily_freed_pages, 1130000);
    assert_int_equal(cgroup.lazily_taken_pages, 230);
    // Its own memory.max is "max"; the pod's slice above has the limit.
    assert_int_equal(cgroup.limit_bytes, 4294967296);
    assert_string_equal(cgroup.limit_path, "/kubepods.slice/kubepods-burstable.slice/"
                                           "kubepods-burstable-pod1f0c_aa.slice");
    // A group without the controller is accounted for by the one above.
    cgroup = read_group("linux-6.1-cgroup2/proc", 950);
    assert_int_equal(cgroup.usage_bytes, 3000000000);
    assert_int_equal(cgroup.anon_bytes, 800000000);
    assert_int_equal(cgroup.lazily_taken_pages, 5);
    assert_true(cgroup.limit_bytes == CGROUP_NO_LIMIT);
    // The root group has no figures at all.
    cgroup = read_group("linux-6.1-cgroup2/proc", 2);
    assert_string_equal(cgroup.path, "/");
    assert_false(cgroup.has_usage);
    assert_int_equal(cgroup.anon_bytes, 0);
}

static void test_namespaces(void **state)
{
    (void)state;
    struct cgroup cgroup = read_group("linux-6.18-cgroupns/proc", 7);
    assert_string_equal(cgroup.directory, "/sys/fs/cgroup");
    assert_int_equal(cgroup.limit_bytes, 268435456);
    assert_string_equal(cgroup.limit_path, "/");
    cgroup = read_group("linux-6.18-cgroupns/proc", 88);
    assert_string_equal(cgroup.directory, "/mnt/other group/deep");
    assert_int_equal(cgroup.usage_bytes, 4096);
    assert_int_equal(cgroup.limit_bytes, 1048576);
    assert_string_equal(cgroup.limit_path, "/../../other");
    // Outside of everything that is mounted: its name is all there is.
    cgroup = read_group("linux-6.18-cgroupns/proc", 89);
    assert_string_equal(cgroup.path, "/../elsewhere");
    assert_string_equal(cgroup.directory, "");
    assert_false(cgroup.has_usage);
    assert_true(cgroup.limit_bytes == CGROUP_NO_LIMIT);
}

static void test_group_that_is_gone(void **state)
{
    (void)state;
    // The zombie's group was removed: the nearest group above still accounts for its memory.
    struct cgroup cgroup = read_group("linux-6.1-cgroup2/proc", 4200);
    assert_true(strstr(cgroup.path, " (deleted)") != NULL);
    assert_int_equal(cgroup.usage_bytes, 2800000000);
    assert_int_equal(cgroup.limit_bytes, 4294967296);
}

static void test_path_that_climbs_out(void **state)
{
    (void)state;
    struct cgroup cgroup = read_group("hostile/proc", 31);
    assert_string_equal(cgroup.directory, "");
    assert_false(cgroup.has_usage);
}

// The live system, whatever it is: the figures are consistent where there are any.
static void test_own_group(void **state)
{
    (void)state;
    struct process *process;
    assert_int_equal(process_open("/proc", getpid(), &process), 0);
    struct cgroup cgroup;
    int error = cgroup_read(process, &cgroup);
    process_close(process);
    if (error) {
        print_message("# no memory group here: %s\n", strerror(-error));
        skip();
    }
    assert_int_equal(cgroup.path[0], '/');
    assert_true(!cgroup.has_usage || cgroup.working_set_bytes <= cgroup.usage_bytes);
    assert_int_equal(cgroup.limit_path[0] == '\0', cgroup.limit_bytes == CGROUP_NO_LIMIT);
}

static void use_any(struct text file)
{
    int version;
    char path[64], mount[512], root[512];
    struct cgroup cgroup;
    uint64_t limit;
    cgroup_parse_membership(file, &version, path, sizeof path);
    cgroup_parse_limit(file, &limit);
    for (version = 1; version <= 2; version++) {
        cgroup_parse_mountinfo(file, version, "/a", mount, sizeof mount, root, sizeof root);
        cgroup_parse_memory_stat(file, version, &cgroup);
    }
}

static void test_every_prefix(void **state)
{
    (void)state;
    assert_true(fixture_each_prefix("cgroup", use_any) > 10);
    assert_int_equal(fixture_each_prefix("mountinfo", use_any), 6);
    assert_true(fixture_each_prefix("memory.stat", use_any) > 5);
    assert_true(fixture_each_prefix("memory.max", use_any) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_membership),         cmocka_unit_test(test_join),
        cmocka_unit_test(test_mountinfo),          cmocka_unit_test(test_limits),
        cmocka_unit_test(test_version_1),          cmocka_unit_test(test_container_sees_a_subtree),
        cmocka_unit_test(test_version_2),          cmocka_unit_test(test_namespaces),
        cmocka_unit_test(test_group_that_is_gone), cmocka_unit_test(test_path_that_climbs_out),
        cmocka_unit_test(test_own_group),          cmocka_unit_test(test_every_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
