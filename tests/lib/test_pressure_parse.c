// SPDX-License-Identifier: Apache-2.0
// Unit tests of the parsers of what the kernel says about memory. Test code; no state.
#include "release_test.h"

#include "release/pressure.h"

#define NONE PRESSURE_UNLIMITED

// The text in a block of its exact length, so that a sanitizer sees a read behind it.
static char *exact(const char *text, size_t len)
{
    char *copy = malloc(len + !len);
    assert_non_null(copy);
    memcpy(copy, text, len);
    return copy;
}

static const char meminfo[] = "MemTotal:       65740000 kB\n"
                              "MemFree:         9604512 kB\n"
                              "MemAvailable:   48200300 kB\n"
                              "Buffers:          560120 kB\n";

static void test_meminfo(void **state)
{
    (void)state;
    uint64_t total = 1;
    uint64_t available = 2;
    const size_t enough = sizeof meminfo - 1 - strlen("\nBuffers:          560120 kB\n");
    for (size_t len = 0; len < sizeof meminfo; len++) {
        char *text = exact(meminfo, len);
        int result = pressure_parse_meminfo(text, len, &total, &available);
        free(text);
        assert_int_equal(result, len < enough ? -EINVAL : 0);
        if (len < enough)
            assert_true(total == 1 && available == 2);
    }
    assert_int_equal(total, UINT64_C(65740000) << 10);
    assert_int_equal(available, UINT64_C(48200300) << 10);
    static const char *const bad[] = {
        "MemTotal: 1\nMemAvailable: 1 kB\n",
        "MemTotal: 1 kB\nMemAvailable: kB\n",
        "MemTotal: 1 kB\nMemAvailable: 18014398509481984 kB\n",
        "MemTotal: 99999999999999999999 kB\nMemAvailable: 1 kB\n",
        "MemAvailable: 1 kB\n",
        "MemTotal: 1 kB\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(pressure_parse_meminfo(bad[i], strlen(bad[i]), &total, &available),
                         -EINVAL);
    assert_int_equal(total, UINT64_C(65740000) << 10);
}

static void test_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int result;
        uint64_t bytes;
    } cases[] = {
        {"0\n", 0, 0},
        {"1073741824\n", 0, GIB},
        {"7", 0, 7},
        {"max\n", 0, NONE},
        {"max", 0, NONE},
        {"9223372036854771712\n", 0, NONE},
        {"9223372036854710272\n", 0, NONE}, // pages of 64 KiB
        {"9223372036854644736\n", 0, UINT64_C(9223372036854644736)},
        {"18446744073709551615\n", 0, NONE},
        {"18446744073709551616\n", -EINVAL, 5},
        {"", -EINVAL, 5},
        {"\n", -EINVAL, 5},
        {"-1\n", -EINVAL, 5},
        {"maximum\n", -EINVAL, 5},
        {"12 \n", -EINVAL, 5},
        {" 12\n", -EINVAL, 5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t bytes = 5;
        size_t len = strlen(cases[i].text);
        char *text = exact(cases[i].text, len);
        assert_int_equal(pressure_parse_bytes(text, len, &bytes), cases[i].result);
        assert_int_equal(bytes, cases[i].bytes);
        free(text);
    }
}

