// SPDX-License-Identifier: Apache-2.0
// Unit tests of a recording's time: clocks that are set, hosts that sleep; and of lists of numbers.
// Test code; no state.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "history/clock.h"
#include "history/numbers.h"
#ifdef EBB_WITH_SQLITE
#include <errno.h>

#include "support/recording.h"

static void note(struct history_clock *clock, int64_t at_ms, int64_t time_ms)
{
    size_t first;
    assert_int_equal(clock_note(clock, at_ms, time_ms, &first), 0);
}

static void test_forward(void **state)
{
    (void)state;
    struct history_clock clock = {0};
    size_t first = 77;
    note(&clock, 5000, 1005000);
    assert_int_equal(clock_time(&clock, 0), 1000000);
    // Slewing makes no segment.
    assert_int_equal(clock_note(&clock, 6000, 1006090, &first), 0);
    assert_int_equal(clock.count, 1);
    assert_int_equal(first, 1);
    assert_int_equal(clock_note(&clock, 7000, 1607000, &first), 0);
    assert_int_equal(clock.count, 2);
    assert_int_equal(first, 1);
    assert_int_equal(clock_time(&clock, 6999), 1006999);
    assert_int_equal(clock_time(&clock, 7000), 1607000);
    assert_int_equal(clock_at(&clock, 1006000, 100000), 6000);
    // What the clock jumped over leads behind it.
    assert_int_equal(clock_at(&clock, 1300000, 100000), 7000);
    assert_int_equal(clock_at(&clock, 1608000, 100000), 8000);
    assert_int_equal(clock_at(&clock, 0, 100000), 0);
    assert_int_equal(clock_at(&clock, INT64_MIN, 100000), 0);
    assert_int_equal(clock_at(&clock, INT64_MAX, 100000), 100000);
    // As the end of a range it is the last moment before the jump.
    assert_int_equal(clock_until(&clock, 1300000, 100000), 6999);
    assert_int_equal(clock_until(&clock, 1606999, 100000), 6999);
    assert_int_equal(clock_until(&clock, 1607000, 100000), 7000);
    assert_int_equal(clock_until(&clock, 999999, 100000), -1);
    assert_int_equal(clock_until(&clock, INT64_MIN, 100000), -1);
    assert_int_equal(clock_until(&clock, INT64_MAX, 100000), 100000);
    clock_free(&clock);
}

static void test_back(void **state)
{
    (void)state;
    struct history_clock clock = {0};
    size_t first = 77;
    note(&clock, 0, 1000000);
    note(&clock, 10000, 2010000);
    note(&clock, 20000, 3020000);
    // Half an hour back: the two last move.
    assert_int_equal(clock_note(&clock, 30000, 1530000, &first), 0);
    assert_int_equal(first, 1);
    assert_int_equal(clock.count, 3);
    int64_t last_ms = INT64_MIN;
    for (int64_t at_ms = 0; at_ms < 40000; at_ms += 500) {
        assert_true(clock_time(&clock, at_ms) > last_ms);
        last_ms = clock_time(&clock, at_ms);
    }
    assert_int_equal(clock_time(&clock, 30000), 1530000);
    assert_int_equal(clock_time(&clock, 9999), 1009999);
    clock_free(&clock);
}

static void test_stored(void **state)
{
    (void)state;
    struct history_clock clock = {0};
    assert_int_equal(clock_append(&clock, 5, 100), -EBADMSG);
    assert_int_equal(clock_append(&clock, 0, 100), 0);
    assert_int_equal(clock_append(&clock, 0, 200), -EBADMSG);
    assert_int_equal(clock_append(&clock, 10, 99), -EBADMSG);
    assert_int_equal(clock_append(&clock, 10, INT64_MAX), -EBADMSG);
    assert_int_equal(clock_append(&clock, -1, 200), -EBADMSG);
    assert_int_equal(clock_append(&clock, 10, 200), 0);
    assert_int_equal(clock.count, 2);
    clock_free(&clock);
}

