// SPDX-License-Identifier: Apache-2.0
// Subjects in one row each. Tool world; one thread.
#include <errno.h>
#include <stdlib.h>

#include "history/sum.h"

// Hours and minutes of years, and the samples of two minutes.
enum { STEPS_PER_SUBJECT = 200000 };

// An hour brings its own fit, whose points are its minutes; a minute is a point. Every row tells
// enough for a total: it refuses none.
static bool take_total(struct sum *sum, const struct rollup *part, int64_t length_ms)
{
    rollup_join(&sum->total, part);
    if (length_ms == ROLLUP_HOUR_MS) {
        fit_join(&sum->fit, &part->fit);
        return true;
    }
    // A minute, or the stretch of one, is one point of the fit; hours bring those of their minutes.
    struct rollup points = {0};
    rollup_fit_minute(&points, part);
    fit_join(&sum->fit, &points.fit);
    return true;
}

// A valley behind a peak lies deeper by as much; where the peak is behind, the ends still bound it.
static uint64_t fall_of(const struct rollup_figure *figure)
{
    uint64_t fall = 0;
    if (figure->high_at_ms < figure->low_at_ms)
        fall = figure->high_bytes - figure->low_bytes;
    if (figure->high_bytes - figure->last_bytes > fall)
        fall = figure->high_bytes - figure->last_bytes;
    return figure->first_bytes - figure->low_bytes > fall ? figure->first_bytes - figure->low_bytes
                                                          : fall;
}

// Hours are too coarse for a day's half, and good enough for more.
static bool take_lows(struct sum *sum, const struct rollup *part, int64_t length_ms)
{
    if (length_ms == ROLLUP_HOUR_MS && !sum->takes_hours)
        return false;
    sum->told_ms += part->covered_ms;
    // Without figures the extremes are 0, which is no low.
    if (!part->has_figures)
        return true;
    const struct swing swing = {
        .time_s = (double)part->start_ms / 1000,
        .low_bytes = part->effective.low_bytes,
        .high_bytes = part->effective.high_bytes,
        .fall_bytes = fall_of(&part->effective),
        .busy_low_bytes = SWING_UNKNOWN,
    };
    swings_add(&sum->swings, &swing);
    return true;
}

// Nothing smaller is kept: the hour itself has to do.
static void guess_lows(struct sum *sum, const struct rollup *part)
{
    bool takes_hours = sum->takes_hours;
    sum->takes_hours = true;
    (void)take_lows(sum, part, ROLLUP_HOUR_MS);
    sum->takes_hours = takes_hours;
}

// A second walk, for the few that have a slope worth it: the totals need no minutes.
static int find_lows(struct sum *sum, const struct sum_range *range,
                     struct history_summary *summary)
{
    const int64_t half_day_ms = 12 * (int64_t)ROLLUP_HOUR_MS;
    if (!summary->has_slope || summary->slope_bytes_per_s <= 2 * summary->slope_error_bytes_per_s)
        return 0;
    sum->take = take_lows;
    sum->guess = guess_lows;
    sum->takes_hours = range->end_ms - range->first_ms >= half_day_ms;
    sum->swings = (struct swings){0};
    int error = sum_range(sum, range);
    sum->take = take_total;
    sum->guess = NULL;
    if (error || sum->swings.count == 0)
        return error;
    double from_s = sum->swings.items[0].time_s, to_s = (double)range->end_ms / 1000;
    summary->lows_rise = swings_rise(&sum->swings, from_s, to_s);
    summary->swing_count = swings_count(&sum->swings, from_s, to_s);
    return 0;
}

// The first schema had 0 where nobody could look, and whoever reads smaps makes an account of it.
static uint64_t peak_lazy(const struct sum *sum)
{
    const struct rollup *total = &sum->total;
    bool is_judged = total->verdict_ms[0] < total->covered_ms;
    bool is_old_zero = sum->history->schema < 2 && total->lazy_high_bytes == 0 && !is_judged;
    return total->has_lazy && !is_old_zero ? total->lazy_high_bytes : SAMPLE_UNKNOWN;
}

