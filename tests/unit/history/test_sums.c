// SPDX-License-Identifier: Apache-2.0
// Unit tests of what is summed up: minutes and hours against the samples that they are made of.
// Test code; no state.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef EBB_WITH_SQLITE
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "support/recording.h"

enum { SECONDS = 3 * 3600 + 1234, GAP_FROM = 5000, GAP_TO = 9000, STANDS_MS = 1000 };

// One subject's figures, a value for each second; 0 in the gap.
struct truth {
    uint64_t rss_mib[SECONDS], lazy_mib[SECONDS];
    unsigned verdict[SECONDS]; // as it stands behind that second
};

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525U + 1013904223U;
    return *seed >> 8;
}

// Long quiet times, ramps and spikes.
static void invent(struct truth *truth, uint32_t seed)
{
    uint64_t rss = 200, lazy = 0;
    unsigned verdict = 0;
    for (int i = 0; i < SECONDS; i++) {
        uint32_t dice = next_random(&seed) % 100;
        if (dice < 10)
            rss = 100 + next_random(&seed) % 300;
        if (dice < 3)
            lazy = next_random(&seed) % 100;
        if (i % 37 == 5 && !(i >= GAP_FROM && i < GAP_TO))
            verdict = 1 + next_random(&seed) % 7;
        bool is_gap = i >= GAP_FROM && i < GAP_TO;
        truth->rss_mib[i] = is_gap ? 0 : rss;
        truth->lazy_mib[i] = lazy;
        truth->verdict[i] = verdict;
    }
}

// Two subjects with the same story; the second is there from half an hour on.
static struct history *write_rounds(const struct truth *truth, const char *path, uint64_t keep_ms)
{
    const struct history_options options = {.interval_ms = 1000, .keep_ms = keep_ms};
    struct history *history = NULL;
    struct round round;
    assert_int_equal(history_create(path, &options, &history), 0);
    round_init(&round, 2);
    for (int i = 0; i < SECONDS; i++) {
        if (truth->rss_mib[i] == 0)
            continue;
        round_begin(&round, (int64_t)i * 1000);
        round_sample(&round, 1, truth->rss_mib[i], truth->lazy_mib[i]);
        if (i % 37 == 5)
            round_account(&round, 1, (enum verdict_code)truth->verdict[i]);
        if (i >= 1800)
            round_sample(&round, 2, truth->rss_mib[i], truth->lazy_mib[i]);
        round_write(&round, history);
    }
    return history;
}

struct expected {
    uint64_t samples, peak, low_effective, peak_effective, above_ms, effective_above_ms;
    double rss_area, effective_area;
    uint64_t covered_ms, verdict_ms[VERDICT_UNKNOWN + 1];
    uint64_t first, last;
};

// The plain way: each second stands until the next one, in a range of milliseconds.
static struct expected sum_up(const struct truth *truth, int64_t from_ms, int64_t to_ms,
                              uint64_t limit_mib)
{
    struct expected expected = {.low_effective = UINT64_MAX};
    for (int i = 0; i < SECONDS; i++) {
        int64_t start = (int64_t)i * 1000, end = start + STANDS_MS;
        if (i == SECONDS - 1)
            end = start;
        if (truth->rss_mib[i] == 0 || end < from_ms || start > to_ms ||
            (end == from_ms && end > start))
            continue;
        uint64_t rss = truth->rss_mib[i], effective = rss - truth->lazy_mib[i];
        expected.samples += start >= from_ms;
        if (expected.first == 0)
            expected.first = rss;
        expected.last = rss;
        expected.peak = rss > expected.peak ? rss : expected.peak;
        expected.peak_effective =
            effective > expected.peak_effective ? effective : expected.peak_effective;
        expected.low_effective =
            effective < expected.low_effective ? effective : expected.low_effective;
        start = start > from_ms ? start : from_ms;
        end = end < to_ms ? end : to_ms;
        if (end <= start)
            continue;
        uint64_t ms = (uint64_t)(end - start);
        expected.covered_ms += ms;
        expected.rss_area += (double)rss * (double)ms;
        expected.effective_area += (double)effective * (double)ms;
        expected.verdict_ms[truth->verdict[i]] += ms;
        expected.above_ms += rss > limit_mib ? ms : 0;
        expected.effective_above_ms += effective > limit_mib ? ms : 0;
    }
    return expected;
}