static struct history *create(void)
{
    struct history *history = NULL;
    const struct history_options options = {.interval_ms = 1000};
    assert_int_equal(history_create(":memory:", &options, &history), 0);
    return history;
}

// Rounds whose clock of the day is so much ahead of boot time.
static void add(struct history *history, struct round *round, int from, int to, int64_t ahead_ms)
{
    for (int i = from; i < to; i++) {
        round_begin(round, (int64_t)i * 1000);
        struct sample *sample = round_sample(round, 1, 100 + (uint64_t)i % 7, 1);
        sample->time_ms += ahead_ms;
        round->batch.time_ms += ahead_ms;
        round_event(round, 1, EVENT_GC, 1, "");
        round->events[0].time_ms += ahead_ms;
        round_write(round, history);
    }
}

static void assert_ascends(struct history *history, size_t count, int64_t last_ms)
{
    struct series series;
    struct event *events = NULL;
    size_t event_count = 0;
    assert_int_equal(history_series(history, 1, INT64_MIN, INT64_MAX, 0, &series), 0);
    assert_int_equal(series.count, count);
    for (size_t i = 1; i < series.count; i++)
        assert_true(series.time_ms[i] > series.time_ms[i - 1]);
    assert_int_equal(series.time_ms[count - 1], last_ms);
    series_free(&series);
    assert_int_equal(history_events(history, 1, INT64_MIN, INT64_MAX, &events, &event_count), 0);
    assert_int_equal(event_count, count);
    for (size_t i = 1; i < event_count; i++)
        assert_true(events[i].time_ms >= events[i - 1].time_ms);
    free(events);
}

// An hour back and two hours forward, as somebody sets it who is wrong twice.
static void test_settings(void **state)
{
    (void)state;
    struct round round;
    struct history *history = create();
    round_init(&round, 1);
    add(history, &round, 0, 10, 0);
    add(history, &round, 10, 20, -3600000);
    assert_ascends(history, 20, RECORDING_TIME_MS + 19000 - 3600000);
    add(history, &round, 20, 30, 7200000);
    assert_ascends(history, 30, RECORDING_TIME_MS + 29000 + 7200000);
    assert_int_equal(history_close(history), 0);
}

// Nothing was recorded at times that the clock jumped over.
static void test_jump(void **state)
{
    (void)state;
    struct round round;
    struct history *history = create();
    struct series series;
    struct event *events = NULL;
    struct host_sample *samples = NULL;
    struct digest digest;
    size_t count = 9;
    int64_t time_ms;
    round_init(&round, 1);
    add(history, &round, 0, 10, 0);
    // The first sample behind the jump is an account.
    round_begin(&round, 10000);
    round_sample(&round, 1, 100, 1)->time_ms += 36000000;
    round_account(&round, 1, VERDICT_LAZY);
    round.batch.time_ms += 36000000;
    round_write(&round, history);
    add(history, &round, 11, 20, 36000000);
    const int64_t from_ms = RECORDING_TIME_MS + 3600000, to_ms = RECORDING_TIME_MS + 7200000;
    assert_int_equal(history_series(history, 1, from_ms, to_ms, 0, &series), 0);
    assert_int_equal(series.count, 0);
    series_free(&series);
    assert_int_equal(history_events(history, 1, from_ms, to_ms, &events, &count), 0);
    assert_int_equal(count, 0);
    free(events);
    assert_int_equal(history_host(history, from_ms, to_ms, 0, &samples, &count), 0);
    assert_int_equal(count, 0);
    free(samples);
    assert_int_equal(history_digest(history, 1, to_ms, &time_ms, &digest), -ENOENT);
    // Up to the jump, and from it on.
    assert_int_equal(history_series(history, 1, INT64_MIN, to_ms, 0, &series), 0);
    assert_int_equal(series.count, 10);
    series_free(&series);
    assert_int_equal(history_series(history, 1, from_ms, INT64_MAX, 0, &series), 0);
    assert_int_equal(series.count, 10);
    series_free(&series);
    assert_int_equal(history_close(history), 0);
}

