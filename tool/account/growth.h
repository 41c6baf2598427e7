// SPDX-License-Identifier: Apache-2.0
// Growth over an observed time: slope and spread of a figure. Tool world; pure.
#ifndef EBB_ACCOUNT_GROWTH_H
#define EBB_ACCOUNT_GROWTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GROWTH_ACCOUNTS_MAX = 64 }; // samples with has_in_use that are looked at

struct growth_sample {
    double time_s;            // since the first sample
    uint64_t effective_bytes; // RSS - lazy
    uint64_t rss_bytes;
    uint64_t in_use_bytes; // of the ledgers; 0 when none could be read
    bool has_in_use;
};

// A straight line through one figure.
struct growth_line {
    double slope_bytes_per_s;
    double slope_error_bytes_per_s; // standard error of the slope
    int64_t change_bytes;           // last - first
};

struct growth {
    double seconds;
    size_t sample_count;
    struct growth_line effective, rss, in_use;
    bool has_in_use; // at least two samples with it
    uint64_t minor_faults,
        major_faults; // of the process during the observation; filled in by who observes
    bool is_growing;  // the effective slope is positive beyond twice its error, and in use rises
                      // with it where known
};

// 0; -EINVAL with fewer than two samples or no time between them.
int growth_fit(const struct growth_sample *samples, size_t count, struct growth *ret_growth);

#endif
