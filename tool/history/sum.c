// SPDX-License-Identifier: Apache-2.0
// Walking hours, minutes and samples, see sum.h. Tool world; one thread.
#include "history/sum.h"

#include <errno.h>

#include "base/number.h"
#include "history/open.h"
#include "history/write.h"

// Of moments, which are signed.
static int64_t least_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

// To the beginning of a whole minute or hour. Moments are below 2^40: nothing overflows.
static int64_t round_up(int64_t at_ms, int64_t unit_ms)
{
    return (at_ms + unit_ms - 1) / unit_ms * unit_ms;
}

// A range of time is a range of keys.
static void bind_range(sqlite3_stmt *statement, const struct sum_range *range)
{
    sqlite3_bind_int64(statement, 1, key_make(range->subject, range->first_ms));
    sqlite3_bind_int64(statement, 2, key_make(range->subject, range->end_ms));
}

// What stands at the beginning of a range: the sample and the verdict before it. The sample may be
// no older than one can stand; a verdict holds until the next account, however old.
static int read_before(struct sum *sum, const struct sum_range *range, struct rollup_values *values,
                       int64_t *ret_at_ms)
{
    int64_t key = key_make(range->subject, range->first_ms);
    int64_t oldest_ms = range->first_ms - sum->patience_ms;
    sqlite3_bind_int64(sum->before, 1, key);
    sqlite3_bind_int64(sum->before, 2, key_make(range->subject, oldest_ms > 0 ? oldest_ms : 0));
    int stepped = store_step(sum->history, sum->before);
    // -1: nothing stands when the range begins.
    *ret_at_ms = -1;
    if (stepped == 1) {
        *ret_at_ms = key_time(sqlite3_column_int64(sum->before, 0));
        values->rss_bytes = store_u64(sum->before, 1);
        values->lazy_bytes = store_u64(sum->before, 2);
        sqlite3_reset(sum->before);
    }
    if (stepped < 0)
        return stepped;
    sqlite3_bind_int64(sum->verdict_before, 1, key);
    sqlite3_bind_int64(sum->verdict_before, 2, key_make(range->subject, 0));
    stepped = store_step(sum->history, sum->verdict_before);
    if (stepped == 1) {
        uint64_t verdict = store_u64(sum->verdict_before, 1);
        values->verdict = verdict <= VERDICT_UNKNOWN ? (unsigned)verdict : 0;
        sqlite3_reset(sum->verdict_before);
    }
    return stepped < 0 ? stepped : 0;
}

// An unknown RSS cannot have been stored by us; here it is none.
static void settle(struct rollup_values *values)
{
    if (values->rss_bytes == SAMPLE_UNKNOWN)
        values->rss_bytes = 0;
    values->effective_bytes = values->rss_bytes;
    if (values->lazy_bytes != SAMPLE_UNKNOWN)
        values->effective_bytes -= number_least(values->rss_bytes, values->lazy_bytes);
}

// The samples of a stretch, walked one by one into rollups of a minute at most. Many short
// stretches rather than one: a fit needs the mean of each minute.
struct walk {
    struct sum *sum;
    const struct sum_range *range;
    struct rollup_values values;
    int64_t at_ms;     // since when they stand; -1 nothing does
    int64_t seen_ms;   // of the last sample: the verdict may have changed since
    int64_t stands_ms; // for so long at most, from then on
    struct rollup minute;
};

// What the samples told of a minute goes on as if it had been a row. Length 0 tells the taker that
// this is a piece of a minute, which it may not refuse.
static void end_minute(struct walk *walk)
{
    if (walk->minute.has_figures)
        (void)walk->sum->take(walk->sum, &walk->minute, 0);
    walk->minute = (struct rollup){0};
}

