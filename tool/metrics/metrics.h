// SPDX-License-Identifier: Apache-2.0
// Processes in groups as metrics: takes rounds of samples over, renders the last one. Tool world;
// pure: no I/O, no clock. One thread at a time uses it; whoever renders in another thread locks it.
//
// Two dimensions are kept: groups (by name, memory group or user) and memory groups, each with at
// most `top` series of their own. docs/metrics.md has every metric with its meaning.
#ifndef EBB_METRICS_METRICS_H
#define EBB_METRICS_METRICS_H

#include "metrics/cgroup_figures.h"
#include "metrics/dimension.h"
#include "metrics/exposition.h"

struct metrics;

enum { METRICS_TOP_DEFAULT = 50, METRICS_TOP_MAX = 10000 };

struct metrics_options {
    enum metrics_grouping grouping;
    size_t top;       // 0: METRICS_TOP_DEFAULT
    bool pids;        // each process its own group
    bool is_complete; // all processes of the host are followed, so that sums are whole
};

// What the sampler did since it began.
struct metrics_work {
    uint64_t rounds, missed_rounds, cheap, lazy, accounts, deep_ns;
};

struct metrics_round {
    int64_t time_ms; // since the epoch
    const struct host_sample *host;
    const struct metrics_process *processes; // that run, each once, ascending by subject
    size_t process_count;
    uint64_t read_errors; // accounts that were not possible, and rounds that failed: in this round
    struct metrics_work work;
};

// 0 and a state that metrics_free() frees; -ENOMEM.
int metrics_new(const struct metrics_options *options, struct metrics **ret_metrics);
void metrics_free(struct metrics *metrics);

// Takes a round over; nothing of it is borrowed afterwards. 0 or -ENOMEM. Cost: a few milliseconds
// for 2,000 processes.
int metrics_take(struct metrics *metrics, const struct metrics_round *round);

// The memory groups that are shown since the last round: for each, its caller may give the kernel's
// figures by its index. The rest has none: groups lie in each other.
size_t metrics_cgroups(const struct metrics *metrics, const struct metrics_series **ret_series);
void metrics_take_cgroup(struct metrics *metrics, size_t index, const struct cgroup *cgroup);

struct metrics_scrape {
    enum metrics_format format;
    double age_s; // of the last round; negative: there was none yet
};

// Appends all metrics but the last one. 0 or -ENOMEM. Cost: about 0.1 ms for 100 series.
int metrics_render(const struct metrics *metrics, const struct metrics_scrape *scrape,
                   struct buffer *buffer);

// Appends what only the end of the work can tell: how long it took. And the last line of the
// format. 0 or -ENOMEM.
int metrics_render_end(enum metrics_format format, double duration_s, struct buffer *buffer);

#endif
