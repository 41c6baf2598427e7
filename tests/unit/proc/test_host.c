// SPDX-License-Identifier: Apache-2.0
// Unit tests of the host's files. Test code; no state.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proc/host.h"
#include "support/fixture.h"

static struct host read_host(const char *path)
{
    char *root = fixture_path(path);
    struct host host;
    memset(&host, 0xaa, sizeof host);
    assert_int_equal(host_read(root, &host), 0);
    free(root);
    return host;
}

static void assert_near(double value, double wanted)
{
    assert_true(value > wanted - 1e-9 && value < wanted + 1e-9);
}

static void test_meminfo(void **state)
{
    (void)state;
    struct buffer file = fixture_read("linux-6.1-cgroup2/proc/meminfo");
    struct meminfo meminfo;
    assert_int_equal(meminfo_parse(buffer_text(&file), &meminfo), 0);
    buffer_free(&file);
    assert_int_equal(meminfo.total_kib, 65740000);
    assert_int_equal(meminfo.available_kib, 48200300);
    assert_int_equal(meminfo.active_file_kib, 4620000);
    assert_int_equal(meminfo.inactive_file_kib, 31255320);
    assert_int_equal(meminfo.shmem_kib, 185200);
    assert_int_equal(meminfo_lazy_bound_kib(&meminfo),
                     4620000 + 31255320 - (11520400 + 560120 - 185200));
    assert_int_equal(meminfo_parse(text_of("MemFree: 5 kB\n"), &meminfo), -EBADMSG);
    assert_int_equal(meminfo.total_kib, 65740000);
}

static void test_lazy_bound_never_wraps(void **state)
{
    (void)state;
    struct meminfo none = {.cached_kib = 100, .active_file_kib = 40, .inactive_file_kib = 59};
    assert_int_equal(meminfo_lazy_bound_kib(&none), 0);
    struct meminfo shmem = {.cached_kib = 10, .shmem_kib = 50, .inactive_file_kib = 7};
    assert_int_equal(meminfo_lazy_bound_kib(&shmem), 7);
    struct meminfo huge = {.active_file_kib = UINT64_MAX, .inactive_file_kib = 2};
    assert_int_equal(meminfo_lazy_bound_kib(&huge), 0);
}

static void test_vmstat(void **state)
{
    (void)state;
    struct vmstat vmstat;
    struct text file = text_of("pglazyfree 12\npglazyfreed 3\npswpout 4\npgscan_kswapd 5\n"
                               "pgscan_direct 6\npgscan_direct_throttle 100\n");
    assert_int_equal(vmstat_parse(file, &vmstat), 0);
    assert_true(vmstat.has_lazy);
    assert_int_equal(vmstat.lazily_freed_pages, 12);
    assert_int_equal(vmstat.lazily_taken_pages, 3);
    assert_int_equal(vmstat.swapped_out_pages, 4);
    assert_int_equal(vmstat.scanned_pages, 11);
    assert_int_equal(vmstat_parse(text_of("nr_free_pages 5\n"), &vmstat), -EBADMSG);
    assert_int_equal(vmstat.scanned_pages, 11);
}

static void test_pressure(void **state)
{
    (void)state;
    struct pressure pressure;
    struct text file = text_of("some avg10=1.53 avg60=0.87 avg300=0.22 total=6081776\n"
                               "full avg10=10.05 avg60=0.45 avg300=0.11 total=4114382\n");
    assert_int_equal(pressure_parse(file, &pressure), 0);
    assert_near(pressure.some_avg10, 1.53);
    assert_near(pressure.full_avg10, 10.05);
    assert_int_equal(pressure.some_total_us, 6081776);
    assert_int_equal(pressure.full_total_us, 4114382);
    assert_int_equal(pressure_parse(text_of("some avg10=nan total=1\n"), &pressure), -EBADMSG);
    assert_int_equal(pressure_parse(text_of("full avg10=1.0 total=1\n"), &pressure), -EBADMSG);
}

