// SPDX-License-Identifier: Apache-2.0
// Unit tests of recordings: what was written comes back. Test code; no state.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef EBB_WITH_SQLITE
#include <errno.h>

#include "sample/digest.h"
#include "support/recording.h"

#define MIB ((uint64_t)RECORDING_MIB)

static struct history *make(uint64_t interval_ms, uint64_t keep_ms)
{
    struct history *history = NULL;
    const struct history_options options = {
        .interval_ms = interval_ms, .keep_ms = keep_ms, .flush_ms = 5000, .title = "a test"};
    assert_int_equal(history_create(":memory:", &options, &history), 0);
    return history;
}

static void test_empty(void **state)
{
    (void)state;
    struct history *history = make(1000, 0);
    struct history_about about;
    struct subject *subjects = NULL;
    struct history_summary *summaries = NULL;
    struct series series;
    size_t count = 1;
    assert_int_equal(history_about(history, &about), 0);
    assert_string_equal(about.title, "a test");
    assert_int_equal(about.interval_ms, 1000);
    uint64_t interval_ms = 0;
    assert_int_equal(history_interval(history, &interval_ms), 0);
    assert_int_equal(interval_ms, 1000);
    // A writer sees its own all the time.
    assert_int_equal(history_begin_reading(history), 0);
    history_end_reading(history);
    assert_int_equal(about.sample_count, 0);
    assert_false(about.is_ended);
    assert_int_equal(history_subjects(history, &subjects, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(history_summarize(history, INT64_MIN, INT64_MAX, &summaries, &count), 0);
    assert_int_equal(count, 0);
    free(summaries);
    assert_int_equal(history_series(history, 1, INT64_MIN, INT64_MAX, 0, &series), -ENOENT);
    assert_int_equal(history_close(history), 0);
    assert_int_equal(history_close(NULL), 0);
}

// Two subjects, three rounds; one ends.
static void write_three(struct history *history, struct round *round)
{
    round_init(round, 2);
    round_sample(round, 1, 100, 10);
    round_account(round, 1, VERDICT_LAZY);
    round_sample(round, 2, 50, 0)->lazy_bytes = SAMPLE_UNKNOWN;
    round_event(round, 1, EVENT_APPEARED, 0, "");
    round_write(round, history);
    round_begin(round, 1000);
    round_sample(round, 1, 120, 20);
    round_sample(round, 2, 50, 0)->lazy_bytes = SAMPLE_UNKNOWN;
    round_event(round, 1, EVENT_GC, 3, "");
    round_event(round, 1, EVENT_LEVER, 0, "reclaim: 5 MiB");
    round_write(round, history);
    round_begin(round, 2000);
    round_sample(round, 1, 110, 0);
    round_account(round, 1, VERDICT_IN_USE);
    round->subjects[1].has_ended = true;
    round_event(round, 2, EVENT_ENDED, 0, "");
    round_event(round, 0, EVENT_CLOCK, (uint64_t)-250, "");
    round_write(round, history);
}

static void test_series(void **state)
{
    (void)state;
    struct round round;
    struct history *history = make(1000, 0);
    struct series series;
    write_three(history, &round);
    assert_int_equal(history_series(history, 1, INT64_MIN, INT64_MAX, 0, &series), 0);
    assert_int_equal(series.count, 3);
    assert_int_equal(series.step_ms, 0);
    assert_int_equal(series.time_ms[0], RECORDING_TIME_MS);
    assert_int_equal(series.time_ms[2], RECORDING_TIME_MS + 2000);
    assert_int_equal(series.columns[SERIES_RSS][1], 120 * MIB);
    assert_int_equal(series.columns[SERIES_LAZY][1], 20 * MIB);
    assert_int_equal(series.columns[SERIES_EFFECTIVE][1], 100 * MIB);
    assert_int_equal(series.columns[SERIES_KIND][0], SAMPLE_ACCOUNT);
    assert_int_equal(series.columns[SERIES_THREADS][2], 3);
    assert_int_equal(series.columns[SERIES_ROWS + ROW_IN_USE][0], 90 * MIB);
    assert_true(series.columns[SERIES_ROWS + ROW_IN_USE][1] == SAMPLE_UNKNOWN);
    assert_int_equal(series.columns[SERIES_VERDICT][2], VERDICT_IN_USE);
    assert_int_equal(series.columns[SERIES_GROUP_USAGE][0], 77 * MIB);
    assert_true(series.columns[SERIES_GROUP_LIMIT][0] == SAMPLE_UNKNOWN);
    assert_int_equal(series.figure_count, 2);
    assert_string_equal(series.figures[0].name, "HeapAlloc");
    assert_int_equal(series.figures[0].values[2], 110 * MIB - 5);
    assert_true(series.figures[0].values[1] == SAMPLE_UNKNOWN);
    assert_int_equal(series.figures[1].unit, FIGURE_RATIO);
    assert_int_equal(series.figures[1].values[0], 250000);
    series_free(&series);
    // The second never changed: its first sample stands. A range cuts.
    assert_int_equal(history_series(history, 2, INT64_MIN, INT64_MAX, 0, &series), 0);
    assert_int_equal(series.count, 1);
    assert_true(series.columns[SERIES_LAZY][0] == SAMPLE_UNKNOWN);
    assert_int_equal(series.columns[SERIES_EFFECTIVE][0], 50 * MIB);
    series_free(&series);
    assert_int_equal(
        history_series(history, 1, RECORDING_TIME_MS + 1, RECORDING_TIME_MS + 1999, 0, &series), 0);
    assert_int_equal(series.count, 1);
    series_free(&series);
    assert_int_equal(history_series(history, 3, INT64_MIN, INT64_MAX, 0, &series), -ENOENT);
    assert_int_equal(history_close(history), 0);
}

static void test_subjects_and_events(void **state)
{
    (void)state;
    struct round round;
    struct history *history = make(1000, 0);
    struct subject *subjects = NULL;
    struct event *events = NULL;
    struct host_sample *host = NULL;
    size_t count = 0;
    write_three(history, &round);
    assert_int_equal(history_subjects(history, &subjects, &count), 0);
    assert_int_equal(count, 2);
    assert_string_equal(subjects[0].name, "proc-1");
    assert_string_equal(subjects[1].cmdline, "/usr/bin/proc-2 --serve");
    assert_string_equal(subjects[1].cgroup, "/system.slice/proc-2");
    assert_int_equal(subjects[0].pid, 4121);
    assert_int_equal(subjects[0].uid, 1000);
    assert_int_equal(subjects[0].start_ticks, 777);
    assert_false(subjects[0].has_ended);
    assert_true(subjects[1].has_ended);
    assert_int_equal(subjects[0].first_ms, RECORDING_TIME_MS);
    assert_int_equal(subjects[0].last_ms, RECORDING_TIME_MS + 2000);
    assert_int_equal(subjects[1].last_ms, RECORDING_TIME_MS + 1000);
    free(subjects);
    assert_int_equal(history_events(history, 1, INT64_MIN, INT64_MAX, &events, &count), 0);
    assert_int_equal(count, 3);
    assert_int_equal(events[1].kind, EVENT_GC);
    assert_int_equal(events[1].value, 3);
    assert_string_equal(events[2].text, "reclaim: 5 MiB");
    free(events);
    assert_int_equal(history_events(history, 0, INT64_MIN, INT64_MAX, &events, &count), 0);
    assert_int_equal(count, 5);
    assert_int_equal(events[0].kind, EVENT_APPEARED);
    assert_int_equal(events[3].kind, EVENT_CLOCK);
    assert_int_equal((int64_t)events[3].value, -250);
    assert_int_equal(events[4].subject, 2);
    free(events);
    assert_int_equal(history_host(history, INT64_MIN, INT64_MAX, 0, &host, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(host[0].total_bytes, (uint64_t)8 << 30);
    assert_true(host[0].pressure_some_avg10 == 1.25);
    free(host);
    assert_int_equal(history_close(history), 0);
}

static void test_digest(void **state)
{
    (void)state;
    struct round round;
    struct history *history = make(1000, 0);
    struct digest digest;
    int64_t time_ms = 0;
    write_three(history, &round);
    assert_int_equal(history_digest(history, 1, RECORDING_TIME_MS + 1999, &time_ms, &digest), 0);
    assert_int_equal(time_ms, RECORDING_TIME_MS);
    assert_int_equal(digest.verdict, VERDICT_LAZY);
    assert_string_equal(digest.headline, "verdict 1 of 1");
    assert_string_equal(digest.runtimes, "Go 1.24.4");
    assert_int_equal(digest.row_bytes[ROW_LAZY], 10 * MIB);
    assert_int_equal(digest.row_error_bytes[ROW_IN_USE], 4096);
    assert_int_equal(digest.group_working_set_bytes, 66 * MIB);
    assert_true(digest.group_limit_bytes == SAMPLE_UNKNOWN);
    assert_true(digest.is_complete);
    assert_int_equal(digest.figure_count, 2);
    assert_true(digest.figures[1].figure.ratio == 0.25);
    digest_free(&digest);
    assert_int_equal(history_digest(history, 1, INT64_MAX, &time_ms, &digest), 0);
    assert_int_equal(time_ms, RECORDING_TIME_MS + 2000);
    assert_string_equal(digest.headline, "verdict 5 of 1");
    // Not said again, since it is what it was.
    assert_string_equal(digest.next, "ebb reclaim 1");
    digest_free(&digest);
    assert_int_equal(history_digest(history, 1, RECORDING_TIME_MS - 1, &time_ms, &digest), -ENOENT);
    assert_int_equal(history_digest(history, 2, INT64_MAX, &time_ms, &digest), -ENOENT);
    assert_int_equal(history_close(history), 0);
}

static void test_summary_of_seconds(void **state)
{
    (void)state;
    struct round round;
    struct history *history = make(1000, 0);
    struct history_summary *summaries = NULL;
    size_t count = 0;
    write_three(history, &round);
    assert_int_equal(history_summarize(history, INT64_MIN, INT64_MAX, &summaries, &count), 0);
    assert_int_equal(count, 2);
    const struct history_summary *one = &summaries[0];
    assert_int_equal(one->first_rss_bytes, 100 * MIB);
    assert_int_equal(one->last_rss_bytes, 110 * MIB);
    assert_int_equal(one->peak_rss_bytes, 120 * MIB);
    assert_int_equal(one->peak_rss_ms, RECORDING_TIME_MS + 1000);
    assert_int_equal(one->peak_effective_bytes, 110 * MIB);
    assert_int_equal(one->low_effective_bytes, 90 * MIB);
    assert_int_equal(one->peak_lazy_bytes, 20 * MIB);
    assert_true(one->mean_rss_bytes == 110.0 * (double)MIB);
    assert_true(one->mean_effective_bytes == 95.0 * (double)MIB);
    assert_int_equal(one->verdict_ms[VERDICT_LAZY], 2000);
    assert_int_equal(one->verdict_ms[VERDICT_IN_USE], 0);
    assert_false(one->has_slope);
    assert_int_equal(summaries[1].verdict_ms[0], 1000);
    free(summaries);
    assert_int_equal(history_close(history), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_empty),
    cmocka_unit_test(test_series),
    cmocka_unit_test(test_subjects_and_events),
    cmocka_unit_test(test_digest),
    cmocka_unit_test(test_summary_of_seconds),
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
