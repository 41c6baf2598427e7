// SPDX-License-Identifier: Apache-2.0
// Rounds into a recording: transactions, moments, events, the host. Tool world; one thread.
#include "history/write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

// A process that is known already may have another name or group by now; its first sample stays.
static const char insert_subject[] =
    "INSERT INTO subject (id, pid, uid, start_ticks, start_ms, first_at_ms, name, exe, cmdline, "
    "cgroup) VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO UPDATE SET name = excluded.name, "
    "exe = excluded.exe, cmdline = excluded.cmdline, cgroup = excluded.cgroup, "
    "start_ms = excluded.start_ms, last_at_ms = NULL";

// Prepared once when the recording is made. OR IGNORE and OR REPLACE where two rows may be of one
// moment: an event looks for the next free one, see add_event(); the host's last one wins.
static const char *const statement_texts[WRITE_STATEMENT_COUNT] = {
    [WRITE_SAMPLE] = "INSERT INTO sample VALUES (?,?,?,?,?,?,?,?,?,?,?)",
    [WRITE_ACCOUNT] = account_insert,
    [WRITE_EVENT] = "INSERT OR IGNORE INTO event VALUES (?,?,?,?)",
    [WRITE_HOST] = "INSERT OR REPLACE INTO host VALUES (?,?,?,?,?,?,?,?)",
    [WRITE_MINUTE] = rollup_insert_minute,
    [WRITE_HOUR] = rollup_insert_hour,
    [WRITE_SUBJECT] = insert_subject,
    [WRITE_ENDED] = "UPDATE subject SET last_at_ms = ? WHERE id = ?",
    [WRITE_CLOCK] = "INSERT OR REPLACE INTO clock VALUES (?,?)",
    [WRITE_LEDGER] = ledger_insert,
    [WRITE_PEAK] = "INSERT OR REPLACE INTO peak VALUES (?,?)",
};

enum {
    FLUSH_DEFAULT_MS = 5000,
    HOST_EVERY_MS = 5000,
    EVENT_TRIES = 100,    // keys that are looked at for a free one
    CLOCK_BACK_MS = 1000, // readings of a round may come in any order; what is more is a setting
};

// Half opened it is freed by writer_close() all the same. It is the handle's even after a failure:
// history_close() frees it.
int writer_open(struct history *history, const struct history_options *options)
{
    struct writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return -ENOMEM;
    writer->interval_ms = options->interval_ms;
    writer->flush_ms = options->flush_ms ? options->flush_ms : FLUSH_DEFAULT_MS;
    writer->keep.keep_ms = options->keep_ms;
    int error = 0;
    for (size_t i = 0; i < WRITE_STATEMENT_COUNT && !error; i++)
        error = store_prepare(history, statement_texts[i], &writer->statements[i]);
    history->writer = writer;
    return error;
}

// Readers on the same handle see what is not flushed yet. Newer than what the file says until the
// next flush.
int64_t writer_last_ms(const struct writer *writer)
{
    return writer->last_ms;
}

// Late, with the first round: an idle recorder holds no lock. One transaction for many rounds: a
// commit of each would be most of the work, and a sync of the log each time.
int writer_begin(struct history *history)
{
    if (history->writer->is_in_transaction)
        return 0;
    int error = store_exec(history, "BEGIN");
    history->writer->is_in_transaction = !error;
    return error;
}

// SQLite has rolled back already after some errors; then there is nothing to roll back. The first
// error is what is told from then on: later ones only follow from it.
int writer_fail(struct history *history, int error)
{
    struct writer *writer = history->writer;
    if (!writer->error)
        writer->error = error;
    if (writer->is_in_transaction)
        (void)store_exec(history, "ROLLBACK");
    writer->is_in_transaction = false;
    return writer->error;
}

// The moment of the recording that a clock's reading stands for. It never goes back: where the only
// clock is the day's and it is set back, the recording goes on from where it is.
static int64_t moment_of(struct writer *writer, int64_t time_ms, uint64_t boot_ms)
{
    bool has_boot_clock = writer->has_boot_clock;
    int64_t clock_ms = has_boot_clock ? (int64_t)boot_ms : time_ms, at_ms;
    // A clock that cannot be right: time stands still rather than jump.
    if (__builtin_sub_overflow(clock_ms, writer->origin_ms, &at_ms))
        at_ms = writer->last_ms;
    if (!has_boot_clock && at_ms < writer->last_ms - CLOCK_BACK_MS)
        writer->origin_ms = clock_ms - writer->last_ms;
    if (at_ms < writer->last_ms)
        at_ms = writer->last_ms;
    // After 34 years, which is as far as a key goes.
    return at_ms > key_time_max ? key_time_max : at_ms;
}

