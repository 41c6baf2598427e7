// SPDX-License-Identifier: Apache-2.0
// A long range as few points: the extremes of each bucket, its last account, and those with most in
// use and most kept. Tool world; one thread.
//
// Where minutes have rows, these tell the extremes, and only the samples that are shown are read; a
// week at one second is 600,000 samples, and 10,000 minutes.
#include <errno.h>
#include <stdlib.h>

#include "base/number.h"
#include "history/rollup.h"
#include "history/series.h"

// A sample that shall be shown.
struct pick {
    int64_t at_ms;
    // What the minute says of it, for when its samples are dropped: then these are the point.
    bool has_minute, has_lazy;
    uint64_t rss_bytes, effective_bytes;
};

// The account with most of a row.
struct most {
    int64_t at_ms; // -1 nobody knows
    uint64_t bytes;
};

// A stretch of time that becomes up to five points.
struct bucket {
    bool has_high, has_low;
    struct pick high, low;    // the highest RSS, the lowest effective RSS
    int64_t account_ms;       // of the last account; -1 none
    struct most in_use, kept; // what is lazily freed shows as the lowest effective RSS
};

// What is being thinned; the buckets are freed by thin_read().
struct thin {
    struct series_builder *builder;
    int64_t first_ms, last_ms, step_ms;
    struct bucket *buckets;
    size_t bucket_count;
    bool is_exact;       // all that is shown was found among the samples themselves
    size_t sample_count; // that were looked at for it
};

// BUCKETS_MAX bounds what a large `max_points` may take of memory: 120 bytes each.
enum { POINTS_PER_BUCKET = 5, BUCKETS_MAX = 170000 };

// The first or last key of a table in the subject's range: -1 there is none. min() and max() of a
// key are one step down the tree.
static int range_end(const struct thin *thin, const char *table, bool is_last, int64_t *ret_at_ms)
{
    char sql[128];
    sqlite3_stmt *statement = NULL;
    struct history *history = thin->builder->history;
    sqlite3_snprintf((int)sizeof sql, sql, "SELECT %s(id) FROM %s WHERE id >= ? AND id <= ?",
                     is_last ? "max" : "min", table);
    int error = store_prepare(history, sql, &statement);
    if (error)
        return error;
    sqlite3_bind_int64(statement, 1, key_make(thin->builder->subject, thin->first_ms));
    sqlite3_bind_int64(statement, 2, key_make(thin->builder->subject, thin->last_ms));
    int stepped = store_step(history, statement);
    if (stepped == 1 && sqlite3_column_type(statement, 0) == SQLITE_INTEGER)
        *ret_at_ms = key_time(sqlite3_column_int64(statement, 0));
    else
        *ret_at_ms = -1;
    sqlite3_finalize(statement);
    return stepped < 0 ? stepped : 0;
}

// Are there more samples than may be shown? Counts no further than it must.
static int is_long(const struct thin *thin, size_t max_points, bool *ret_is_long)
{
    sqlite3_stmt *statement = NULL;
    struct history *history = thin->builder->history;
    int error = store_prepare(history,
                              "SELECT count(*) FROM (SELECT 1 FROM sample WHERE id >= ? AND "
                              "id <= ? LIMIT ?)",
                              &statement);
    if (error)
        return error;
    sqlite3_bind_int64(statement, 1, key_make(thin->builder->subject, thin->first_ms));
    sqlite3_bind_int64(statement, 2, key_make(thin->builder->subject, thin->last_ms));
    store_bind_u64(statement, 3, (uint64_t)max_points + 1);
    int stepped = store_step(history, statement);
    if (stepped == 1)
        *ret_is_long = (uint64_t)sqlite3_column_int64(statement, 0) > max_points;
    sqlite3_finalize(statement);
    return stepped < 0 ? stepped : 0;
}

// NULL for what lies outside: a minute may begin in the range and end behind it. A minute at the
// edge of the range may have its extreme outside of it: NULL.
static struct bucket *bucket_of(const struct thin *thin, int64_t at_ms)
{
    if (at_ms < thin->first_ms || at_ms > thin->last_ms)
        return NULL;
    return &thin->buckets[(at_ms - thin->first_ms) / thin->step_ms];
}