static void assert_near(double a, double b)
{
    if (!(fabs(a - b) <= fabs(b) * 1e-6 + 2))
        fail_msg("%.3f is not %.3f", a, b);
}

static void check_range(struct history *history, const struct truth *truth, int64_t from_ms,
                        int64_t to_ms)
{
    const uint64_t limit_mib = 250;
    struct expected expected = sum_up(truth, from_ms, to_ms, limit_mib);
    struct history_summary *summaries = NULL;
    uint64_t rss_ms = 0, effective_ms = 0;
    size_t count = 0;
    assert_int_equal(history_summarize(history, RECORDING_TIME_MS + from_ms,
                                       RECORDING_TIME_MS + to_ms, &summaries, &count),
                     0);
    assert_int_equal(count, 2);
    const struct history_summary *summary = &summaries[0];
    assert_int_equal(summary->first_rss_bytes, expected.first * RECORDING_MIB);
    assert_int_equal(summary->last_rss_bytes, expected.last * RECORDING_MIB);
    assert_int_equal(summary->peak_rss_bytes, expected.peak * RECORDING_MIB);
    assert_int_equal(summary->peak_effective_bytes, expected.peak_effective * RECORDING_MIB);
    assert_int_equal(summary->low_effective_bytes, expected.low_effective * RECORDING_MIB);
    assert_near(summary->mean_rss_bytes,
                expected.rss_area / (double)expected.covered_ms * RECORDING_MIB);
    assert_near(summary->mean_effective_bytes,
                expected.effective_area / (double)expected.covered_ms * RECORDING_MIB);
    for (int i = 0; i <= VERDICT_UNKNOWN; i++)
        assert_int_equal(summary->verdict_ms[i], expected.verdict_ms[i]);
    free(summaries);
    assert_int_equal(history_time_above(history, 1, RECORDING_TIME_MS + from_ms,
                                        RECORDING_TIME_MS + to_ms, limit_mib * RECORDING_MIB,
                                        &rss_ms, &effective_ms),
                     0);
    assert_int_equal(rss_ms, expected.above_ms);
    assert_int_equal(effective_ms, expected.effective_above_ms);
}

static void test_ranges(void **state)
{
    (void)state;
    struct truth *truth = calloc(1, sizeof *truth);
    assert_non_null(truth);
    uint32_t seed = 12345;
    invent(truth, 7);
    struct history *history = write_rounds(truth, ":memory:", 0);
    // Whole, whole hours, within a minute, across the gap's ends, and any.
    check_range(history, truth, 0, (int64_t)(SECONDS - 1) * 1000);
    check_range(history, truth, 3600000, 7200000);
    check_range(history, truth, 61000, 65500);
    check_range(history, truth, 4999000, 9001000);
    check_range(history, truth, 1000, 3601000);
    for (int i = 0; i < 50; i++) {
        int64_t from_ms = next_random(&seed) % (SECONDS - 2) * 1000;
        int64_t to_ms = from_ms + next_random(&seed) % ((uint32_t)SECONDS * 1000);
        if (to_ms > (int64_t)(SECONDS - 1) * 1000)
            to_ms = (int64_t)(SECONDS - 1) * 1000;
        // A range inside of the gap has nothing in it.
        if (from_ms / 1000 < GAP_FROM || from_ms / 1000 >= GAP_TO)
            check_range(history, truth, from_ms, to_ms);
    }
    assert_int_equal(history_close(history), 0);
    free(truth);
}

// A straight rise of 1 MiB in 10 s, over hours.
static void test_slope(void **state)
{
    (void)state;
    const struct history_options options = {.interval_ms = 1000};
    struct history *history = NULL;
    struct history_summary *summaries = NULL;
    struct round round;
    size_t count = 0;
    assert_int_equal(history_create(":memory:", &options, &history), 0);
    round_init(&round, 1);
    for (int i = 0; i < 9000; i += 10) {
        round_begin(&round, (int64_t)i * 1000);
        round_sample(&round, 1, 100 + (uint64_t)i / 10, 10);
        round_write(&round, history);
    }
    assert_int_equal(history_summarize(history, INT64_MIN, INT64_MAX, &summaries, &count), 0);
    assert_true(summaries[0].has_slope);
    double slope = summaries[0].slope_bytes_per_s / RECORDING_MIB;
    assert_true(slope > 0.0999 && slope < 0.1001);
    assert_true(summaries[0].slope_error_bytes_per_s < 100);
    free(summaries);
    assert_int_equal(history_close(history), 0);
}

