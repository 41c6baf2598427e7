// SPDX-License-Identifier: Apache-2.0
// Growth over an observed time: slope and spread of a figure. Tool world; pure.
//
// Effective RSS is sampled often; what the rows say of it is known at both ends only, where full
// accounts were made. Both must rise: effective RSS alone also rises when a runtime fills up its
// reserves, and in-use bytes alone say nothing of the runtimes whose inside cannot be read.
#ifndef EBB_ACCOUNT_GROWTH_H
#define EBB_ACCOUNT_GROWTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct growth_sample {
    double time_s;            // since the first sample
    uint64_t effective_bytes; // RSS - lazy
    uint64_t rss_bytes;
    bool has_rows;         // a full account was made: the two below are known
    uint64_t in_use_bytes; // of the ledgers; 0 when none could be read
    // What can be leaked: effective RSS without what is kept, slack, mapped from files or shared.
    // It counts stacks (threads that never end) and what is held or unexplained.
    uint64_t busy_bytes;
};

// A straight line through one figure, by least squares.
struct growth_line {
    double slope_bytes_per_s;
    double slope_error_bytes_per_s; // standard error of the slope; 0 without has_error
    int64_t change_bytes;           // last - first
    bool has_error;                 // more than two samples: two tell no spread
};

struct growth {
    double seconds;
    size_t sample_count;
    struct growth_line effective, rss, in_use, busy;
    bool has_in_use, has_busy; // at least two accounts were made, and a ledger was read
    // Of the process during the observation; filled in by who observes.
    uint64_t minor_faults, major_faults;
    // Effective RSS rises beyond twice its error and by an amount that matters, and a quarter of
    // the rise or more is in busy_bytes where these are known.
    bool is_growing;
    // It rises so, whatever it is that fills: reserves and files as well.
    bool is_rising;
    // Where is_growing was judged by lows: over how many swings they rise. 0: steadily, or nobody
    // looked.
    size_t swing_count;
    // It rises so, but who observes for long says that it may be a wave, a step or a beginning.
    bool is_doubted;
};

// Cost: three passes over the samples for each figure. Samples ascend by time. 0; -EINVAL with
// fewer than two samples or no time between them.
int growth_fit(const struct growth_sample *samples, size_t count, struct growth *ret_growth);

// For an observation of swings_least_s() or more, of which every sample is there: a rise in one
// step, in a wave, or that has levelled off is no growth, but doubted. A shorter one stays as it
// is. Samples as growth_fit()'s, of which `growth` is.
void growth_doubt(const struct growth_sample *samples, size_t count, struct growth *growth);

#endif
