// SPDX-License-Identifier: Apache-2.0
// Minutes and hours, see rollup.h. Tool world; pure but for the rows.
#include "history/rollup.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/number.h"
#include "base/text.h"
#include "history/numbers.h"

#define COLUMNS                                                                                    \
    "id, samples, covered_ms, rss_first, rss_last, rss_low, rss_high, rss_high_at, rss_mean, "     \
    "effective_first, effective_last, effective_low, effective_low_at, effective_high, "           \
    "effective_high_at, effective_mean, lazy_high, verdict, verdict_ms"
#define FIT_COLUMNS ", fit_count, fit_x, fit_y, fit_xx, fit_xy, fit_yy"

const char rollup_insert_minute[] = "INSERT OR REPLACE INTO minute (" COLUMNS ") VALUES "
                                    "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
const char rollup_insert_hour[] = "INSERT OR REPLACE INTO hour (" COLUMNS FIT_COLUMNS ") VALUES "
                                  "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
const char rollup_select_minutes[] =
    "SELECT " COLUMNS " FROM minute WHERE id >= ? AND id < ? ORDER BY id";
const char rollup_select_hours[] =
    "SELECT " COLUMNS FIT_COLUMNS " FROM hour WHERE id >= ? AND id < ? ORDER BY id";

// Places of the columns, from 0; statements count from 1.
enum column {
    COLUMN_ID,
    COLUMN_SAMPLES,
    COLUMN_COVERED,
    COLUMN_RSS_FIRST,
    COLUMN_RSS_LAST,
    COLUMN_RSS_LOW,
    COLUMN_RSS_HIGH,
    COLUMN_RSS_HIGH_AT,
    COLUMN_RSS_MEAN,
    COLUMN_EFFECTIVE_FIRST,
    COLUMN_EFFECTIVE_LAST,
    COLUMN_EFFECTIVE_LOW,
    COLUMN_EFFECTIVE_LOW_AT,
    COLUMN_EFFECTIVE_HIGH,
    COLUMN_EFFECTIVE_HIGH_AT,
    COLUMN_EFFECTIVE_MEAN,
    COLUMN_LAZY_HIGH,
    COLUMN_VERDICT,
    COLUMN_VERDICT_MS,
    COLUMN_FIT,
};

// [0] is the time before the first account.
enum { VERDICT_SLOTS = VERDICT_UNKNOWN + 1 };

// The first moment of an extreme stays, however often it comes again. The figure at the very start
// is the first, the low and the high at once.
static void see(struct rollup_figure *figure, int64_t at_ms, uint64_t bytes, bool is_first)
{
    if (is_first)
        *figure = (struct rollup_figure){bytes, bytes, bytes, bytes, at_ms, at_ms, 0};
    // Strictly, here and below: of equal extremes the earlier moment is told.
    if (bytes > figure->high_bytes) {
        figure->high_bytes = bytes;
        figure->high_at_ms = at_ms;
    }
    if (bytes < figure->low_bytes) {
        figure->low_bytes = bytes;
        figure->low_at_ms = at_ms;
    }
    figure->last_bytes = bytes;
}

// 0 is a measurement, and unknown is none.
static void see_lazy(struct rollup *rollup, uint64_t lazy_bytes)
{
    if (lazy_bytes == SAMPLE_UNKNOWN)
        return;
    rollup->has_lazy = true;
    if (lazy_bytes > rollup->lazy_high_bytes)
        rollup->lazy_high_bytes = lazy_bytes;
}

// What stands from before the minute counts in it from its start. Called with an empty stretch when
// a sample comes, so that a peak of one sample is never lost; and again with how long it stood,
// once the next one tells.
void rollup_stand(struct rollup *rollup, int64_t from_ms, int64_t to_ms,
                  const struct rollup_values *values)
{
    see(&rollup->rss, from_ms, values->rss_bytes, !rollup->has_figures);
    see(&rollup->effective, from_ms, values->effective_bytes, !rollup->has_figures);
    rollup->has_figures = true;
    see_lazy(rollup, values->lazy_bytes);
    if (to_ms <= from_ms)
        return;
    // At most a minute: sums of these cannot overflow within 34 years.
    uint64_t length_ms = (uint64_t)(to_ms - from_ms);
    rollup->covered_ms += length_ms;
    rollup->rss.area += (double)values->rss_bytes * (double)length_ms;
    rollup->effective.area += (double)values->effective_bytes * (double)length_ms;
    rollup->verdict_ms[values->verdict < VERDICT_SLOTS ? values->verdict : 0] += length_ms;
}

