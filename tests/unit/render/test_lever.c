// SPDX-License-Identifier: Apache-2.0
// What levers did, as it is shown: every part is there, hostile names are escaped, lines fit. Test
// code.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "render/lever.h"

static const uint64_t mib = 1 << 20;

// One of each part, with a name that tries to colour the terminal.
static void fill(struct lever_report *report)
{
    *report = (struct lever_report){
        .lever = "reclaim",
        .pid = 4121,
        .name = "ga\033[31mme",
        .outcome = LEVER_PARTLY,
        .has_before = true,
        .has_after = true,
        .before = {1000 * mib, 800 * mib, 2 * mib, 0, 0, 4000 * mib, true},
        .after = {210 * mib, 10 * mib, 2 * mib, 0, 0, 4000 * mib, true},
        .took_ns = 182300000,
    };
    assert_int_equal(lever_add_step(report, "take the lazily freed pages"), 0);
    lever_end_step(lever_last_step(report), LEVER_STEP_DONE, "790 MiB in 50 bites");
    assert_int_equal(lever_add_step(report, "ask glibc to trim"), 0);
    lever_end_step(lever_last_step(report), LEVER_STEP_FAILED, "no thread is fit");
    assert_int_equal(
        lever_add_untouched(report, 10 * mib, "shared with a fork", "the child holds them too"), 0);
    assert_int_equal(lever_add_note(report, "They come back at the next peak."), 0);
    assert_int_equal(lever_add_warning(report, "The kernel is old."), 0);
    const struct lever_change change = {"GOGC", "100", "50", "ebb tune --gogc=100 4121"};
    assert_int_equal(lever_add_change(report, &change), 0);
    lever_add_wait(report, "its mmap and munmap", 4200000, 90000000);
}

static void test_text(void **state)
{
    (void)state;
    struct lever_report report;
    fill(&report);
    struct buffer buffer = {0};
    const struct render_style style = {.width = 60};
    assert_int_equal(render_lever_text(&report, &style, &buffer), 0);
    static const char *const wanted[] = {
        "reclaim: ga\\x1b[31mme (pid 4121): partly in 182.3 ms\n",
        "done     take the lazily freed pages: 790 MiB in 50 bites\n",
        "failed   ask glibc to trim: no thread is fit\n",
        "GOGC: 100 -> 50\n    undo: ebb tune --gogc=100 4121\n",
        "RSS               0.98 GiB     210 MiB    -790 MiB\n",
        "effective RSS      200 MiB     200 MiB           -\n",
        "huge pages        2.00 MiB    2.00 MiB           -\n",
        "10.0 MiB shared with a fork: the child holds them too\n",
        "(its mmap and munmap): at most 4.2 ms at a\n",
        "warning: The kernel is old.\n",
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (!strstr(buffer.data, wanted[i]))
            fail_msg("'%s' is not in:\n%s", wanted[i], buffer.data);
    // What is 0 and stays so is noise.
    assert_null(strstr(buffer.data, "swapped out"));
    buffer_free(&buffer);
    lever_report_free(&report);
}

// A plan has no after, no wait and no time; a refusal stands with what would help.
static void test_plan_and_refusal(void **state)
{
    (void)state;
    const struct render_style style = {0};
    struct lever_report report = {.lever = "tune", .outcome = LEVER_PLANNED, .has_before = true};
    struct buffer buffer = {0};
    assert_int_equal(render_lever_text(&report, &style, &buffer), 0);
    assert_non_null(strstr(buffer.data, "tune: planned, nothing is changed yet\n"));
    assert_null(strstr(buffer.data, "after"));
    assert_null(strstr(buffer.data, "waited"));
    buffer_clear(&buffer);
    lever_refuse(&report, -1, "it is stopped", "kill -CONT");
    report.outcome = LEVER_REFUSED;
    assert_int_equal(render_lever_text(&report, &style, &buffer), 0);
    assert_non_null(strstr(buffer.data, "it is stopped. What would help: kill -CONT.\n"));
    buffer_free(&buffer);
}

static void test_table(void **state)
{
    (void)state;
    struct lever_report reports[2];
    fill(&reports[0]);
    fill(&reports[1]);
    struct buffer buffer = {0};
    const struct render_style style = {0};
    assert_int_equal(render_levers_text(reports, 2, &style, &buffer), 0);
    assert_non_null(strstr(buffer.data, "   4121  ga\\x1b[31mme"));
    assert_non_null(strstr(buffer.data, "sum                  1.95 GiB    420 MiB"));
    assert_null(strchr(buffer.data, '\033'));
    buffer_clear(&buffer);
    assert_int_equal(render_levers_text(NULL, 0, &style, &buffer), 0);
    buffer_free(&buffer);
    lever_report_free(&reports[0]);
    lever_report_free(&reports[1]);
}

// Without the right to smaps nobody knows what is lazily freed, and so no effective RSS either.
static void test_no_details(void **state)
{
    (void)state;
    struct lever_report report;
    fill(&report);
    report.before.has_details = report.after.has_details = false;
    report.before.lazy_bytes = report.after.lazy_bytes = 0;
    struct buffer buffer = {0};
    const struct render_style style = {0};
    assert_int_equal(render_lever_text(&report, &style, &buffer), 0);
    assert_non_null(strstr(buffer.data, "  RSS "));
    assert_null(strstr(buffer.data, "effective RSS"));
    buffer_free(&buffer);
    lever_report_free(&report);
}

#ifdef EBB_WITH_JSON
static void test_json(void **state)
{
    (void)state;
    struct lever_report reports[2];
    fill(&reports[0]);
    fill(&reports[1]);
    struct buffer buffer = {0};
    assert_int_equal(render_lever_json(&reports[0], &buffer), 0);
    static const char *const wanted[] = {
        "\"outcome\": \"partly\"",
        "\"rss_bytes\": 1048576000",
        "\"lazy_bytes\": 10485760",
        "\"undo\": \"ebb tune --gogc=100 4121\"",
        "\"longest_seconds\": 0.004",
        "\"refusal\": null",
        "\\\\x1b[31m",
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (!strstr(buffer.data, wanted[i]))
            fail_msg("'%s' is not in:\n%s", wanted[i], buffer.data);
    // Without the right to smaps, lazy is unknown, not 0.
    buffer_clear(&buffer);
    reports[0].after.has_details = reports[0].before.has_details = false;
    assert_int_equal(render_lever_json(&reports[0], &buffer), 0);
    assert_null(strstr(buffer.data, "lazy_bytes"));
    buffer_clear(&buffer);
    assert_int_equal(render_levers_json(reports, 2, &buffer), 0);
    assert_non_null(strstr(buffer.data, "\"processes\": ["));
    buffer_free(&buffer);
    lever_report_free(&reports[0]);
    lever_report_free(&reports[1]);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),  cmocka_unit_test(test_plan_and_refusal),
        cmocka_unit_test(test_table), cmocka_unit_test(test_no_details),
#ifdef EBB_WITH_JSON
        cmocka_unit_test(test_json),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
