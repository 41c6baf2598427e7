// SPDX-License-Identifier: Apache-2.0
// The mended figures of a memory group, see cgroup_figures.h. Tool world; pure.
#include "metrics/cgroup_figures.h"

#include "base/number.h"

// Group and processes are read one after the other, and lazily freed memory comes and goes by the
// megabyte: what is less than that, and than one part in twenty of the working set, is no news.
enum { UNDERREPORT_LEAST_BYTES = 16 << 20, UNDERREPORT_PART = 20 };

// Figures of different moments may cross; nothing here is below 0.
static uint64_t minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

// Anonymous pages on the lists of files that nobody has freed: they were written again. Files that
// are locked into memory are on neither list, which only makes this less.
static uint64_t hidden_bytes(const struct cgroup *cgroup, uint64_t lazy_bytes)
{
    // A kernel that moves such a page to the active list does so for anonymous ones as well.
    uint64_t on_lists = cgroup->active_file_bytes + cgroup->inactive_file_bytes;
    uint64_t files = minus(cgroup->file_bytes, cgroup->shmem_bytes);
    uint64_t written = minus(minus(on_lists, files), lazy_bytes);
    // The working set lacks what is on the inactive list, and nothing else.
    return number_least(written, cgroup->inactive_file_bytes);
}

struct cgroup_figures cgroup_figures_make(const struct cgroup *cgroup, uint64_t lazy_bytes,
                                          bool is_complete)
{
    struct cgroup_figures figures = {
        .has_usage = cgroup->has_usage,
        .has_limit = cgroup->limit_bytes != CGROUP_NO_LIMIT,
        .has_lazy_pages = cgroup->has_lazy,
        .usage_bytes = cgroup->usage_bytes,
        .limit_bytes = cgroup->limit_bytes,
        .effective_usage_bytes = minus(cgroup->usage_bytes, lazy_bytes),
        .working_set_bytes = cgroup->working_set_bytes,
        .lazily_freed_pages = cgroup->lazily_freed_pages,
        .lazily_taken_pages = cgroup->lazily_taken_pages,
        .has_hidden = cgroup->has_usage && is_complete,
    };
    // Nothing is guessed where a process is missing.
    if (!figures.has_hidden)
        return figures;
    uint64_t least = figures.working_set_bytes / UNDERREPORT_PART;
    figures.hidden_bytes = hidden_bytes(cgroup, lazy_bytes);
    figures.effective_working_set_bytes = figures.working_set_bytes + figures.hidden_bytes;
    figures.is_underreported =
        figures.hidden_bytes >= (least > UNDERREPORT_LEAST_BYTES ? least : UNDERREPORT_LEAST_BYTES);
    return figures;
}
