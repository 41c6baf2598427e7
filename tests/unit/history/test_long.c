// SPDX-License-Identifier: Apache-2.0
// Unit tests of recordings that go on for long: with nobody there while the clock is set, with
// thousands who come and go, with floods of events, under another name. Test code.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef EBB_WITH_SQLITE
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

#include "sample/digest.h"
#include "support/recording.h"

#define MIB ((uint64_t)RECORDING_MIB)

static const int64_t hour_ms = 3600000;

static struct history *make(const char *path, uint64_t keep_ms)
{
    struct history *history = NULL;
    const struct history_options options = {
        .interval_ms = 1000, .keep_ms = keep_ms, .title = "a test"};
    assert_int_equal(history_create(path, &options, &history), 0);
    return history;
}

// A round of nobody, `ahead_ms` of the day's clock ahead of what it was.
static void write_nobody(struct history *history, struct round *round, int64_t after_ms,
                         int64_t ahead_ms)
{
    round_begin(round, after_ms);
    round->batch.time_ms += ahead_ms;
    round->batch.boot_ms = RECORDING_BOOT_MS + (uint64_t)after_ms;
    assert_int_equal(history_add(history, &round->batch, round->subjects, 0), 0);
}

// The clock is set while the service is away, at the start or later: what comes then is as far
// apart as it was.
static void test_clock_set_while_nobody_is_there(void **state)
{
    (void)state;
    static const int64_t jumps_ms[] = {2 * 3600000, -3600000, INT64_C(56) * 365 * 86400000};
    for (size_t jump = 0; jump < 3; jump++) {
        for (int is_first = 0; is_first < 2; is_first++) {
            struct round round;
            struct series series;
            struct history *history = make(":memory:", 0);
            round_init(&round, 1);
            if (!is_first) {
                round_sample(&round, 1, 100, 0);
                round_write(&round, history);
            }
            for (int second = 1; second < 10; second++)
                write_nobody(history, &round, second * 1000, second > 5 ? jumps_ms[jump] : 0);
            for (int second = 10; second < 70; second++) {
                round_begin(&round, second * 1000);
                round.batch.time_ms += jumps_ms[jump];
                round_sample(&round, 1, (uint64_t)second, 0)->boot_ms =
                    RECORDING_BOOT_MS + (uint64_t)second * 1000;
                round_write(&round, history);
            }
            assert_int_equal(history_series(history, 1, INT64_MIN, INT64_MAX, 0, &series), 0);
            assert_int_equal(series.count, 60 + !is_first);
            size_t last = series.count - 1;
            assert_int_equal(series.time_ms[last] - series.time_ms[last - 59], 59000);
            assert_int_equal(series.time_ms[last], RECORDING_TIME_MS + 69000 + jumps_ms[jump]);
            series_free(&series);
            assert_int_equal(history_close(history), 0);
        }
    }
}

// One that lives, among 1,200 an hour that come and go: it keeps no more than it should.
static void test_crowds_do_not_stop_retention(void **state)
{
    (void)state;
    struct history *history = make(":memory:", (uint64_t)hour_ms);
    struct subject *subjects = calloc(8000, sizeof *subjects);
    struct sample samples[2];
    struct batch batch = {.samples = samples};
    assert_non_null(subjects);
    for (unsigned i = 0; i < 8000; i++)
        subjects[i] = (struct subject){.id = i + 1, .pid = (int)i + 1, .name = "crowd"};
    for (int64_t step = 0; step < 4 * 1200; step++) {
        int64_t at_ms = step * 3000;
        // The newcomer of this round, and the end of the one before.
        size_t count = (size_t)step + 2;
        if (step > 0)
            subjects[count - 2].has_ended = true;
        batch.time_ms = RECORDING_TIME_MS + at_ms;
        batch.boot_ms = RECORDING_BOOT_MS + (uint64_t)at_ms;
        for (size_t i = 0; i < 2; i++)
            samples[i] = (struct sample){.subject = i ? (unsigned)count : 1,
                                         .time_ms = batch.time_ms,
                                         .boot_ms = batch.boot_ms,
                                         .rss_bytes = MIB + (uint64_t)step * 4096,
                                         .effective_bytes = MIB,
                                         .lazy_bytes = SAMPLE_UNKNOWN};
        batch.sample_count = 2;
        assert_int_equal(history_add(history, &batch, subjects, count), 0);
    }
    assert_int_equal(history_flush(history), 0);
    struct series series;
    size_t count = 0;
    assert_int_equal(history_series(history, 1, INT64_MIN, INT64_MAX, 0, &series), 0);
    int64_t kept_ms = series.time_ms[series.count - 1] - series.time_ms[0];
    assert_true(kept_ms < hour_ms + hour_ms / 4);
    series_free(&series);
    free(subjects);
    // And so does the crowd.
    assert_int_equal(history_subjects(history, &subjects, &count), 0);
    assert_true(count < 2000);
    free(subjects);
    assert_int_equal(history_close(history), 0);
}

