// SPDX-License-Identifier: Apache-2.0
// Watching a process for a while, to judge growth, see reading.h. Tool world; one thread.
//
// Full accounts are made at both ends only. In between smaps_rollup is read, about once a second
// and never for more than a hundredth of the time, because its walk holds up the target's own mmap
// and munmap.
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/array.h"
#include "survey/reading.h"

enum { ROLLUP_LIMIT_BYTES = 1 << 16 };

static const double shortest_interval_s = 0.2;
static const double longest_interval_s = 1.0;
static const double most_of_time = 0.01;

struct samples {
    struct growth_sample *items;
    size_t count, capacity;
};

static double now_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void sleep_until(double time_s)
{
    double left = time_s - now_s();
    if (left <= 0)
        return;
    struct timespec pause = {(time_t)left, (long)((left - (double)(time_t)left) * 1e9)};
    nanosleep(&pause, NULL);
}

static int samples_add(struct samples *samples, struct growth_sample sample)
{
    int error = array_reserve_one(&samples->items, &samples->capacity, samples->count,
                                  sizeof *samples->items);
    if (!error)
        samples->items[samples->count++] = sample;
    return error;
}

static struct growth_sample sample_of_account(const struct survey *survey, double time_s)
{
    return (struct growth_sample){
        .time_s = time_s,
        .effective_bytes = survey->account.effective_bytes,
        .rss_bytes = survey->account.rss_bytes,
        .in_use_bytes = survey->account.row_bytes[ROW_IN_USE],
        .has_in_use = survey->account.row_bytes[ROW_IN_USE] > 0,
    };
}

// One cheap sample. Kernels before 4.14 have no rollup: then the two ends have to do.
static int sample_rollup(struct process *process, struct buffer *file, double time_s,
                         struct samples *samples)
{
    int error = process_read_file(process, "smaps_rollup", ROLLUP_LIMIT_BYTES, file);
    struct proc_rollup rollup;
    if (!error)
        error = proc_rollup_parse(buffer_text(file), &rollup);
    if (error == -ENOENT)
        return 0;
    if (error)
        return error;
    return samples_add(samples,
                       (struct growth_sample){
                           .time_s = time_s,
                           .rss_bytes = rollup.rss_kib * 1024,
                           .effective_bytes = (rollup.rss_kib - rollup.lazy_free_kib) * 1024,
                       });
}

// Samples until the end of the observation.
static int samples_watch(const struct survey_options *options, struct process *process,
                         double start_s, struct samples *samples)
{
    struct buffer file = {0};
    double end_s = start_s + options->observe_s;
    double interval = options->observe_s / 20;
    interval = interval < shortest_interval_s ? shortest_interval_s : interval;
    interval = interval > longest_interval_s ? longest_interval_s : interval;
    int error = 0;
    for (double next_s = start_s + interval; next_s < end_s && !error;) {
        sleep_until(next_s);
        double before_s = now_s();
        error = sample_rollup(process, &file, before_s - start_s, samples);
        double pause_s = (now_s() - before_s) / most_of_time;
        next_s = now_s() + (pause_s > interval ? pause_s : interval);
        if (options->progress)
            options->progress(options->progress_context, before_s - start_s, options->observe_s);
    }
    sleep_until(end_s);
    buffer_free(&file);
    return error;
}

static int faults_read(struct process *process, uint64_t *ret_minor, uint64_t *ret_major)
{
    struct buffer file = {0};
    struct proc_stat stat = {0};
    int error = process_read_file(process, "stat", ROLLUP_LIMIT_BYTES, &file);
    if (!error)
        error = proc_stat_parse(buffer_text(&file), &stat);
    buffer_free(&file);
    if (error)
        return error;
    *ret_minor = stat.minor_faults;
    *ret_major = stat.major_faults;
    return 0;
}

static int observe(const struct survey_options *options, struct process *process,
                   const struct survey *first, struct survey *last, struct samples *samples)
{
    uint64_t minor[2] = {0}, major[2] = {0};
    double start_s = now_s();
    int error = samples_add(samples, sample_of_account(first, 0));
    if (!error)
        error = faults_read(process, &minor[0], &major[0]);
    if (!error)
        error = samples_watch(options, process, start_s, samples);
    if (!error)
        error = faults_read(process, &minor[1], &major[1]);
    double end_s = now_s() - start_s;
    process_forget_residency(process);
    if (!error)
        error = survey_read_memory(options, process, last);
    if (!error && last->has_account)
        error = samples_add(samples, sample_of_account(last, end_s));
    if (error)
        return error;
    last->has_growth = growth_fit(samples->items, samples->count, &last->growth) == 0;
    last->growth.minor_faults = minor[1] - minor[0];
    last->growth.major_faults = major[1] - major[0];
    return 0;
}

int survey_observe(const struct survey_options *options, struct process *process,
                   const struct survey *first, struct survey *last)
{
    struct samples samples = {0};
    int error = observe(options, process, first, last, &samples);
    free(samples.items);
    return error;
}
