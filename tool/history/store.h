// SPDX-License-Identifier: Apache-2.0
// What the files of this folder share: the handle, keys, statements, errors. Tool world.
#ifndef EBB_HISTORY_STORE_H
#define EBB_HISTORY_STORE_H

#include <sqlite3.h>
#include <sys/types.h>

#include "history/clock.h"
#include "history/history.h"

struct writer; // write.h

// Statements that a handle keeps.
enum store_kept {
    KEPT_ACCOUNT,
    KEPT_HEADLINE,
    KEPT_NEXT,
    KEPT_RUNTIMES,
    KEPT_CLOCK,
    KEPT_SUBJECT,
    KEPT_NEXT_SAMPLE,
    KEPT_SAMPLES,
    KEPT_ACCOUNTS,
    KEPT_PEAKS,
    STORE_KEPT_COUNT
};

struct history {
    sqlite3 *db;
    struct writer *writer; // NULL: opened for reading
    int schema;            // that its tables have
    bool has_log;          // WAL, or no need of it
    char *path;            // NULL: in memory
    dev_t device;          // of the file as it was made: it may be taken away under us
    ino_t inode;
    struct history_clock clock; // the writer's own; a reader's as of its last query
    // Of SQLite's machine: what a statement may take, so that no file can keep us for ever, and
    // what the present one has left. Only readers count. A budget in steps, not in time: a slow
    // disk does not make a good file bad.
    uint64_t steps_max, steps_left;
    // Asked for each of thousands of subjects: preparing them takes longer than they run.
    sqlite3_stmt *kept[STORE_KEPT_COUNT];
    bool is_reading; // in store_begin_reading()
};

// A row that belongs to a subject at a moment has both in its key: each subject's rows lie together
// and ascend with time. 40 bits of milliseconds are 34 years.
enum { KEY_TIME_BITS = 40, KEY_SUBJECT_MAX = (1 << 22) - 1 };
static const int64_t key_time_max = (INT64_C(1) << KEY_TIME_BITS) - 1;

static inline int64_t key_make(unsigned subject, int64_t at_ms)
{
    return (int64_t)subject << KEY_TIME_BITS | at_ms;
}

static inline int64_t key_time(int64_t key)
{
    return key & key_time_max;
}

// -errno for what the last call on the database answered.
int store_error(struct history *history, int code);

// Runs SQL without results. 0 or -errno.
int store_exec(struct history *history, const char *sql);

// 0 and a statement for sqlite3_finalize(), or -errno; its steps are counted from here.
int store_prepare(struct history *history, const char *sql, sqlite3_stmt **ret_statement);

// The same, but prepared once: it is the handle's, and to be reset where it is left before its end.
int store_keep(struct history *history, enum store_kept which, const char *sql,
               sqlite3_stmt **ret_statement);
void store_drop_kept(struct history *history);

// Everything until the end is read of one moment, and no lock is asked for each time. Only for
// readers, and for seconds: the writer's log grows meanwhile. Nothing for a handle that writes. 0
// or -errno; the end always succeeds.
int store_begin_reading(struct history *history);
void store_end_reading(struct history *history);

// 1 with a row, 0 at the end (then the statement is reset), -errno (reset, too). A row's texts and
// values are valid until the next step or reset.
int store_step(struct history *history, sqlite3_stmt *statement);

// Steps a statement that gives no rows and makes it ready for the next time. 0 or -errno.
int store_run(struct history *history, sqlite3_stmt *statement);

// The first column of the first row, `missing` where there is none. 0 or -errno. For values that
// are no integer, too, `missing` is given.
int store_scalar(struct history *history, const char *sql, int64_t missing, int64_t *ret_value);

// SAMPLE_UNKNOWN and NULL stand for each other. What a file holds instead of a size that is
// possible (text, negative numbers) is unknown as well.
void store_bind_u64(sqlite3_stmt *statement, int place, uint64_t value);
uint64_t store_u64(sqlite3_stmt *statement, int column);

// Copies at most what fits, up to the first NUL; "" for what is no text.
void store_bind_text(sqlite3_stmt *statement, int place, const char *text); // NULL for ""
void store_text(sqlite3_stmt *statement, int column, char *ret_text, size_t size);

// Texts of `about`: 0, -ENOENT, -errno.
int store_get(struct history *history, const char *key, char *ret_text, size_t size);
int store_get_number(struct history *history, const char *key, int64_t *ret_number);
int store_set(struct history *history, const char *key, const char *text);
int store_set_number(struct history *history, const char *key, int64_t number);

// The moment of the recording's last round: what its living subjects' last samples stand until.
int store_last_ms(struct history *history, int64_t *ret_at_ms);

#endif
