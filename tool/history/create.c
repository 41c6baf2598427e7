// SPDX-License-Identifier: Apache-2.0
// Making a recording, and closing one. Tool world; one thread.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/text.h"
#include "history/open.h"
#include "history/schema.h"
#include "history/write.h"

// Before there is a schema. Deleted rows need not be overwritten, and the cache is what the writer
// takes of memory: it holds the pages that the living subjects write to.
static const char settings_before[] = "PRAGMA page_size=4096; PRAGMA secure_delete=OFF; "
                                      "PRAGMA cache_size=-6144; PRAGMA temp_store=MEMORY";
// A commit is in the file when the program dies, and on the disk after the next checkpoint.
static const char settings_of_file[] =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=1000; "
    "PRAGMA journal_size_limit=8388608";

static const char *const log_ends[] = {"-wal", "-shm", "-journal"};

// A log beside a name that is free is that of a recording which had it: of one that goes on under
// another name, or was cut off and then moved. Two would write into it.
static bool has_log(const char *path)
{
    struct stat status;
    char name[PATH_MAX];
    for (size_t i = 0; i < sizeof log_ends / sizeof log_ends[0]; i++) {
        text_format(name, sizeof name, "%s%s", path, log_ends[i]);
        if (lstat(name, &status) == 0)
            return true;
    }
    return false;
}

// Nothing is overwritten, and nobody else reads what command lines it holds. O_EXCL is the test and
// the making in one step: SQLite alone would open what is already there.
static int make_file(struct history *history, const char *path)
{
    if (has_log(path))
        return -EEXIST;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    struct stat status;
    int error = fstat(fd, &status) < 0 ? -errno : 0;
    close(fd);
    // To notice later that the name leads to another file, see check_file().
    history->device = status.st_dev;
    history->inode = status.st_ino;
    return error;
}

// What a recording says of itself, for who finds it years later.
static int describe(struct history *history, const struct history_options *options)
{
    struct utsname host;
    char kernel[128] = "", name[65] = "";
    if (uname(&host) == 0) {
        text_format(kernel, sizeof kernel, "%s %s", host.sysname, host.release);
        text_copy(text_of(host.nodename), name, sizeof name);
    }
    int error = store_set(history, "title", options->title ? options->title : "");
    // Where it was made matters: lazily freed memory behaves by the kernel.
    if (!error)
        error = store_set(history, "host", name);
    if (!error)
        error = store_set(history, "kernel", kernel);
    if (!error)
        error = store_set(history, "ebb_version", EBB_VERSION);
    if (!error)
        error =
            store_set_number(history, "interval_ms", (int64_t)(options->interval_ms & INT64_MAX));
    if (!error)
        // A reader that finds 0 takes the recording to be still written, or cut off.
        error = store_set_number(history, "ended", 0);
    if (!error)
        error = store_set_number(history, "last_at_ms", 0);
    return error;
}

// SQLite says nothing where it cannot have what it was asked for: it answers with what it has.
static int read_mode(struct history *history)
{
    sqlite3_stmt *statement = NULL;
    char mode[16] = "";
    int error = store_prepare(history, "PRAGMA journal_mode", &statement);
    if (error)
        return error;
    int stepped = store_step(history, statement);
    if (stepped == 1)
        store_text(statement, 0, mode, sizeof mode);
    sqlite3_finalize(statement);
    history->has_log = strcmp(mode, "wal") == 0;
    return stepped < 0 ? stepped : 0;
}

bool history_has_log(const struct history *history)
{
    return history->has_log;
}

// The tables are in the file itself before the first sample comes, not only in its log: whatever
// happens later, it can be told what this file is.
static int fill(struct history *history, const struct history_options *options)
{
    int error = store_exec(history, settings_before);
    if (!error && history->path)
        error = store_exec(history, settings_of_file);
    if (!error && history->path)
        error = read_mode(history);
    // A page of another size can only be chosen before the first table; WAL only outside of a
    // transaction.
    if (!error)
        error = store_exec(history, "BEGIN");
    if (!error)
        error = schema_make(history);
    if (!error)
        error = describe(history, options);
    if (!error)
        error = store_exec(history, "COMMIT");
    if (!error && history->path)
        // Fails only for want of space, which is better known now than after an hour.
        error = store_exec(history, "PRAGMA wal_checkpoint(TRUNCATE)");
    return error ? error : writer_open(history, options);
}

// Of a file, the empty one that make_file() made: never another that has come there since.
static int create_database(struct history *history, const char *path,
                           const struct history_options *options)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int code;
    if (history->path)
        code = sqlite3_open_v2(history->path, &history->db, flags, NULL);
    else
        code = sqlite3_open_v2(path, &history->db, flags | SQLITE_OPEN_CREATE, NULL);
    if (code != SQLITE_OK)
        return store_error(history, code);
    return fill(history, options);
}

// With the log and its index, which a failure may leave beside it: all were made just now, by us.
static void remove_file(const char *path)
{
    char name[PATH_MAX];
    (void)unlink(path);
    for (size_t i = 0; i < sizeof log_ends / sizeof log_ends[0]; i++) {
        text_format(name, sizeof name, "%s%s", path, log_ends[i]);
        (void)unlink(name);
    }
}

// Half a recording that was never begun is nobody's: it goes again.
int history_create(const char *path, const struct history_options *options,
                   struct history **ret_history)
{
    struct history *history = calloc(1, sizeof *history);
    if (!history)
        return -ENOMEM;
    int error = 0;
    bool has_file = strcmp(path, ":memory:") != 0, is_made = false;
    history->schema = HISTORY_SCHEMA;
    history->has_log = true;
    if (has_file) {
        history->path = open_plain_path(path);
        error = history->path ? make_file(history, history->path) : -ENOMEM;
        is_made = !error;
    }
    if (!error)
        error = create_database(history, path, options);
    // So that a second try with the same name is not refused.
    if (error) {
        writer_drop(history);
        sqlite3_close_v2(history->db);
        history->db = NULL;
        // Only what was made here: a file that was there before has led to -EEXIST.
        if (is_made)
            remove_file(history->path);
        (void)history_close(history);
        return error;
    }
    *ret_history = history;
    return 0;
}

// Without its log, a recording is one file that can be read from anywhere. Where somebody reads it
// now, or the disk is full, the log stays beside it, and is as good.
int history_close(struct history *history)
{
    if (!history)
        return 0;
    int error = 0;
    if (history->writer) {
        error = writer_close(history);
        if (!error && history->path)
            (void)store_exec(history, "PRAGMA journal_mode=DELETE");
    }
    // A handle that failed to open has to be closed as well; NULL is fine.
    store_drop_kept(history);
    sqlite3_close_v2(history->db);
    clock_free(&history->clock);
    free(history->path);
    free(history);
    return error;
}