// As many as a journal may bring in a round: all of one moment, again and again.
static void test_flood_of_one_moment(void **state)
{
    (void)state;
    enum { FLOOD = 4096 };
    struct history *history = make(":memory:", 0);
    struct event *events = calloc(FLOOD, sizeof *events), *found = NULL;
    struct round round;
    size_t count = 0;
    assert_non_null(events);
    for (int i = 0; i < FLOOD; i++)
        events[i] = (struct event){.time_ms = RECORDING_TIME_MS, .kind = EVENT_LEVER};
    round_init(&round, 1);
    for (int second = 0; second < 5; second++) {
        round_begin(&round, second * 1000);
        round_sample(&round, 1, 100, 0);
        round.batch.events = events;
        round.batch.event_count = FLOOD;
        round_write(&round, history);
    }
    // With a search for each this took minutes.
    assert_int_equal(history_events(history, 0, INT64_MIN, INT64_MAX, &found, &count), 0);
    assert_int_equal(count, 5 * FLOOD);
    free(found);
    free(events);
    assert_int_equal(history_close(history), 0);
}

static void name_files(char *before, char *after, size_t size)
{
    const char *base = getenv("TMPDIR");
    snprintf(before, size, "%.200s/long-%d.ebb", base ? base : "/tmp", (int)getpid());
    snprintf(after, size, "%.200s/long-%d.1", base ? base : "/tmp", (int)getpid());
}

// As a rotation of logs does it: the moved one is whole, and the name is not taken by a second one
// while the log of the first lies there.
static void test_moved_while_it_is_written(void **state)
{
    (void)state;
    char before[300], after[300], log[310];
    struct round round;
    struct history_about about;
    name_files(before, after, sizeof before);
    struct history *history = make(before, 0), *other = NULL;
    const struct history_options options = {.interval_ms = 1000};
    round_init(&round, 1);
    for (int second = 0; second < 60; second++) {
        round_begin(&round, second * 1000);
        round_sample(&round, 1, (uint64_t)second, 0);
        round_write(&round, history);
    }
    assert_int_equal(rename(before, after), 0);
    assert_int_equal(history_create(before, &options, &other), -EEXIST);
    assert_int_equal(access(before, F_OK), -1);
    assert_int_equal(history_flush(history), -ENOENT);
    assert_int_equal(history_close(history), -ENOENT);
    assert_int_equal(history_open(after, &history), 0);
    assert_int_equal(history_about(history, &about), 0);
    assert_int_equal(about.sample_count, 60);
    assert_int_equal(history_close(history), 0);
    assert_int_equal(unlink(after), 0);
    static const char *const ends[] = {"-wal", "-shm"};
    for (int i = 0; i < 2; i++) {
        snprintf(log, sizeof log, "%s%s", before, ends[i]);
        (void)unlink(log);
    }
}