// The part is later: its last is the last.
static void join_figure(struct rollup_figure *figure, const struct rollup_figure *part)
{
    if (part->high_bytes > figure->high_bytes) {
        figure->high_bytes = part->high_bytes;
        figure->high_at_ms = part->high_at_ms;
    }
    if (part->low_bytes < figure->low_bytes) {
        figure->low_bytes = part->low_bytes;
        figure->low_at_ms = part->low_at_ms;
    }
    figure->last_bytes = part->last_bytes;
    figure->area += part->area;
}

// Minutes into hours, and either into a summary.
void rollup_join(struct rollup *rollup, const struct rollup *part)
{
    // Zeros of an empty part would else be taken for a low.
    if (!part->has_figures)
        return;
    if (!rollup->has_figures) {
        // As a whole, so that `first` and the moments come over too.
        rollup->rss = part->rss;
        rollup->effective = part->effective;
        rollup->has_figures = true;
    } else {
        join_figure(&rollup->rss, &part->rss);
        join_figure(&rollup->effective, &part->effective);
    }
    rollup->samples += part->samples;
    rollup->covered_ms += part->covered_ms;
    see_lazy(rollup, part->has_lazy ? part->lazy_high_bytes : SAMPLE_UNKNOWN);
    for (size_t i = 0; i < VERDICT_SLOTS; i++)
        rollup->verdict_ms[i] += part->verdict_ms[i];
}

// Over the time that is known, not over the whole minute.
double rollup_mean(const struct rollup *rollup, const struct rollup_figure *figure)
{
    // Seen but for no time: what was seen.
    return rollup->covered_ms ? figure->area / (double)rollup->covered_ms
                              : (double)figure->first_bytes;
}

// In the middle of the minute, whatever of it is known.
void rollup_fit_minute(struct rollup *rollup, const struct rollup *minute)
{
    const int64_t middle_ms = minute->start_ms + ROLLUP_MINUTE_MS / 2;
    if (minute->has_figures && minute->covered_ms > 0)
        fit_add(&rollup->fit, (double)middle_ms / 1e3, rollup_mean(minute, &minute->effective));
}

// NULL stands for the first figure, or the row's start. For a quiet process twelve of nineteen
// columns are NULL, which take one byte each. Source: "Database File Format", record format.
static void bind_unless(sqlite3_stmt *insert, enum column column, uint64_t value, uint64_t first)
{
    store_bind_u64(insert, (int)column + 1, value == first ? SAMPLE_UNKNOWN : value);
}

// Mostly the start itself, which is NULL.
static void bind_moment(sqlite3_stmt *insert, enum column column, int64_t at_ms, int64_t start_ms)
{
    bind_unless(insert, column, (uint64_t)(at_ms - start_ms), 0);
}

// One verdict for the whole time is a number; several are a list. `list` must stay until the insert
// has run.
static void bind_verdicts(sqlite3_stmt *insert, const struct rollup *rollup,
                          char list[NUMBERS_TEXT_MAX])
{
    for (size_t i = 0; i < VERDICT_SLOTS; i++) {
        if (rollup->verdict_ms[i] == rollup->covered_ms) {
            sqlite3_bind_int(insert, COLUMN_VERDICT + 1, (int)i);
            sqlite3_bind_null(insert, COLUMN_VERDICT_MS + 1);
            return;
        }
    }
    sqlite3_bind_null(insert, COLUMN_VERDICT + 1);
    numbers_print(rollup->verdict_ms, VERDICT_SLOTS, list, NUMBERS_TEXT_MAX);
    store_bind_text(insert, COLUMN_VERDICT_MS + 1, list);
}

// REAL: sums of squares are beyond what an integer holds. In the order of struct fit, which
// read_fit() takes them back in.
static void bind_fit(sqlite3_stmt *insert, const struct fit *fit)
{
    const double values[] = {fit->count, fit->x, fit->y, fit->xx, fit->xy, fit->yy};
    for (int i = 0; i < (int)(sizeof values / sizeof values[0]); i++)
        sqlite3_bind_double(insert, COLUMN_FIT + 1 + i, values[i]);
}

