// SPDX-License-Identifier: Apache-2.0
// Unit tests of what the second schema of recordings has: peaks that no reading saw, lazily freed
// memory that nobody could see; and of files of the first. Test code.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef EBB_WITH_SQLITE
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

#include "support/recording.h"

#define MIB ((uint64_t)RECORDING_MIB)

static char path[300];

static struct history *make(const char *where)
{
    struct history *history = NULL;
    const struct history_options options = {.interval_ms = 1000, .title = "a test"};
    assert_int_equal(history_create(where, &options, &history), 0);
    return history;
}

static struct history_summary summary_of(struct history *history, int64_t from_ms, int64_t to_ms)
{
    struct history_summary *summaries = NULL, first;
    size_t count = 0;
    assert_int_equal(history_summarize(history, from_ms, to_ms, &summaries, &count), 0);
    assert_true(count >= 1);
    first = summaries[0];
    free(summaries);
    return first;
}

// Three minutes, a sample a second of 100 MiB; the kernel's peak as it is told.
static void write_peaks(struct history *history, int64_t age_ms, uint64_t before_mib)
{
    struct round round;
    round_init(&round, 1);
    round.subjects[0].start_ms = RECORDING_TIME_MS - age_ms;
    for (int second = 0; second < 180; second++) {
        round_begin(&round, second * 1000);
        struct sample *sample = round_sample(&round, 1, 100, 0);
        uint64_t peak_mib = before_mib;
        // A spike, a larger one, and one that is within what the kernel's counts differ by.
        if (second >= 50)
            peak_mib = 300;
        if (second >= 100)
            peak_mib = 500;
        if (second >= 150)
            peak_mib = 501;
        sample->peak_rss_bytes = peak_mib * MIB;
        round_write(&round, history);
    }
    assert_int_equal(history_flush(history), 0);
}

// The highest of the column, and where it stands; at most `points` points.
static uint64_t peak_of_series(struct history *history, int64_t from_ms, size_t points,
                               int64_t *ret_time_ms)
{
    struct series series;
    uint64_t peak = 0;
    assert_int_equal(history_series(history, 1, from_ms, INT64_MAX, points, &series), 0);
    for (size_t i = 0; i < series.count; i++) {
        uint64_t bytes = series.columns[SERIES_KERNEL_PEAK][i];
        if (bytes != SAMPLE_UNKNOWN && bytes > peak) {
            peak = bytes;
            *ret_time_ms = series.time_ms[i];
        }
    }
    series_free(&series);
    return peak;
}

// Beside its own sample, which is stored for it; of few points, none is lost.
static void test_peaks_in_series(void **state)
{
    (void)state;
    struct history *history = make(":memory:");
    int64_t time_ms = 0;
    write_peaks(history, 3600000, 200);
    assert_int_equal(peak_of_series(history, INT64_MIN, 0, &time_ms), 500 * MIB);
    assert_int_equal(time_ms, RECORDING_TIME_MS + 100000);
    assert_int_equal(peak_of_series(history, INT64_MIN, 3, &time_ms), 500 * MIB);
    // It was within the range: so it is with what is behind it.
    assert_int_equal(peak_of_series(history, RECORDING_TIME_MS + 100001, 0, &time_ms), 0);
    assert_int_equal(history_close(history), 0);
}

// Steps that are each within what the kernel's counts differ by sum up to a peak.
static void test_peaks_that_creep(void **state)
{
    (void)state;
    struct history *history = make(":memory:");
    struct round round;
    round_init(&round, 1);
    for (int second = 0; second < 180; second++) {
        round_begin(&round, second * 1000);
        round_sample(&round, 1, 100, 0)->peak_rss_bytes = (uint64_t)(200 + second) * MIB;
        round_write(&round, history);
    }
    struct history_summary summary = summary_of(history, INT64_MIN, INT64_MAX);
    assert_in_range(summary.missed_rss_bytes, 370 * MIB, 379 * MIB);
    assert_int_equal(history_close(history), 0);
}

