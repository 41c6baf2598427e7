// SPDX-License-Identifier: Apache-2.0
// Unit tests of recordings as files: what is refused, what survives. Test code.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef EBB_WITH_SQLITE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/recording.h"

static char folder[256];

static int make_folder(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.200s/history-XXXXXX", base ? base : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

// Whatever the tests left: names are short.
static int remove_folder(void **state)
{
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static const char *file(const char *name)
{
    static char paths[4][320];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static struct history *create(const char *path)
{
    struct history *history = NULL;
    const struct history_options options = {.interval_ms = 1000, .flush_ms = 1000, .title = "file"};
    assert_int_equal(history_create(path, &options, &history), 0);
    return history;
}

static int add_rounds(struct history *history, struct round *round, int from, int to)
{
    int error = 0;
    for (int i = from; i < to && !error; i++) {
        round_begin(round, (int64_t)i * 1000);
        round_sample(round, 1, 100 + (uint64_t)i % 50, 1);
        if (i % 5 == 0)
            round_account(round, 1, VERDICT_LAZY);
        error = history_add(history, &round->batch, round->subjects, round->subject_count);
    }
    return error;
}

static size_t count_samples(const char *path)
{
    struct history *history = NULL;
    struct series series;
    assert_int_equal(history_open(path, &history), 0);
    assert_int_equal(history_series(history, 1, INT64_MIN, INT64_MAX, 0, &series), 0);
    size_t count = series.count;
    series_free(&series);
    assert_int_equal(history_close(history), 0);
    return count;
}

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    char *message = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    sqlite3_close(db);
}

static int expect_ok(void *context, int columns, char **values, char **names)
{
    (void)names;
    *(bool *)context = columns == 1 && strcmp(values[0], "ok") == 0;
    return 0;
}

static bool is_intact(const char *path)
{
    sqlite3 *db = NULL;
    bool is_ok = false;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA integrity_check", expect_ok, &is_ok, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    return is_ok;
}

static void copy(const char *from, const char *to)
{
    char data[8192];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(in >= 0 && out >= 0);
    for (ssize_t len; (len = read(in, data, sizeof data)) > 0;)
        assert_int_equal(write(out, data, (size_t)len), len);
    close(in);
    close(out);
}

static void test_create(void **state)
{
    (void)state;
    const char *path = file("a.ebb");
    struct history *history = create(path), *other = NULL;
    const struct history_options options = {.interval_ms = 1000};
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(history_create(path, &options, &other), -EEXIST);
    assert_int_equal(history_close(history), 0);
    assert_int_equal(history_create(path, &options, &other), -EEXIST);
    assert_int_equal(history_create(file("none/a.ebb"), &options, &other), -ENOENT);
    assert_int_equal(history_create(folder, &options, &other), -EEXIST);
    assert_int_equal(symlink("elsewhere", file("link.ebb")), 0);
    assert_int_equal(history_create(file("link.ebb"), &options, &other), -EEXIST);
    assert_int_equal(access(file("elsewhere"), F_OK), -1);
    // A name that means something in a URI means nothing here.
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(history_close(create("file:x?mode=memory")), 0);
    assert_int_equal(access("file:x?mode=memory", F_OK), 0);
    assert_int_equal(history_open("file:x?mode=memory", &other), 0);
    assert_int_equal(history_close(other), 0);
}

static void test_closed_is_one_file(void **state)
{
    (void)state;
    struct round round;
    struct history_about about;
    struct history *history = create(file("one.ebb"));
    round_init(&round, 1);
    assert_int_equal(add_rounds(history, &round, 0, 100), 0);
    assert_int_equal(access(file("one.ebb-wal"), F_OK), 0);
    assert_int_equal(history_close(history), 0);
    assert_int_equal(access(file("one.ebb-wal"), F_OK), -1);
    assert_int_equal(access(file("one.ebb-shm"), F_OK), -1);
    assert_int_equal(count_samples(file("one.ebb")), 100);
    assert_true(is_intact(file("one.ebb")));
    assert_int_equal(history_open(file("one.ebb"), &history), 0);
    assert_int_equal(history_about(history, &about), 0);
    assert_true(about.is_ended);
    assert_string_equal(about.title, "file");
    assert_int_equal(about.sample_count, 100);
    assert_int_equal(about.account_count, 20);
    assert_int_equal(about.first_ms, RECORDING_TIME_MS);
    assert_int_equal(about.last_ms, RECORDING_TIME_MS + 99000);
    assert_true(about.file_bytes > 4096);
    // A reader writes nothing.
    assert_int_equal(add_rounds(history, &round, 100, 101), -EBADF);
    assert_int_equal(history_flush(history), -EBADF);
    assert_int_equal(history_close(history), 0);
}

// While it grows, and as a kill would leave it.
static void test_growing_and_cut(void **state)
{
    (void)state;
    struct round round;
    struct history_about about;
    struct history *writer = create(file("live.ebb")), *reader = NULL;
    struct series series;
    round_init(&round, 1);
    assert_int_equal(history_open(file("live.ebb"), &reader), 0);
    assert_int_equal(add_rounds(writer, &round, 0, 10), 0);
    assert_int_equal(history_series(reader, 1, INT64_MIN, INT64_MAX, 0, &series), 0);
    assert_int_equal(series.count, 10);
    series_free(&series);
    assert_int_equal(history_about(reader, &about), 0);
    assert_false(about.is_ended);
    assert_int_equal(about.last_ms, RECORDING_TIME_MS + 9000);
    assert_int_equal(add_rounds(writer, &round, 10, 20), 0);
    assert_int_equal(history_series(reader, 1, INT64_MIN, INT64_MAX, 0, &series), 0);
    assert_int_equal(series.count, 20);
    series_free(&series);
    copy(file("live.ebb"), file("cut.ebb"));
    copy(file("live.ebb-wal"), file("cut.ebb-wal"));
    assert_int_equal(count_samples(file("cut.ebb")), 20);
    assert_true(is_intact(file("cut.ebb")));
    // A log that is torn costs its last transactions.
    copy(file("live.ebb"), file("torn.ebb"));
    copy(file("live.ebb-wal"), file("torn.ebb-wal"));
    struct stat status;
    assert_int_equal(stat(file("torn.ebb-wal"), &status), 0);
    assert_int_equal(truncate(file("torn.ebb-wal"), status.st_size - 3000), 0);
    assert_in_range(count_samples(file("torn.ebb")), 15, 19);
    assert_true(is_intact(file("torn.ebb")));
    assert_int_equal(history_close(reader), 0);
    assert_int_equal(history_close(writer), 0);
}

static void test_limit_and_loss(void **state)
{
    (void)state;
    struct round round;
    struct history *history = create(file("limit.ebb"));
    struct rlimit was, limit;
    round_init(&round, 1);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    limit = (struct rlimit){.rlim_cur = 300000, .rlim_max = was.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int error = add_rounds(history, &round, 0, 100000);
    int again = add_rounds(history, &round, 100000, 100001);
    int closed = history_close(history);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_int_equal(error, -EFBIG);
    assert_int_equal(again, -EFBIG);
    assert_int_equal(closed, -EFBIG);
    assert_true(is_intact(file("limit.ebb")));
    assert_true(count_samples(file("limit.ebb")) > 10);
    // Moved away under its writer.
    history = create(file("gone.ebb"));
    assert_int_equal(add_rounds(history, &round, 0, 5), 0);
    assert_int_equal(rename(file("gone.ebb"), file("moved.ebb")), 0);
    assert_int_equal(add_rounds(history, &round, 5, 10), -ENOENT);
    assert_int_equal(history_close(history), -ENOENT);
    assert_int_equal(access(file("gone.ebb"), F_OK), -1);
}

// With retention, the room of what was dropped is used again.
static void test_keep_is_bounded(void **state)
{
    (void)state;
    struct round round;
    struct history *history = NULL;
    struct history_about about;
    const struct history_options options = {.interval_ms = 1000, .keep_ms = 600000};
    uint64_t bytes[3];
    assert_int_equal(history_create(file("keep.ebb"), &options, &history), 0);
    round_init(&round, 1);
    for (int part = 0; part < 3; part++) {
        assert_int_equal(add_rounds(history, &round, part * 3000, part * 3000 + 3000), 0);
        assert_int_equal(history_about(history, &about), 0);
        bytes[part] = about.file_bytes;
    }
    assert_int_equal(history_close(history), 0);
    assert_true(bytes[2] < bytes[1] + bytes[1] / 10);
    assert_in_range(count_samples(file("keep.ebb")), 590, 700);
    assert_true(is_intact(file("keep.ebb")));
}

static int open_answer(const char *path)
{
    struct history *history = NULL;
    int error = history_open(path, &history);
    if (!error)
        error = history_close(history);
    return error;
}

static void write_text(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static void test_refused(void **state)
{
    (void)state;
    assert_int_equal(open_answer(file("nothing")), -ENOENT);
    assert_int_equal(open_answer(folder), -EISDIR);
    assert_int_equal(open_answer("/dev/zero"), -EBADMSG);
    assert_int_equal(mkfifo(file("fifo"), 0600), 0);
    assert_int_equal(open_answer(file("fifo")), -EBADMSG);
    write_text(file("text"), "not a recording at all, but long enough to have a header of SQLite's "
                             "length, which is a hundred bytes\n");
    assert_int_equal(open_answer(file("text")), -EBADMSG);
    write_text(file("empty"), "");
    assert_int_equal(open_answer(file("empty")), -EBADMSG);
    run_sql(file("foreign"), "CREATE TABLE sample (id INTEGER PRIMARY KEY)");
    assert_int_equal(open_answer(file("foreign")), -EBADMSG);
    assert_int_equal(history_schema_of(file("foreign")), -EBADMSG);
    assert_int_equal(history_close(create(file("good"))), 0);
    assert_int_equal(open_answer(file("good")), 0);
    assert_int_equal(history_schema_of(file("good")), HISTORY_SCHEMA);
    copy(file("good"), file("newer"));
    run_sql(file("newer"), "PRAGMA user_version=1234");
    assert_int_equal(open_answer(file("newer")), -EPROTONOSUPPORT);
    assert_int_equal(history_schema_of(file("newer")), 1234);
    copy(file("good"), file("short"));
    assert_int_equal(truncate(file("short"), 9000), 0);
    assert_int_equal(open_answer(file("short")), -EBADMSG);
    // Tables that are none of ours.
    copy(file("good"), file("view"));
    run_sql(file("view"), "DROP TABLE event; CREATE VIEW event AS SELECT 1 AS id");
    assert_int_equal(open_answer(file("view")), -EBADMSG);
    copy(file("good"), file("less"));
    run_sql(file("less"), "DROP TABLE hour");
    assert_int_equal(open_answer(file("less")), -EBADMSG);
    // What somebody adds for himself is left alone.
    copy(file("good"), file("more"));
    run_sql(file("more"), "CREATE TABLE mine (x); CREATE INDEX mine_x ON mine (x)");
    assert_int_equal(open_answer(file("more")), 0);
}

// Figures that cannot be are not handed on to who reckons with them.
static void test_impossible(void **state)
{
    (void)state;
    static const char *const firsts[] = {"9223372036854775807", "-9223372036854775807", "'x'"};
    struct history *history = create(file("impossible"));
    struct round round;
    round_init(&round, 1);
    assert_int_equal(add_rounds(history, &round, 0, 3), 0);
    assert_int_equal(history_close(history), 0);
    run_sql(file("impossible"), "UPDATE about SET value=9223372036854775807 "
                                "WHERE key='interval_ms'");
    for (size_t i = 0; i < sizeof firsts / sizeof firsts[0]; i++) {
        struct history_about about;
        char sql[96];
        snprintf(sql, sizeof sql, "UPDATE subject SET first_at_ms=%s", firsts[i]);
        run_sql(file("impossible"), sql);
        assert_int_equal(history_open(file("impossible"), &history), 0);
        assert_int_equal(history_about(history, &about), 0);
        assert_int_equal(about.interval_ms, 0);
        assert_int_equal(about.first_ms, about.last_ms);
        assert_int_equal(history_close(history), 0);
    }
}

static int count_rows(void *context, int columns, char **values, char **names)
{
    (void)columns;
    (void)values;
    (void)names;
    ++*(int *)context;
    return 0;
}

// The views are for people: each must run, and show what is there.
static void test_views(void **state)
{
    (void)state;
    static const char *const views[] = {"samples", "accounts", "figures", "events", "hours"};
    struct round round;
    struct history *history = create(file("views"));
    round_init(&round, 1);
    round_event(&round, 1, EVENT_GC, 2, "");
    assert_int_equal(add_rounds(history, &round, 0, 1), 0);
    round_begin(&round, 1000);
    round_event(&round, 1, EVENT_GC, 2, "");
    round_write(&round, history);
    assert_int_equal(history_close(history), 0);
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) {
        char sql[128];
        int rows = 0;
        sqlite3 *db = NULL;
        snprintf(sql, sizeof sql, "SELECT * FROM %s WHERE time_ms > 1767261500000", views[i]);
        if (strcmp(views[i], "hours") == 0)
            snprintf(sql, sizeof sql, "SELECT * FROM hours WHERE time_ms = 1767261600000");
        assert_int_equal(sqlite3_open(file("views"), &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, sql, count_rows, &rows, NULL), SQLITE_OK);
        assert_int_equal(rows, strcmp(views[i], "figures") == 0 ? 2 : 1);
        sqlite3_close(db);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_create),          cmocka_unit_test(test_closed_is_one_file),
    cmocka_unit_test(test_growing_and_cut), cmocka_unit_test(test_limit_and_loss),
    cmocka_unit_test(test_keep_is_bounded), cmocka_unit_test(test_refused),
    cmocka_unit_test(test_impossible),      cmocka_unit_test(test_views),
};

int main(void)
{
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
#else
int main(void)
{
    print_message("built without SQLite\n");
    return 0;
}
#endif
