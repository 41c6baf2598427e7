// SPDX-License-Identifier: Apache-2.0
// What metrics.c gathers and the renderers draw. Tool world; internal to metrics.
#ifndef EBB_METRICS_STATE_H
#define EBB_METRICS_STATE_H

#include "metrics/metrics.h"

// A shown memory group's figures, beside its series.
struct metrics_cgroup {
    uint64_t lazy_bytes; // of its processes and those of groups below
    bool is_complete;    // nothing is missing in lazy_bytes
    bool has_figures;
    struct cgroup_figures figures;
};

// Counters of a process at the last round.
struct metrics_seen {
    unsigned subject;
    uint64_t counters[METRICS_COUNTERS];
};

struct metrics {
    struct metrics_options options;
    struct metrics_dimension groups, cgroups;
    struct metrics_cgroup *cgroup_figures; // one for each series of `cgroups`
    size_t cgroup_capacity;
    struct metrics_seen *seen; // ascending by subject
    size_t seen_count;
    int64_t time_ms;
    struct host_sample host;
    uint64_t read_errors; // since the start
    struct metrics_work work;
    uint64_t lazy_bytes; // of all processes
};

// The families of one dimension: "ebb_group_resident_bytes{group="..."}".
void metrics_render_dimension(const struct metrics_dimension *dimension, const char *prefix,
                              const char *label_name, struct exposition *exposition);
// The kernel's figures of memory groups.
void metrics_render_cgroups(const struct metrics *metrics, struct exposition *exposition);
// The host, and ebb itself.
void metrics_render_host(const struct metrics *metrics, const struct metrics_scrape *scrape,
                         struct exposition *exposition);

#endif
