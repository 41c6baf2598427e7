// SPDX-License-Identifier: Apache-2.0
// Statements, values and errors, see store.h. Tool world; no state.
#include "history/store.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/text.h"
#include "history/write.h"

// A commit that fails does not tell the system's reason. Of those that a write can have, a limit of
// the file's size (setrlimit) can be told by how near the log or the file has come to it. Near
// means within what one commit may add. A guess: it only chooses between -EFBIG and -EIO.
static bool is_at_size_limit(const struct history *history)
{
    enum { NEAR_BYTES = 64 << 10 };
    struct rlimit limit;
    struct stat status;
    char log[PATH_MAX];
    if (!history->path || getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return false;
    if (stat(history->path, &status) == 0 && (uint64_t)status.st_size + NEAR_BYTES > limit.rlim_cur)
        return true;
    text_format(log, sizeof log, "%s-wal", history->path);
    return stat(log, &status) == 0 && (uint64_t)status.st_size + NEAR_BYTES > limit.rlim_cur;
}

// SQLite tells the kind of trouble, the system its reason where there is one.
int store_error(struct history *history, int code)
{
    // Of the last system call that failed: it belongs to `code` only where SQLite says it asked.
    int reason = history->db ? sqlite3_system_errno(history->db) : 0;
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_FULL:
        // Its own limit of pages, and every disk that is full.
        return -ENOSPC;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    // A table that is not there, or not as it should be.
    case SQLITE_ERROR:
    case SQLITE_SCHEMA:
    // Too many steps: see count_steps() in open.c.
    case SQLITE_INTERRUPT:
        return -EBADMSG;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return -EACCES;
    // The file has another name now, or none.
    case SQLITE_READONLY:
        return code == SQLITE_READONLY_DBMOVED ? -ENOENT : -EROFS;
    case SQLITE_CANTOPEN:
        return reason > 0 ? -reason : -EACCES;
    default:
        if (reason == 0 && is_at_size_limit(history))
            return -EFBIG;
        return reason > 0 ? -reason : -EIO;
    }
}

// For what has no result and is not done often. Several statements in one text are fine; each
// commit and rollback goes this way.
int store_exec(struct history *history, const char *sql)
{
    history->steps_left = history->steps_max;
    return store_error(history, sqlite3_exec(history->db, sql, NULL, NULL, NULL));
}

// Each gets a budget of its own, since no reading has more than a handful.
int store_prepare(struct history *history, const char *sql, sqlite3_stmt **ret_statement)
{
    // A budget for each statement: a page that asks many questions is not punished for it.
    history->steps_left = history->steps_max;
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(history->db, sql, -1, &statement, NULL);
    if (code != SQLITE_OK)
        return store_error(history, code);
    // NULL for an empty text only, which none of ours is.
    *ret_statement = statement;
    return 0;
}

int store_keep(struct history *history, enum store_kept which, const char *sql,
               sqlite3_stmt **ret_statement)
{
    // A budget for each use, as for each statement.
    history->steps_left = history->steps_max;
    int error = history->kept[which] ? 0 : store_prepare(history, sql, &history->kept[which]);
    if (!error)
        *ret_statement = history->kept[which];
    return error;
}

// Before the database is closed: it stays open for as long as one of them is left.
void store_drop_kept(struct history *history)
{
    for (size_t i = 0; i < STORE_KEPT_COUNT; i++)
        sqlite3_finalize(history->kept[i]);
    memset(history->kept, 0, sizeof history->kept);
}

int store_begin_reading(struct history *history)
{
    if (history->writer || history->is_reading)
        return 0;
    int error = store_exec(history, "BEGIN");
    history->is_reading = !error;
    return error;
}

void store_end_reading(struct history *history)
{
    if (history->is_reading)
        (void)store_exec(history, "COMMIT");
    history->is_reading = false;
}

// A statement at its end or in error is reset, so that it holds no lock and no page.
int store_step(struct history *history, sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        return 1;
    // The error belongs to the step: sqlite3_reset() would only repeat it.
    int error = store_error(history, code);
    sqlite3_reset(statement);
    return error;
}

// Reset in any case: bound values stay, and are bound anew each time. Bindings stay: whoever runs
// it again binds all of its places.
int store_run(struct history *history, sqlite3_stmt *statement)
{
    int error = store_error(history, sqlite3_step(statement));
    sqlite3_reset(statement);
    return error;
}

// For pragmas and extremes of a table. For PRAGMAs and aggregates, which answer with one row. NULL
// is missing, too.
int store_scalar(struct history *history, const char *sql, int64_t missing, int64_t *ret_value)
{
    sqlite3_stmt *statement = NULL;
    int error = store_prepare(history, sql, &statement);
    if (error)
        return error;
    int stepped = store_step(history, statement);
    if (stepped >= 0) {
        bool is_number = stepped == 1 && sqlite3_column_type(statement, 0) == SQLITE_INTEGER;
        *ret_value = is_number ? sqlite3_column_int64(statement, 0) : missing;
    }
    sqlite3_finalize(statement);
    return stepped < 0 ? stepped : 0;
}

