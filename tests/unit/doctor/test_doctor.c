// SPDX-License-Identifier: Apache-2.0
// Unit tests of the doctor's judgement over many kernels and rights, and of its probes here. Test
// code.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "doctor/doctor.h"
#include "render/doctor.h"
#include "support/fixture.h"

// A host of that version, with ebb as root on it, where every probe succeeded.
static struct doctor_readings readings_of(unsigned major, unsigned minor)
{
    struct doctor_readings readings = {
        .host = {.kernel = {major, minor, 0},
                 .meminfo = {.total_kib = 1000, .available_kib = 900},
                 .ptrace_scope = -1,
                 .thp = THP_NEVER},
        .is_kernel = true,
        .has_self = true,
        .self = {.cap_effective = UINT64_MAX},
        .cgroup = {.version = 2, .path = "/a", .directory = "/d", .limit_bytes = CGROUP_NO_LIMIT},
        .probes = {.freed_kib = 4096, .shown_lazy_kib = 4000},
    };
    snprintf(readings.host.release, sizeof readings.host.release, "%u.%u.0", major, minor);
    return readings;
}

// A user without any capability.
static struct doctor_readings readings_of_user(int ptrace_scope)
{
    struct doctor_readings readings = readings_of(6, 1);
    readings.self = (struct proc_status){.euid = 1000};
    readings.host.ptrace_scope = ptrace_scope;
    readings.probes.frame_numbers = -EACCES;
    readings.probes.group_reclaim = -EACCES;
    return readings;
}

static const struct doctor_item *find(const struct doctor_report *report, const char *id)
{
    for (size_t i = 0; i < report->item_count; i++) {
        if (strcmp(report->items[i].id, id) == 0)
            return &report->items[i];
    }
    return NULL;
}

static void check(const struct doctor_readings *readings, const char *id, enum doctor_status status,
                  const char *part)
{
    struct doctor_report report;
    doctor_judge(readings, &report);
    const struct doctor_item *item = find(&report, id);
    assert_non_null(item);
    assert_string_equal(doctor_status_name(item->status), doctor_status_name(status));
    if (!strstr(item->detail, part))
        fail_msg("%s says '%s', not '%s'", id, item->detail, part);
}

static bool has_item(const struct doctor_readings *readings, const char *id)
{
    struct doctor_report report;
    doctor_judge(readings, &report);
    return find(&report, id) != NULL;
}

static void test_madv_free_by_kernel(void **state)
{
    (void)state;
    struct doctor_readings readings = readings_of(6, 18);
    check(&readings, "madv_free", DOCTOR_OK, "works");
    check(&readings, "lazy_free", DOCTOR_OK, "3.91 MiB");
    // Refused by a kernel that has it: something stands between.
    readings.probes = (struct doctor_probes){.madv_free = -EINVAL};
    check(&readings, "madv_free", DOCTOR_MISSING, "seccomp");
    readings = readings_of(4, 4);
    readings.probes = (struct doctor_probes){.madv_free = -EINVAL};
    check(&readings, "madv_free", DOCTOR_MISSING, "4.5");
    check(&readings, "explain_lazy", DOCTOR_OK, "always 0");
    assert_false(has_item(&readings, "lazy_defaults"));
    // 4.5 to 4.11: there, but invisible.
    readings = readings_of(4, 9);
    readings.probes.shown_lazy_kib = 0;
    check(&readings, "madv_free", DOCTOR_OK, "works");
    check(&readings, "lazy_free", DOCTOR_MISSING, "4.12");
    check(&readings, "hidden_lazy", DOCTOR_LIMITED, "without swap they free at once");
    check(&readings, "explain_lazy", DOCTOR_MISSING, "not there");
    readings.host.meminfo.swap_total_kib = 5;
    check(&readings, "hidden_lazy", DOCTOR_LIMITED, "do not show it");
    // Freed but not shown where it should be.
    readings = readings_of(5, 10);
    readings.probes.shown_lazy_kib = 0;
    check(&readings, "lazy_free", DOCTOR_LIMITED, "too low");
}