// Lets the values stand until `to_ms`, or as long as is likely.
static void stand(struct walk *walk, int64_t to_ms)
{
    // Before the first sample there is nothing to stand.
    if (walk->at_ms < 0)
        return;
    // A sample from before the range counts from where the range begins.
    int64_t from_ms = walk->at_ms > walk->range->first_ms ? walk->at_ms : walk->range->first_ms;
    int64_t until_ms = walk->seen_ms + walk->stands_ms;
    to_ms = least_of(to_ms, least_of(until_ms, walk->sum->until_ms));
    while (from_ms < to_ms) {
        int64_t start_ms = from_ms - from_ms % ROLLUP_MINUTE_MS;
        int64_t next_ms = start_ms + ROLLUP_MINUTE_MS;
        if (walk->minute.has_figures && walk->minute.start_ms != start_ms)
            end_minute(walk);
        walk->minute.start_ms = start_ms;
        int64_t step_ms = to_ms < next_ms ? to_ms : next_ms;
        rollup_stand(&walk->minute, from_ms, step_ms, &walk->values);
        if (walk->sum->hold)
            walk->sum->hold(walk->sum, &walk->values, (uint64_t)(step_ms - from_ms));
        from_ms = step_ms;
    }
    // Behind it nothing stands: where the values ended early, there is a gap.
    walk->at_ms = to_ms;
}

// Is there a gap between the last sample and one that comes now?
static bool is_gap(const struct walk *walk, int64_t at_ms)
{
    return at_ms - walk->seen_ms > walk->sum->patience_ms ||
           gaps_between(&walk->sum->gaps, walk->seen_ms, at_ms);
}

// The last one stands until this one, if it can have. The writer does the same as samples come, see
// stand_until() in follow.c: both must agree on what a gap is, or a range would sum up differently
// by its hours and by its samples.
static void see(struct walk *walk, int64_t at_ms, const struct rollup_values *values)
{
    // Samples that stand are stored often enough; behind a longer time, there was a gap.
    if (is_gap(walk, at_ms))
        walk->stands_ms = walk->sum->interval_ms;
    stand(walk, at_ms);
    walk->stands_ms = walk->sum->patience_ms;
    int64_t start_ms = at_ms - at_ms % ROLLUP_MINUTE_MS;
    if (walk->minute.has_figures && walk->minute.start_ms != start_ms)
        end_minute(walk);
    walk->values = *values;
    walk->at_ms = walk->seen_ms = at_ms;
    walk->minute.start_ms = start_ms;
    rollup_stand(&walk->minute, at_ms, at_ms, values);
    walk->minute.samples++;
}

// Accounts that come before the next sample change the verdict that stands. What stood before
// counts under the verdict before.
static int pass_verdicts(struct walk *walk, int *accounts, int64_t until_key)
{
    sqlite3_stmt *verdicts = walk->sum->verdicts;
    while (*accounts == 1 && sqlite3_column_int64(verdicts, 0) <= until_key) {
        uint64_t verdict = store_u64(verdicts, 1);
        stand(walk, key_time(sqlite3_column_int64(verdicts, 0)));
        walk->values.verdict = verdict <= VERDICT_UNKNOWN ? (unsigned)verdict : 0;
        *accounts = store_step(walk->sum->history, verdicts);
    }
    return *accounts < 0 ? *accounts : 0;
}

// Samples and accounts side by side, each in its order. Two statements over the same range, in step
// by their keys.
static int walk_rows(struct walk *walk)
{
    struct sum *sum = walk->sum;
    int accounts = store_step(sum->history, sum->verdicts), samples;
    int64_t last_key = -1;
    if (accounts < 0)
        return accounts;
    while ((samples = store_step(sum->history, sum->samples)) == 1) {
        int64_t key = sqlite3_column_int64(sum->samples, 0);
        int error = key <= last_key ? -EBADMSG : pass_verdicts(walk, &accounts, key);
        if (error)
            return error;
        last_key = key;
        struct rollup_values values = {.rss_bytes = store_u64(sum->samples, 1),
                                       .lazy_bytes = store_u64(sum->samples, 2),
                                       .verdict = walk->values.verdict};
        settle(&values);
        see(walk, key_time(key), &values);
    }
    return samples;
}