// Few points instead of many: no peak and no valley is lost, and each is a sample.
static void check_thin(struct history *history, const struct truth *truth, int64_t from_ms,
                       int64_t to_ms, size_t max_points)
{
    struct series series;
    struct expected expected = sum_up(truth, from_ms, to_ms, 0);
    uint64_t peak = 0, low = UINT64_MAX;
    assert_int_equal(history_series(history, 1, RECORDING_TIME_MS + from_ms,
                                    RECORDING_TIME_MS + to_ms, max_points, &series),
                     0);
    assert_in_range(series.count, 1, max_points);
    assert_true(series.step_ms > 0);
    bool has_account = false;
    for (size_t i = 0; i < series.count; i++) {
        int64_t second = (series.time_ms[i] - RECORDING_TIME_MS) / 1000;
        uint64_t rss = series.columns[SERIES_RSS][i],
                 effective = series.columns[SERIES_EFFECTIVE][i];
        assert_true(i == 0 || series.time_ms[i] > series.time_ms[i - 1]);
        assert_int_equal(rss, truth->rss_mib[second] * RECORDING_MIB);
        assert_int_equal(series.columns[SERIES_LAZY][i], truth->lazy_mib[second] * RECORDING_MIB);
        has_account |= series.columns[SERIES_VERDICT][i] != SAMPLE_UNKNOWN;
        peak = rss > peak ? rss : peak;
        low = effective < low ? effective : low;
    }
    assert_true(has_account);
    assert_int_equal(peak, expected.peak * RECORDING_MIB);
    assert_int_equal(low, expected.low_effective * RECORDING_MIB);
    series_free(&series);
}

// A heap that was full, or empty, for a moment within the same RSS is among few points, too.
static void test_thin_keeps_spikes(void **state)
{
    (void)state;
    struct history *history = NULL;
    struct round round;
    struct series series;
    const struct history_options options = {.interval_ms = 30000};
    unsigned spikes = 0, valleys = 0;
    assert_int_equal(history_create(":memory:", &options, &history), 0);
    round_init(&round, 1);
    for (int i = 0; i < 480; i++) {
        round_begin(&round, i * 30000);
        round_sample(&round, 1, 100, 0);
        struct digest *digest = round_account(&round, 1, VERDICT_KEPT);
        // Full for a moment, and later empty for one.
        unsigned in_use_mib = i == 201 ? 90 : i == 321 ? 10 : 40;
        digest->row_bytes[ROW_IN_USE] = (uint64_t)in_use_mib * RECORDING_MIB;
        digest->row_bytes[ROW_KEPT] = (uint64_t)(100 - in_use_mib) * RECORDING_MIB;
        digest->figures[0].figure.value = digest->row_bytes[ROW_IN_USE];
        round_write(&round, history);
    }
    assert_int_equal(history_series(history, 1, INT64_MIN, INT64_MAX, 40, &series), 0);
    assert_in_range(series.count, 10, 40);
    for (size_t i = 0; i < series.count; i++) {
        valleys += series.columns[SERIES_ROWS + ROW_KEPT][i] == 90 * RECORDING_MIB;
        if (series.columns[SERIES_ROWS + ROW_IN_USE][i] != 90 * RECORDING_MIB)
            continue;
        assert_int_equal(series.figures[0].values[i], 90 * RECORDING_MIB);
        spikes++;
    }
    assert_int_equal(spikes, 1);
    assert_int_equal(valleys, 1);
    series_free(&series);
    assert_int_equal(history_close(history), 0);
}

static void test_thin(void **state)
{
    (void)state;
    struct truth *truth = calloc(1, sizeof *truth);
    assert_non_null(truth);
    invent(truth, 99);
    struct history *history = write_rounds(truth, ":memory:", 0);
    check_thin(history, truth, 0, (int64_t)(SECONDS - 1) * 1000, 30);
    check_thin(history, truth, 0, (int64_t)(SECONDS - 1) * 1000, 300);
    check_thin(history, truth, 0, (int64_t)(SECONDS - 1) * 1000, 1000);
    // The ends lie within minutes.
    check_thin(history, truth, 17000, 4321000, 60);
    check_thin(history, truth, 9000000, 9100000, 6);
    assert_int_equal(history_close(history), 0);
    free(truth);
}

