// SPDX-License-Identifier: Apache-2.0
// A subject's time from one end to the other in as few pieces as possible: hours where these are
// whole, minutes, and samples at the ends. Tool world; one thread.
#ifndef EBB_HISTORY_SUM_H
#define EBB_HISTORY_SUM_H

#include "account/swing.h"
#include "history/gaps.h"
#include "history/rollup.h"

struct sum {
    struct history *history;
    int64_t last_ms;                  // of the recording
    int64_t until_ms;                 // nothing stands longer than that
    int64_t interval_ms, patience_ms; // how long a stored sample stands before a gap, and else
    sqlite3_stmt *hours, *minutes, *samples, *before, *after, *verdicts, *verdict_before;
    struct gaps gaps;
    sqlite3_stmt *peaks; // NULL: the recording has none
    // Takes a piece, in the order of time. `length_ms` is that of an hour or a minute, which come
    // whole, or 0 for a stretch of samples within a minute. False: this row does not tell enough.
    bool (*take)(struct sum *sum, const struct rollup *part, int64_t length_ms);
    // For each stretch in which the samples' values did not change; NULL: not wanted.
    void (*hold)(struct sum *sum, const struct rollup_values *values, uint64_t held_ms);
    // Takes a row that did not tell enough, and of which nothing smaller is kept.
    void (*guess)(struct sum *sum, const struct rollup *part);
    uint64_t told_ms; // counted by `take` and `hold`, to see whether anything came
    struct rollup total;
    struct fit fit;
    struct swings swings;                                   // of effective RSS
    bool takes_hours;                                       // into `swings`
    uint64_t limit_bytes, rss_above_ms, effective_above_ms; // of history_time_above()
};

// A subject's range: [first_ms, end_ms) of the recording's moments.
struct sum_range {
    unsigned subject;
    int64_t first_ms, end_ms;
};

// 0 and a sum for sum_close(); -errno.
int sum_open(struct history *history, struct sum *ret_sum);
void sum_close(struct sum *sum);

// The moments of a range of the day's time in which a subject can have anything. False: there are
// none.
bool sum_cut(struct sum *sum, int64_t from_ms, int64_t to_ms, const struct subject *subject,
             struct sum_range *ret_range);

// Walks it. 0; -EBADMSG; -errno. Cost: by the hours in the range and the ends that are cut, not by
// its samples, where every row tells enough.
int sum_range(struct sum *sum, const struct sum_range *range);

#endif