// SQLite has no unsigned numbers; what is beyond is none of our sizes. SQLite's integers are
// signed. SAMPLE_UNKNOWN lies above them, as does every impossible size.
void store_bind_u64(sqlite3_stmt *statement, int place, uint64_t value)
{
    if (value > INT64_MAX)
        sqlite3_bind_null(statement, place);
    else
        sqlite3_bind_int64(statement, place, (int64_t)value);
}

// Whoever wrote the file may have put anything anywhere: SQLite's types are only a hint. A column
// may hold any type, whatever its table declares: SQLite only prefers one.
uint64_t store_u64(sqlite3_stmt *statement, int column)
{
    if (sqlite3_column_type(statement, column) != SQLITE_INTEGER)
        return SAMPLE_UNKNOWN;
    int64_t value = sqlite3_column_int64(statement, column);
    return value < 0 ? SAMPLE_UNKNOWN : (uint64_t)value;
}

// The text must stay until the statement has run: all of ours do.
void store_bind_text(sqlite3_stmt *statement, int place, const char *text)
{
    if (text && text[0])
        sqlite3_bind_text(statement, place, text, -1, SQLITE_STATIC);
    else
        sqlite3_bind_null(statement, place);
}

// Only what is text: a blob or a number would be converted, and look true. Cut at the first NUL:
// names go into fixed fields that end there.
void store_text(sqlite3_stmt *statement, int column, char *ret_text, size_t size)
{
    ret_text[0] = '\0';
    if (sqlite3_column_type(statement, column) != SQLITE_TEXT)
        return;
    // The order of these two calls is SQLite's: text first, then its length.
    const char *text = (const char *)sqlite3_column_text(statement, column);
    // In bytes: text may hold a NUL in the middle, where SQLite does not end it.
    int len = sqlite3_column_bytes(statement, column);
    if (!text || len <= 0)
        return;
    text_copy((struct text){text, strnlen(text, (size_t)len)}, ret_text, size);
}

// As text whatever it is, so that one function reads numbers and names. For the few rows of
// `about`, at opening and closing; nothing here is fast.
int store_get(struct history *history, const char *key, char *ret_text, size_t size)
{
    sqlite3_stmt *statement = NULL;
    int error =
        store_prepare(history, "SELECT CAST(value AS TEXT) FROM about WHERE key = ?", &statement);
    if (error)
        return error;
    store_bind_text(statement, 1, key);
    int stepped = store_step(history, statement);
    if (stepped == 1)
        store_text(statement, 0, ret_text, size);
    sqlite3_finalize(statement);
    if (stepped < 0)
        return stepped;
    return stepped ? 0 : -ENOENT;
}

// The whole text must be the number.
int store_get_number(struct history *history, const char *key, int64_t *ret_number)
{
    char text[32];
    int error = store_get(history, key, text, sizeof text);
    if (error)
        return error;
    struct text rest = text_of(text);
    int64_t number;
    // A recording that lies about itself is damaged.
    if (!text_take_i64(&rest, &number) || rest.len > 0)
        return -EBADMSG;
    *ret_number = number;
    return 0;
}

// Seldom: at the beginning and the end.
int store_set(struct history *history, const char *key, const char *text)
{
    sqlite3_stmt *statement = NULL;
    int error = store_prepare(history, "INSERT OR REPLACE INTO about VALUES (?, ?)", &statement);
    if (error)
        return error;
    store_bind_text(statement, 1, key);
    // An empty text is stored as one: NULL would read as missing.
    sqlite3_bind_text(statement, 2, text, -1, SQLITE_STATIC);
    error = store_run(history, statement);
    sqlite3_finalize(statement);
    return error;
}

// With each flush: the row is on a page that is in memory anyway.
int store_set_number(struct history *history, const char *key, int64_t number)
{
    sqlite3_stmt *statement = NULL;
    int error = store_prepare(history, "INSERT OR REPLACE INTO about VALUES (?, ?)", &statement);
    if (error)
        return error;
    store_bind_text(statement, 1, key);
    sqlite3_bind_int64(statement, 2, number);
    error = store_run(history, statement);
    sqlite3_finalize(statement);
    return error;
}

// The writer knows it before the file does. Both are the last round, whether or not any process had
// a sample in it.
int store_last_ms(struct history *history, int64_t *ret_at_ms)
{
    if (history->writer) {
        *ret_at_ms = writer_last_ms(history->writer);
        return 0;
    }
    int64_t last_ms = 0;
    int error = store_get_number(history, "last_at_ms", &last_ms);
    if (error)
        return error == -ENOENT ? -EBADMSG : error;
    if (last_ms < 0 || last_ms > key_time_max)
        return -EBADMSG;
    *ret_at_ms = last_ms;
    return 0;
}