static void test_peaks_between_readings(void **state)
{
    (void)state;
    struct history *history = make(":memory:");
    write_peaks(history, 3600000, 200);
    struct history_summary summary = summary_of(history, INT64_MIN, INT64_MAX);
    assert_int_equal(summary.peak_rss_bytes, 100 * MIB);
    assert_int_equal(summary.missed_rss_bytes, 500 * MIB);
    assert_int_equal(summary.missed_rss_ms, RECORDING_TIME_MS + 100000);
    // A range has its own, and what was before the recording is nobody's.
    summary = summary_of(history, INT64_MIN, RECORDING_TIME_MS + 80000);
    assert_int_equal(summary.missed_rss_bytes, 300 * MIB);
    summary = summary_of(history, INT64_MIN, RECORDING_TIME_MS + 40000);
    assert_int_equal(summary.missed_rss_bytes, 0);
    assert_int_equal(history_close(history), 0);
    // Of a process that began with the recording all of them are.
    history = make(":memory:");
    write_peaks(history, 500, 200);
    summary = summary_of(history, INT64_MIN, RECORDING_TIME_MS + 40000);
    assert_int_equal(summary.missed_rss_bytes, 200 * MIB);
    assert_int_equal(summary.missed_rss_ms, RECORDING_TIME_MS);
    assert_int_equal(history_close(history), 0);
}

// What was lazily freed nobody knows in the first hour, and then it is 0.
static void write_unknown(struct history *history, int hours)
{
    struct round round;
    round_init(&round, 1);
    for (int second = 0; second < hours * 3600; second += 30) {
        round_begin(&round, second * 1000);
        struct sample *sample = round_sample(&round, 1, 100, 0);
        if (second < 3600)
            sample->lazy_bytes = SAMPLE_UNKNOWN;
        round_write(&round, history);
    }
    assert_int_equal(history_flush(history), 0);
}

static void test_unknown_is_not_zero(void **state)
{
    (void)state;
    struct history *history = make(":memory:");
    write_unknown(history, 3);
    const int64_t hour_ms = 3600000;
    struct history_summary summary =
        summary_of(history, INT64_MIN, RECORDING_TIME_MS + hour_ms - 1);
    assert_true(summary.peak_lazy_bytes == SAMPLE_UNKNOWN);
    assert_int_equal(summary.peak_effective_bytes, 100 * MIB);
    // By whole rows and by samples alike.
    summary = summary_of(history, RECORDING_TIME_MS + 1000, RECORDING_TIME_MS + 40000);
    assert_true(summary.peak_lazy_bytes == SAMPLE_UNKNOWN);
    summary = summary_of(history, RECORDING_TIME_MS + hour_ms, INT64_MAX);
    assert_int_equal(summary.peak_lazy_bytes, 0);
    summary = summary_of(history, INT64_MIN, INT64_MAX);
    assert_int_equal(summary.peak_lazy_bytes, 0);
    assert_int_equal(history_close(history), 0);
}

// Points that only minutes are left of say it too.
static void test_unknown_points(void **state)
{
    (void)state;
    struct history *history = make(":memory:");
    struct series series;
    write_unknown(history, 3);
    assert_int_equal(
        history_series(history, 1, INT64_MIN, RECORDING_TIME_MS + 3000000, 30, &series), 0);
    for (size_t i = 0; i < series.count; i++)
        assert_true(series.columns[SERIES_LAZY][i] == SAMPLE_UNKNOWN);
    assert_true(series.count > 3);
    series_free(&series);
    assert_int_equal(history_close(history), 0);
}

static void change(const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close_v2(db);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

// A file as the first schema had it: no table of peaks, and 0 for what nobody saw.
static void test_first_schema(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(path, sizeof path, "%.200s/schema-%d.ebb", base ? base : "/tmp", (int)getpid());
    struct history *history = make(path);
    write_unknown(history, 1);
    uint64_t samples = summary_of(history, INT64_MIN, INT64_MAX).samples;
    assert_int_equal(history_close(history), 0);
    assert_int_equal(history_schema_of(path), 2);
    change("DROP TABLE peak; UPDATE minute SET lazy_high = 0; UPDATE hour SET lazy_high = 0; "
           "PRAGMA user_version = 1");
    assert_int_equal(history_open(path, &history), 0);
    struct history_summary summary = summary_of(history, INT64_MIN, INT64_MAX);
    assert_int_equal(summary.samples, samples);
    assert_int_equal(summary.missed_rss_bytes, 0);
    assert_true(summary.peak_lazy_bytes == SAMPLE_UNKNOWN);
    assert_int_equal(history_close(history), 0);
    // The second must have the table.
    change("PRAGMA user_version = 2");
    assert_int_equal(history_open(path, &history), -EBADMSG);
    change("PRAGMA user_version = 3");
    assert_int_equal(history_open(path, &history), -EPROTONOSUPPORT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peaks_between_readings),
        cmocka_unit_test(test_peaks_in_series),
        cmocka_unit_test(test_peaks_that_creep),
        cmocka_unit_test(test_unknown_is_not_zero),
        cmocka_unit_test(test_unknown_points),
        cmocka_unit_test_teardown(test_first_schema, remove_file),
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