static void test_facilities_by_kernel(void **state)
{
    (void)state;
    struct doctor_readings readings = readings_of(4, 13);
    readings.probes.process_madvise = -ENOSYS;
    readings.probes.pagemap_scan = -ENOTTY;
    readings.probes.group_reclaim = -ENOENT;
    check(&readings, "smaps_rollup", DOCTOR_MISSING, "4.14");
    check(&readings, "madv_pageout", DOCTOR_MISSING, "5.4");
    check(&readings, "process_madvise", DOCTOR_MISSING, "5.10");
    check(&readings, "pagemap_scan", DOCTOR_MISSING, "6.7");
    check(&readings, "group_reclaim", DOCTOR_MISSING, "5.19");
    check(&readings, "pressure", DOCTOR_MISSING, "4.20");
    check(&readings, "reclaim", DOCTOR_MISSING, "balloon");
    readings = readings_of(6, 12);
    readings.probes.process_madvise_any = -EINVAL;
    check(&readings, "process_madvise", DOCTOR_OK, "before 6.13");
    readings.probes.process_madvise = -EPERM;
    check(&readings, "process_madvise", DOCTOR_MISSING, "seccomp");
    check(&readings, "pressure", DOCTOR_MISSING, "switched off");
    readings.host.has_pressure = true;
    readings.host.pressure.some_avg10 = 1.5;
    check(&readings, "pressure", DOCTOR_OK, "some 1.50 %");
}

static void test_rights(void **state)
{
    (void)state;
    struct doctor_readings readings = readings_of(6, 1);
    check(&readings, "explain", DOCTOR_OK, "every process");
    check(&readings, "capabilities", DOCTOR_OK, "CAP_BPF");
    check(&readings, "reclaim", DOCTOR_OK, "page by page, and by group");
    readings.host.ptrace_scope = 3;
    check(&readings, "explain", DOCTOR_LIMITED, "without the runtimes");
    check(&readings, "ptrace_scope", DOCTOR_LIMITED, "next boot");
    readings = readings_of(6, 1);
    readings.in_user_namespace = true;
    check(&readings, "capabilities", DOCTOR_LIMITED, "user namespace");
    check(&readings, "explain", DOCTOR_LIMITED, "your own user");
    readings = readings_of_user(0);
    check(&readings, "explain", DOCTOR_LIMITED, "with the runtimes");
    check(&readings, "capabilities", DOCTOR_MISSING, "uid 1000; without CAP_SYS_PTRACE");
    check(&readings, "frames", DOCTOR_MISSING, "denied");
    check(&readings, "reclaim", DOCTOR_MISSING, "rights are lacking");
    readings = readings_of_user(1);
    check(&readings, "explain", DOCTOR_LIMITED, "without the runtimes");
    check(&readings, "ptrace_scope", DOCTOR_LIMITED, "descendants");
    readings.hide_pid = 2;
    check(&readings, "hidepid", DOCTOR_LIMITED, "hidden");
    readings.host.ptrace_scope = 9;
    check(&readings, "ptrace_scope", DOCTOR_INFO, "no known meaning");
}

static void test_reclaim_without_frames(void **state)
{
    (void)state;
    struct doctor_readings readings = readings_of(6, 1);
    readings.probes.frame_numbers = -EACCES;
    check(&readings, "reclaim", DOCTOR_LIMITED, "whole mappings");
    // With swap, whole mappings would push live pages out.
    readings.host.meminfo.swap_total_kib = 5;
    check(&readings, "reclaim", DOCTOR_LIMITED, "our own group");
    readings.probes.group_reclaim = -EROFS;
    check(&readings, "reclaim", DOCTOR_MISSING, "rights");
}

static void test_traps(void **state)
{
    (void)state;
    struct doctor_readings readings = readings_of(6, 1);
    assert_false(has_item(&readings, "o_direct"));
    assert_false(has_item(&readings, "huge_pages"));
    assert_false(has_item(&readings, "swap_pageout"));
    check(&readings, "working_set", DOCTOR_INFO, "inactive file list");
    readings.host.thp = THP_MADVISE;
    check(&readings, "huge_pages", DOCTOR_INFO, "splits");
    readings.host.meminfo.swap_total_kib = 5;
    check(&readings, "swap_pageout", DOCTOR_INFO, "swaps live pages");
    readings = readings_of(5, 17);
    check(&readings, "o_direct", DOCTOR_LIMITED, "Unsure");
}