// Recordings of other tools have no clock but the day's.
static void test_no_boot_clock(void **state)
{
    (void)state;
    struct round round;
    struct series series;
    struct history *history = create();
    round_init(&round, 1);
    const int64_t after_ms[] = {0, 1000, 2000, -500000, -499000, 90000};
    for (size_t i = 0; i < sizeof after_ms / sizeof after_ms[0]; i++) {
        round_begin(&round, after_ms[i]);
        round_sample(&round, 1, 100 + i, 1)->boot_ms = 0;
        round_write(&round, history);
    }
    assert_int_equal(history_series(history, 1, INT64_MIN, INT64_MAX, 0, &series), 0);
    assert_int_equal(series.count, 6);
    for (size_t i = 1; i < series.count; i++)
        assert_true(series.time_ms[i] > series.time_ms[i - 1]);
    assert_int_equal(series.columns[SERIES_RSS][5], (uint64_t)105 * RECORDING_MIB);
    series_free(&series);
    assert_int_equal(history_close(history), 0);
}

// A night in suspension counts for nothing.
static void test_sleep(void **state)
{
    (void)state;
    struct round round;
    struct history *history = create();
    struct history_summary *summaries = NULL;
    size_t count = 0;
    round_init(&round, 1);
    add(history, &round, 0, 120, 0);
    add(history, &round, 30000, 30121, 0);
    assert_int_equal(history_summarize(history, INT64_MIN, INT64_MAX, &summaries, &count), 0);
    uint64_t covered_ms = 0;
    for (size_t i = 0; i <= VERDICT_UNKNOWN; i++)
        covered_ms += summaries[0].verdict_ms[i];
    assert_int_equal(covered_ms, 240000);
    free(summaries);
    assert_int_equal(history_close(history), 0);
}

static void test_numbers(void **state)
{
    (void)state;
    uint64_t values[8];
    char text[64];
    size_t count = 9;
    const uint64_t some[] = {0, 7, UINT64_MAX, INT64_MAX};
    numbers_print(some, 4, text, sizeof text);
    assert_string_equal(text, "[0,7,null,9223372036854775807]");
    assert_int_equal(numbers_parse(text_of(text), values, 8, &count), 0);
    assert_int_equal(count, 4);
    assert_memory_equal(values, some, sizeof some);
    // What was cut anywhere is no list.
    for (size_t len = 0; len < strlen(text); len++)
        assert_int_equal(numbers_parse((struct text){text, len}, values, 8, &count), -EBADMSG);
    numbers_print(some, 0, text, sizeof text);
    assert_int_equal(numbers_parse(text_of(text), values, 8, &count), 0);
    assert_int_equal(count, 0);
    static const char *const wrong[] = {
        "",     "[1,]",  "[,1]",  "[-1]", "[1.5]", "[9223372036854775808]",
        "[1]x", "[[1]]", "[nul]", "[1 ]"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(numbers_parse(text_of(wrong[i]), values, 8, &count), -EBADMSG);
    assert_int_equal(numbers_parse(text_of("[1,2,3]"), values, 2, &count), -EBADMSG);
    // What does not fit is left out, and still a list.
    numbers_print(some, 4, text, 30);
    assert_int_equal(numbers_parse(text_of(text), values, 8, &count), 0);
    assert_true(count < 4);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_forward), cmocka_unit_test(test_back),
    cmocka_unit_test(test_stored),  cmocka_unit_test(test_settings),
    cmocka_unit_test(test_jump),    cmocka_unit_test(test_no_boot_clock),
    cmocka_unit_test(test_sleep),   cmocka_unit_test(test_numbers),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void)
{
    print_message("built without SQLite\n");
    return 0;
}
#endif
