// SPDX-License-Identifier: Apache-2.0
// Rounds of samples become metrics, see metrics.h. Tool world; pure; its owner locks it.
#include "metrics/metrics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "metrics/state.h"

// Memory groups are a dimension of their own, whatever the groups are.
int metrics_new(const struct metrics_options *options, struct metrics **ret_metrics)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);
    if (!metrics)
        return -ENOMEM;
    metrics->options = *options;
    // The default is here, so that every caller has the same.
    if (metrics->options.top == 0)
        metrics->options.top = METRICS_TOP_DEFAULT;
    metrics->groups = (struct metrics_dimension){
        .grouping = options->grouping,
        .pids = options->pids,
        .top = metrics->options.top,
    };
    metrics->cgroups = (struct metrics_dimension){
        .grouping = METRICS_BY_CGROUP,
        .top = metrics->options.top,
    };
    *ret_metrics = metrics;
    return 0;
}

// NULL is fine, for callers that clean up after a failure.
void metrics_free(struct metrics *metrics)
{
    if (!metrics)
        return;
    metrics_dimension_free(&metrics->groups);
    metrics_dimension_free(&metrics->cgroups);
    free(metrics->cgroup_figures);
    free(metrics->seen);
    free(metrics);
}

static void read_counters(const struct metrics_process *process,
                          uint64_t ret_counters[METRICS_COUNTERS])
{
    // As they stand since the process began.
    const struct sample *sample = process->sample;
    ret_counters[METRICS_CPU_MS] = sample->cpu_ms;
    ret_counters[METRICS_MINOR_FAULTS] = sample->minor_faults;
    ret_counters[METRICS_MAJOR_FAULTS] = sample->major_faults;
    ret_counters[METRICS_COLLECTIONS] = metrics_collections(process->digest);
}

// By subject: a PID may be another process by now.
static int compare_seen(const void *a, const void *b)
{
    unsigned left = ((const struct metrics_seen *)a)->subject;
    unsigned right = ((const struct metrics_seen *)b)->subject;
    return left < right ? -1 : left > right;
}

// By how much the counters of a process rose. One that is seen for the first time counts whole. An
// unknown figure, or one that fell, is kept as it was: nothing is counted twice when it comes back.
static void count_delta(const struct metrics_process *process, const struct metrics_seen *before,
                        struct metrics_seen *now, uint64_t ret_delta[METRICS_COUNTERS])
{
    read_counters(process, now->counters);
    now->subject = process->subject->id;
    for (int i = 0; i < METRICS_COUNTERS; i++) {
        // 0 for a new one: all that it did counts.
        uint64_t old = before ? before->counters[i] : 0;
        if (now->counters[i] == SAMPLE_UNKNOWN || now->counters[i] < old)
            now->counters[i] = old;
        ret_delta[i] = now->counters[i] - old;
    }
}

// Differences to the last round. Processes that ended are forgotten here: what they did is in the
// sums of their groups already. NULL without memory; the caller frees it.
static uint64_t (*count_deltas(struct metrics *metrics,
                               const struct metrics_round *round))[METRICS_COUNTERS]
{
    size_t count = round->process_count;
    uint64_t(*deltas)[METRICS_COUNTERS] = calloc(count + 1, sizeof *deltas);
    struct metrics_seen *now = calloc(count + 1, sizeof *now);
    if (!deltas || !now) {
        free(deltas);
        free(now);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        // The list of the last round ascends, like the processes of this one.
        const struct metrics_seen key = {.subject = round->processes[i].subject->id};
        const struct metrics_seen *before = metrics->seen_count > 0
                                                ? bsearch(&key, metrics->seen, metrics->seen_count,
                                                          sizeof *metrics->seen, compare_seen)
                                                : NULL;
        count_delta(&round->processes[i], before, &now[i], deltas[i]);
    }
    free(metrics->seen);
    metrics->seen = now;
    metrics->seen_count = count;
    return deltas;
}