// An account each second, of figures that never stand still: few are stored, the last one is, with
// its own headline, and a new verdict at once.
static void write_accounts(int seconds)
{
    char path[300], other[300];
    struct round round;
    struct history_about about;
    name_files(path, other, sizeof path);
    struct history *history = make(path, 0);
    enum { CHANGED = 300 };
    for (int second = 0; second < seconds; second++) {
        if (second == 0)
            round_init(&round, 1);
        round_begin(&round, second * 1000);
        round_sample(&round, 1, 100 + (uint64_t)second * 7 % 50, 0);
        struct digest *digest =
            round_account(&round, 1, second < CHANGED ? VERDICT_KEPT : VERDICT_IN_USE);
        snprintf(digest->headline, sizeof digest->headline, "the headline of second %d", second);
        round_write(&round, history);
    }
    assert_int_equal(history_close(history), 0);
    assert_int_equal(history_open(path, &history), 0);
    assert_int_equal(history_about(history, &about), 0);
    assert_true((int)about.account_count > seconds / 20 &&
                (int)about.account_count < seconds * 2 / 3);
    assert_true((int)about.file_bytes < 65536 + seconds / 60 * 10240);
    struct digest digest;
    int64_t time_ms = 0;
    assert_int_equal(history_digest(history, 1, INT64_MAX, &time_ms, &digest), 0);
    assert_int_equal(time_ms, RECORDING_TIME_MS + (seconds - 1) * 1000);
    char headline[64];
    snprintf(headline, sizeof headline, "the headline of second %d", seconds - 1);
    assert_string_equal(digest.headline, headline);
    digest_free(&digest);
    int64_t changed_ms = RECORDING_TIME_MS + CHANGED * 1000;
    assert_int_equal(history_digest(history, 1, changed_ms, &time_ms, &digest), 0);
    assert_int_equal(time_ms, changed_ms);
    assert_string_equal(digest.headline, "the headline of second 300");
    digest_free(&digest);
    assert_int_equal(history_close(history), 0);
    assert_int_equal(unlink(path), 0);
}

// Of two that follow each other one is left out at first.
static void test_accounts_have_a_budget(void **state)
{
    (void)state;
    write_accounts(599);
    write_accounts(600);
}

// Four minutes at 100 MiB with six seconds without readings in the third, and 50 MiB behind them.
static void write_gap(struct history *history)
{
    struct round round;
    round_init(&round, 1);
    for (int second = 0; second < 240; second++) {
        if (second > 150 && second < 157)
            continue;
        round_begin(&round, second * 1000);
        if (second == 157)
            round_event(&round, 0, EVENT_GAP, 7000, "the host slept");
        round_sample(&round, 1, second < 157 ? 100 : 50, 0);
        round_write(&round, history);
    }
    assert_int_equal(history_flush(history), 0);
}

// Nothing stands in a gap that an event tells, however short: by minutes and by samples alike.
static void test_gap_of_seconds(void **state)
{
    (void)state;
    struct history *history = make(":memory:", 0);
    uint64_t rss_ms = 0, effective_ms = 0;
    struct series series;
    write_gap(history);
    const int64_t ranges[][3] = {// From, to, and how long it was above 75 MiB in it, in seconds.
                                 {0, 239, 151},
                                 {140, 200, 11},
                                 {145, 160, 6},
                                 {120, 179, 31},
                                 {151, 156, 0}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        assert_int_equal(history_time_above(history, 1, RECORDING_TIME_MS + ranges[i][0] * 1000,
                                            RECORDING_TIME_MS + ranges[i][1] * 1000, 75 * MIB,
                                            &rss_ms, &effective_ms),
                         0);
        assert_int_equal(rss_ms, ranges[i][2] * 1000);
    }
    // Its ends are samples.
    assert_int_equal(history_series(history, 1, RECORDING_TIME_MS + 149000,
                                    RECORDING_TIME_MS + 158000, 0, &series),
                     0);
    assert_int_equal(series.count, 2);
    assert_int_equal(series.time_ms[0], RECORDING_TIME_MS + 150000);
    assert_int_equal(series.time_ms[1], RECORDING_TIME_MS + 157000);
    series_free(&series);
    assert_int_equal(history_close(history), 0);
}

