// SPDX-License-Identifier: Apache-2.0
// Processes summed up by one label: the groups that get a series of their own, and the rest. Tool
// world; pure; internal to metrics; one thread uses a dimension.
//
// Cardinality is bounded by `top`, whatever the host runs: the groups with the most effective RSS
// are shown, all others are one series "other". Counters count for the series that shows a process
// at that moment, so that none of them ever goes back, neither when a process ends nor when a group
// leaves or enters the top.
#ifndef EBB_METRICS_DIMENSION_H
#define EBB_METRICS_DIMENSION_H

#include "metrics/figures.h"
#include "metrics/label.h"
#include "sample/sample.h"

enum metrics_counter {
    METRICS_CPU_MS,
    METRICS_MINOR_FAULTS,
    METRICS_MAJOR_FAULTS,
    METRICS_COLLECTIONS,
    METRICS_COUNTERS
};

// A process of a round: what is known of it now.
struct metrics_process {
    const struct subject *subject;
    const struct sample *sample;
    const struct digest *digest; // its last account, or NULL
};

struct metrics_series {
    char label[METRICS_LABEL_MAX];
    uint64_t processes, threads;
    uint64_t accounts;     // of how many of the processes there is an account: the rows are theirs
    uint64_t lazy_unknown; // of how many nobody could tell what is lazily freed
    uint64_t resident_bytes, lazy_bytes, effective_bytes, swap_bytes;
    uint64_t reclaimable_bytes; // lazy + kept
    uint64_t row_bytes[ROW_COUNT];
    uint64_t figures[METRICS_FIGURES];
    bool has_figure[METRICS_FIGURES];
    bool has_verdict[VERDICT_UNKNOWN + 1]; // of at least one process
    uint64_t counters[METRICS_COUNTERS];
    // One of its processes, which leads to the group's files, and its memory group as it is called
    // there.
    int pid;
    char cgroup[METRICS_LABEL_MAX];
};

// Counters of a label, kept for a while when it is not shown.
struct metrics_tally {
    char label[METRICS_LABEL_MAX];
    uint64_t counters[METRICS_COUNTERS];
    int64_t last_ms;
};

struct metrics_dimension {
    enum metrics_grouping grouping;
    bool pids;
    size_t top;
    struct metrics_series *series; // most effective RSS first, the rest last
    size_t count, capacity;
    struct metrics_tally *tallies; // ascending by label
    size_t tally_count, tally_capacity;
};

// Takes a round over. `deltas` says for each process by how much its counters rose since the round
// before. 0; -ENOMEM: there are no series until the next round. Cost: n log n comparisons of
// labels.
int metrics_dimension_take(struct metrics_dimension *dimension, int64_t time_ms,
                           const struct metrics_process *processes,
                           const uint64_t (*deltas)[METRICS_COUNTERS], size_t count);
void metrics_dimension_free(struct metrics_dimension *dimension);

#endif
