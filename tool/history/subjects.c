// SPDX-License-Identifier: Apache-2.0
// The processes of a recording. Tool world; one thread.
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/array.h"
#include "history/open.h"

// A number that fits, or 0. A PID that a file makes larger than int would else become another one.
static int64_t read_number(sqlite3_stmt *statement, int column, int64_t max)
{
    uint64_t value = store_u64(statement, column);
    return value <= (uint64_t)max ? (int64_t)value : 0;
}

// One that lives stands until the last round.
static void read_subject(struct history *history, sqlite3_stmt *statement, int64_t last_ms,
                         struct subject *ret_subject)
{
    uint64_t ended_ms = store_u64(statement, 6);
    bool has_ended = ended_ms <= (uint64_t)key_time_max;
    *ret_subject = (struct subject){
        .id = (unsigned)sqlite3_column_int64(statement, 0),
        .pid = (int)read_number(statement, 1, INT_MAX),
        .uid = (uint32_t)read_number(statement, 2, UINT32_MAX),
        .start_ticks = (uint64_t)read_number(statement, 3, INT64_MAX),
        .start_ms = read_number(statement, 4, INT64_MAX),
        .first_ms = clock_time(&history->clock, read_number(statement, 5, key_time_max)),
        // Where its end is not stored, a recording that was killed tells no later time than its
        // last flush.
        .last_ms = clock_time(&history->clock, has_ended ? (int64_t)ended_ms : last_ms),
        .has_ended = has_ended,
    };
    store_text(statement, 7, ret_subject->name, sizeof ret_subject->name);
    store_text(statement, 8, ret_subject->exe, sizeof ret_subject->exe);
    store_text(statement, 9, ret_subject->cmdline, sizeof ret_subject->cmdline);
    store_text(statement, 10, ret_subject->cgroup, sizeof ret_subject->cgroup);
}

// None may come twice: ids are what everything else refers to. Grown as they are read. On failure
// nothing is left over and the out-parameters are untouched.
static int read_subjects(struct history *history, sqlite3_stmt *statement,
                         struct subject **ret_subjects, size_t *ret_count)
{
    struct subject *subjects = NULL;
    size_t count = 0, capacity = 0;
    int64_t last_ms = 0, last_id = 0;
    int stepped = store_last_ms(history, &last_ms);
    while (stepped == 0 && (stepped = store_step(history, statement)) == 1) {
        int64_t id = sqlite3_column_int64(statement, 0);
        // Ascending, as the rows of a whole tree are.
        if (id <= last_id || id > KEY_SUBJECT_MAX)
            stepped = -EBADMSG;
        else
            stepped = array_reserve_one(&subjects, &capacity, count, sizeof *subjects);
        if (stepped < 0)
            break;
        last_id = id;
        // It fills in every byte: the array is not zeroed.
        read_subject(history, statement, last_ms, &subjects[count++]);
        stepped = 0;
    }
    if (stepped < 0) {
        free(subjects);
        return stepped;
    }
    *ret_subjects = subjects;
    *ret_count = count;
    return 0;
}

// The clock is read anew, since a recording that is being written may have been set meanwhile.
static int read_range(struct history *history, int64_t first_id, int64_t last_id,
                      struct subject **ret_subjects, size_t *ret_count)
{
    sqlite3_stmt *statement = NULL;
    int error = open_clock(history);
    if (!error)
        error = store_prepare(history,
                              "SELECT id, pid, uid, start_ticks, start_ms, first_at_ms, "
                              "last_at_ms, name, exe, cmdline, cgroup FROM subject "
                              "WHERE id >= ? AND id <= ? ORDER BY id",
                              &statement);
    if (error)
        return error;
    sqlite3_bind_int64(statement, 1, first_id);
    sqlite3_bind_int64(statement, 2, last_id);
    error = read_subjects(history, statement, ret_subjects, ret_count);
    sqlite3_finalize(statement);
    return error;
}

// All of them: even a host of a month has some thousands that matter. Ids that cannot be, too,
// which are damage that must be told.
int history_subjects(struct history *history, struct subject **ret_subjects, size_t *ret_count)
{
    return read_range(history, INT64_MIN, INT64_MAX, ret_subjects, ret_count);
}

// By its key: whoever asks for each of thousands must not read all of them each time.
int history_subject(struct history *history, unsigned id, struct subject *ret_subject)
{
    struct subject *subjects = NULL;
    size_t count = 0;
    int error = read_range(history, id, id, &subjects, &count);
    if (error)
        return error;
    if (count > 0)
        *ret_subject = subjects[0];
    free(subjects);
    return count > 0 ? 0 : -ENOENT;
}