static void test_group(void **state)
{
    (void)state;
    struct doctor_readings readings = readings_of(6, 1);
    check(&readings, "limit", DOCTOR_INFO, "none");
    readings.in_cgroup_namespace = true;
    check(&readings, "limit", DOCTOR_INFO, "from inside");
    readings.cgroup.limit_bytes = 1 << 30;
    snprintf(readings.cgroup.limit_path, 512, "..");
    check(&readings, "limit", DOCTOR_INFO, "1.00 GiB, set by a group above");
    readings.cgroup.directory[0] = '\0';
    check(&readings, "limit", DOCTOR_INFO, "unknown");
    readings.cgroup.version = 0;
    check(&readings, "cgroup", DOCTOR_MISSING, "no memory controller");
    assert_false(has_item(&readings, "limit"));
}

static void test_hide_pid(void **state)
{
    (void)state;
    assert_int_equal(doctor_parse_hide_pid(text_of("rw")), 0);
    assert_int_equal(doctor_parse_hide_pid(text_of("rw,gid=5,hidepid=2")), 2);
    assert_int_equal(doctor_parse_hide_pid(text_of("rw,hidepid=invisible")), 2);
    assert_int_equal(doctor_parse_hide_pid(text_of("hidepid=ptraceable,rw")), 4);
    assert_int_equal(doctor_parse_hide_pid(text_of("hidepid=noaccess")), 1);
    assert_int_equal(doctor_parse_hide_pid(text_of("hidepid=")), -1);
    assert_int_equal(doctor_parse_hide_pid(text_of("hidepid=77")), -1);
}

// Whatever the readings: room for all items, each once, in order, with texts that fit their
// columns.
static void check_shape(const struct doctor_report *report)
{
    assert_in_range(report->item_count, 5, DOCTOR_ITEMS_MAX - 1);
    for (size_t i = 0; i < report->item_count; i++) {
        const struct doctor_item *item = &report->items[i];
        assert_true(item->detail[0] != '\0');
        assert_true(strlen(item->detail) < DOCTOR_DETAIL_MAX - 1);
        assert_in_range(strlen(item->title), 1, 25);
        assert_ptr_equal(find(report, item->id), item);
        assert_true(i == 0 || item->section >= report->items[i - 1].section);
    }
}

static void check_renderers(const struct doctor_report *report)
{
    const struct render_style style = {.width = 80};
    struct buffer text = {0}, json = {0};
    assert_int_equal(render_doctor_text(report, &style, &text), 0);
    int error = render_doctor_json(report, &json);
    assert_true(error == 0 || error == -ENOTSUP);
    for (size_t i = 0; i < report->item_count; i++) {
        assert_non_null(strstr(text.data, report->items[i].title));
        assert_true(error || strstr(json.data, report->items[i].id));
    }
    assert_null(strchr(text.data, '\x1b'));
    assert_true(error || !strchr(json.data, '\x1b'));
    buffer_free(&text);
    buffer_free(&json);
}

static void test_shape_of_every_report(void **state)
{
    (void)state;
    static const unsigned versions[][2] = {{0, 0},  {3, 10}, {4, 4}, {4, 9},  {4, 18},
                                           {5, 10}, {5, 15}, {6, 1}, {6, 18}, {9, 0}};
    struct doctor_report report;
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        struct doctor_readings readings = readings_of(versions[i][0], versions[i][1]);
        readings.host.thp = THP_ALWAYS;
        readings.host.meminfo.swap_total_kib = 5;
        readings.cgroup.has_usage = true;
        memset(readings.cgroup.path, 'x', sizeof readings.cgroup.path - 1);
        doctor_judge(&readings, &report);
        check_shape(&report);
        check_renderers(&report);
    }
}

