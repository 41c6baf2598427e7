// SPDX-License-Identifier: Apache-2.0
// Unit tests of the parsers of status, stat, statm, smaps_rollup, auxv, environ and cmdline. Test
// code.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proc/status.h"
#include "support/fixture.h"

static struct proc_status read_status(const char *path)
{
    struct buffer file = fixture_read(path);
    struct proc_status status;
    memset(&status, 0xaa, sizeof status);
    assert_int_equal(proc_status_parse(buffer_text(&file), &status), 0);
    buffer_free(&file);
    return status;
}

static struct proc_stat read_stat(const char *path)
{
    struct buffer file = fixture_read(path);
    struct proc_stat stat;
    assert_int_equal(proc_stat_parse(buffer_text(&file), &stat), 0);
    buffer_free(&file);
    return stat;
}

static void test_status_for_calls(void **state)
{
    (void)state;
    struct proc_status status;
    assert_int_equal(proc_status_parse(text_of("Name:\tx\nTracerPid:\t4121\n"
                                               "SigCgt:\t0000000180014a03\n"
                                               "x86_Thread_features:\tshstk wrss \n"),
                                       &status),
                     0);
    assert_int_equal(status.tracer_pid, 4121);
    assert_int_equal(status.signals_caught, 0x180014a03);
    assert_true(status.has_shadow_stack);
}

static void test_status_of_a_container(void **state)
{
    (void)state;
    struct proc_status status = read_status("linux-6.1-cgroup2/proc/4121/status");
    assert_string_equal(status.name, "api");
    assert_int_equal(status.state, 'S');
    assert_int_equal(status.uid, 65532);
    assert_int_equal(status.vm_rss_kib, 2636536);
    assert_int_equal(status.rss_anon_kib, 2633332);
    assert_int_equal(status.threads, 23);
    assert_int_equal(status.ns_pid, 1);
    assert_int_equal(status.seccomp, 2);
    assert_int_equal(status.tracer_pid, 0);
    assert_false(status.has_shadow_stack);
    assert_true(status.has_memory);
    status = read_status("linux-5.10-hybrid/proc/1/status");
    assert_int_equal(status.cap_effective, 0xa80425fb);
    status = read_status("linux-4.4-cgroup1/proc/1412/status");
    assert_int_equal(status.vm_hwm_kib, status.vm_rss_kib + 512);
    // RssAnon came with 4.5.
    assert_int_equal(status.rss_anon_kib, 0);
}

static void test_status_without_memory(void **state)
{
    (void)state;
    struct proc_status thread = read_status("linux-6.1-cgroup2/proc/57/status");
    assert_string_equal(thread.name, "kworker/u8:2-events_unbound");
    assert_false(thread.has_memory);
    struct proc_status zombie = read_status("linux-6.1-cgroup2/proc/4200/status");
    assert_int_equal(zombie.state, 'Z');
    assert_false(zombie.has_memory);
}

static void test_status_names(void **state)
{
    (void)state;
    struct proc_status status = read_status("hostile/proc/31/status");
    assert_string_equal(status.name, "a) S 1 (b\n\x1b[2J");
    struct text file = text_of("Name:\t  a\\\\n\\nb\\\nState:\tR (running)\n");
    assert_int_equal(proc_status_parse(file, &status), 0);
    assert_string_equal(status.name, "  a\\n\nb\\");
    assert_int_equal(status.state, 'R');
    // Figures that are none stay 0, and a name of 200 escapes is cut.
    status = read_status("hostile/proc/34/status");
    assert_int_equal(strlen(status.name), sizeof status.name - 1);
    assert_int_equal(status.vm_rss_kib, 0);
    assert_false(status.has_memory);
    assert_int_equal(status.ns_pid, 0);
}

static void test_status_refuses(void **state)
{
    (void)state;
    struct proc_status status = {.threads = 5};
    assert_int_equal(proc_status_parse(text_of(""), &status), -EBADMSG);
    assert_int_equal(proc_status_parse(text_of("Name:\tcut"), &status), -EBADMSG);
    assert_int_equal(proc_status_parse(text_of("MemTotal: 5 kB\n"), &status), -EBADMSG);
    assert_int_equal(status.threads, 5);
    // The torn last number does not count.
    assert_int_equal(proc_status_parse(text_of("Name:\tx\nVmRSS:\t 12"), &status), 0);
    assert_int_equal(status.vm_rss_kib, 0);
}