// At the first round: moments are counted from the full hour before it, so that minutes and hours
// of the recording are those of the day.
static void start_clock(struct writer *writer, const struct batch *batch)
{
    const struct sample *first = batch->sample_count ? &batch->samples[0] : NULL;
    int64_t time_ms = first ? first->time_ms : batch->time_ms;
    uint64_t boot_ms = first ? first->boot_ms : batch->boot_ms;
    // Of times before 1970 the remainder is negative; a host without a battery may start there.
    int64_t into_hour_ms = time_ms % ROLLUP_HOUR_MS;
    if (into_hour_ms < 0)
        into_hour_ms += ROLLUP_HOUR_MS;
    writer->has_boot_clock = boot_ms > 0 && boot_ms < INT64_MAX / 2;
    writer->origin_ms = (writer->has_boot_clock ? (int64_t)boot_ms : time_ms) - into_hour_ms;
    writer->first_ms = writer->last_ms = writer->flushed_ms = into_hour_ms;
    // The first round is flushed at once: whoever opens the file right after finds something in it.
    writer->flushed_ms -= (int64_t)writer->flush_ms;
    // So that the first round stores the host as well.
    writer->host_ms = -HOST_EVERY_MS;
    writer->has_rounds = true;
}

// Stores what is new of the day's clock. Where the clock was set back, several rows change; usually
// none does.
static int note_time(struct history *history, int64_t at_ms, int64_t time_ms)
{
    struct history_clock *clock = &history->clock;
    size_t first = 0;
    int error = clock_note(clock, at_ms, time_ms, &first);
    sqlite3_stmt *insert = history->writer->statements[WRITE_CLOCK];
    for (size_t i = first; i < clock->count && !error; i++) {
        sqlite3_bind_int64(insert, 1, clock->segments[i].at_ms);
        sqlite3_bind_int64(insert, 2, clock->segments[i].offset_ms);
        error = store_run(history, insert);
    }
    return error;
}

// Where the round stands, and the time of day there.
static int place_round(struct history *history, const struct batch *batch)
{
    struct writer *writer = history->writer;
    if (!writer->has_rounds)
        start_clock(writer, batch);
    if (batch->sample_count > 0) {
        const struct sample *first = &batch->samples[0];
        writer->last_ms = moment_of(writer, first->time_ms, first->boot_ms);
        return note_time(history, writer->last_ms, first->time_ms);
    }
    // Nobody is there to be read, but time goes on, and the day's clock may be set meanwhile.
    if (writer->has_boot_clock && batch->boot_ms > 0) {
        writer->last_ms = moment_of(writer, batch->time_ms, batch->boot_ms);
        return note_time(history, writer->last_ms, batch->time_ms);
    }
    // Nothing tells whether the clock was set since: it is taken to go right.
    if (history->clock.count == 0)
        return note_time(history, writer->last_ms, batch->time_ms);
    // A round without samples, when all targets are gone: its moment is only known from the day's
    // clock.
    int64_t at_ms = clock_at(&history->clock, batch->time_ms, key_time_max);
    if (at_ms > writer->last_ms)
        writer->last_ms = at_ms;
    return 0;
}

// check_samples() has seen to it that each has its subject.
static int add_samples(struct history *history, const struct batch *batch)
{
    struct writer *writer = history->writer;
    int error = 0;
    for (size_t i = 0; i < batch->sample_count && !error; i++) {
        const struct sample *sample = &batch->samples[i];
        // check_samples() has seen to it that each is followed.
        struct follow *follow = follow_find(writer, sample->subject);
        follow->round = writer->round;
        int64_t at_ms = moment_of(writer, sample->time_ms, sample->boot_ms);
        // Those of a round are read one after the other.
        if (at_ms > writer->last_ms)
            writer->last_ms = at_ms;
        error = follow_sample(history, follow, sample, at_ms);
    }
    return error;
}