// Each extreme in the bucket of its own moment: they may be of different ones. Strictly: of equal
// extremes the earlier stays, and a flat stretch keeps its first point.
static void offer(const struct thin *thin, const struct pick *high, const struct pick *low)
{
    struct bucket *bucket = bucket_of(thin, high->at_ms);
    if (bucket && (!bucket->has_high || high->rss_bytes > bucket->high.rss_bytes)) {
        bucket->high = *high;
        bucket->has_high = true;
    }
    bucket = bucket_of(thin, low->at_ms);
    if (bucket && (!bucket->has_low || low->effective_bytes < bucket->low.effective_bytes)) {
        bucket->low = *low;
        bucket->has_low = true;
    }
}

// Beside its own figure, each extreme gets the mean of the other: should the sample be gone, they
// are near it.
static void offer_minute(const struct thin *thin, const struct rollup *minute)
{
    uint64_t rss_mean = (uint64_t)rollup_mean(minute, &minute->rss);
    uint64_t effective_mean = (uint64_t)rollup_mean(minute, &minute->effective);
    struct pick high = {minute->rss.high_at_ms, true, minute->has_lazy, minute->rss.high_bytes,
                        effective_mean};
    struct pick low = {minute->effective.low_at_ms, true, minute->has_lazy,
                       rss_mean > minute->effective.low_bytes ? rss_mean
                                                              : minute->effective.low_bytes,
                       minute->effective.low_bytes};
    offer(thin, &high, &low);
}

// Where the rows that were found begin and end.
struct span {
    int64_t first_ms, end_ms;
};

// Half a minute at either end is left for its samples. Only minutes that begin in the range: the
// one that it cuts is told by its samples.
static int offer_minutes(const struct thin *thin, struct span *span)
{
    struct history *history = thin->builder->history;
    const unsigned subject = thin->builder->subject;
    sqlite3_stmt *select = NULL;
    int error = store_prepare(history, rollup_select_minutes, &select);
    if (error)
        return error;
    sqlite3_bind_int64(select, 1, key_make(subject, thin->first_ms));
    sqlite3_bind_int64(select, 2, key_make(subject, thin->last_ms));
    int stepped;
    int64_t last_ms = -1;
    while ((stepped = store_step(history, select)) == 1) {
        struct rollup minute;
        stepped = rollup_read(select, false, &minute);
        // Rows of a whole tree ascend.
        if (!stepped && minute.start_ms <= last_ms)
            stepped = -EBADMSG;
        if (stepped)
            break;
        if (last_ms < 0)
            span->first_ms = minute.start_ms;
        last_ms = minute.start_ms;
        // Samples behind the last row are told one by one.
        span->end_ms = minute.start_ms + ROLLUP_MINUTE_MS;
        offer_minute(thin, &minute);
    }
    sqlite3_finalize(select);
    return stepped < 0 ? stepped : 0;
}

// Samples one by one: short buckets, and what has no minute yet.
static int offer_samples(struct thin *thin, int64_t from_ms, int64_t to_ms)
{
    struct history *history = thin->builder->history;
    sqlite3_stmt *select = NULL;
    int error = store_prepare(
        history, "SELECT id, rss, ifnull(lazy, 0) FROM sample WHERE id >= ? AND id < ? ORDER BY id",
        &select);
    if (error)
        return error;
    sqlite3_bind_int64(select, 1, key_make(thin->builder->subject, from_ms));
    sqlite3_bind_int64(select, 2, key_make(thin->builder->subject, to_ms));
    int stepped;
    int64_t last_key = -1;
    while ((stepped = store_step(history, select)) == 1) {
        int64_t key = sqlite3_column_int64(select, 0);
        uint64_t rss_bytes = store_u64(select, 1), lazy_bytes = store_u64(select, 2);
        // A sample always has its RSS: without one the row is not ours.
        if (key <= last_key || rss_bytes == SAMPLE_UNKNOWN) {
            stepped = -EBADMSG;
            break;
        }
        last_key = key;
        thin->sample_count++;
        struct pick pick = {key_time(key), false, false, rss_bytes,
                            lazy_bytes < rss_bytes ? rss_bytes - lazy_bytes : 0};
        offer(thin, &pick, &pick);
    }
    sqlite3_finalize(select);
    return stepped < 0 ? stepped : 0;
}