// Nothing for a minute in which nothing stood: gaps have no rows.
int rollup_write(struct history *history, sqlite3_stmt *insert, unsigned subject,
                 const struct rollup *rollup, bool is_hour)
{
    if (!rollup->has_figures)
        return 0;
    const struct rollup_figure *rss = &rollup->rss, *effective = &rollup->effective;
    char list[NUMBERS_TEXT_MAX];
    sqlite3_bind_int64(insert, COLUMN_ID + 1, key_make(subject, rollup->start_ms));
    store_bind_u64(insert, COLUMN_SAMPLES + 1, rollup->samples);
    store_bind_u64(insert, COLUMN_COVERED + 1, rollup->covered_ms);
    store_bind_u64(insert, COLUMN_RSS_FIRST + 1, rss->first_bytes);
    bind_unless(insert, COLUMN_RSS_LAST, rss->last_bytes, rss->first_bytes);
    bind_unless(insert, COLUMN_RSS_LOW, rss->low_bytes, rss->first_bytes);
    bind_unless(insert, COLUMN_RSS_HIGH, rss->high_bytes, rss->first_bytes);
    bind_moment(insert, COLUMN_RSS_HIGH_AT, rss->high_at_ms, rollup->start_ms);
    // Whole bytes: a mean is not better known than that.
    bind_unless(insert, COLUMN_RSS_MEAN, (uint64_t)(rollup_mean(rollup, rss) + 0.5),
                rss->first_bytes);
    store_bind_u64(insert, COLUMN_EFFECTIVE_FIRST + 1, effective->first_bytes);
    bind_unless(insert, COLUMN_EFFECTIVE_LAST, effective->last_bytes, effective->first_bytes);
    bind_unless(insert, COLUMN_EFFECTIVE_LOW, effective->low_bytes, effective->first_bytes);
    bind_moment(insert, COLUMN_EFFECTIVE_LOW_AT, effective->low_at_ms, rollup->start_ms);
    bind_unless(insert, COLUMN_EFFECTIVE_HIGH, effective->high_bytes, effective->first_bytes);
    bind_moment(insert, COLUMN_EFFECTIVE_HIGH_AT, effective->high_at_ms, rollup->start_ms);
    bind_unless(insert, COLUMN_EFFECTIVE_MEAN, (uint64_t)(rollup_mean(rollup, effective) + 0.5),
                effective->first_bytes);
    store_bind_u64(insert, COLUMN_LAZY_HIGH + 1,
                   rollup->has_lazy ? rollup->lazy_high_bytes : SAMPLE_UNKNOWN);
    bind_verdicts(insert, rollup, list);
    if (is_hour)
        bind_fit(insert, &rollup->fit);
    return store_run(history, insert);
}

// NULL, and what is no size, stand for the first figure. The inverse of bind_unless().
static uint64_t read_unless(sqlite3_stmt *select, enum column column, uint64_t first)
{
    uint64_t value = store_u64(select, (int)column);
    return value == SAMPLE_UNKNOWN ? first : value;
}

// A moment outside of the row is somebody's joke: it is moved to the row's start.
static int64_t read_moment(sqlite3_stmt *select, enum column column, int64_t start_ms,
                           uint64_t length_ms)
{
    uint64_t offset_ms = read_unless(select, column, 0);
    return start_ms + (int64_t)(offset_ms < length_ms ? offset_ms : 0);
}

// The list must sum up to the time that is covered, or the row is not ours.
static int read_verdicts(sqlite3_stmt *select, struct rollup *rollup)
{
    uint64_t verdict = store_u64(select, COLUMN_VERDICT);
    if (verdict < VERDICT_SLOTS) {
        rollup->verdict_ms[verdict] = rollup->covered_ms;
        return 0;
    }
    char list[NUMBERS_TEXT_MAX];
    store_text(select, COLUMN_VERDICT_MS, list, sizeof list);
    size_t count = 0;
    int error = numbers_parse(text_of(list), rollup->verdict_ms, VERDICT_SLOTS, &count);
    if (error)
        return error;
    uint64_t sum_ms = 0;
    for (size_t i = 0; i < VERDICT_SLOTS; i++) {
        // Each of them first, so that the sum cannot overflow.
        if (rollup->verdict_ms[i] > rollup->covered_ms)
            return -EBADMSG;
        sum_ms += rollup->verdict_ms[i];
    }
    return count == VERDICT_SLOTS && sum_ms == rollup->covered_ms ? 0 : -EBADMSG;
}