// Events of one moment get neighbouring keys: the next one is behind the last, so that thousands of
// one moment cost no more than as many of several. Their own times place them, not the round's. One
// that finds no free key is left out.
static int add_event(struct history *history, const struct event *event)
{
    sqlite3_stmt *insert = history->writer->statements[WRITE_EVENT];
    struct writer *writer = history->writer;
    int64_t at_ms = clock_at(&history->clock, event->time_ms, key_time_max - EVENT_TRIES);
    int64_t wanted_ms = at_ms;
    bool is_next = event->subject == writer->event_subject && at_ms == writer->event_wanted_ms;
    if (is_next && writer->event_ms < key_time_max - EVENT_TRIES)
        at_ms = writer->event_ms + 1;
    for (int i = 0; i < EVENT_TRIES; i++) {
        sqlite3_bind_int64(insert, 1, key_make(event->subject, at_ms + i));
        sqlite3_bind_int(insert, 2, (int)event->kind);
        // A clock set back has a negative value: as it is.
        sqlite3_bind_int64(insert, 3, (int64_t)event->value);
        store_bind_text(insert, 4, event->text);
        int error = store_run(history, insert);
        // No change: the key is taken, and the insert was ignored.
        if (!error && sqlite3_changes(history->db) == 0)
            continue;
        writer->event_subject = event->subject;
        writer->event_wanted_ms = wanted_ms;
        writer->event_ms = at_ms + i;
        return error;
    }
    return 0;
}

// In steps of its own: at ten rounds a second nobody needs as many. Every few seconds: its figures
// move slowly, and there is a row for each.
static int add_host(struct history *history, const struct host_sample *host)
{
    struct writer *writer = history->writer;
    if (host->total_bytes == 0 || writer->last_ms - writer->host_ms < HOST_EVERY_MS)
        return 0;
    writer->host_ms = writer->last_ms;
    sqlite3_stmt *insert = writer->statements[WRITE_HOST];
    const uint64_t values[] = {host->total_bytes,        host->available_bytes,
                               host->swap_used_bytes,    host->lazy_bound_bytes,
                               host->lazily_freed_pages, host->lazily_taken_pages};
    const double pressure = host->pressure_some_avg10;
    sqlite3_bind_int64(insert, 1, writer->last_ms);
    for (int i = 0; i < 6; i++)
        store_bind_u64(insert, 2 + i, values[i]);
    // Hundredths of a percent, as the kernel prints it.
    bool has_pressure = pressure >= 0 && pressure <= 100;
    // Negative where the kernel has no pressure figures.
    store_bind_u64(insert, 8, has_pressure ? (uint64_t)(pressure * 100 + 0.5) : SAMPLE_UNKNOWN);
    return store_run(history, insert);
}

// Subjects before samples, ends after events: each finds what it refers to. Subjects first, since
// samples need them; what ended goes last, after its last sample.
static int add_round(struct history *history, const struct batch *batch,
                     const struct subject *subjects, size_t subject_count)
{
    int error = writer_begin(history);
    history->writer->round++;
    history->writer->is_behind_gap = false;
    for (size_t i = 0; i < batch->event_count; i++)
        history->writer->is_behind_gap |= batch->events[i].kind == EVENT_GAP;
    if (!error)
        error = place_round(history, batch);
    if (!error)
        error = follow_begin(history, subjects, subject_count);
    if (!error)
        error = add_samples(history, batch);
    for (size_t i = 0; i < batch->event_count && !error; i++)
        error = add_event(history, &batch->events[i]);
    if (!error)
        error = add_host(history, &batch->host);
    return error ? error : follow_end(history, subjects, subject_count);
}

// What a reader would otherwise have to count. With each flush, so that a file that was cut off
// still tells how far it goes.
static int write_totals(struct history *history)
{
    const struct writer *writer = history->writer;
    int error = store_set_number(history, "last_at_ms", writer->last_ms);
    if (!error)
        error = store_set_number(history, "samples", (int64_t)writer->sample_count);
    if (!error)
        error = store_set_number(history, "accounts", (int64_t)writer->account_count);
    return error;
}

// SQLite would go on writing into a file that has no name any more. Then minutes of a recording
// would be lost without a word; -ENOENT tells it at the next flush.
static int check_file(const struct history *history)
{
    struct stat status;
    if (!history->path)
        return 0;
    if (stat(history->path, &status) < 0)
        return -errno;
    return status.st_dev == history->device && status.st_ino == history->inode ? 0 : -ENOENT;
}