// What of the range no minute tells, counts by its samples: its two ends. Buckets of less than two
// minutes are told by samples altogether: a minute's two extremes would be too few.
static int fill_buckets(struct thin *thin, bool has_minutes_only)
{
    struct span span = {thin->first_ms, thin->first_ms};
    int error = 0;
    thin->is_exact = !has_minutes_only && thin->step_ms < 2 * ROLLUP_MINUTE_MS;
    if (!thin->is_exact)
        error = offer_minutes(thin, &span);
    if (!error)
        error = offer_samples(thin, thin->first_ms, span.first_ms);
    return error ? error : offer_samples(thin, span.end_ms, thin->last_ms + 1);
}

// Prepared once, and run for each point.
struct fetch {
    sqlite3_stmt *sample, *account;
    // Where most rows are near one that is shown: both tables from one end to the other.
    sqlite3_stmt *samples, *accounts;
    int sample_row, account_row; // 1: it stands at one
};

// A minute whose samples are gone, as a point of its own.
static int add_minute(struct series_builder *builder, const struct pick *pick)
{
    int64_t key = key_make(builder->subject, pick->at_ms);
    size_t index = 0;
    // The high and the low of a minute may be one moment.
    if (key <= builder->last_key)
        return 0;
    int error = series_add_point(builder, pick->at_ms, &index);
    if (error)
        return error;
    builder->last_key = key;
    builder->series.columns[SERIES_RSS][index] = pick->rss_bytes;
    builder->series.columns[SERIES_EFFECTIVE][index] = pick->effective_bytes;
    // Made of a peak of one and the mean of the other: where they do not fit, lazy is unknown.
    if (pick->has_lazy && pick->rss_bytes >= pick->effective_bytes)
        builder->series.columns[SERIES_LAZY][index] = pick->rss_bytes - pick->effective_bytes;
    return 0;
}

// Steps to the row of that key. 1 it is there, 0 it is not, -errno.
static int go_to(struct history *history, sqlite3_stmt *rows, int *at_row, int64_t key)
{
    while (*at_row == 1 && sqlite3_column_int64(rows, 0) < key)
        *at_row = store_step(history, rows);
    if (*at_row < 0)
        return *at_row;
    return *at_row == 1 && sqlite3_column_int64(rows, 0) == key;
}

// The sample of exactly that moment, with its account: 1; 0 where there is none.
static int add_exactly(struct series_builder *builder, struct fetch *fetch, int64_t key)
{
    struct history *history = builder->history;
    if (!fetch->samples)
        return 0;
    // Two picks of one sample are one point.
    if (key <= builder->last_key)
        return 1;
    int found = go_to(history, fetch->samples, &fetch->sample_row, key);
    if (found < 1)
        return found;
    int error = series_read_sample(builder, fetch->samples);
    found = error ? error : go_to(history, fetch->accounts, &fetch->account_row, key);
    if (found == 1)
        error = series_read_account(builder, fetch->accounts, builder->series.count - 1);
    else
        error = found;
    return error ? error : 1;
}

// The sample that stood at that moment, with its account; none twice. A pick from a minute's row
// may lie where nothing was stored, as its figures had stood since an earlier sample. That one is
// at most two minutes old, since each minute has one.
static int add_pick(struct series_builder *builder, struct fetch *fetch, const struct pick *pick)
{
    struct history *history = builder->history;
    int exact = add_exactly(builder, fetch, key_make(builder->subject, pick->at_ms));
    if (exact != 0)
        return exact < 0 ? exact : 0;
    sqlite3_bind_int64(fetch->sample, 1, key_make(builder->subject, pick->at_ms));
    sqlite3_bind_int64(fetch->sample, 2,
                       key_make(builder->subject, pick->at_ms > 2 * ROLLUP_MINUTE_MS
                                                      ? pick->at_ms - 2 * ROLLUP_MINUTE_MS
                                                      : 0));
    int stepped = store_step(history, fetch->sample);
    if (stepped <= 0)
        return stepped < 0 || !pick->has_minute ? stepped : add_minute(builder, pick);
    int64_t key = sqlite3_column_int64(fetch->sample, 0);
    // Picks are sorted by their moments, but two of them may lead to one sample.
    int error = key > builder->last_key ? series_read_sample(builder, fetch->sample) : -EALREADY;
    sqlite3_reset(fetch->sample);
    if (error)
        return error == -EALREADY ? 0 : error;
    sqlite3_bind_int64(fetch->account, 1, key);
    stepped = store_step(history, fetch->account);
    if (stepped == 1) {
        stepped = series_read_account(builder, fetch->account, builder->series.count - 1);
        sqlite3_reset(fetch->account);
    }
    return stepped < 0 ? stepped : 0;
}