static void test_psi(void **state)
{
    (void)state;
    const char *text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=14289679\n"
                       "full avg10=0.00 avg60=0.00 avg300=0.00 total=7787295\n";
    uint64_t total = 1;
    assert_int_equal(pressure_parse_psi_some(text, strlen(text), &total), 0);
    assert_int_equal(total, 14289679);
    static const char *const bad[] = {
        "",
        "full avg10=0.00 total=5\n",
        "some avg10=0.00\n",
        "some total=\n",
        "some total=5x\n",
        "some total=18446744073709551616\n",
        "sometotal=5\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(pressure_parse_psi_some(bad[i], strlen(bad[i]), &total), -EINVAL);
    assert_int_equal(total, 14289679);
}

static void expect_cgroup(const char *text, const char *want, bool want_v1)
{
    size_t len = strlen(text);
    size_t offset = 77;
    size_t path_len = 77;
    bool is_v1 = false;
    char *copy = exact(text, len);
    int result = pressure_parse_cgroup(copy, len, &offset, &path_len, &is_v1);
    if (want) {
        assert_int_equal(result, 0);
        assert_int_equal(path_len, strlen(want));
        assert_memory_equal(copy + offset, want, path_len);
        assert_int_equal(is_v1, want_v1);
    } else {
        assert_int_equal(result, -EINVAL);
        assert_true(offset == 77 && path_len == 77);
    }
    free(copy);
}

static void test_cgroup(void **state)
{
    (void)state;
    expect_cgroup("0::/user.slice/session-1.scope\n", "/user.slice/session-1.scope", false);
    expect_cgroup("0::/\n", "/", false);
    expect_cgroup("0::/../../other/deep", "/../../other/deep", false);
    expect_cgroup("9:name=systemd:/\n8:pids:/\n4:memory:/process_api/0071\n1:cpu:/\n0::/\n",
                  "/process_api/0071", true);
    // Whatever comes first.
    expect_cgroup("0::/new\n11:cpu,cpuacct:/a\n9:hugetlb,memory:/docker/7ab2\n", "/docker/7ab2",
                  true);
    expect_cgroup("3:memory,x:/with:colons:in it\n", "/with:colons:in it", true);
    // Names that only hold the word.
    expect_cgroup("3:name=memory:/a\n2:memoryx:/b\n1:xmemory:/c\n0::/right\n", "/right", false);
    expect_cgroup("", NULL, false);
    expect_cgroup("3:cpu:/a\n", NULL, false);
    expect_cgroup("0::\n0:\n0\n::\n4:memory:relative\n", NULL, false);
    expect_cgroup("1::/not-the-second-hierarchy\n", NULL, false);
}

static const char mounts[] =
    "22 28 0:20 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n"
    "28 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
    "35 31 0:32 /docker/7 /sys/fs/cgroup/memory rw shared:2 master:1 - cgroup cgroup rw,memory\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n";

static void expect_mount(const char *text, size_t len, bool is_v1, const char *want_point,
                         const char *want_root)
{
    size_t point = 77;
    size_t point_len = 77;
    size_t root = 77;
    size_t root_len = 77;
    char *copy = exact(text, len);
    int result = pressure_parse_mountinfo(copy, len, is_v1, &point, &point_len, &root, &root_len);
    assert_int_equal(result, want_point ? 0 : -EINVAL);
    if (want_point) {
        assert_int_equal(point_len, strlen(want_point));
        assert_memory_equal(copy + point, want_point, point_len);
        assert_int_equal(root_len, strlen(want_root));
        assert_memory_equal(copy + root, want_root, root_len);
    } else {
        assert_true(point == 77 && point_len == 77 && root == 77 && root_len == 77);
    }
    free(copy);
}

static void test_mountinfo(void **state)
{
    (void)state;
    size_t len = sizeof mounts - 1;
    expect_mount(mounts, len, true, "/sys/fs/cgroup/memory", "/docker/7");
    expect_mount(mounts, len, false, "/sys/fs/cgroup/unified", "/");
    expect_mount("", 0, true, NULL, NULL);
    static const char *const bad[] = {
        "1 2 0:3 / /m rw cgroup cgroup rw,memory\n",
        "1 2 0:3 / /m rw - cgroup cgroup\n",
        "1 2 0:3 / /m rw - cgroup cgroup rw,memoryx\n",
        "1 2 0:3 / m rw - cgroup cgroup rw,memory\n",
        "1 2 0:3  /m rw - cgroup cgroup rw,memory\n",
        "1 2 0:3 /  rw - cgroup cgroup rw,memory\n",
        "1 2 0:3 /",
        "1 2 0:3 / /m",
        "1 2 0:3 r /m rw - cgroup cgroup rw,memory\n",
        "1 2 0:3 / /m rw - cgroup2 cgroup rw,memory\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_mount(bad[i], strlen(bad[i]), true, NULL, NULL);
    // Cut anywhere: there is a mount as soon as its line names its kind.
    const size_t enough = (size_t)(strstr(mounts, "cgroup2") + strlen("cgroup2") - mounts);
    for (size_t cut = 0; cut < len; cut++)
        expect_mount(mounts, cut, false, cut < enough ? NULL : "/sys/fs/cgroup/unified", "/");
}

static const char stat_v1[] =
    "cache 160000000\nrss 260000000\nshmem 4096\ninactive_file 150000000\n"
    "hierarchical_memory_limit 1073741824\n"
    "hierarchical_memsw_limit 9223372036854771712\ntotal_cache 360000000\n"
    "total_shmem 8192\ntotal_inactive_file 300000000\n";

static void test_stat(void **state)
{
    (void)state;
    struct pressure_stat stat = {NONE, NONE, NONE, NONE};
    assert_int_equal(pressure_parse_stat(stat_v1, sizeof stat_v1 - 1, &stat), 0);
    assert_int_equal(stat.inactive_file, 300000000);
    assert_int_equal(stat.cache, 360000000);
    assert_int_equal(stat.shmem, 8192);
    assert_int_equal(stat.limit, GIB);
    const char *v2 = "anon 26\nfile 60000000\nfile_mapped 3\nshmem 5\ninactive_file 2230000000\n";
    stat = (struct pressure_stat){NONE, NONE, NONE, NONE};
    assert_int_equal(pressure_parse_stat(v2, strlen(v2), &stat), 0);
    assert_int_equal(stat.inactive_file, 2230000000);
    assert_int_equal(stat.cache, 60000000);
    assert_int_equal(stat.shmem, 5);
    assert_int_equal(stat.limit, NONE);
    struct pressure_stat before = stat;
    const char *bad = "anon 26\ninactive_file\nfile x\nshmem -1\nshmem 1 2\nzshmem 3\n";
    assert_int_equal(pressure_parse_stat(bad, strlen(bad), &stat), -EINVAL);
    assert_memory_equal(&stat, &before, sizeof stat);
}

static void expect_map(const char *group, const char *root, const char *point, int want_rank,
                       const char *want_path)
{
    struct pressure_source source = {.group_path = "untouched", .mount_bytes = 77};
    struct pressure_mount mount = {point, strlen(point), root, strlen(root)};
    assert_int_equal(pressure_map(&source, group, strlen(group), &mount), want_rank);
    assert_string_equal(source.group_path, want_rank < 0 ? "untouched" : want_path);
    if (want_rank < 0)
        assert_int_equal(source.mount_bytes, 77);
}

static void test_map(void **state)
{
    (void)state;
    expect_map("/a/b", "/", "/sys/fs/cgroup", 5, "/sys/fs/cgroup/a/b");
    expect_map("/a/b", "/a", "/m", 3, "/m/b");
    expect_map("/a/b", "/a/b", "/m", 1, "/m");
    expect_map("/", "/", "/m", 1, "/m");
    // Namespaces: seen from within and from without, and from a place that was left.
    expect_map("/", "/docker/7ab2", "/m", 0, "/m");
    expect_map("/../x/y", "/../x", "/m", 3, "/m/y");
    expect_map("/../x", "/", "/m", -ENOENT, NULL);
    expect_map("/..", "/", "/m", -ENOENT, NULL);
    expect_map("/..x", "/", "/m", 5, "/m/..x");
    // A part of a name is no parent, and a mount may show less than the group.
    expect_map("/ab", "/a", "/m", -ENOENT, NULL);
    expect_map("/a", "/a/b", "/m", -ENOENT, NULL);
    expect_map("/b", "/a", "/m", -ENOENT, NULL);
    // Escapes stand in mountinfo only.
    expect_map("/with space/x", "/with\\040space", "/a\\134b", 3, "/a\\b/x");
    expect_map("/a\\04", "/", "/m\\04", 6, "/m\\04/a\\04");
    expect_map("/a\\040", "/", "/\\177\\077\\011\\08\\800", 7, "/\177\077\011\\08\\800/a\\040");
    expect_map("/a", "/", "/\\04x\\4/0\\18", 3, "/\\04x\\4/0\\18/a");
    expect_map("/a", "/", "/", 3, "/a");
    char longest[600];
    memset(longest, 'x', sizeof longest);
    longest[0] = '/';
    longest[sizeof longest - 1] = '\0';
    expect_map(longest, "/", "/m", -ENAMETOOLONG, NULL);
    expect_map("/a", longest, "/m", -ENAMETOOLONG, NULL);
    expect_map("/a", "/", longest, -ENAMETOOLONG, NULL);
    longest[509] = '\0';
    struct pressure_source source;
    struct pressure_mount mount = {"/m", 2, "/", 1};
    assert_int_equal(pressure_map(&source, longest, 509, &mount), 510);
    assert_int_equal(strlen(source.group_path), 511);
    assert_int_equal(pressure_map(&source, longest, 510, &mount), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meminfo),   cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_psi),       cmocka_unit_test(test_cgroup),
        cmocka_unit_test(test_mountinfo), cmocka_unit_test(test_stat),
        cmocka_unit_test(test_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