// Retention first: what it frees is used by what comes next. After the commit the file is whole up
// to here, whatever comes.
int history_flush(struct history *history)
{
    struct writer *writer = history->writer;
    if (!writer)
        return -EBADF;
    // Nothing came since the last one.
    if (writer->error || !writer->is_in_transaction)
        return writer->error;
    int error = keep_step(history, &writer->keep, writer->last_ms);
    if (!error)
        error = write_totals(history);
    if (!error)
        error = store_exec(history, "COMMIT");
    if (error)
        return writer_fail(history, error);
    writer->is_in_transaction = false;
    writer->flushed_ms = writer->last_ms;
    error = check_file(history);
    if (!error)
        return 0;
    // What was committed is in a log that belongs to the old name, and would be lost with it: the
    // file gets it now. What of this fails, nobody can help.
    (void)store_exec(history, "PRAGMA wal_checkpoint(PASSIVE)");
    return writer_fail(history, error);
}

void history_keep(struct history *history, uint64_t keep_ms)
{
    if (history->writer)
        history->writer->keep.keep_ms = keep_ms;
}

// Ids that no key can hold, or that nobody knows. Ascending, as follow_begin() relies on it.
static int check_round(const struct batch *batch, const struct subject *subjects,
                       size_t subject_count)
{
    for (size_t i = 0; i < subject_count; i++) {
        if (subjects[i].id > KEY_SUBJECT_MAX)
            return -EOVERFLOW;
        if (subjects[i].id == 0 || (i > 0 && subjects[i].id <= subjects[i - 1].id))
            return -EINVAL;
    }
    for (size_t i = 0; i < batch->event_count; i++) {
        // 0 is fine there: the host's own.
        if (batch->events[i].subject > KEY_SUBJECT_MAX)
            return -EINVAL;
    }
    return 0;
}

// Samples of subjects that are in neither list, or that have ended long ago. Looked at before
// anything is written: a round is taken whole or not at all.
static int check_samples(struct writer *writer, const struct batch *batch,
                         const struct subject *subjects, size_t subject_count)
{
    unsigned last = subject_count ? subjects[subject_count - 1].id : 0;
    for (size_t i = 0; i < batch->sample_count; i++) {
        unsigned id = batch->samples[i].subject;
        bool is_new = id > writer->known_max && id <= last;
        if (!is_new && !follow_find(writer, id))
            return -EINVAL;
    }
    return 0;
}

// Checked before anything is written: a caller's mistake costs no recording.
int history_add(struct history *history, const struct batch *batch, const struct subject *subjects,
                size_t subject_count)
{
    struct writer *writer = history->writer;
    if (!writer)
        return -EBADF;
    if (writer->error)
        return writer->error;
    int error = check_round(batch, subjects, subject_count);
    if (!error)
        error = check_samples(writer, batch, subjects, subject_count);
    if (error)
        return error;
    // A round that a program got wrong costs that round; one that the database fails ends the
    // recording.
    error = add_round(history, batch, subjects, subject_count);
    if (error)
        return writer_fail(history, error);
    if (writer->last_ms - writer->flushed_ms >= (int64_t)writer->flush_ms)
        return history_flush(history);
    return 0;
}

// The last minutes and hours are closed where they stand, and the file says that this was the end.
static int end_recording(struct history *history)
{
    struct writer *writer = history->writer;
    int error = writer_begin(history);
    for (size_t i = 0; i < writer->follow_count && !error; i++)
        error = follow_finish(history, &writer->follows[i]);
    if (!error)
        error = store_set_number(history, "ended", 1);
    if (!error)
        error = history_flush(history);
    return error ? writer_fail(history, error) : 0;
}

void writer_drop(struct history *history)
{
    struct writer *writer = history->writer;
    if (!writer)
        return;
    // Before the database is closed: it stays open for as long as one of them is left.
    for (size_t i = 0; i < WRITE_STATEMENT_COUNT; i++)
        sqlite3_finalize(writer->statements[i]);
    ledgers_free(&writer->ledgers);
    for (size_t i = 0; i < writer->follow_count; i++)
        follow_drop(&writer->follows[i]);
    free(writer->follows);
    free(writer);
    history->writer = NULL;
}

// What failed has failed: then the file stays as the last flush left it.
int writer_close(struct history *history)
{
    int error = history->writer->error ? history->writer->error : end_recording(history);
    writer_drop(history);
    return error;
}
