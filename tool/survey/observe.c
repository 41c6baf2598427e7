// SPDX-License-Identifier: Apache-2.0
// Watching a process for a while, to judge growth, see reading.h. Tool world; one thread.
//
// Full accounts are made at both ends only. In between smaps_rollup is read, about once a second
// and never for more than a hundredth of the time, because its walk holds up the target's own mmap
// and munmap. An exec in the middle ends the observation with -ESTALE, an exit with -ESRCH: growth
// across them would compare two programs.
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/array.h"
#include "survey/reading.h"

enum { ROLLUP_LIMIT_BYTES = 1 << 16 };

// Twenty samples where time and cost allow: enough for a slope with a spread. Closer ones would see
// each other's noise; sparser ones would miss the sawtooth of a garbage collector.
static const double wanted_samples = 20;
static const double shortest_interval_s = 0.2;
static const double longest_interval_s = 1.0;
static const double most_of_time = 0.01;

struct samples {
    struct growth_sample *items;
    size_t count, capacity;
};

// A handler may cut a sleep short: the rest is slept then.
static void sleep_until(double time_s)
{
    for (double left; (left = time_s - survey_now_s()) > 0;) {
        struct timespec pause = {(time_t)left, (long)((left - (double)(time_t)left) * 1e9)};
        if (nanosleep(&pause, NULL) != 0 && errno != EINTR)
            return;
    }
}

static int samples_add(struct samples *samples, struct growth_sample sample)
{
    int error = array_reserve_one(&samples->items, &samples->capacity, samples->count,
                                  sizeof *samples->items);
    if (!error)
        samples->items[samples->count++] = sample;
    return error;
}

// What can be leaked is what is left when all that cannot be is taken off, so that memory in a
// runtime that ebb cannot look into counts, and threads that never end do.
struct growth_sample survey_growth_sample(const struct survey *survey, double time_s)
{
    const struct account *account = &survey->account;
    const uint64_t *rows = account->row_bytes;
    return (struct growth_sample){
        .time_s = time_s,
        .effective_bytes = account->effective_bytes,
        .rss_bytes = account->rss_bytes,
        .has_rows = true,
        .in_use_bytes = rows[ROW_IN_USE],
        .busy_bytes = account->effective_bytes - rows[ROW_KEPT] - rows[ROW_SLACK] -
                      rows[ROW_CODE_FILES] - rows[ROW_SHARED],
    };
}

// A tree of files may hold any number: more than a petabyte is none that a kernel printed.
static uint64_t rollup_bytes(uint64_t kib)
{
    const uint64_t most_kib = (uint64_t)1 << 40;
    return (kib < most_kib ? kib : most_kib) * 1024;
}

// One cheap sample. Where there is no rollup (kernels before 4.14), or where it may no longer be
// read, the two ends have to do.
static int sample_rollup(struct process *process, struct buffer *file, double time_s,
                         struct samples *samples)
{
    int error = process_read_file(process, "smaps_rollup", ROLLUP_LIMIT_BYTES, file);
    struct proc_rollup rollup;
    if (!error)
        error = proc_rollup_parse(buffer_text(file), &rollup);
    if (error == -ENOENT || error == -EACCES || error == -EPERM || error == -EBADMSG)
        return 0;
    if (error)
        return error;
    uint64_t rss = rollup_bytes(rollup.rss_kib), lazy = rollup_bytes(rollup.lazy_free_kib);
    return samples_add(samples, (struct growth_sample){
                                    .time_s = time_s,
                                    .rss_bytes = rss,
                                    .effective_bytes = lazy < rss ? rss - lazy : 0,
                                });
}

static double interval_of(double observe_s)
{
    double interval = observe_s / wanted_samples;
    interval = interval < shortest_interval_s ? shortest_interval_s : interval;
    return interval > longest_interval_s ? longest_interval_s : interval;
}

// Samples until the end of the observation. Progress is reported every interval, samples are taken
// less often where reading one is slow: 100 ms of walk are followed by 10 s of rest.
static int samples_watch(const struct survey_options *options, struct process *process,
                         double start_s, struct samples *samples)
{
    struct buffer file = {0};
    double now_s = survey_now_s(), end_s = now_s + options->observe_s;
    double interval = interval_of(options->observe_s), begin_s = now_s, sample_s = now_s;
    int error = 0;
    while (!error && now_s + interval < end_s) {
        sleep_until(now_s + interval);
        now_s = survey_now_s();
        if (now_s >= sample_s) {
            error = sample_rollup(process, &file, now_s - start_s, samples);
            sample_s = survey_now_s() + (survey_now_s() - now_s) / most_of_time;
        } else {
            error = process_check(process);
        }
        // A busy host may wake it late: never more than all of it.
        double done_s = now_s < end_s ? now_s - begin_s : options->observe_s;
        if (options->progress)
            options->progress(options->progress_context, done_s, options->observe_s);
    }
    if (!error)
        sleep_until(end_s);
    buffer_free(&file);
    return error;
}

// Fields 10 and 12 of stat: faults without and with I/O, of all threads.
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

// Residency known from the first survey must not answer for the last one.
static int observe(const struct survey_options *options, struct process *process,
                   const struct survey *first, struct survey *last, struct samples *samples)
{
    uint64_t minor[2] = {0}, major[2] = {0};
    int error = samples_add(samples, survey_growth_sample(first, 0));
    if (!error)
        error = faults_read(process, &minor[0], &major[0]);
    if (!error)
        error = samples_watch(options, process, first->taken_s, samples);
    if (!error)
        error = faults_read(process, &minor[1], &major[1]);
    if (error)
        return error;
    // Waiting is over: from here on it is a survey like any other.
    process_forget_residency(process);
    error = survey_read_identity(options, process, last);
    if (!error)
        error = survey_read_memory(options, process, last);
    if (!error && last->has_account)
        error = samples_add(samples, survey_growth_sample(last, last->taken_s - first->taken_s));
    if (error)
        return error;
    last->has_growth = growth_fit(samples->items, samples->count, &last->growth) == 0;
    if (last->has_growth)
        growth_doubt(samples->items, samples->count, &last->growth);
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
