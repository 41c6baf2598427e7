// SPDX-License-Identifier: Apache-2.0
// Opening a recording that may be anything, and what it says of itself. Tool world; one thread.
//
// A recording may come from a stranger. Its header is looked at before SQLite is; its schema must
// be ours to the letter; no view, trigger or function of it is ever run; and every statement has a
// limit of steps, so that pages that point at each other end in an error.
#include "history/open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/text.h"
#include "history/schema.h"

// Source: "Database File Format", the database header.
enum {
    HEADER_BYTES = 100,
    HEADER_USER_VERSION = 60,
    HEADER_APPLICATION_ID = 68,
};
static const char magic[16] = "SQLite format 3";

enum { STEPS_PER_CALL = 1000, TEXT_LIMIT_BYTES = 1 << 20, BUSY_MS = 2000 };

// "file:..." is a URI to SQLite where that was compiled in, and ":memory:" no file.
char *open_plain_path(const char *path)
{
    // As it is where nothing at its front can mean anything else.
    const char *front = path[0] == '/' ? "" : "./";
    size_t size = strlen(front) + strlen(path) + 1;
    char *plain = malloc(size);
    if (plain)
        text_format(plain, size, "%s%s", front, path);
    return plain;
}

// The format's own order, whatever the machine's. SQLite's header has its numbers that way round.
static uint32_t big_endian(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

// Devices and pipes are not waited for.
static int read_header(const char *path, unsigned char ret_header[HEADER_BYTES])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    struct stat status;
    int error = fstat(fd, &status) < 0 ? -errno : 0;
    if (!error && S_ISDIR(status.st_mode))
        error = -EISDIR;
    // A device or a pipe has no header to look at, and reading it could wait for ever.
    else if (!error && !S_ISREG(status.st_mode))
        error = -EBADMSG;
    ssize_t len = error ? 0 : pread(fd, ret_header, HEADER_BYTES, 0);
    if (!error && len < 0)
        error = -errno;
    close(fd);
    if (error)
        return error;
    return len == HEADER_BYTES ? 0 : -EBADMSG;
}

// Without SQLite: what it would say of other files is too late and too vague.
int history_schema_of(const char *path)
{
    unsigned char header[HEADER_BYTES];
    int error = read_header(path, header);
    if (error)
        return error;
    if (memcmp(header, magic, sizeof magic) != 0 ||
        big_endian(header + HEADER_APPLICATION_ID) != HISTORY_APPLICATION_ID)
        return -EBADMSG;
    // SQLite holds it as signed; 0 is what every other database has.
    uint32_t version = big_endian(header + HEADER_USER_VERSION);
    return version > 0 && version < INT32_MAX ? (int)version : -EBADMSG;
}

// Called by SQLite every so many steps of a statement.
static int count_steps(void *context)
{
    struct history *history = context;
    if (history->steps_left < STEPS_PER_CALL)
        return 1;
    history->steps_left -= STEPS_PER_CALL;
    return 0;
}

// Of one in memory: its pages, without those that are empty again.
static uint64_t memory_bytes(struct history *history)
{
    int64_t pages = 0, empty = 0, page_bytes = 0;
    (void)store_scalar(history, "PRAGMA page_count", 0, &pages);
    (void)store_scalar(history, "PRAGMA freelist_count", 0, &empty);
    (void)store_scalar(history, "PRAGMA page_size", 0, &page_bytes);
    return pages > empty && page_bytes > 0 ? (uint64_t)((pages - empty) * page_bytes) : 0;
}

// With its log, which holds what the file does not have yet. What the recording takes on the disk:
// its log belongs to it.
static uint64_t file_bytes(struct history *history)
{
    struct stat status;
    uint64_t bytes = 0;
    char log[4096];
    if (!history->path)
        return memory_bytes(history);
    if (stat(history->path, &status) == 0)
        bytes = (uint64_t)status.st_size;
    text_format(log, sizeof log, "%s-wal", history->path);
    if (stat(log, &status) == 0)
        bytes += (uint64_t)status.st_size;
    return bytes;
}

