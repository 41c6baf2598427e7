// SPDX-License-Identifier: Apache-2.0
// Unit tests of moments as people type them. Test world; pure but for the zone, which is set.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/when.h"

// 2026-11-20 22:00:00 to 2026-11-21 14:00:00 UTC; Berlin is an hour ahead in winter.
static const struct when_frame frame = {1795212000000, 1795269600000};

static void expect(const char *typed, const char *utc)
{
    int64_t time_ms = -1;
    int error = when_parse(text_of(typed), &frame, &time_ms);
    if (error)
        fail_msg("%s: %s", typed, strerror(-error));
    char text[WHEN_TEXT_MAX];
    when_format_utc(time_ms, text, sizeof text);
    assert_string_equal(text, utc);
}

static void refuse(const char *typed, int error)
{
    int64_t time_ms = 42;
    if (when_parse(text_of(typed), &frame, &time_ms) != error)
        fail_msg("%s was read as %lld", typed, (long long)time_ms);
    assert_int_equal(time_ms, 42);
}

static int set_zone(void **state)
{
    (void)state;
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    return 0;
}

static void test_words_and_offsets(void **state)
{
    (void)state;
    expect("start", "2026-11-20T22:00:00.000Z");
    expect(" end ", "2026-11-21T14:00:00.000Z");
    expect("now", "2026-11-21T14:00:00.000Z");
    expect("-10m", "2026-11-21T13:50:00.000Z");
    expect("10m ago", "2026-11-21T13:50:00.000Z");
    expect("+1h30m", "2026-11-20T23:30:00.000Z");
    expect("@1795269600.25", "2026-11-21T14:00:00.250Z");
}

static void test_times_of_day(void **state)
{
    (void)state;
    expect("14:05", "2026-11-21T13:05:00.000Z");
    expect("14:59:59.5", "2026-11-21T13:59:59.500Z");
    // Behind the end of the recording it can only be the day before.
    expect("15:01", "2026-11-20T14:01:00.000Z");
    expect("yesterday 23:30", "2026-11-20T22:30:00.000Z");
    expect("today", "2026-11-20T23:00:00.000Z");
}

static void test_dates(void **state)
{
    (void)state;
    expect("2026-11-21", "2026-11-20T23:00:00.000Z");
    expect("2026-11-21 10:00", "2026-11-21T09:00:00.000Z");
    expect("2026-07-01 10:00:01", "2026-07-01T08:00:01.000Z");
    expect("2026-11-21T10:00:00Z", "2026-11-21T10:00:00.000Z");
    expect("2026-11-21T10:00:00.125-03:30", "2026-11-21T13:30:00.125Z");
    expect("2024-02-29", "2024-02-28T23:00:00.000Z");
}

static void test_nonsense_is_refused(void **state)
{
    (void)state;
    const char *const nonsense[] = {"",           "-",           "+",
                                    "@",          "24:00",       "12:60",
                                    "2026-13-01", "2026-02-29",  "12",
                                    "12:3",       "tomorrow",    "10m agoo",
                                    "@12x",       "2026-11-21T", "2026-11-2114:05",
                                    "1e9",        "14:05 x",     "2026-11-21T10:00:00+2:00",
                                    "today 99:00"};
    for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++)
        refuse(nonsense[i], -EINVAL);
    refuse("-100000d", -ERANGE);
    refuse("@99999999999999", -ERANGE);
    refuse("1969-12-31T00:00:00Z", -ERANGE);
}

static void test_cut_anywhere(void **state)
{
    (void)state;
    const char *whole = "2026-11-21T10:00:00.125-03:30";
    for (size_t len = 0; len < strlen(whole); len++) {
        char *copy = malloc(len + 1);
        assert_non_null(copy);
        memcpy(copy, whole, len);
        int64_t time_ms;
        (void)when_parse((struct text){copy, len}, &frame, &time_ms);
        free(copy);
    }
}

static void test_shown(void **state)
{
    (void)state;
    char text[WHEN_TEXT_MAX];
    when_format(frame.last_ms, 0, text, sizeof text);
    assert_string_equal(text, "2026-11-21 15:00:00");
    when_format(frame.last_ms, frame.last_ms - 3600000, text, sizeof text);
    assert_string_equal(text, "15:00:00");
    when_format(frame.last_ms, frame.first_ms - 3600000, text, sizeof text);
    assert_string_equal(text, "2026-11-21 15:00:00");
    // The night in which half past two comes twice.
    const int64_t first_ms = INT64_C(1792888200000), second_ms = first_ms + 3600000;
    when_format(first_ms, second_ms, text, sizeof text);
    assert_string_equal(text, "02:30:00 CEST");
    when_format(second_ms, first_ms, text, sizeof text);
    assert_string_equal(text, "02:30:00 CET");
}

// What only a damaged recording says is not shown as a date.
static void test_impossible_times(void **state)
{
    (void)state;
    const int64_t impossible[] = {-1, -250, INT64_MIN, INT64_MAX, INT64_C(253402300800000)};
    char text[WHEN_TEXT_MAX];
    for (size_t i = 0; i < sizeof impossible / sizeof impossible[0]; i++) {
        when_format(impossible[i], 0, text, sizeof text);
        assert_string_equal(text, "?");
        when_format_utc(impossible[i], text, sizeof text);
        assert_string_equal(text, "?");
        // As a day to be near to it is none.
        when_format(frame.last_ms, impossible[i], text, sizeof text);
        assert_string_equal(text, "2026-11-21 15:00:00");
    }
    when_format_utc(0, text, sizeof text);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    when_format_utc(INT64_C(253402300799999), text, sizeof text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_and_offsets),
        cmocka_unit_test(test_times_of_day),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_nonsense_is_refused),
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_shown),
        cmocka_unit_test(test_impossible_times),
    };
    return cmocka_run_group_tests(tests, set_zone, NULL);
}