// The first of those with most of it stays.
static void mark_most(struct most *most, int64_t at_ms, uint64_t bytes)
{
    if (bytes != SAMPLE_UNKNOWN && (most->at_ms < 0 || bytes > most->bytes))
        *most = (struct most){at_ms, bytes};
}

// Of each bucket accounts are shown, so that the chart of the rows has a point in each, whatever
// the extremes are. In one pass: a question for each would take longer than all of it.
static int mark_accounts(const struct thin *thin)
{
    sqlite3_stmt *select = NULL;
    struct history *history = thin->builder->history;
    for (size_t i = 0; i < thin->bucket_count; i++)
        thin->buckets[i].account_ms = thin->buckets[i].in_use.at_ms = thin->buckets[i].kept.at_ms =
            -1;
    int error = store_prepare(
        history, "SELECT id, in_use, kept FROM account WHERE id >= ? AND id <= ? ORDER BY id",
        &select);
    if (error)
        return error;
    sqlite3_bind_int64(select, 1, key_make(thin->builder->subject, thin->first_ms));
    sqlite3_bind_int64(select, 2, key_make(thin->builder->subject, thin->last_ms));
    int stepped;
    while ((stepped = store_step(history, select)) == 1) {
        int64_t at_ms = key_time(sqlite3_column_int64(select, 0));
        struct bucket *bucket = bucket_of(thin, at_ms);
        if (!bucket)
            continue;
        // What a heap held or kept for a moment may show in nothing else: an RSS that is high
        // anyway does not move.
        bucket->account_ms = at_ms;
        mark_most(&bucket->in_use, at_ms, store_u64(select, 1));
        mark_most(&bucket->kept, at_ms, store_u64(select, 2));
    }
    sqlite3_finalize(select);
    return stepped;
}

// By time, as a series must be.
static int compare_picks(const void *left, const void *right)
{
    const struct pick *a = left, *b = right;
    return (a->at_ms > b->at_ms) - (a->at_ms < b->at_ms);
}

// In the order of time; those that are one sample become one point.
static int add_bucket(const struct thin *thin, struct fetch *fetch, size_t index)
{
    const struct bucket *bucket = &thin->buckets[index];
    // High and low may be one sample: add_pick() adds it once.
    struct pick picks[POINTS_PER_BUCKET];
    size_t count = 0;
    if (bucket->has_high)
        picks[count++] = bucket->high;
    if (bucket->has_low)
        picks[count++] = bucket->low;
    if (bucket->account_ms >= 0)
        picks[count++] = (struct pick){.at_ms = bucket->account_ms};
    if (bucket->in_use.at_ms >= 0)
        picks[count++] = (struct pick){.at_ms = bucket->in_use.at_ms};
    if (bucket->kept.at_ms >= 0)
        picks[count++] = (struct pick){.at_ms = bucket->kept.at_ms};
    qsort(picks, count, sizeof picks[0], compare_picks);
    int error = 0;
    for (size_t i = 0; i < count && !error; i++)
        error = add_pick(thin->builder, fetch, &picks[i]);
    return error;
}

// Two questions for each point are quick where there are few, and a walk over all where most rows
// are near one of them.
static int open_fetch(const struct thin *thin, struct fetch *ret_fetch)
{
    enum { FEW = 32 };
    struct history *history = thin->builder->history;
    int error = store_prepare(history,
                              "SELECT " SERIES_SAMPLE_COLUMNS
                              " FROM sample WHERE id <= ? AND id >= ? ORDER BY id DESC LIMIT 1",
                              &ret_fetch->sample);
    if (!error)
        error =
            store_prepare(history, "SELECT " SERIES_ACCOUNT_COLUMNS " FROM account WHERE id = ?",
                          &ret_fetch->account);
    bool is_dense = thin->is_exact && thin->sample_count / FEW < thin->bucket_count;
    if (error || !is_dense)
        return error;
    error = store_prepare(history,
                          "SELECT " SERIES_SAMPLE_COLUMNS
                          " FROM sample WHERE id >= ? AND id <= ? ORDER BY id",
                          &ret_fetch->samples);
    if (!error)
        error = store_prepare(history,
                              "SELECT " SERIES_ACCOUNT_COLUMNS
                              " FROM account WHERE id >= ? AND id <= ? ORDER BY id",
                              &ret_fetch->accounts);
    if (error)
        return error;
    sqlite3_stmt *const both[] = {ret_fetch->samples, ret_fetch->accounts};
    for (int i = 0; i < 2; i++) {
        sqlite3_bind_int64(both[i], 1, key_make(thin->builder->subject, thin->first_ms));
        sqlite3_bind_int64(both[i], 2, key_make(thin->builder->subject, thin->last_ms));
    }
    ret_fetch->sample_row = store_step(history, ret_fetch->samples);
    ret_fetch->account_row = store_step(history, ret_fetch->accounts);
    return 0;
}