// A row has some 30 bytes, and takes some 30 steps; the largest reading reads all of a file. One
// that is made to loop ends within a second.
static void allow_steps(struct history *history)
{
    const uint64_t least = 10000000, per_byte = 8;
    history->steps_max = least + per_byte * file_bytes(history);
}

// What a stranger's file may not do.
static void distrust(struct history *history)
{
    sqlite3 *db = history->db;
    int was;
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, &was);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, &was);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, &was);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, &was);
    // Texts of ours have a few hundred bytes.
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, TEXT_LIMIT_BYTES);
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    // Set before the first statement: reading a schema can be made to loop as well.
    sqlite3_progress_handler(db, STEPS_PER_CALL, count_steps, history);
    // In WAL mode a reader waits only while the log is being recovered or taken away.
    sqlite3_busy_timeout(db, BUSY_MS);
}

// 0 once the file's schema has been read, and so is known to be a database. Alone: with no lock and
// no index that is shared.
static int open_database(struct history *history, bool is_alone)
{
    const int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(history->path, &history->db, flags, is_alone ? "unix-none" : NULL);
    int error = store_error(history, code);
    // Even after a failed open the limit is set: it does not need the database.
    allow_steps(history);
    if (!error && is_alone)
        // Before anything is read: the log's index is then kept in memory.
        error = store_exec(history, "PRAGMA locking_mode=EXCLUSIVE");
    if (!error) {
        distrust(history);
        // No mmap: a file that is cut while it is read would else end the program with SIGBUS.
        error = store_exec(history, "PRAGMA cell_size_check=ON; PRAGMA cache_size=-4096; "
                                    "PRAGMA mmap_size=0; PRAGMA query_only=ON; "
                                    "PRAGMA temp_store=MEMORY");
    }
    if (!error)
        // The first statement that reads a page, so that "not a database" comes from here.
        error = schema_check(history);
    if (error) {
        sqlite3_close_v2(history->db);
        history->db = NULL;
    }
    return error;
}

// What it looks like where the log's index cannot be made.
static bool is_index_missing(int error)
{
    // -EIO is what some file systems without shared memory answer.
    return error == -EACCES || error == -EROFS || error == -EPERM || error == -ENOENT ||
           error == -EIO;
}

// A log beside the file has an index that is shared. Where it is not there and nothing may be
// written, as on a read-only disk, nobody writes to the recording either: then it is read alone.
// The error that SQLite gives for it differs with the file system: each of them is tried again.
static int open_file(struct history *history)
{
    int version = history_schema_of(history->path);
    if (version < 0)
        return version;
    // Said before its tables are compared, or a newer recording would pass for a damaged one.
    if (version > HISTORY_SCHEMA)
        return -EPROTONOSUPPORT;
    history->schema = version;
    history->has_log = true;
    int error = open_database(history, false);
    return is_index_missing(error) ? open_database(history, true) : error;
}

// What can be opened has been checked as far as it can be without reading it all.
int history_open(const char *path, struct history **ret_history)
{
    struct history *history = calloc(1, sizeof *history);
    if (!history)
        return -ENOMEM;
    history->path = open_plain_path(path);
    int error = history->path ? open_file(history) : -ENOMEM;
    if (!error)
        // Moments mean nothing without it, so a clock that breaks the rules is a damaged file.
        error = open_clock(history);
    if (error) {
        (void)history_close(history);
        return error;
    }
    *ret_history = history;
    return 0;
}