// What is older than a quarter of an hour goes; the sums stay.
static void test_keep(void **state)
{
    (void)state;
    struct truth *truth = calloc(1, sizeof *truth);
    assert_non_null(truth);
    invent(truth, 5);
    // In a file: one in memory drops its minutes, too.
    char path[300];
    const char *folder = getenv("TMPDIR");
    snprintf(path, sizeof path, "%.200s/keep-%d.ebb", folder ? folder : "/tmp", getpid());
    struct history *history = write_rounds(truth, path, 900000);
    struct history_summary *summaries = NULL;
    struct series series;
    size_t count = 0;
    struct expected expected = sum_up(truth, 0, (int64_t)(SECONDS - 1) * 1000, 250);
    assert_int_equal(history_series(history, 1, INT64_MIN, INT64_MAX, 0, &series), 0);
    assert_true(series.count > 0);
    assert_in_range(series.time_ms[0], RECORDING_TIME_MS + (SECONDS - 960) * INT64_C(1000),
                    RECORDING_TIME_MS + (SECONDS - 840) * INT64_C(1000));
    series_free(&series);
    assert_int_equal(history_summarize(history, INT64_MIN, INT64_MAX, &summaries, &count), 0);
    assert_int_equal(summaries[0].peak_rss_bytes, expected.peak * RECORDING_MIB);
    assert_near(summaries[0].mean_rss_bytes,
                expected.rss_area / (double)expected.covered_ms * RECORDING_MIB);
    free(summaries);
    // Points of the dropped time are those of its minutes.
    assert_int_equal(history_series(history, 1, INT64_MIN, INT64_MAX, 100, &series), 0);
    assert_true(series.time_ms[0] < RECORDING_TIME_MS + (int64_t)series.step_ms);
    assert_true(series.columns[SERIES_KIND][0] == SAMPLE_UNKNOWN);
    uint64_t peak = 0;
    for (size_t i = 0; i < series.count; i++)
        peak = series.columns[SERIES_RSS][i] > peak ? series.columns[SERIES_RSS][i] : peak;
    assert_int_equal(peak, expected.peak * RECORDING_MIB);
    series_free(&series);
    assert_int_equal(history_close(history), 0);
    assert_int_equal(unlink(path), 0);
    free(truth);
}

// In memory a page may stay for months: there the sums go, too, and what is left is whole.
static void test_keep_in_memory(void **state)
{
    (void)state;
    struct truth *truth = calloc(1, sizeof *truth);
    assert_non_null(truth);
    invent(truth, 5);
    struct history *history = write_rounds(truth, ":memory:", 900000);
    struct series series;
    const int64_t kept_ms = RECORDING_TIME_MS + (SECONDS - 960) * INT64_C(1000);
    // No sample, and no minute in its place.
    assert_int_equal(history_series(history, 1, INT64_MIN, INT64_MAX, 100, &series), 0);
    assert_true(series.count > 0);
    assert_in_range(series.time_ms[0], kept_ms, kept_ms + 120000);
    series_free(&series);
    check_range(history, truth, (SECONDS - 800) * INT64_C(1000), (SECONDS - 1) * INT64_C(1000));
    // Nothing of the hours before: what all of it is said to have cost is that of what is left.
    struct history_summary *summaries = NULL;
    size_t count = 0;
    assert_int_equal(history_summarize(history, INT64_MIN, INT64_MAX, &summaries, &count), 0);
    uint64_t covered_ms = 0;
    for (int i = 0; i <= VERDICT_UNKNOWN; i++)
        covered_ms += summaries[0].verdict_ms[i];
    assert_in_range(covered_ms, 840000, 960000);
    free(summaries);
    assert_int_equal(history_close(history), 0);
    free(truth);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_ranges), cmocka_unit_test(test_slope),
    cmocka_unit_test(test_thin),   cmocka_unit_test(test_thin_keeps_spikes),
    cmocka_unit_test(test_keep),   cmocka_unit_test(test_keep_in_memory),
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