// More events than are told, of two processes, one of which has the older ones: the newest are
// told, all of them.
static void test_the_newest_events(void **state)
{
    (void)state;
    char path[300], other[300];
    struct round round;
    sqlite3 *db = NULL;
    name_files(path, other, sizeof path);
    struct history *history = make(path, 0);
    for (int second = 0; second < 240; second += 239) {
        if (second == 0)
            round_init(&round, 2);
        round_begin(&round, second * 1000);
        round_sample(&round, 1, 100, 0);
        round_sample(&round, 2, 100, 0);
        round_write(&round, history);
    }
    assert_int_equal(history_close(history), 0);
    // Of the first, one each millisecond from 0 to 120 s; of the second, from 30 s to 180 s.
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db,
                     "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < "
                     "119999) INSERT INTO event SELECT (1 << 40) + i, 4, 1, NULL FROM n; "
                     "WITH RECURSIVE n(i) AS (SELECT 30000 UNION ALL SELECT i + 1 FROM n WHERE i < "
                     "179999) INSERT INTO event SELECT (2 << 40) + i, 4, 1, NULL FROM n",
                     NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close_v2(db);
    struct event *events = NULL;
    size_t count = 0, of_first = 0;
    assert_int_equal(history_open(path, &history), 0);
    assert_int_equal(history_events(history, 0, INT64_MIN, INT64_MAX, &events, &count), 0);
    assert_int_equal(count, 200000);
    // 60,000 of the second alone, and 70,000 of each before that.
    for (size_t i = 0; i < count; i++) {
        of_first += events[i].subject == 1;
        assert_true(events[i].time_ms >= RECORDING_TIME_MS + 50000);
        assert_true(i == 0 || events[i].time_ms >= events[i - 1].time_ms);
    }
    assert_int_equal(of_first, 70000);
    free(events);
    assert_int_equal(history_close(history), 0);
    assert_int_equal(unlink(path), 0);
}

// A file system without shared mappings, as SQLite sees it: a rollback journal instead of a log. It
// is said, and the recording is as good.
static void test_without_a_log(void **state)
{
    (void)state;
    char path[300], other[300];
    struct round round;
    struct history_about about;
    sqlite3_vfs *usual = sqlite3_vfs_find(NULL), *poor = sqlite3_vfs_find("unix-dotfile");
    name_files(path, other, sizeof path);
    struct history *history = make(path, 0);
    assert_true(history_has_log(history));
    assert_int_equal(history_close(history), 0);
    assert_int_equal(unlink(path), 0);
    if (!poor) {
        print_message("this SQLite has no other way to lock\n");
        skip();
    }
    assert_int_equal(sqlite3_vfs_register(poor, 1), SQLITE_OK);
    history = make(path, 0);
    assert_false(history_has_log(history));
    for (int second = 0; second < 30; second++) {
        if (second == 0)
            round_init(&round, 1);
        round_begin(&round, second * 1000);
        round_sample(&round, 1, (uint64_t)second, 0);
        round_write(&round, history);
    }
    assert_int_equal(history_close(history), 0);
    assert_int_equal(sqlite3_vfs_register(usual, 1), SQLITE_OK);
    assert_int_equal(history_open(path, &history), 0);
    assert_int_equal(history_about(history, &about), 0);
    assert_true(about.is_ended && about.sample_count == 30);
    assert_int_equal(history_close(history), 0);
    assert_int_equal(unlink(path), 0);
}

static void test_too_many_subjects(void **state)
{
    (void)state;
    struct history *history = make(":memory:", 0);
    struct round round;
    round_init(&round, 1);
    round.subjects[0].id = 1 << 22;
    round_sample(&round, 1 << 22, 1, 0);
    assert_int_equal(history_add(history, &round.batch, round.subjects, 1), -EOVERFLOW);
    assert_int_equal(history_close(history), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock_set_while_nobody_is_there),
        cmocka_unit_test(test_crowds_do_not_stop_retention),
        cmocka_unit_test(test_flood_of_one_moment),
        cmocka_unit_test(test_moved_while_it_is_written),
        cmocka_unit_test(test_accounts_have_a_budget),
        cmocka_unit_test(test_gap_of_seconds),
        cmocka_unit_test(test_the_newest_events),
        cmocka_unit_test(test_without_a_log),
        cmocka_unit_test(test_too_many_subjects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void)
{
    print_message("built without SQLite\n");
    return 0;
}
#endif