// All of it each time: it has a row or two.
int open_clock(struct history *history)
{
    // The writer's own clock is the newest there is; and within one moment it does not change.
    if (history->writer || (history->is_reading && history->clock.count > 0))
        return 0;
    allow_steps(history);
    sqlite3_stmt *statement = NULL;
    int error = store_keep(history, KEPT_CLOCK, "SELECT at_ms, offset_ms FROM clock ORDER BY at_ms",
                           &statement);
    if (error)
        return error;
    // Beside the old one, which stays as it was on failure.
    struct history_clock clock = {0};
    int stepped;
    while ((stepped = store_step(history, statement)) == 1) {
        stepped = clock_append(&clock, sqlite3_column_int64(statement, 0),
                               sqlite3_column_int64(statement, 1));
        if (stepped < 0)
            break;
    }
    sqlite3_reset(statement);
    if (stepped < 0) {
        clock_free(&clock);
        return stepped;
    }
    clock_free(&history->clock);
    history->clock = clock;
    return 0;
}

// The earliest sample, or minute where samples have been dropped, of any subject. Of an empty
// recording, its end.
static int read_first(struct history *history, int64_t last_ms, int64_t *ret_first_ms)
{
    int64_t first_ms = 0;
    int error = store_scalar(history, "SELECT min(first_at_ms) FROM subject", last_ms, &first_ms);
    // Nothing of ours begins outside of the recording.
    if (!error)
        *ret_first_ms = first_ms >= 0 && first_ms <= last_ms ? first_ms : last_ms;
    return error;
}

// Whoever reckons with it multiplies it; 0 is one that cannot be.
static int read_interval(struct history *history, uint64_t *ret_interval_ms)
{
    int64_t interval_ms = 0;
    int error = store_get_number(history, "interval_ms", &interval_ms);
    if (error)
        return error == -ENOENT ? -EBADMSG : error;
    *ret_interval_ms = interval_ms > 0 && interval_ms <= key_time_max ? (uint64_t)interval_ms : 0;
    return 0;
}

// Counted by the writer: counting here would read the whole file. Two of these every recording has
// from its making; without them the file was cut.
static int read_counts(struct history *history, struct history_about *about)
{
    int64_t samples = 0, accounts = 0, ended = 0;
    int error = read_interval(history, &about->interval_ms);
    if (!error)
        error = store_get_number(history, "ended", &ended);
    if (error)
        return error == -ENOENT ? -EBADMSG : error;
    // Not there before the first flush.
    (void)store_get_number(history, "samples", &samples);
    (void)store_get_number(history, "accounts", &accounts);
    about->is_ended = ended == 1;
    about->sample_count = samples > 0 ? (uint64_t)samples : 0;
    about->account_count = accounts > 0 ? (uint64_t)accounts : 0;
    return 0;
}

// Texts may be missing; the times and the interval may not. Texts that are missing are "": they
// decide nothing.
int history_about(struct history *history, struct history_about *ret_about)
{
    struct history_about about = {.file_bytes = file_bytes(history)};
    int64_t first_ms = 0, last_ms = 0;
    int error = open_clock(history);
    if (!error)
        error = read_counts(history, &about);
    if (!error)
        error = store_last_ms(history, &last_ms);
    if (!error)
        error = read_first(history, last_ms, &first_ms);
    if (error)
        return error;
    (void)store_get(history, "title", about.title, sizeof about.title);
    (void)store_get(history, "host", about.host, sizeof about.host);
    (void)store_get(history, "ebb_version", about.ebb_version, sizeof about.ebb_version);
    (void)store_get(history, "kernel", about.kernel, sizeof about.kernel);
    about.first_ms = clock_time(&history->clock, first_ms);
    about.last_ms = clock_time(&history->clock, last_ms);
    *ret_about = about;
    return 0;
}

// Of what the file says now, as all that it is asked for with.
int history_interval(struct history *history, uint64_t *ret_interval_ms)
{
    return read_interval(history, ret_interval_ms);
}

// One snapshot of the write-ahead log.
int history_begin_reading(struct history *history)
{
    return store_begin_reading(history);
}

// Also where none was begun.
void history_end_reading(struct history *history)
{
    store_end_reading(history);
}