// Is `path` the group itself, or one below it?
static bool is_in_group(const char *path, const char *group)
{
    size_t len = strlen(group);
    // The root's name ends with the separator.
    if (len > 0 && group[len - 1] == '/')
        len--;
    return strncmp(path, group, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

// The kernel's figures of a group hold those below it, so what is lazily freed is summed likewise.
static struct metrics_cgroup sum_cgroup(const struct metrics *metrics,
                                        const struct metrics_round *round, const char *path)
{
    struct metrics_cgroup sum = {.is_complete = metrics->options.is_complete};
    for (size_t i = 0; i < round->process_count; i++) {
        const struct sample *sample = round->processes[i].sample;
        // Some hundred groups times some thousand processes: a millisecond or two.
        if (!is_in_group(round->processes[i].subject->cgroup, path))
            continue;
        if (sample->lazy_bytes == SAMPLE_UNKNOWN)
            sum.is_complete = false;
        else
            sum.lazy_bytes += sample->lazy_bytes;
    }
    return sum;
}

// Anew at each round: which groups are shown changes.
static int sum_cgroups(struct metrics *metrics, const struct metrics_round *round)
{
    size_t count = metrics->cgroups.count;
    if (count > metrics->cgroup_capacity) {
        struct metrics_cgroup *grown = realloc(metrics->cgroup_figures, count * sizeof *grown);
        if (!grown)
            return -ENOMEM;
        metrics->cgroup_figures = grown;
        metrics->cgroup_capacity = count;
    }
    for (size_t i = 0; i < count; i++)
        metrics->cgroup_figures[i] = sum_cgroup(metrics, round, metrics->cgroups.series[i].cgroup);
    return 0;
}

// Both dimensions see the same processes and the same differences, so their sums agree.
int metrics_take(struct metrics *metrics, const struct metrics_round *round)
{
    uint64_t(*deltas)[METRICS_COUNTERS] = count_deltas(metrics, round);
    if (!deltas)
        return -ENOMEM;
    // The same array, read-only: C has no conversion of its own for that.
    const uint64_t(*counted)[METRICS_COUNTERS] = (const uint64_t(*)[METRICS_COUNTERS])deltas;
    int error = metrics_dimension_take(&metrics->groups, round->time_ms, round->processes, counted,
                                       round->process_count);
    if (!error)
        error = metrics_dimension_take(&metrics->cgroups, round->time_ms, round->processes, counted,
                                       round->process_count);
    free(deltas);
    if (!error)
        error = sum_cgroups(metrics, round);
    // Without their figures the groups would be shown with those of others.
    if (error)
        metrics->cgroups.count = 0;
    // Also after a failure: what can be told is told.
    metrics->time_ms = round->time_ms;
    metrics->host = *round->host;
    metrics->work = round->work;
    metrics->read_errors += round->read_errors;
    metrics->lazy_bytes = 0;
    for (size_t i = 0; i < metrics->groups.count; i++)
        metrics->lazy_bytes += metrics->groups.series[i].lazy_bytes;
    return error;
}

// In the order of their series, which is that of metrics_take_cgroup()'s index.
size_t metrics_cgroups(const struct metrics *metrics, const struct metrics_series **ret_series)
{
    *ret_series = metrics->cgroups.series;
    size_t count = metrics->cgroups.count;
    // The rest stands last.
    bool has_rest = count > 0 && strcmp((*ret_series)[count - 1].label, metrics_rest_label) == 0;
    return count - has_rest;
}

// What is lazily freed was summed when the round was taken; the kernel's figures are a little
// younger.
void metrics_take_cgroup(struct metrics *metrics, size_t index, const struct cgroup *cgroup)
{
    struct metrics_cgroup *mine = &metrics->cgroup_figures[index];
    mine->figures = cgroup_figures_make(cgroup, mine->lazy_bytes, mine->is_complete);
    // Until the next round, in which they may be missing.
    mine->has_figures = true;
}

int metrics_render(const struct metrics *metrics, const struct metrics_scrape *scrape,
                   struct buffer *buffer)
{
    // Groups first: people look at the top of the page.
    struct exposition exposition = {.buffer = buffer, .format = scrape->format};
    metrics_render_dimension(&metrics->groups, "ebb_group", "group", &exposition);
    metrics_render_dimension(&metrics->cgroups, "ebb_cgroup", "cgroup", &exposition);
    metrics_render_cgroups(metrics, &exposition);
    metrics_render_host(metrics, scrape, &exposition);
    return exposition.error;
}

// On its own, since only the caller has a clock.
int metrics_render_end(enum metrics_format format, double duration_s, struct buffer *buffer)
{
    struct exposition exposition = {.buffer = buffer, .format = format};
    exposition_family(&exposition, "ebb_scrape_duration_seconds", METRICS_GAUGE, "seconds",
                      "Time taken to make this answer; the readings were made before.");
    exposition_number(&exposition, NULL, duration_s);
    exposition_end(&exposition);
    return exposition.error;
}
