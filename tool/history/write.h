// SPDX-License-Identifier: Apache-2.0
// The writing side of a recording: what is known of each living subject between two rounds. Tool
// world; one thread. A transaction is open from the first round after a flush until the next flush.
#ifndef EBB_HISTORY_WRITE_H
#define EBB_HISTORY_WRITE_H

#include "history/account.h"
#include "history/keep.h"
#include "history/rollup.h"

// A living subject. Under a KiB each: with 2,000 processes it is what a writer takes of
// memory, beside SQLite's cache.
struct follow {
    unsigned id;
    bool has_sample, has_ended;
    uint64_t round;       // the last one with a sample of it
    struct sample last;   // the last one that came; its digest is gone
    int64_t last_ms;      // when
    struct sample stored; // the last one that was stored
    int64_t stored_ms;
    unsigned verdict;    // of the last account; 0 none
    uint64_t peak_bytes; // the kernel's that was seen or stored last, or was before the recording
    bool is_ours;        // it began within the recording: all of its peaks are of it
    struct rollup minute, hour;
    struct account_memory account;
    // Bytes that its accounts may take of the file, as of a moment; and one that was left out.
    double account_bytes;
    int64_t account_bytes_ms, pending_key;
    struct digest *pending; // NULL: none
    uint64_t identity;      // hash of what the subject's row says; looked at once a minute
    int64_t identity_ms;
};

// What is written in every round has its statement ready.
enum write_statement {
    WRITE_SAMPLE,
    WRITE_ACCOUNT,
    WRITE_EVENT,
    WRITE_HOST,
    WRITE_MINUTE,
    WRITE_HOUR,
    WRITE_SUBJECT,
    WRITE_ENDED,
    WRITE_CLOCK,
    WRITE_LEDGER,
    WRITE_PEAK,
    WRITE_STATEMENT_COUNT
};

struct writer {
    uint64_t interval_ms, flush_ms, round;
    bool has_rounds, is_in_transaction;
    bool is_behind_gap;  // the present round comes after a time without readings
    int error;           // of the database: nothing is written any more
    bool has_boot_clock; // samples tell boot time; else the day's clock must do
    int64_t origin_ms;   // what that clock showed at at_ms 0
    int64_t first_ms;    // at_ms of the first round
    int64_t last_ms;     // and of the last one
    int64_t flushed_ms;  // and when the last flush was
    int64_t host_ms;     // and the last host sample that was stored
    uint64_t sample_count, account_count;
    // The last event: whose, when it was to be, and where it went.
    unsigned event_subject;
    int64_t event_wanted_ms, event_ms;
    struct follow *follows; // ascending by id
    size_t follow_count, follow_capacity;
    unsigned known_max; // subjects up to here have been seen
    struct ledgers ledgers;
    struct keep keep;
    sqlite3_stmt *statements[WRITE_STATEMENT_COUNT];
};

// 0 and a writer for writer_close(); -ENOMEM; -errno of preparing its statements.
int writer_open(struct history *history, const struct history_options *options);
// Ends the recording if nothing has failed, and frees the writer. 0 or -errno.
int writer_close(struct history *history);

// Frees it without a word, where nothing was begun; NULL is fine.
void writer_drop(struct history *history);

int64_t writer_last_ms(const struct writer *writer);

// A transaction is opened where none is. 0 or -errno.
int writer_begin(struct history *history);
// Remembers the first error and takes back what was not flushed. Returns the error.
int writer_fail(struct history *history, int error);

// NULL: not a living subject.
struct follow *follow_find(struct writer *writer, unsigned id);
// Takes in those that are new in `subjects`; then, after their samples and events, lets those go
// that have ended, once a round has no sample of them any more. 0 or -errno.
int follow_begin(struct history *history, const struct subject *subjects, size_t count);
int follow_end(struct history *history, const struct subject *subjects, size_t count);
// Takes over one sample at a moment of the recording. 0 or -errno.
int follow_sample(struct history *history, struct follow *follow, const struct sample *sample,
                  int64_t at_ms);
// Closes its minute and hour: what stands now stood until the recording's last round, or until its
// own last sample where it has ended.
int follow_finish(struct history *history, struct follow *follow);

// Frees what it holds, without a word to the file.
void follow_drop(struct follow *follow);

// How long a sample that comes every `interval_ms` may stand without a next one.
int64_t follow_patience_ms(uint64_t interval_ms);

#endif
