// SPDX-License-Identifier: Apache-2.0
// What the kernel counts for a memory group, mended by what its processes have lazily freed. Tool
// world; pure.
//
// Lazily freed pages sit on the list inactive_file, so `working_set = usage - inactive_file`, which
// the kubelet evicts by, leaves them out, rightly. But a page that is written again stays on that
// list until the kernel looks at it, and is left out too, though it is live: the working set is
// then less than what the group needs. How much that is follows from three figures:
//
//   pages of files       = file - shmem                      (shared memory is on the lists of
//   anon) anonymous pages there = active_file + inactive_file - pages of files written again =
//   anonymous pages there - what is lazily freed now
//
// Sources: Documentation/admin-guide/cgroup-v2.rst (memory.stat), mm/swap.c lru_lazyfree() and
// mm/vmscan.c of Linux; docs/metrics.md tells it with a measurement.
#ifndef EBB_METRICS_CGROUP_FIGURES_H
#define EBB_METRICS_CGROUP_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

#include "proc/cgroup.h"

struct cgroup_figures {
    bool has_usage, has_limit, has_lazy_pages;
    uint64_t usage_bytes, limit_bytes;
    uint64_t effective_usage_bytes; // usage - lazily freed
    uint64_t working_set_bytes;
    uint64_t lazily_freed_pages, lazily_taken_pages; // counters; with has_lazy_pages
    // Only where the lazily freed bytes of all its processes are known.
    bool has_hidden;
    uint64_t hidden_bytes;                // written again, and not in the working set
    uint64_t effective_working_set_bytes; // working set + hidden
    bool is_underreported;                // hidden is more than figures of different moments make
};

// Computes the figures. `lazy_bytes` is what its processes (those of groups below as well) have
// lazily freed; `is_complete` says that none is missing.
struct cgroup_figures cgroup_figures_make(const struct cgroup *cgroup, uint64_t lazy_bytes,
                                          bool is_complete);

#endif