static void test_stat(void **state)
{
    (void)state;
    struct proc_stat stat = read_stat("linux-6.1-cgroup2/proc/4121/stat");
    assert_string_equal(stat.comm, "api");
    assert_int_equal(stat.state, 'S');
    assert_int_equal(stat.ppid, 1);
    assert_int_equal(stat.minor_faults, 1200);
    assert_int_equal(stat.major_faults, 3);
    assert_int_equal(stat.user_ticks, 812);
    assert_int_equal(stat.system_ticks, 95);
    assert_int_equal(stat.threads, 23);
    assert_int_equal(stat.start_ticks, 4200);
    assert_int_equal(stat.rss_pages, 659134);
    assert_int_equal(stat.start_code, 0x400000);
    assert_int_equal(stat.start_stack, 0x7ffc00021000);
    assert_int_equal(stat.start_data, 0x800000 + 4096);
    assert_int_equal(stat.start_brk, 0x800000 + 65536);
    stat = read_stat("linux-6.1-cgroup2/proc/2/stat");
    assert_true(stat.flags & 0x00200000);
    assert_int_equal(stat.vsize_bytes, 0);
}

static void test_stat_hostile(void **state)
{
    (void)state;
    struct proc_stat stat = read_stat("hostile/proc/31/stat");
    assert_string_equal(stat.comm, "a) S 1 (b\n\x1b[2J");
    assert_int_equal(stat.start_ticks, 4200);
    const char *const bad[] = {
        "", "32 (cut", "32 (cut)", "32 (cut) S ", "x (a) S 1 2", "1 (a) SS 1 2"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(proc_stat_parse(text_of(bad[i]), &stat), -EBADMSG);
    // A start time beyond 64 bits ends the numbers too early.
    struct buffer file = fixture_read("hostile/proc/34/stat");
    assert_int_equal(proc_stat_parse(buffer_text(&file), &stat), -EBADMSG);
    buffer_free(&file);
    assert_int_equal(stat.start_ticks, 4200);
}

static void test_statm(void **state)
{
    (void)state;
    struct proc_statm statm;
    assert_int_equal(proc_statm_parse(text_of("765 407 379 5 0 90 0\n"), &statm), 0);
    assert_int_equal(statm.size_pages, 765);
    assert_int_equal(statm.resident_pages, 407);
    assert_int_equal(statm.shared_pages, 379);
    assert_int_equal(statm.text_pages, 5);
    assert_int_equal(statm.data_pages, 90);
    assert_int_equal(proc_statm_parse(text_of("765 407 379 5 0 90"), &statm), -EBADMSG);
}

static struct proc_rollup read_rollup(const char *path)
{
    struct buffer file = fixture_read(path);
    struct proc_rollup rollup;
    assert_int_equal(proc_rollup_parse(buffer_text(&file), &rollup), 0);
    buffer_free(&file);
    return rollup;
}

static void test_rollup(void **state)
{
    (void)state;
    struct proc_rollup rollup = read_rollup("linux-6.1-cgroup2/proc/4121/smaps_rollup");
    assert_int_equal(rollup.rss_kib, 2636536);
    assert_int_equal(rollup.pss_kib, 2636532);
    assert_int_equal(rollup.lazy_free_kib, 2150000);
    assert_int_equal(rollup.anon_huge_kib, 4096);
    assert_true(rollup.has_lazy_free);
    // 4.12 and later only.
    assert_int_equal(proc_rollup_parse(text_of("Rss: 8 kB\nPss: 4 kB\n"), &rollup), 0);
    assert_false(rollup.has_lazy_free);
    assert_int_equal(rollup.pss_kib, 4);
    assert_int_equal(proc_rollup_parse(text_of("Pss: 4 kB\nRss: 8"), &rollup), -EBADMSG);
}

static void test_auxv(void **state)
{
    (void)state;
    struct buffer file = fixture_read("linux-6.1-cgroup2/proc/4121/auxv");
    uint64_t value = 0;
    assert_int_equal(proc_auxv_find(buffer_text(&file), 6, &value), 0);
    assert_int_equal(value, 4096);
    assert_int_equal(proc_auxv_find(buffer_text(&file), 77, &value), -ENOENT);
    assert_int_equal(proc_auxv_find(buffer_text(&file), 0, &value), -ENOENT);
    // A word that is cut in half is no word, wherever the view starts.
    assert_int_equal(proc_auxv_find((struct text){file.data, 15}, 33, &value), -ENOENT);
    assert_int_equal(proc_auxv_find((struct text){file.data, 16}, 33, &value), 0);
    buffer_free(&file);
}

static void test_environ(void **state)
{
    (void)state;
    struct buffer file = fixture_read("linux-6.1-cgroup2/proc/4121/environ");
    struct text value;
    assert_true(proc_environ_find(buffer_text(&file), "GODEBUG", &value));
    assert_true(text_equals(value, "madvdontneed=0"));
    assert_false(proc_environ_find(buffer_text(&file), "GODEBU", &value));
    assert_false(proc_environ_find(buffer_text(&file), "MALLOC_CONF", &value));
    buffer_free(&file);
    // The first setting counts, as for getenv(); a name without '=' is none.
    struct text list = {"GODEBUG\0GODEBUG=\0GODEBUG=x=y", 28};
    assert_true(proc_environ_find(list, "GODEBUG", &value));
    assert_int_equal(value.len, 0);
}

static void test_cmdline(void **state)
{
    (void)state;
    char line[32];
    proc_cmdline_join((struct text){"a\0-x\0\n\x1b[m\0", 10}, line, sizeof line);
    assert_string_equal(line, "a -x ??[m");
    proc_cmdline_join((struct text){"nginx: worker\0\0 \0\0", 18}, line, sizeof line);
    assert_string_equal(line, "nginx: worker");
    proc_cmdline_join((struct text){"\0\0\0\0", 4}, line, sizeof line);
    assert_string_equal(line, "");
    proc_cmdline_join(text_of("0123456789"), line, 4);
    assert_string_equal(line, "012");
}

static void use_status(struct text file)
{
    struct proc_status status;
    proc_status_parse(file, &status);
}

static void use_stat(struct text file)
{
    struct proc_stat stat;
    struct proc_statm statm;
    proc_stat_parse(file, &stat);
    proc_statm_parse(file, &statm);
}

static void use_rollup(struct text file)
{
    struct proc_rollup rollup;
    proc_rollup_parse(file, &rollup);
}

static void use_lists(struct text file)
{
    struct text value;
    uint64_t word;
    char line[64];
    proc_environ_find(file, "GODEBUG", &value);
    proc_auxv_find(file, 25, &word);
    proc_cmdline_join(file, line, sizeof line);
    assert_null(memchr(line, '\x1b', strlen(line)));
}

static void test_every_prefix(void **state)
{
    (void)state;
    assert_true(fixture_each_prefix("status", use_status) > 10);
    assert_true(fixture_each_prefix("stat", use_stat) > 10);
    assert_true(fixture_each_prefix("statm", use_stat) > 10);
    assert_true(fixture_each_prefix("smaps_rollup", use_rollup) > 5);
    assert_true(fixture_each_prefix("environ", use_lists) > 5);
    assert_true(fixture_each_prefix("auxv", use_lists) > 5);
    assert_true(fixture_each_prefix("cmdline", use_lists) > 5);
}

// A cut stat is refused, or says the same as the whole: never a number with its end missing.
static void check_stat_prefix(struct text file)
{
    struct proc_stat stat;
    if (proc_stat_parse(file, &stat) < 0)
        return;
    assert_int_equal(stat.start_stack, 0x7ffc00021000);
    assert_true(stat.start_brk == 0 || stat.start_brk == 0x800000 + 65536);
}

static void test_stat_prefixes_do_not_lie(void **state)
{
    (void)state;
    struct buffer file = fixture_read("linux-6.1-cgroup2/proc/4121/stat");
    fixture_text_prefixes(buffer_text(&file), check_stat_prefix);
    buffer_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_of_a_container),
        cmocka_unit_test(test_status_for_calls),
        cmocka_unit_test(test_status_without_memory),
        cmocka_unit_test(test_status_names),
        cmocka_unit_test(test_status_refuses),
        cmocka_unit_test(test_stat),
        cmocka_unit_test(test_stat_hostile),
        cmocka_unit_test(test_statm),
        cmocka_unit_test(test_rollup),
        cmocka_unit_test(test_auxv),
        cmocka_unit_test(test_environ),
        cmocka_unit_test(test_cmdline),
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_stat_prefixes_do_not_lie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