// Does the range end in a gap? What comes behind it tells; at the recording's end nothing does. A
// range is often cut at a full minute, with the next sample just behind it.
static int look_behind(struct walk *walk)
{
    struct sum *sum = walk->sum;
    // Where the last sample reaches the end in any case, the question is spared.
    if (walk->at_ms < 0 || walk->seen_ms + sum->interval_ms >= walk->range->end_ms)
        return 0;
    const unsigned subject = walk->range->subject;
    sqlite3_bind_int64(sum->after, 1, key_make(subject, walk->range->end_ms));
    sqlite3_bind_int64(sum->after, 2, key_make(subject, key_time_max));
    int stepped = store_step(sum->history, sum->after);
    if (stepped < 1)
        return stepped;
    if (is_gap(walk, key_time(sqlite3_column_int64(sum->after, 0))))
        walk->stands_ms = sum->interval_ms;
    sqlite3_reset(sum->after);
    return 0;
}

// What stood before the range stands at its beginning too. The smallest unit: it has nothing to
// hand a row down to.
static int sum_samples(struct sum *sum, const struct sum_range *range)
{
    if (range->first_ms >= range->end_ms)
        return 0;
    struct walk walk = {.sum = sum,
                        .range = range,
                        .values = {.lazy_bytes = SAMPLE_UNKNOWN},
                        .at_ms = -1,
                        .stands_ms = sum->patience_ms};
    int error = read_before(sum, range, &walk.values, &walk.at_ms);
    if (error)
        return error;
    settle(&walk.values);
    walk.seen_ms = walk.at_ms;
    bind_range(sum->samples, range);
    bind_range(sum->verdicts, range);
    error = walk_rows(&walk);
    sqlite3_reset(sum->samples);
    sqlite3_reset(sum->verdicts);
    if (error)
        return error;
    error = look_behind(&walk);
    if (error)
        return error;
    stand(&walk, range->end_ms);
    end_minute(&walk);
    return 0;
}

// A row that cannot tell enough is looked into; where nothing smaller is kept, it must do. Where
// smaller parts are kept for some of its time alone, these speak for it.
static int take_row(struct sum *sum, unsigned subject, const struct rollup *part, int64_t unit_ms,
                    int (*smaller)(struct sum *sum, const struct sum_range *range))
{
    if (sum->take(sum, part, unit_ms))
        return 0;
    const struct sum_range inside = {subject, part->start_ms, part->start_ms + unit_ms};
    // Whether anything came is seen by whether anything was counted.
    uint64_t told_ms = sum->told_ms;
    int error = smaller(sum, &inside);
    if (!error && sum->told_ms == told_ms)
        sum->guess(sum, part);
    return error;
}

// Whole units of one table; what lies before, between (nothing) and behind them is for `smaller`.
// One function for hours and minutes, as they differ in table and length alone. Nested calls use
// other statements, so that stepping through hours goes on behind them.
static int sum_rows(struct sum *sum, const struct sum_range *range, bool is_hour,
                    int (*smaller)(struct sum *sum, const struct sum_range *range))
{
    const int64_t unit_ms = is_hour ? ROLLUP_HOUR_MS : ROLLUP_MINUTE_MS;
    sqlite3_stmt *select = is_hour ? sum->hours : sum->minutes;
    int64_t done_ms = range->first_ms;
    struct sum_range whole = {range->subject, round_up(range->first_ms, unit_ms),
                              range->end_ms - range->end_ms % unit_ms};
    // Behind what is done so far, `done_ms` is where the next row must begin at the earliest.
    int stepped = 0;
    if (whole.first_ms < whole.end_ms) {
        bind_range(select, &whole);
        while ((stepped = store_step(sum->history, select)) == 1) {
            struct rollup part;
            stepped = rollup_read(select, is_hour, &part);
            // Rows that overlap or go back would count time twice.
            if (!stepped && part.start_ms < done_ms)
                stepped = -EBADMSG;
            // Before the first: there may be samples whose row is not whole in the range.
            const struct sum_range before = {range->subject, done_ms, part.start_ms};
            if (!stepped && before.first_ms < before.end_ms && done_ms == range->first_ms)
                stepped = smaller(sum, &before);
            if (stepped)
                break;
            stepped = take_row(sum, range->subject, &part, unit_ms, smaller);
            done_ms = part.start_ms + unit_ms;
            if (stepped)
                break;
        }
        sqlite3_reset(select);
    }
    // Behind the last row: the hour or minute that is not over yet, or that the range cuts.
    const struct sum_range rest = {range->subject, done_ms, range->end_ms};
    return stepped < 0 ? stepped : smaller(sum, &rest);
}