static void test_kernel_version(void **state)
{
    (void)state;
    struct kernel_version version;
    assert_int_equal(kernel_version_parse(text_of("4.18.0-240.el8.x86_64"), &version), 0);
    assert_int_equal(version.minor, 18);
    assert_true(kernel_at_least(version, 4, 18));
    assert_true(kernel_at_least(version, 3, 99));
    assert_false(kernel_at_least(version, 4, 19));
    assert_false(kernel_at_least(version, 5, 0));
    assert_int_equal(kernel_version_parse(text_of("6.1-rc3"), &version), 0);
    assert_int_equal(version.patch, 0);
    assert_int_equal(kernel_version_parse(text_of("6.18.44-generic"), &version), 0);
    assert_int_equal(version.patch, 44);
    const char *const bad[] = {"", "6", "6.", "x.y", "99999999999.1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(kernel_version_parse(text_of(bad[i]), &version), -EBADMSG);
    assert_int_equal(version.patch, 44);
}

static void test_thp_mode(void **state)
{
    (void)state;
    assert_int_equal(thp_mode_parse(text_of("always [madvise] never\n")), THP_MADVISE);
    assert_int_equal(thp_mode_parse(text_of("[always] madvise never\n")), THP_ALWAYS);
    assert_int_equal(thp_mode_parse(text_of("always madvise [never]\n")), THP_NEVER);
    assert_int_equal(thp_mode_parse(text_of("always madvise never\n")), THP_UNKNOWN);
    assert_int_equal(thp_mode_parse(text_of("")), THP_UNKNOWN);
}

static void test_trees(void **state)
{
    (void)state;
    struct host host = read_host("linux-4.4-cgroup1/proc");
    assert_string_equal(host.release, "4.4.0-210-generic");
    assert_int_equal(host.kernel.minor, 4);
    assert_false(host.vmstat.has_lazy);
    assert_false(host.has_pressure);
    assert_int_equal(host.thp, THP_MADVISE);
    assert_int_equal(host.ptrace_scope, 1);
    assert_int_equal(host.overcommit, 0);
    assert_int_equal(host.boot_time_s, 1700000000);
    assert_int_equal(host.uptime_s, 96212);
    host = read_host("linux-4.18-cgroup1/proc");
    assert_int_equal(host.thp, THP_ALWAYS);
    assert_int_equal(host.meminfo.swap_total_kib, 2097148);
    assert_int_equal(host.vmstat.swapped_out_pages, 15);
    assert_int_equal(host.vmstat.scanned_pages, 1340);
    host = read_host("linux-6.18-cgroupns/proc");
    assert_true(host.has_pressure);
    assert_int_equal(host.ptrace_scope, -1);
}

static void test_hostile_tree(void **state)
{
    (void)state;
    struct host host = read_host("hostile/proc");
    assert_int_equal(host.kernel.major, 6);
    assert_false(host.has_pressure);
    assert_int_equal(host.overcommit, -1);
    assert_int_equal(host.thp, THP_UNKNOWN);
}

static void test_missing_root(void **state)
{
    (void)state;
    struct host host = {.uptime_s = 9};
    assert_int_equal(host_read("/nonexistent", &host), -ENOENT);
    char *root = fixture_path("");
    assert_int_equal(host_read(root, &host), -ENOENT);
    free(root);
    assert_int_equal(host.uptime_s, 9);
}

static void use_any(struct text file)
{
    struct meminfo meminfo;
    struct vmstat vmstat;
    struct pressure pressure;
    struct kernel_version version;
    if (meminfo_parse(file, &meminfo) == 0)
        meminfo_lazy_bound_kib(&meminfo);
    vmstat_parse(file, &vmstat);
    pressure_parse(file, &pressure);
    kernel_version_parse(file, &version);
    thp_mode_parse(file);
}

static void test_every_prefix(void **state)
{
    (void)state;
    assert_int_equal(fixture_each_prefix("meminfo", use_any), 6);
    assert_int_equal(fixture_each_prefix("vmstat", use_any), 6);
    assert_int_equal(fixture_each_prefix("pressure/memory", use_any), 4);
    assert_int_equal(fixture_each_prefix("osrelease", use_any), 6);
    assert_int_equal(fixture_each_prefix("enabled", use_any), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meminfo),        cmocka_unit_test(test_lazy_bound_never_wraps),
        cmocka_unit_test(test_vmstat),         cmocka_unit_test(test_pressure),
        cmocka_unit_test(test_kernel_version), cmocka_unit_test(test_thp_mode),
        cmocka_unit_test(test_trees),          cmocka_unit_test(test_hostile_tree),
        cmocka_unit_test(test_missing_root),   cmocka_unit_test(test_every_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
