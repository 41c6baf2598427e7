// SPDX-License-Identifier: Apache-2.0
// The families of memory groups' own figures, of the host and of ebb itself, see state.h. Tool
// world; pure.
#include <stddef.h>

#include "metrics/state.h"

// A figure of the kernel's, and the flag that says whether it is known. One table and one loop, in
// place of a function for each figure.
struct cgroup_family {
    const char *name, *unit, *help;
    enum metrics_type type;
    size_t has_offset, offset; // of a bool and of a uint64_t in struct cgroup_figures
};

// The kernel's own figure first, then what is made of it.
static const struct cgroup_family cgroup_families[] = {
    {"ebb_cgroup_usage_bytes", "bytes", "What the kernel charges the group, page cache included.",
     METRICS_GAUGE, offsetof(struct cgroup_figures, has_usage),
     offsetof(struct cgroup_figures, usage_bytes)},
    {"ebb_cgroup_effective_usage_bytes", "bytes", "Usage without what is lazily freed.",
     METRICS_GAUGE, offsetof(struct cgroup_figures, has_usage),
     offsetof(struct cgroup_figures, effective_usage_bytes)},
    {"ebb_cgroup_working_set_bytes", "bytes",
     "Usage - inactive_file, as cAdvisor and the kubelet compute it.", METRICS_GAUGE,
     offsetof(struct cgroup_figures, has_usage),
     offsetof(struct cgroup_figures, working_set_bytes)},
    {"ebb_cgroup_working_set_underreports_bytes", "bytes",
     "Live memory that the working set lacks: lazily freed pages that were written again and are "
     "still on the list inactive_file.",
     METRICS_GAUGE, offsetof(struct cgroup_figures, has_hidden),
     offsetof(struct cgroup_figures, hidden_bytes)},
    {"ebb_cgroup_effective_working_set_bytes", "bytes",
     "The working set with what it lacks: what the group needs.", METRICS_GAUGE,
     offsetof(struct cgroup_figures, has_hidden),
     offsetof(struct cgroup_figures, effective_working_set_bytes)},
    {"ebb_cgroup_limit_bytes", "bytes",
     "The tightest limit of the group and of those above it; no point where there is none.",
     METRICS_GAUGE, offsetof(struct cgroup_figures, has_limit),
     offsetof(struct cgroup_figures, limit_bytes)},
    {"ebb_cgroup_pglazyfree", NULL, "Pages ever given back with MADV_FREE (cgroup version 2).",
     METRICS_COUNTER, offsetof(struct cgroup_figures, has_lazy_pages),
     offsetof(struct cgroup_figures, lazily_freed_pages)},
    {"ebb_cgroup_pglazyfreed", NULL,
     "Lazily freed pages that the kernel has taken (cgroup version 2).", METRICS_COUNTER,
     offsetof(struct cgroup_figures, has_lazy_pages),
     offsetof(struct cgroup_figures, lazily_taken_pages)},
};

static void draw_cgroup_family(const struct metrics *metrics, const struct cgroup_family *family,
                               struct exposition *exposition)
{
    // The head also where no group has a point: a dashboard finds the name.
    exposition_family(exposition, family->name, family->type, family->unit, family->help);
    for (size_t i = 0; i < metrics->cgroups.count; i++) {
        const struct metrics_cgroup *cgroup = &metrics->cgroup_figures[i];
        const struct metrics_label labels[] = {{"cgroup", metrics->cgroups.series[i].label},
                                               {NULL, NULL}};
        // The flag first: a figure that is not known has no point.
        const char *figures = (const char *)&cgroup->figures;
        if (cgroup->has_figures && *(const bool *)(figures + family->has_offset))
            exposition_count(exposition, labels,
                             *(const uint64_t *)(const void *)(figures + family->offset));
    }
}

// The last one is a flag: rules should not have to know how large a difference is news.
void metrics_render_cgroups(const struct metrics *metrics, struct exposition *exposition)
{
    for (size_t i = 0; i < sizeof cgroup_families / sizeof cgroup_families[0]; i++)
        draw_cgroup_family(metrics, &cgroup_families[i], exposition);
    exposition_family(exposition, "ebb_cgroup_working_set_underreports", METRICS_GAUGE, NULL,
                      "1 where the working set lacks more live memory than readings of different "
                      "moments explain.");
    for (size_t i = 0; i < metrics->cgroups.count; i++) {
        const struct metrics_cgroup *cgroup = &metrics->cgroup_figures[i];
        const struct metrics_label labels[] = {{"cgroup", metrics->cgroups.series[i].label},
                                               {NULL, NULL}};
        if (cgroup->has_figures && cgroup->figures.has_hidden)
            exposition_count(exposition, labels, cgroup->figures.is_underreported);
    }
}

