// SPDX-License-Identifier: Apache-2.0
// The times without readings, see gaps.h. Tool world; one thread.
#include "history/gaps.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"

// The event is told at the end of its gap, with the length of it.
static int add_gap(struct gaps *gaps, int64_t end_ms, uint64_t length_ms)
{
    // Longer than the recording so far: not ours.
    if (length_ms > (uint64_t)end_ms)
        return 0;
    int64_t middle_ms = end_ms - (int64_t)(length_ms / 2);
    // They follow each other, and none begins before the last one ended.
    if (gaps->count > 0 && middle_ms <= gaps->middle_ms[gaps->count - 1])
        return 0;
    int error =
        array_reserve_one(&gaps->middle_ms, &gaps->capacity, gaps->count, sizeof *gaps->middle_ms);
    if (!error)
        gaps->middle_ms[gaps->count++] = middle_ms;
    return error;
}

int gaps_read(struct history *history, struct gaps *ret_gaps)
{
    sqlite3_stmt *select = NULL;
    struct gaps gaps = {0};
    // The host's events lie together, as those of subject 0.
    int error = store_prepare(
        history, "SELECT id, value FROM event WHERE id >= 0 AND id <= ? AND kind = ? ORDER BY id",
        &select);
    if (error)
        return error;
    sqlite3_bind_int64(select, 1, key_time_max);
    sqlite3_bind_int(select, 2, (int)EVENT_GAP);
    int stepped;
    while ((stepped = store_step(history, select)) == 1) {
        stepped = add_gap(&gaps, key_time(sqlite3_column_int64(select, 0)), store_u64(select, 1));
        if (stepped < 0)
            break;
    }
    sqlite3_finalize(select);
    if (stepped < 0) {
        gaps_free(&gaps);
        return stepped;
    }
    *ret_gaps = gaps;
    return 0;
}

void gaps_free(struct gaps *gaps)
{
    free(gaps->middle_ms);
    *gaps = (struct gaps){0};
}

// By halves: it is asked for each sample of a range.
bool gaps_between(const struct gaps *gaps, int64_t from_ms, int64_t to_ms)
{
    size_t low = 0, high = gaps->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (gaps->middle_ms[middle] <= from_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low < gaps->count && gaps->middle_ms[low] <= to_ms;
}