static void test_fixture_trees(void **state)
{
    (void)state;
    static const char *const trees[] = {"linux-4.4-cgroup1/proc",   "linux-4.18-cgroup1/proc",
                                        "linux-5.10-hybrid/proc",   "linux-6.1-cgroup2/proc",
                                        "linux-6.18-cgroupns/proc", "hostile/proc"};
    struct doctor_report report;
    for (size_t i = 0; i < sizeof trees / sizeof *trees; i++) {
        char *root = fixture_path(trees[i]);
        assert_int_equal(doctor_examine(root, NULL, &report), 0);
        free(root);
        // Of a tree of files nothing is claimed that only a running kernel can answer.
        assert_false(report.readings.is_kernel);
        assert_int_equal(report.readings.probes.madv_free, DOCTOR_NOT_ASKED);
        assert_int_equal(report.readings.probes.seccomp_filter, DOCTOR_NOT_ASKED);
        assert_int_equal(report.readings.probes.call, DOCTOR_NOT_ASKED);
        assert_int_not_equal(find(&report, "explain")->status, DOCTOR_OK);
        check_shape(&report);
        check_renderers(&report);
    }
    assert_int_equal(doctor_examine("/nonexistent", NULL, &report), -ENOENT);
}

// The figures of every prober on this system, and that the probes leave nothing behind.
static void test_this_system(void **state)
{
    (void)state;
    struct doctor_report report;
    assert_int_equal(doctor_examine("/proc", NULL, &report), 0);
    assert_true(report.readings.is_kernel && report.readings.has_self);
    assert_int_equal(report.readings.self.euid, geteuid());
    const struct doctor_probes *probes = &report.readings.probes;
    assert_true(probes->madv_free <= 0 && probes->process_madvise <= 0);
    assert_true(probes->pagemap_scan <= 0 && probes->frame_numbers <= 0);
    assert_true(probes->shown_lazy_kib <= probes->freed_kib);
    check_shape(&report);
    check_renderers(&report);
}

// Who may call into a process, who gets a filter, and where pressure would do harm.
static void test_levers(void **state)
{
    (void)state;
    struct doctor_readings readings = readings_of(6, 1);
    readings.host.has_pressure = true;
    check(&readings, "call", DOCTOR_OK, "any process");
    check(&readings, "run", DOCTOR_OK, "seccomp filter");
    check(&readings, "balloon", DOCTOR_OK, "bounded");
    readings.host.has_pressure = false;
    check(&readings, "balloon", DOCTOR_LIMITED, "PSI");
    readings.host.meminfo.swap_total_kib = 4;
    check(&readings, "balloon", DOCTOR_MISSING, "swap is on");
    readings.probes.seccomp_filter = -EINVAL;
    check(&readings, "run", DOCTOR_MISSING, "refused");
    readings.probes.seccomp_filter = DOCTOR_NOT_ASKED;
    check(&readings, "run", DOCTOR_MISSING, "another tree");
    readings.probes.call = -ENOTSUP;
    check(&readings, "call", DOCTOR_LIMITED, "Go's settings");
    readings = readings_of_user(0);
    check(&readings, "call", DOCTOR_LIMITED, "your own user");
    check(&readings, "run", DOCTOR_OK, "setuid");
    readings = readings_of_user(1);
    check(&readings, "call", DOCTOR_MISSING, "Yama");
    readings = readings_of(6, 1);
    readings.host.ptrace_scope = 3;
    check(&readings, "call", DOCTOR_MISSING, "nobody");
    readings.has_self = false;
    check(&readings, "balloon", DOCTOR_MISSING, "another tree");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_madv_free_by_kernel),
        cmocka_unit_test(test_facilities_by_kernel),
        cmocka_unit_test(test_rights),
        cmocka_unit_test(test_reclaim_without_frames),
        cmocka_unit_test(test_levers),
        cmocka_unit_test(test_traps),
        cmocka_unit_test(test_group),
        cmocka_unit_test(test_hide_pid),
        cmocka_unit_test(test_shape_of_every_report),
        cmocka_unit_test(test_fixture_trees),
        cmocka_unit_test(test_this_system),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