// The second pass: which samples are shown is known, and only these are read in full.
static int add_buckets(const struct thin *thin)
{
    struct fetch fetch = {0};
    int error = mark_accounts(thin);
    if (!error)
        error = open_fetch(thin, &fetch);
    for (size_t i = 0; i < thin->bucket_count && !error; i++)
        error = add_bucket(thin, &fetch, i);
    sqlite3_finalize(fetch.sample);
    sqlite3_finalize(fetch.account);
    sqlite3_finalize(fetch.samples);
    sqlite3_finalize(fetch.accounts);
    return error;
}

// Cuts the range to where there is something. False: there is nothing.
static int fit_range(struct thin *thin, bool *ret_has_minutes_only)
{
    int64_t first_minute = -1, last_minute = -1, first_sample = -1, last_sample = -1;
    int error = range_end(thin, "minute", false, &first_minute);
    if (!error)
        error = range_end(thin, "minute", true, &last_minute);
    if (!error)
        error = range_end(thin, "sample", false, &first_sample);
    if (!error)
        error = range_end(thin, "sample", true, &last_sample);
    if (error)
        return error;
    // Minutes that begin well before the first sample are those of dropped ones.
    *ret_has_minutes_only =
        first_minute >= 0 && (first_sample < 0 || first_minute + ROLLUP_MINUTE_MS < first_sample);
    int64_t first_ms = first_sample, last_ms = last_sample;
    if (*ret_has_minutes_only)
        first_ms = first_minute;
    // The last minute's samples may be dropped, too: it counts to its end.
    if (last_minute >= 0 && last_ms < last_minute)
        last_ms = last_minute + ROLLUP_MINUTE_MS - 1;
    if (first_ms > thin->first_ms)
        thin->first_ms = first_ms;
    if (last_ms >= 0 && last_ms < thin->last_ms)
        thin->last_ms = last_ms;
    return 0;
}

// Room for five points in each bucket: that many buckets and no more.
int thin_read(struct series_builder *builder, int64_t first_ms, int64_t last_ms, size_t max_points,
              bool *ret_is_thin)
{
    struct thin thin = {.builder = builder, .first_ms = first_ms, .last_ms = last_ms};
    bool has_minutes_only = false, is_wanted = false;
    int error = fit_range(&thin, &has_minutes_only);
    if (!error)
        error = is_long(&thin, max_points, &is_wanted);
    *ret_is_thin = is_wanted || has_minutes_only;
    if (error || !*ret_is_thin || thin.last_ms < thin.first_ms)
        return error;
    uint64_t length_ms = (uint64_t)(thin.last_ms - thin.first_ms) + 1;
    // One bucket at least, and none shorter than a millisecond.
    uint64_t wanted = max_points / POINTS_PER_BUCKET ? max_points / POINTS_PER_BUCKET : 1;
    wanted = number_least(number_least(wanted, BUCKETS_MAX), length_ms);
    thin.step_ms = (int64_t)((length_ms + wanted - 1) / wanted);
    thin.bucket_count = (length_ms + (uint64_t)thin.step_ms - 1) / (uint64_t)thin.step_ms;
    thin.buckets = calloc(thin.bucket_count, sizeof *thin.buckets);
    if (!thin.buckets)
        return -ENOMEM;
    // On failure the caller frees the series: a half of it is nothing to show.
    error = fill_buckets(&thin, has_minutes_only);
    if (!error)
        error = add_buckets(&thin);
    free(thin.buckets);
    builder->series.step_ms = (uint64_t)thin.step_ms;
    return error;
}
