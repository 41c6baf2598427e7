// SPDX-License-Identifier: Apache-2.0
// Rounds of the sampler as metrics, see export_source.h. Tool world; `lock` guards the metrics and
// the moment of their round.
#include "cmd/export_source.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "proc/process.h"

// What a whole round may take: far more than any host needs, but it must end.
enum { WHOLE_MS = 60000 };

// Two owners: the thread that makes rounds has the sampler to itself, the metrics are shared.
struct export_source {
    const char *proc_root;
    struct sampler *sampler;
    struct metrics_process *processes; // of a round; the making thread's own
    size_t process_count, process_capacity;
    pthread_mutex_t lock;
    struct metrics *metrics;
    double taken_s; // CLOCK_BOOTTIME: suspended time makes readings old as well; 0: none yet
    uint64_t read_errors;
};

// Seconds are fine enough for an age, and doubles hold them to the microsecond for years.
static double now_s(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int export_source_open(const struct sampler_options *sampler, const struct metrics_options *metrics,
                       struct export_source **ret_source)
{
    struct export_source *source = calloc(1, sizeof *source);
    if (!source)
        return -ENOMEM;
    // Options live as long as the verb does.
    source->proc_root = sampler->proc_root;
    pthread_mutex_init(&source->lock, NULL);
    // First what is cheap, and refuses wrong options.
    int error = metrics_new(metrics, &source->metrics);
    if (!error)
        error = sampler_open(sampler, &source->sampler);
    if (error) {
        export_source_close(source);
        return error;
    }
    *ret_source = source;
    return 0;
}

// Also what an open that failed has left. No thread renders any more.
void export_source_close(struct export_source *source)
{
    if (!source)
        return;
    // Not every sampler_close() takes a NULL.
    if (source->sampler)
        sampler_close(source->sampler);
    metrics_free(source->metrics);
    pthread_mutex_destroy(&source->lock);
    free(source->processes);
    free(source);
}

// The samples of a batch with what else is known of their processes.
static int gather(struct export_source *source, const struct batch *batch, size_t *ret_count)
{
    // In the batch's order, which ascends by subject.
    size_t count = 0;
    for (size_t i = 0; i < batch->sample_count; i++) {
        const struct sample *sample = &batch->samples[i];
        const struct subject *subject = sampler_subject(source->sampler, sample->subject);
        if (!subject || subject->has_ended)
            continue;
        // Counters are told apart by subject: one that had two samples would count twice.
        if (count > 0 && source->processes[count - 1].subject == subject)
            count--;
        if (array_reserve_one(&source->processes, &source->process_capacity, count,
                              sizeof *source->processes))
            return -ENOMEM;
        source->processes[count++] = (struct metrics_process){
            .subject = subject,
            .sample = sample,
            .digest = sampler_digest(source->sampler, sample->subject),
        };
    }
    *ret_count = count;
    return 0;
}

// Are the group's figures its own? Where a group lacks the controller, those of one above it are
// read, which hold others' memory as well.
static bool has_own_figures(const struct cgroup *cgroup)
{
    const char *file = cgroup->version == 2 ? "memory.current" : "memory.usage_in_bytes";
    // A directory has at most 512 bytes; a path that was cut is not there.
    char path[600];
    snprintf(path, sizeof path, "%s/%s", cgroup->directory, file);
    return cgroup->directory[0] && access(path, F_OK) == 0;
}

// The groups lead to their files through one of their processes, which may have ended meanwhile:
// then this round has no figures for it.
static void read_cgroups(struct export_source *source)
{
    // At most as many as are shown: some hundred microseconds each.
    const struct metrics_series *series;
    size_t count = metrics_cgroups(source->metrics, &series);
    for (size_t i = 0; i < count; i++) {
        struct process *process;
        struct cgroup cgroup;
        if (process_open(source->proc_root, series[i].pid, &process) != 0)
            continue;
        int error = cgroup_read(process, &cgroup);
        // A copy of a tree has no cgroup files beside it: there the copied figures are all there
        // is.
        if (!error && process_is_procfs(process) && !has_own_figures(&cgroup))
            cgroup.has_usage = false;
        process_close(process);
        if (!error)
            metrics_take_cgroup(source->metrics, i, &cgroup);
    }
}

// The sampler tells each process that it may not read once, not at every round.
static uint64_t count_errors(const struct batch *batch)
{
    uint64_t count = 0;
    for (size_t i = 0; i < batch->event_count; i++)
        // One of the host stands for many.
        if (batch->events[i].kind == EVENT_UNREADABLE)
            count += batch->events[i].subject ? 1 : batch->events[i].value;
    return count;
}

// The groups' files are read under the lock: a scrape sees a round with all of its figures.
static int take(struct export_source *source, const struct batch *batch, size_t count)
{
    // Taken before the lock: the sampler is this thread's alone.
    struct sampler_cost cost = sampler_cost(source->sampler);
    const struct metrics_round round = {
        .time_ms = batch->time_ms,
        .host = &batch->host,
        .processes = source->processes,
        .process_count = count,
        .read_errors = count_errors(batch),
        .work = {cost.rounds, cost.missed_rounds, cost.cheap, cost.lazy, cost.accounts,
                 cost.deep_ns},
    };
    pthread_mutex_lock(&source->lock);
    int error = metrics_take(source->metrics, &round);
    if (!error)
        read_cgroups(source);
    // Also when it failed: what could be taken in is as new as this.
    source->taken_s = now_s(CLOCK_BOOTTIME);
    pthread_mutex_unlock(&source->lock);
    return error;
}

// A list without anybody is a result too: then the groups vanish, as they should.
static int make_round(struct export_source *source, bool is_whole)
{
    // The readings take their time without the lock; scrapes get the last round meanwhile.
    const struct batch *batch;
    size_t count;
    int error = is_whole ? sampler_last_round(source->sampler, WHOLE_MS, &batch)
                         : sampler_round(source->sampler, &batch);
    // Nothing to follow is no failure: the next process may come at any time.
    if (error && error != -ESRCH)
        return error;
    error = gather(source, batch, &count);
    source->process_count = error ? 0 : count;
    if (!error)
        error = take(source, batch, count);
    // What ended is in the sums of its group.
    sampler_forget(source->sampler, batch->time_ms);
    return error;
}

int export_source_round(struct export_source *source)
{
    return make_round(source, false);
}

// A budget saves nothing for who asks but once.
int export_source_round_whole(struct export_source *source)
{
    return make_round(source, true);
}

size_t export_source_count(const struct export_source *source)
{
    return source->process_count;
}

// The grid is the sampler's.
uint64_t export_source_due_ms(const struct export_source *source)
{
    return sampler_due_ms(source->sampler);
}

int export_source_render(struct export_source *source, enum metrics_format format,
                         struct buffer *buffer)
{
    double began_s = now_s(CLOCK_MONOTONIC);
    pthread_mutex_lock(&source->lock);
    const struct metrics_scrape scrape = {
        .format = format,
        .age_s = source->taken_s > 0 ? now_s(CLOCK_BOOTTIME) - source->taken_s : -1,
    };
    int error = metrics_render(source->metrics, &scrape, buffer);
    pthread_mutex_unlock(&source->lock);
    // Last, so that it measures what stands above it.
    if (!error)
        error = metrics_render_end(format, now_s(CLOCK_MONOTONIC) - began_s, buffer);
    return error;
}
