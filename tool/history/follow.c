// SPDX-License-Identifier: Apache-2.0
// Living subjects: which of their samples are stored, and their minutes and hours. Tool world; one
// thread.
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "history/write.h"
#include "sample/digest.h"

enum {
    STORE_EVERY_MS = 60000,    // whatever happens
    STORE_COUNTERS_MS = 10000, // where nothing but counters go on
    IDENTITY_EVERY_MS = 60000,
    PATIENCE_INTERVALS = 5,  // a sample stands so long without a next one,
    PATIENCE_MIN_MS = 15000, // but at least so long
    START_MS = 1000          // how exactly the start of a process is known
};
// What accounts may take of a file: 5 KB a minute and process, and some at the start. Those of a
// process that never stands still would else be most of it, each much like the one before.
static const double account_bytes_per_ms = 0.08, account_bytes_saved = 2048;
// How far the kernel's two ways of counting RSS may be apart: a part, and batches of processors.
static const uint64_t peak_slack_bytes = 256 << 10, peak_slack_part = 64;

// The first whose id is not below `id`. A binary search over what lives: it is asked for each
// sample of a round.
static size_t follow_place(const struct writer *writer, unsigned id)
{
    size_t low = 0, high = writer->follow_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (writer->follows[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// By halves, each sample of each round.
struct follow *follow_find(struct writer *writer, unsigned id)
{
    size_t place = follow_place(writer, id);
    bool is_there = place < writer->follow_count && writer->follows[place].id == id;
    return is_there ? &writer->follows[place] : NULL;
}

// Longer than a host under load keeps us waiting, far shorter than a night in suspension.
int64_t follow_patience_ms(uint64_t interval_ms)
{
    uint64_t patience_ms;
    if (__builtin_mul_overflow(interval_ms, PATIENCE_INTERVALS, &patience_ms) ||
        patience_ms > (uint64_t)key_time_max)
        return key_time_max;
    return patience_ms < PATIENCE_MIN_MS ? PATIENCE_MIN_MS : (int64_t)patience_ms;
}

// FNV-1a over what may change in a subject's row. The end of a text counts too, or "ab" and "c"
// would be "a" and "bc".
static uint64_t hash_identity(const struct subject *subject)
{
    const char *const texts[] = {subject->name, subject->exe, subject->cmdline, subject->cgroup};
    uint64_t hash = 0xcbf29ce484222325U ^ (uint64_t)subject->start_ms;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        for (const char *at = texts[i]; *at; at++)
            hash = (hash ^ (unsigned char)*at) * 0x100000001b3U;
        hash *= 0x100000001b3U;
    }
    return hash;
}

// First seen stays as it was written first. An insert that meets its row updates the rest: names
// and command lines change by exec.
static int write_subject(struct history *history, const struct subject *subject)
{
    sqlite3_stmt *insert = history->writer->statements[WRITE_SUBJECT];
    sqlite3_bind_int64(insert, 1, subject->id);
    sqlite3_bind_int64(insert, 2, subject->pid);
    sqlite3_bind_int64(insert, 3, subject->uid);
    store_bind_u64(insert, 4, subject->start_ticks);
    sqlite3_bind_int64(insert, 5, subject->start_ms);
    sqlite3_bind_int64(insert, 6, history->writer->last_ms);
    store_bind_text(insert, 7, subject->name);
    store_bind_text(insert, 8, subject->exe);
    store_bind_text(insert, 9, subject->cmdline);
    store_bind_text(insert, 10, subject->cgroup);
    return store_run(history, insert);
}

// The row is written first: a subject without one could not be read back.
static int follow_add(struct history *history, const struct subject *subject)
{
    struct writer *writer = history->writer;
    int error = array_reserve_one(&writer->follows, &writer->follow_capacity, writer->follow_count,
                                  sizeof *writer->follows);
    if (!error)
        error = write_subject(history, subject);
    if (error)
        return error;
    // Usually the end, as ids ascend: then nothing moves.
    size_t place = follow_place(writer, subject->id);
    struct follow *follow = &writer->follows[place];
    memmove(follow + 1, follow, (writer->follow_count - place) * sizeof *follow);
    int64_t began_ms = clock_time(&history->clock, writer->first_ms);
    *follow = (struct follow){
        .id = subject->id,
        .account_bytes = account_bytes_saved,
        .account_bytes_ms = writer->last_ms,
        .is_ours = subject->start_ms >= began_ms - START_MS - (int64_t)writer->interval_ms,
        .identity = hash_identity(subject),
        .identity_ms = writer->last_ms,
    };
    writer->follow_count++;
    return 0;
}

// Names and groups change; ids ascend, so that what is new is at the end.
int follow_begin(struct history *history, const struct subject *subjects, size_t count)
{
    struct writer *writer = history->writer;
    int error = 0;
    for (size_t i = 0; i < count && !error; i++) {
        const struct subject *subject = &subjects[i];
        if (subject->id > writer->known_max) {
            error = follow_add(history, subject);
            writer->known_max = subject->id;
            continue;
        }
        // One that ended may be listed for some more rounds; it is followed until follow_end() lets
        // it go.
        struct follow *follow = subject->has_ended ? NULL : follow_find(writer, subject->id);
        // Hashing four texts of thousands of processes in every round would be most of a round's
        // work.
        if (!follow || writer->last_ms - follow->identity_ms < IDENTITY_EVERY_MS)
            continue;
        follow->identity_ms = writer->last_ms;
        uint64_t identity = hash_identity(subject);
        if (identity != follow->identity)
            error = write_subject(history, subject);
        follow->identity = identity;
    }
    return error;
}

// Writes a minute that is over and adds it to its hour; the hour too where it is over with it.
static int close_minute(struct history *history, struct follow *follow, bool is_hour_over)
{
    sqlite3_stmt *const *statements = history->writer->statements;
    int error = rollup_write(history, statements[WRITE_MINUTE], follow->id, &follow->minute, false);
    // The hour is kept up in memory and written once. After a kill the last one is missing: readers
    // go to its minutes then.
    rollup_join(&follow->hour, &follow->minute);
    rollup_fit_minute(&follow->hour, &follow->minute);
    if (!error && is_hour_over)
        error = rollup_write(history, statements[WRITE_HOUR], follow->id, &follow->hour, true);
    return error;
}

// Moments are never negative, so a remainder is enough.
static int64_t floor_to(int64_t at_ms, int64_t unit_ms)
{
    return at_ms - at_ms % unit_ms;
}

// Goes over to the minute that `at_ms` is in. Minutes in which nothing stood have no figures, and
// so write no row.
static int turn_to(struct history *history, struct follow *follow, int64_t at_ms)
{
    int64_t minute_ms = floor_to(at_ms, ROLLUP_MINUTE_MS);
    int64_t hour_ms = floor_to(at_ms, ROLLUP_HOUR_MS);
    if (minute_ms == follow->minute.start_ms)
        return 0;
    bool is_hour_over = hour_ms != follow->hour.start_ms;
    int error = close_minute(history, follow, is_hour_over);
    follow->minute = (struct rollup){.start_ms = minute_ms};
    if (is_hour_over)
        follow->hour = (struct rollup){.start_ms = hour_ms};
    return error;
}

// Where the kernel does not tell what is lazily freed, that stays unknown, and effective RSS is
// RSS, as the sampler has it.
static struct rollup_values values_of(const struct follow *follow)
{
    return (struct rollup_values){
        .rss_bytes = follow->last.rss_bytes,
        .lazy_bytes = follow->last.lazy_bytes,
        .effective_bytes = follow->last.effective_bytes,
        .verdict = follow->verdict,
    };
}

// Is there a time without readings between its last sample and now? The round's event tells; where
// it does not, so much time is no accident.
static bool is_gap(const struct writer *writer, const struct follow *follow, int64_t at_ms)
{
    int64_t away_ms = at_ms - follow->last_ms;
    return away_ms > follow_patience_ms(writer->interval_ms) ||
           (writer->is_behind_gap && away_ms > (int64_t)writer->interval_ms);
}

// The last sample stands until `at_ms`, through as many minutes as that takes, unless too much time
// has passed for that to be likely. The gap itself is covered by nothing: means are over the time
// that is known.
static int stand_until(struct history *history, struct follow *follow, int64_t at_ms)
{
    const struct rollup_values values = values_of(follow);
    if (is_gap(history->writer, follow, at_ms))
        at_ms = follow->last_ms + (int64_t)history->writer->interval_ms;
    int error = 0;
    // At most patience_ms / 1 min turns: time that the gap has cut off is not walked.
    for (int64_t from_ms = follow->last_ms; from_ms < at_ms && !error;) {
        int64_t next_ms = follow->minute.start_ms + ROLLUP_MINUTE_MS;
        int64_t to_ms = at_ms < next_ms ? at_ms : next_ms;
        rollup_stand(&follow->minute, from_ms, to_ms, &values);
        if (to_ms == next_ms)
            error = turn_to(history, follow, next_ms);
        from_ms = to_ms;
    }
    return error;
}

// Its last sample is the last that is known of it; the end itself lies a little later.
static int write_end(struct history *history, const struct follow *follow)
{
    sqlite3_stmt *update = history->writer->statements[WRITE_ENDED];
    int64_t last_ms = follow->has_sample ? follow->last_ms : history->writer->last_ms;
    sqlite3_bind_int64(update, 1, last_ms);
    sqlite3_bind_int64(update, 2, follow->id);
    return store_run(history, update);
}

// The verdict stands from now on, for the time under each.
static int write_account(struct history *history, struct follow *follow,
                         const struct digest *digest, int64_t key)
{
    struct writer *writer = history->writer;
    const struct account_statements statements = {writer->statements[WRITE_ACCOUNT],
                                                  writer->statements[WRITE_LEDGER]};
    follow->verdict = (unsigned)digest->verdict;
    writer->account_count++;
    follow->account_bytes -= (double)account_size_bytes(digest);
    return account_write(history, &statements, &writer->ledgers, &follow->account, key, digest);
}

void follow_drop(struct follow *follow)
{
    if (follow->pending)
        digest_free(follow->pending);
    free(follow->pending);
    follow->pending = NULL;
}

// The last account of all is stored, whatever the budget said when it came.
static int write_pending(struct history *history, struct follow *follow)
{
    if (!follow->pending)
        return 0;
    char sql[96];
    sqlite3_snprintf((int)sizeof sql, sql, "UPDATE sample SET kind = %d WHERE id = %lld",
                     (int)SAMPLE_ACCOUNT, follow->pending_key);
    int error = store_exec(history, sql);
    if (!error)
        error = write_account(history, follow, follow->pending, follow->pending_key);
    follow_drop(follow);
    return error;
}

// A minute that is not over is written as far as it came.
int follow_finish(struct history *history, struct follow *follow)
{
    int error = follow->has_ended ? write_end(history, follow) : 0;
    if (error || !follow->has_sample)
        return error;
    error = write_pending(history, follow);
    if (error)
        return error;
    if (!follow->has_ended)
        error = stand_until(history, follow, history->writer->last_ms);
    return error ? error : close_minute(history, follow, true);
}

// Its place goes even where the writing failed: the recording is over then. It is let go even when
// that fails: the writer takes no more rounds then.
static int follow_remove(struct history *history, struct follow *follow)
{
    struct writer *writer = history->writer;
    int error = follow_finish(history, follow);
    follow_drop(follow);
    // By index and memmove: the array stays sorted, and nothing points into it between two calls.
    size_t place = (size_t)(follow - writer->follows);
    memmove(follow, follow + 1, (writer->follow_count - place - 1) * sizeof *follow);
    writer->follow_count--;
    return error;
}

// One that still has samples is being imported, or died just after it was read. A subject that
// ended in this round still had its last sample in it: that one counts, and it goes with the next
// round.
int follow_end(struct history *history, const struct subject *subjects, size_t count)
{
    struct writer *writer = history->writer;
    int error = 0;
    for (size_t i = 0; i < count && !error; i++) {
        if (!subjects[i].has_ended)
            continue;
        struct follow *follow = follow_find(writer, subjects[i].id);
        if (!follow)
            continue;
        follow->has_ended = true;
        if (follow->round != writer->round)
            error = follow_remove(history, follow);
    }
    return error;
}

// Is there anything in it that the stored one does not say? A quiet process costs one row a minute;
// one that only uses CPU, six.
static bool is_worth_storing(const struct follow *follow, const struct sample *sample,
                             int64_t at_ms)
{
    const struct sample *stored = &follow->stored;
    // By the recording's moments, like all times here.
    int64_t age_ms = at_ms - follow->stored_ms;
    // An account needs its sample beside it. And each minute has one, so that nobody who reads
    // samples has to look further back than a minute.
    if (!follow->has_sample || sample->digest || age_ms >= STORE_EVERY_MS ||
        floor_to(at_ms, ROLLUP_MINUTE_MS) != floor_to(follow->stored_ms, ROLLUP_MINUTE_MS))
        return true;
    if (sample->rss_bytes != stored->rss_bytes || sample->lazy_bytes != stored->lazy_bytes ||
        sample->anon_bytes != stored->anon_bytes || sample->swap_bytes != stored->swap_bytes ||
        sample->virtual_bytes != stored->virtual_bytes || sample->threads != stored->threads)
        return true;
    // Counters always go on; they are drawn as rates, for which ten seconds are fine enough.
    bool is_counting = sample->minor_faults != stored->minor_faults ||
                       sample->major_faults != stored->major_faults ||
                       sample->cpu_ms != stored->cpu_ms;
    return is_counting && age_ms >= STORE_COUNTERS_MS;
}

// In the order of the table's columns. Effective RSS is not among the columns: it is RSS - lazy.
static int write_sample(struct history *history, const struct sample *sample, int64_t key)
{
    sqlite3_stmt *insert = history->writer->statements[WRITE_SAMPLE];
    const uint64_t values[] = {sample->rss_bytes,     sample->lazy_bytes, sample->anon_bytes,
                               sample->virtual_bytes, sample->swap_bytes, sample->minor_faults,
                               sample->major_faults,  sample->cpu_ms,     sample->threads};
    sqlite3_bind_int64(insert, 1, key);
    sqlite3_bind_int(insert, 2, (int)sample->kind);
    for (int i = 0; i < (int)(sizeof values / sizeof values[0]); i++)
        store_bind_u64(insert, 3 + i, values[i]);
    history->writer->sample_count++;
    return store_run(history, insert);
}

// What came and went between two readings the kernel remembers. Its counts and those of the samples
// differ by some pages: what is less than that is no peak.
static bool is_above(uint64_t peak_bytes, uint64_t seen_bytes)
{
    return peak_bytes >= seen_bytes + peak_slack_bytes + seen_bytes / peak_slack_part;
}

// The peak before this sample that no reading saw; 0: none.
static uint64_t find_peak(struct follow *follow, const struct sample *sample)
{
    uint64_t peak = sample->peak_rss_bytes, seen = sample->rss_bytes;
    if (peak <= follow->peak_bytes)
        return 0;
    if (follow->has_sample && follow->last.rss_bytes > seen)
        seen = follow->last.rss_bytes;
    // What it was before anybody looked.
    bool is_old = !follow->has_sample && !follow->is_ours;
    bool is_missed = !is_old && is_above(peak, seen);
    // One that is hardly above the last one does not take its place: many such steps are a peak.
    if (is_missed && !is_above(peak, follow->peak_bytes))
        return 0;
    follow->peak_bytes = peak;
    return is_missed ? peak : 0;
}

static int write_peak(struct history *history, uint64_t peak_bytes, int64_t key)
{
    sqlite3_stmt *insert = history->writer->statements[WRITE_PEAK];
    sqlite3_bind_int64(insert, 1, key);
    store_bind_u64(insert, 2, peak_bytes);
    return store_run(history, insert);
}

// Is there room for it in what its accounts may take? A new verdict may overdraw that once. A
// recording in memory lasts for a page, which shows all that there is.
static bool account_is_due(const struct history *history, struct follow *follow,
                           const struct digest *digest, int64_t at_ms)
{
    double income = (double)(at_ms - follow->account_bytes_ms) * account_bytes_per_ms;
    follow->account_bytes = fmin(follow->account_bytes + income, account_bytes_saved);
    follow->account_bytes_ms = at_ms;
    if (!history->path)
        return true;
    bool is_news = digest->verdict != follow->verdict;
    return follow->account_bytes > (is_news ? -account_bytes_saved : 0);
}

// Kept until a later one is stored: it may turn out to be the last.
static int keep_pending(struct follow *follow, const struct digest *digest, int64_t key)
{
    follow_drop(follow);
    struct digest *copy = malloc(sizeof *copy);
    if (!copy || digest_copy(digest, copy) != 0) {
        free(copy);
        return -ENOMEM;
    }
    follow->pending = copy;
    follow->pending_key = key;
    return 0;
}

// The last sample before a gap is stored whatever it says: it tells where the gap begins.
static int mark_gap(struct history *history, const struct follow *follow, int64_t at_ms)
{
    if (!is_gap(history->writer, follow, at_ms) || follow->last_ms == follow->stored_ms)
        return 0;
    return write_sample(history, &follow->last, key_make(follow->id, follow->last_ms));
}

// First what stood until now, then what is new: minutes close in between.
int follow_sample(struct history *history, struct follow *follow, const struct sample *sample,
                  int64_t at_ms)
{
    // Two samples of one moment cannot be told apart: the second comes a millisecond later.
    if (follow->has_sample && at_ms <= follow->last_ms)
        at_ms = follow->last_ms + 1;
    // Behind the last moment that a key can tell lies the next subject.
    if (at_ms > key_time_max)
        return 0;
    // The first behind a gap is stored whatever it says, as the last before it: they are its ends.
    bool is_behind_gap = follow->has_sample && is_gap(history->writer, follow, at_ms);
    // A peak stands beside its sample, in exports as well.
    uint64_t peak_bytes = find_peak(follow, sample);
    bool is_stored = is_behind_gap || peak_bytes > 0 || is_worth_storing(follow, sample, at_ms);
    bool has_account = sample->digest && account_is_due(history, follow, sample->digest, at_ms);
    struct sample stored = *sample;
    // Lazy and swap are as well known as in one with its account.
    if (sample->digest && !has_account)
        stored.kind = SAMPLE_LAZY;
    int64_t key = key_make(follow->id, at_ms);
    // First what was before this moment, then the moment itself: rows of a minute are written once.
    int error = follow->has_sample ? mark_gap(history, follow, at_ms) : 0;
    if (!error && follow->has_sample)
        error = stand_until(history, follow, at_ms);
    if (!follow->has_sample)
        follow->hour.start_ms = floor_to(at_ms, ROLLUP_HOUR_MS);
    if (!follow->has_sample)
        follow->minute.start_ms = floor_to(at_ms, ROLLUP_MINUTE_MS);
    if (!error)
        error = turn_to(history, follow, at_ms);
    if (!error && is_stored)
        error = write_sample(history, &stored, key);
    if (!error && peak_bytes > 0)
        error = write_peak(history, peak_bytes, key);
    if (has_account)
        follow_drop(follow);
    if (!error && sample->digest)
        error = has_account ? write_account(history, follow, sample->digest, key)
                            : keep_pending(follow, sample->digest, key);
    if (error)
        return error;
    // Only now, when all is written: a failure leaves the last state as it was.
    follow->has_sample = true;
    follow->last = *sample;
    // It belongs to the round, which is gone when the next one comes.
    follow->last.digest = NULL;
    follow->last_ms = at_ms;
    if (is_stored) {
        follow->stored = follow->last;
        follow->stored_ms = at_ms;
    }
    // Seen for a moment: how long it stands only the next one tells.
    const struct rollup_values values = values_of(follow);
    rollup_stand(&follow->minute, at_ms, at_ms, &values);
    follow->minute.samples++;
    return 0;
}
