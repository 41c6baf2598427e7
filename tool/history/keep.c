// SPDX-License-Identifier: Apache-2.0
// Retention in small steps, see keep.h. Tool world; one thread.
#include "history/keep.h"

#include <errno.h>

#include "history/rollup.h"
#include "history/write.h"

enum {
    SUBJECTS_PER_STEP = 8,
    // With so many living subjects, one more is looked at in each step: each has its turn often
    // enough to lose what it gains.
    LIVING_PER_SUBJECT = 25,
    IDS_PER_STEP = 512, // most of which have nothing to lose
};

// What one step takes of one subject at most: far more than a subject gains between two.
static const int64_t step_ms = 600000;
static const int64_t minutes_kept_ms = INT64_C(62) * 86400000;

// Deletes rows of `table` from the subject's oldest one on, up to `until_ms` (exclusive). The whole
// subject goes at once where `is_all`: it has ended, so its rows are few.
static int drop_rows(struct history *history, const char *table, unsigned subject, int64_t until_ms,
                     bool is_all)
{
    char sql[256];
    // The text is made of our own names and numbers alone, never of what a file says.
    const int64_t first = key_make(subject, 0), end = key_make(subject, until_ms);
    // A step begins at the oldest row, however old that is.
    sqlite3_snprintf((int)sizeof sql, sql,
                     "DELETE FROM %s WHERE id >= %lld AND id < %lld AND id < ifnull((SELECT "
                     "min(id) FROM %s WHERE id >= %lld), 0) + %lld",
                     table, first, end, table, first, is_all ? key_time_max : step_ms);
    return store_exec(history, sql);
}

// Of one that lives: what is fine goes first, what is coarse later. Four deletes, each bounded by
// step_ms of rows, so that a flush takes about as long with retention as without.
static int drop_old(struct history *history, unsigned subject, int64_t until_ms,
                    int64_t minutes_until_ms)
{
    int error = drop_rows(history, "sample", subject, until_ms, false);
    if (!error)
        error = drop_rows(history, "account", subject, until_ms, false);
    if (!error)
        error = drop_rows(history, "event", subject, until_ms, false);
    // Not above 0 until the recording is 62 days old.
    if (!error && minutes_until_ms > 0)
        error = drop_rows(history, "minute", subject, minutes_until_ms, false);
    // A recording in memory must not grow with the days, however slowly.
    if (!error && !history->path)
        error = drop_rows(history, "hour", subject, until_ms, false);
    if (!error && !history->path)
        error = drop_rows(history, "peak", subject, until_ms, false);
    return error;
}

// Of one that has ended all goes at once, and its row last: else its rows would be nobody's. Its
// own row goes last: after a failure in between it is found, and dropped, again.
static int drop_subject(struct history *history, unsigned subject)
{
    static const char *const tables[] = {"sample", "account", "event", "minute", "hour", "peak"};
    int error = 0;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0] && !error; i++)
        error = drop_rows(history, tables[i], subject, key_time_max, true);
    char sql[64];
    sqlite3_snprintf((int)sizeof sql, sql, "DELETE FROM subject WHERE id = %u", subject);
    return error ? error : store_exec(history, sql);
}

// The host's events are those of subject 0. The host's events have subject 0, which next_subject()
// never gives.
static int drop_host(struct history *history, int64_t until_ms)
{
    char sql[160];
    sqlite3_snprintf((int)sizeof sql, sql,
                     "DELETE FROM host WHERE at_ms < %lld AND at_ms < (SELECT min(at_ms) FROM "
                     "host) + %lld",
                     until_ms, step_ms);
    int error = store_exec(history, sql);
    return error ? error : drop_rows(history, "event", 0, until_ms, false);
}

// Those that live gain with each round, and each has its turn within so many flushes that it loses
// more than that. They are in memory: whoever ended long ago does not stand in their way.
static int drop_of_living(struct history *history, struct keep *keep, int64_t until_ms,
                          int64_t minutes_until_ms)
{
    const struct writer *writer = history->writer;
    size_t turns = SUBJECTS_PER_STEP + writer->follow_count / LIVING_PER_SUBJECT;
    int error = 0;
    for (size_t i = 0; i < turns && i < writer->follow_count && !error; i++) {
        // By index: who comes and goes meanwhile moves it by a place or two.
        if (keep->living >= writer->follow_count)
            keep->living = 0;
        error = drop_old(history, writer->follows[keep->living++].id, until_ms, minutes_until_ms);
    }
    return error;
}

// Those that have ended and are older than what is kept, in a stretch of ids: as many go as came
// since the last step, and some more.
static int drop_of_ended(struct history *history, struct keep *keep, int64_t until_ms,
                         int64_t minutes_until_ms)
{
    const unsigned known = history->writer->known_max;
    unsigned came = known > keep->known ? known - keep->known : 0;
    sqlite3_stmt *select = NULL;
    int error = store_prepare(history,
                              "SELECT id, last_at_ms FROM subject WHERE id > ? AND id <= ? AND "
                              "last_at_ms IS NOT NULL AND first_at_ms < ? ORDER BY id LIMIT ?",
                              &select);
    if (error)
        return error;
    unsigned last = keep->ended + IDS_PER_STEP + 2 * came;
    unsigned turns = SUBJECTS_PER_STEP + 2 * came, taken = 0;
    sqlite3_bind_int64(select, 1, keep->ended);
    sqlite3_bind_int64(select, 2, last);
    sqlite3_bind_int64(select, 3, until_ms);
    sqlite3_bind_int64(select, 4, turns);
    keep->known = known;
    int stepped;
    while ((stepped = store_step(history, select)) == 1) {
        unsigned id = (unsigned)sqlite3_column_int64(select, 0);
        bool is_over = sqlite3_column_int64(select, 1) < until_ms;
        stepped =
            is_over ? drop_subject(history, id) : drop_old(history, id, until_ms, minutes_until_ms);
        keep->ended = id;
        taken++;
        if (stepped < 0)
            break;
    }
    sqlite3_finalize(select);
    // All of the stretch has been looked at; behind the last id it begins anew.
    if (taken < turns)
        keep->ended = last < known ? last : 0;
    return stepped;
}

// Round and round: with each flush a few subjects, so that no flush takes long.
int keep_step(struct history *history, struct keep *keep, int64_t now_ms)
{
    // Moments count from the start: nothing can be older than the recording is.
    if (keep->keep_ms == 0 || keep->keep_ms >= (uint64_t)now_ms)
        return 0;
    int64_t until_ms = now_ms - (int64_t)keep->keep_ms;
    int64_t minutes_until_ms = now_ms - minutes_kept_ms;
    // Whoever keeps samples for longer than 62 days keeps their minutes as long.
    if (minutes_until_ms > until_ms || !history->path)
        minutes_until_ms = until_ms;
    int error = drop_host(history, until_ms);
    if (!error)
        error = drop_of_living(history, keep, until_ms, minutes_until_ms);
    return error ? error : drop_of_ended(history, keep, until_ms, minutes_until_ms);
}