// A family with one point.
static void draw_one(struct exposition *exposition, const char *name, enum metrics_type type,
                     const char *unit, const char *help, double value)
{
    exposition_family(exposition, name, type, unit, help);
    exposition_number(exposition, NULL, value);
}

// Not before the first round: a host without memory would set off every alarm there is.
static void draw_host(const struct metrics *metrics, struct exposition *exposition)
{
    // Doubles hold bytes exactly up to 8 PiB.
    const struct host_sample *host = &metrics->host;
    draw_one(exposition, "ebb_host_memory_total_bytes", METRICS_GAUGE, "bytes",
             "MemTotal of the host.", (double)host->total_bytes);
    draw_one(exposition, "ebb_host_memory_available_bytes", METRICS_GAUGE, "bytes",
             "MemAvailable of the host; what is lazily freed is in it.",
             (double)host->available_bytes);
    draw_one(exposition, "ebb_host_swap_used_bytes", METRICS_GAUGE, "bytes", "Swap in use.",
             (double)host->swap_used_bytes);
    draw_one(exposition, "ebb_host_lazily_freed_bytes", METRICS_GAUGE, "bytes",
             "Lazily freed memory of all processes that are followed.",
             (double)metrics->lazy_bytes);
    draw_one(exposition, "ebb_host_lazily_freed_bound_bytes", METRICS_GAUGE, "bytes",
             "No more than that is lazily freed on the whole host, by meminfo: anonymous pages on "
             "the lists of files, those that were written again included.",
             (double)host->lazy_bound_bytes);
    draw_one(exposition, "ebb_host_pglazyfree", METRICS_COUNTER, NULL,
             "Pages ever given back with MADV_FREE, since boot.", (double)host->lazily_freed_pages);
    draw_one(exposition, "ebb_host_pglazyfreed", METRICS_COUNTER, NULL,
             "Lazily freed pages that the kernel has taken, since boot.",
             (double)host->lazily_taken_pages);
}

// How much of the figures is measured, and how much repeated, can be seen by these.
static void draw_readings(const struct metrics *metrics, struct exposition *exposition)
{
    const struct {
        const char *kind;
        uint64_t count;
    } kinds[] = {
        {"cheap", metrics->work.cheap},
        {"lazy", metrics->work.lazy},
        {"account", metrics->work.accounts},
    };
    exposition_family(exposition, "ebb_readings", METRICS_COUNTER, NULL,
                      "Readings of processes, by how deep they went.");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const struct metrics_label labels[] = {{"kind", kinds[i].kind}, {NULL, NULL}};
        exposition_count(exposition, labels, kinds[i].count);
    }
}

void metrics_render_host(const struct metrics *metrics, const struct metrics_scrape *scrape,
                         struct exposition *exposition)
{
    static const struct metrics_label version[] = {{"version", EBB_VERSION}, {NULL, NULL}};
    // Negative before the first round.
    if (scrape->age_s >= 0) {
        draw_host(metrics, exposition);
        draw_one(exposition, "ebb_sample_age_seconds", METRICS_GAUGE, "seconds",
                 "How old the readings are that these metrics are made of.", scrape->age_s);
    }
    draw_readings(metrics, exposition);
    draw_one(exposition, "ebb_rounds", METRICS_COUNTER, NULL, "Rounds of readings.",
             (double)metrics->work.rounds);
    draw_one(exposition, "ebb_missed_rounds", METRICS_COUNTER, NULL,
             "Rounds that did not fit into the interval.", (double)metrics->work.missed_rounds);
    draw_one(exposition, "ebb_deep_reading_seconds", METRICS_COUNTER, "seconds",
             "Time spent on walks of smaps and accounts.", (double)metrics->work.deep_ns / 1e9);
    draw_one(exposition, "ebb_read_errors", METRICS_COUNTER, NULL,
             "Accounts that were not possible, and rounds that failed.",
             (double)metrics->read_errors);
    // Which version tells this is asked for first when something looks odd.
    exposition_family(exposition, "ebb_build", METRICS_INFO, NULL, "The ebb that tells this.");
    exposition_count(exposition, version, 1);
}