// The middle step: hours that are not whole fall into minutes.
static int sum_minutes(struct sum *sum, const struct sum_range *range)
{
    return range->first_ms < range->end_ms ? sum_rows(sum, range, false, sum_samples) : 0;
}

// From coarse to fine: most of a week is 168 rows.
int sum_range(struct sum *sum, const struct sum_range *range)
{
    return range->first_ms < range->end_ms ? sum_rows(sum, range, true, sum_minutes) : 0;
}

// Also of one that was only half opened: NULL is fine. Fine after a failed sum_open() too: what was
// not prepared is NULL.
void sum_close(struct sum *sum)
{
    sqlite3_stmt *const all[] = {sum->hours, sum->minutes,  sum->samples,        sum->before,
                                 sum->after, sum->verdicts, sum->verdict_before, sum->peaks};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        sqlite3_finalize(all[i]);
    gaps_free(&sum->gaps);
}

// Statements once for all subjects: preparing takes longer than most of them run.
int sum_open(struct history *history, struct sum *ret_sum)
{
    *ret_sum = (struct sum){.history = history};
    int64_t interval_ms = 0;
    int error = open_clock(history);
    if (!error)
        error = store_last_ms(history, &ret_sum->last_ms);
    if (!error)
        error = store_get_number(history, "interval_ms", &interval_ms);
    if (!error)
        error = gaps_read(history, &ret_sum->gaps);
    if (error)
        return error;
    // Unchanged figures are stored once a minute.
    bool is_sane = interval_ms > 0 && interval_ms < key_time_max;
    ret_sum->interval_ms = is_sane ? interval_ms : 0;
    ret_sum->patience_ms = ROLLUP_MINUTE_MS + follow_patience_ms((uint64_t)ret_sum->interval_ms);
    struct {
        const char *sql;
        sqlite3_stmt **statement;
    } const list[] = {
        {rollup_select_hours, &ret_sum->hours},
        {rollup_select_minutes, &ret_sum->minutes},
        {"SELECT id, rss, lazy FROM sample WHERE id >= ? AND id < ? ORDER BY id",
         &ret_sum->samples},
        {"SELECT id, rss, lazy FROM sample WHERE id < ? AND id >= ? ORDER BY id DESC LIMIT 1",
         &ret_sum->before},
        {"SELECT id FROM sample WHERE id >= ? AND id < ? ORDER BY id LIMIT 1", &ret_sum->after},
        {"SELECT id, verdict FROM account WHERE id >= ? AND id < ? ORDER BY id",
         &ret_sum->verdicts},
        {"SELECT id, verdict FROM account WHERE id < ? AND id >= ? ORDER BY id DESC LIMIT 1",
         &ret_sum->verdict_before},
        // The table that older recordings do not have.
        {history->schema >= 2 ? "SELECT id, rss FROM peak WHERE id >= ? AND id < ? ORDER BY rss "
                                "DESC, id LIMIT 1"
                              : NULL,
         &ret_sum->peaks},
    };
    for (size_t i = 0; i < sizeof list / sizeof list[0] && !error && list[i].sql; i++)
        error = store_prepare(history, list[i].sql, list[i].statement);
    if (error)
        sum_close(ret_sum);
    return error;
}

// The moments of a time range in which a subject can have anything. False: there are none.
bool sum_cut(struct sum *sum, int64_t from_ms, int64_t to_ms, const struct subject *subject,
             struct sum_range *ret_range)
{
    const struct history_clock *clock = &sum->history->clock;
    // To where it was there: else its last figures would stand until the end of the range.
    if (to_ms > subject->last_ms)
        to_ms = subject->last_ms;
    if (from_ms < subject->first_ms)
        from_ms = subject->first_ms;
    // What is read at the last moment counts, what stands then does so no longer.
    sum->until_ms = clock_until(clock, to_ms, key_time_max - 1);
    *ret_range =
        (struct sum_range){subject->id, clock_at(clock, from_ms, key_time_max), sum->until_ms + 1};
    return from_ms <= to_ms && ret_range->first_ms < ret_range->end_ms;
}