// The highest of those that no reading saw.
static int find_missed(struct sum *sum, const struct sum_range *range,
                       struct history_summary *summary)
{
    if (!sum->peaks)
        return 0;
    sqlite3_bind_int64(sum->peaks, 1, key_make(range->subject, range->first_ms));
    sqlite3_bind_int64(sum->peaks, 2, key_make(range->subject, range->end_ms));
    int stepped = store_step(sum->history, sum->peaks);
    if (stepped < 1)
        return stepped;
    uint64_t rss_bytes = store_u64(sum->peaks, 1);
    if (rss_bytes != SAMPLE_UNKNOWN && rss_bytes > summary->peak_rss_bytes) {
        summary->missed_rss_bytes = rss_bytes;
        summary->missed_rss_ms =
            clock_time(&sum->history->clock, key_time(sqlite3_column_int64(sum->peaks, 0)));
    }
    sqlite3_reset(sum->peaks);
    return 0;
}

// A subject with nothing in the range has zeros, and no slope. Of a subject that has nothing in the
// range all is 0, `samples` above all.
static void fill_summary(const struct sum *sum, unsigned subject, struct history_summary *summary)
{
    const struct rollup *total = &sum->total;
    const struct history_clock *clock = &sum->history->clock;
    *summary = (struct history_summary){
        .subject = subject,
        .samples = total->samples,
        .covered_ms = total->covered_ms,
        .first_rss_bytes = total->rss.first_bytes,
        .last_rss_bytes = total->rss.last_bytes,
        .first_effective_bytes = total->effective.first_bytes,
        .last_effective_bytes = total->effective.last_bytes,
        .peak_rss_bytes = total->rss.high_bytes,
        .peak_effective_bytes = total->effective.high_bytes,
        .peak_lazy_bytes = peak_lazy(sum),
        .low_effective_bytes = total->effective.low_bytes,
        .peak_rss_ms = clock_time(clock, total->rss.high_at_ms),
        .peak_effective_ms = clock_time(clock, total->effective.high_at_ms),
        .mean_rss_bytes = rollup_mean(total, &total->rss),
        .mean_effective_bytes = rollup_mean(total, &total->effective),
    };
    for (size_t i = 0; i <= VERDICT_UNKNOWN; i++)
        summary->verdict_ms[i] = total->verdict_ms[i];
    summary->has_slope =
        fit_slope(&sum->fit, &summary->slope_bytes_per_s, &summary->slope_error_bytes_per_s);
}

// Each subject from nothing: one that is damaged spoils no other, it ends all.
static int summarize(struct sum *sum, int64_t from_ms, int64_t to_ms,
                     const struct subject *subjects, size_t count,
                     struct history_summary *summaries)
{
    int error = 0;
    // No `hold` and no `guess`: a total needs neither.
    sum->take = take_total;
    // One budget for all: a file with many subjects may take longer, in proportion.
    sum->history->steps_left += (uint64_t)count * STEPS_PER_SUBJECT;
    for (size_t i = 0; i < count && !error; i++) {
        struct sum_range range;
        sum->total = (struct rollup){0};
        sum->fit = (struct fit){0};
        bool has = sum_cut(sum, from_ms, to_ms, &subjects[i], &range);
        // Statements are prepared once for all subjects: sum_open() was before.
        if (has)
            error = sum_range(sum, &range);
        if (!error)
            fill_summary(sum, subjects[i].id, &summaries[i]);
        if (!error && has)
            error = find_lows(sum, &range, &summaries[i]);
        if (!error && has)
            error = find_missed(sum, &range, &summaries[i]);
    }
    return error;
}

// One row for each subject of the file, so that callers need not match them. The rows of all
// subjects are read whether or not they are in the range: a report asks for it once.
int history_summarize(struct history *history, int64_t from_ms, int64_t to_ms,
                      struct history_summary **ret_summaries, size_t *ret_count)
{
    struct subject *subjects = NULL;
    size_t count = 0;
    struct sum sum;
    int error = sum_open(history, &sum);
    if (error)
        return error;
    error = history_subjects(history, &subjects, &count);
    struct history_summary *summaries = NULL;
    if (!error) {
        summaries = calloc(count ? count : 1, sizeof *summaries);
        error = summaries ? 0 : -ENOMEM;
    }
    if (!error)
        error = summarize(&sum, from_ms, to_ms, subjects, count, summaries);
    sum_close(&sum);
    free(subjects);
    if (error) {
        free(summaries);
        return error;
    }
    *ret_summaries = summaries;
    *ret_count = count;
    return 0;
}