// Not a number in one hour would make a summary of a year none.
static int read_fit(sqlite3_stmt *select, struct fit *fit)
{
    double values[6];
    for (int i = 0; i < 6; i++) {
        values[i] = sqlite3_column_double(select, COLUMN_FIT + i);
        if (!isfinite(values[i]))
            return -EBADMSG;
    }
    *fit = (struct fit){values[0], values[1], values[2], values[3], values[4], values[5]};
    // Sums of squares are never below 0; fit_slope() takes their root.
    return fit->count >= 0 && fit->xx >= 0 && fit->yy >= 0 ? 0 : -EBADMSG;
}

// Means become areas again: only these can be added up. The row keeps means to the byte, so that an
// area may differ by half a byte times its time.
static void read_figures(sqlite3_stmt *select, struct rollup *rollup, uint64_t length_ms)
{
    struct rollup_figure *rss = &rollup->rss, *effective = &rollup->effective;
    double covered_ms = (double)rollup->covered_ms;
    rss->first_bytes = read_unless(select, COLUMN_RSS_FIRST, 0);
    rss->last_bytes = read_unless(select, COLUMN_RSS_LAST, rss->first_bytes);
    rss->low_bytes = read_unless(select, COLUMN_RSS_LOW, rss->first_bytes);
    // Not stored, see rollup.h: nobody asks when RSS was low.
    rss->low_at_ms = rollup->start_ms;
    rss->high_bytes = read_unless(select, COLUMN_RSS_HIGH, rss->first_bytes);
    rss->high_at_ms = read_moment(select, COLUMN_RSS_HIGH_AT, rollup->start_ms, length_ms);
    rss->area = (double)read_unless(select, COLUMN_RSS_MEAN, rss->first_bytes) * covered_ms;
    effective->first_bytes = read_unless(select, COLUMN_EFFECTIVE_FIRST, 0);
    effective->last_bytes = read_unless(select, COLUMN_EFFECTIVE_LAST, effective->first_bytes);
    effective->low_bytes = read_unless(select, COLUMN_EFFECTIVE_LOW, effective->first_bytes);
    effective->low_at_ms =
        read_moment(select, COLUMN_EFFECTIVE_LOW_AT, rollup->start_ms, length_ms);
    effective->high_bytes = read_unless(select, COLUMN_EFFECTIVE_HIGH, effective->first_bytes);
    effective->high_at_ms =
        read_moment(select, COLUMN_EFFECTIVE_HIGH_AT, rollup->start_ms, length_ms);
    effective->area =
        (double)read_unless(select, COLUMN_EFFECTIVE_MEAN, effective->first_bytes) * covered_ms;
}

// A row that covers more than its length, or begins beside the grid, is refused.
int rollup_read(sqlite3_stmt *select, bool is_hour, struct rollup *ret_rollup)
{
    const uint64_t length_ms = is_hour ? ROLLUP_HOUR_MS : ROLLUP_MINUTE_MS;
    struct rollup rollup = {
        .start_ms = key_time(sqlite3_column_int64(select, COLUMN_ID)),
        // Rows without are never written.
        .has_figures = true,
        .samples = read_unless(select, COLUMN_SAMPLES, 0),
        .covered_ms = read_unless(select, COLUMN_COVERED, 0),
    };
    see_lazy(&rollup, store_u64(select, COLUMN_LAZY_HIGH));
    // Callers step from row to row by their length, and rely on it that none overlap.
    if (rollup.covered_ms > length_ms || rollup.start_ms % (int64_t)length_ms != 0)
        return -EBADMSG;
    read_figures(select, &rollup, length_ms);
    int error = read_verdicts(select, &rollup);
    if (!error && is_hour)
        error = read_fit(select, &rollup.fit);
    if (!error)
        *ret_rollup = rollup;
    return error;
}
