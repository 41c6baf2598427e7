// SPDX-License-Identifier: Apache-2.0
// Unit tests of a report's text: what it says of growth, and how it fits a terminal. Test code.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#ifdef EBB_WITH_SQLITE

#include "base/when.h"
#include "render/format.h"
#include "render/report.h"
#include "support/recording.h"

enum { SECONDS = 900 };

// What a process has at a second, in MiB.
static uint64_t steady(int second)
{
    return 500 + (uint64_t)(second % 2);
}

static uint64_t leaking(int second)
{
    return 100 + (uint64_t)second / 10;
}

static uint64_t stepping(int second)
{
    return second < 300 ? 100 : 400;
}

// A quarter of an hour of two processes, with a gap and a long headline in it.
static struct history *record(uint64_t (*first)(int), uint64_t (*second)(int))
{
    struct history *history = NULL;
    struct round round;
    const struct history_options options = {.interval_ms = 1000, .title = "a test"};
    assert_int_equal(history_create(":memory:", &options, &history), 0);
    round_init(&round, 2);
    for (int i = 0; i < SECONDS; i++) {
        if (i > 600 && i < 660)
            continue;
        round_begin(&round, i * 1000);
        if (i == 660)
            round_event(&round, 0, EVENT_GAP, 60000, "the host slept");
        if (i == 700)
            round_event(&round, 1, EVENT_VERDICT, 0,
                        "in use. 97 % of RSS is in objects that glibc has allocated and not "
                        "freed, and this sentence goes on for longer than a line has room");
        // A peak that no reading saw, and some of it lazily freed at the end.
        round_sample(&round, 1, first(i), i > 800 ? 50 : 0)->peak_rss_bytes =
            (uint64_t)(i < 500 ? 500 : 3000) * RECORDING_MIB;
        round_sample(&round, 2, second(i), 0);
        round_write(&round, history);
    }
    assert_int_equal(history_flush(history), 0);
    return history;
}

// The text of a report on that many columns; 0: of a file.
static void print(struct history *history, unsigned subject, unsigned width, struct buffer *buffer)
{
    struct report report;
    const struct report_options options = {.subject = subject};
    const struct render_style style = {.unicode = true, .width = width};
    assert_int_equal(report_build(history, &options, &report), 0);
    assert_int_equal(render_report_text(&report, &style, buffer), 0);
    report_free(&report);
}

static bool says(const struct buffer *buffer, const char *words)
{
    return strstr(buffer->data, words) != NULL;
}

// Who leaks need not be the largest.
static void test_growth_of_a_smaller_one(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    struct history *history = record(steady, leaking);
    print(history, 0, 0, &buffer);
    assert_true(says(&buffer, "RSS: 500 MiB at first, 501 MiB at most"));
    assert_true(says(&buffer, "beyond its error") || says(&buffer, "does not grow"));
    assert_true(says(&buffer, "Effective RSS of proc-2 (4122) grows: +"));
    buffer_free(&buffer);
    assert_int_equal(history_close(history), 0);
}

static void test_a_step_is_no_growth(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    struct history *history = record(stepping, steady);
    print(history, 1, 0, &buffer);
    assert_true(says(&buffer, "rose, but its lows do not go on rising"));
    // What befell the host is told of one process as well.
    assert_true(says(&buffer, "no readings for 1 min 0 s"));
    buffer_free(&buffer);
    assert_int_equal(history_close(history), 0);
}

// On a terminal no line is broken by it; in a file a process and an event are a line each.
static void test_lines_fit(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    struct history *history = record(steady, leaking);
    for (unsigned width = 80; width < 160; width += 10) {
        print(history, 0, width, &buffer);
        struct text rest = buffer_text(&buffer), line;
        while (text_next_line(&rest, &line))
            assert_true(format_columns(line) <= width);
        buffer_clear(&buffer);
    }
    print(history, 0, 0, &buffer);
    assert_true(says(&buffer, "goes on for longer than a line has room\n"));
    assert_true(says(&buffer, "SEEN FOR  GROWTH"));
    buffer_free(&buffer);
    assert_int_equal(history_close(history), 0);
}

// Go tells when it collected last in nanoseconds since 1970, and how long it paused in as many.
static void test_moments_and_spans(void **state)
{
    (void)state;
    struct history *history = NULL;
    struct round round;
    const struct history_options options = {.interval_ms = 1000, .title = "a test"};
    assert_int_equal(history_create(":memory:", &options, &history), 0);
    round_init(&round, 1);
    round_begin(&round, 0);
    round_sample(&round, 1, 100, 0);
    struct digest_figure *figures = round_account(&round, 1, VERDICT_IN_USE)->figures;
    figures[0].figure = (struct runtime_figure){
        .name = "LastGC", .unit = FIGURE_NANOSECONDS, .value = UINT64_C(1767261590000000000)};
    figures[1].figure = (struct runtime_figure){
        .name = "PauseTotalNs", .unit = FIGURE_NANOSECONDS, .value = 1234567};
    round_write(&round, history);
    assert_int_equal(history_flush(history), 0);
    struct report report;
    const struct report_options wanted = {0};
    const struct render_style style = {.width = 100};
    struct buffer buffer = {0};
    assert_int_equal(report_build(history, &wanted, &report), 0);
    assert_int_equal(render_moment_text(history, &report, RECORDING_TIME_MS, &style, &buffer), 0);
    char when[WHEN_TEXT_MAX], line[64];
    when_format(RECORDING_TIME_MS - 10000, 0, when, sizeof when);
    snprintf(line, sizeof line, "LastGC  %s\n", when);
    assert_true(says(&buffer, line));
    assert_true(says(&buffer, "PauseTotalNs  1234567 ns\n"));
    report_free(&report);
    buffer_free(&buffer);
    assert_int_equal(history_close(history), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growth_of_a_smaller_one),
        cmocka_unit_test(test_a_step_is_no_growth),
        cmocka_unit_test(test_lines_fit),
        cmocka_unit_test(test_moments_and_spans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void)
{
    print_message("built without SQLite\n");
    return 0;
}
#endif
