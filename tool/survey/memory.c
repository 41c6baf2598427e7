// SPDX-License-Identifier: Apache-2.0
// Where a process's memory is: readings of kernel and runtimes, and the account of them. Tool
// world; one thread.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proc/limits.h"
#include "runtime/target.h"
#include "survey/reading.h"

enum {
    ENVIRON_LIMIT_BYTES = 1 << 20,
    LIMITS_LIMIT_BYTES = 1 << 16,
    THREAD_PASSES = 5,
    THREAD_PAUSE_US = 500,
};

// Everything that readers look at; freed when the account is made.
struct memory_reading {
    struct mappings mappings;
    struct images images;
    struct buffer environ_file;
    struct proc_thread *threads;
    size_t thread_count;
    uint64_t stack_limit_bytes;
};

static void reading_free(struct memory_reading *reading)
{
    mappings_free(&reading->mappings);
    images_close(&reading->images);
    buffer_free(&reading->environ_file);
    free(reading->threads);
}

static int thread_compare(const void *left, const void *right)
{
    const struct proc_thread *a = left, *b = right;
    return a->stack_pointer < b->stack_pointer ? -1 : a->stack_pointer > b->stack_pointer;
}

// Appends the threads that were found asleep. Returns how many were running.
static size_t threads_keep_asleep(struct memory_reading *reading, const struct proc_thread *pass,
                                  size_t count)
{
    size_t running = 0;
    for (size_t i = 0; i < count; i++) {
        if (pass[i].stack_pointer)
            reading->threads[reading->thread_count++] = pass[i];
        else
            running++;
    }
    return running;
}

// Stack pointers show only while a thread sleeps, so those that run are asked a few times more.
static int threads_read(struct process *process, struct memory_reading *reading)
{
    for (int pass = 0; pass < THREAD_PASSES; pass++) {
        struct proc_thread *threads;
        size_t count;
        int error = proc_threads_read(process, &threads, &count);
        if (error)
            return error;
        size_t total = reading->thread_count + count;
        struct proc_thread *grown = realloc(reading->threads, (total ? total : 1) * sizeof *grown);
        if (!grown) {
            free(threads);
            return -ENOMEM;
        }
        reading->threads = grown;
        size_t running = threads_keep_asleep(reading, threads, count);
        free(threads);
        if (running == 0)
            break;
        usleep(THREAD_PAUSE_US);
    }
    if (reading->thread_count > 0)
        qsort(reading->threads, reading->thread_count, sizeof *reading->threads, thread_compare);
    return 0;
}

static void limits_read(struct process *process, struct memory_reading *reading)
{
    struct buffer file = {0};
    struct proc_limits limits;
    if (process_read_file(process, "limits", LIMITS_LIMIT_BYTES, &file) == 0 &&
        proc_limits_parse(buffer_text(&file), &limits) == 0 &&
        limits.stack_bytes != LIMIT_UNLIMITED)
        reading->stack_limit_bytes = limits.stack_bytes;
    buffer_free(&file);
}

// Readings that help but are not required. Each failure is said once.
static int reading_take_helpers(struct process *process, struct survey *survey,
                                struct memory_reading *reading)
{
    size_t skipped = 0;
    int error = images_open(process, &reading->mappings, &reading->images, &skipped);
    if (error)
        return error;
    if (skipped > 0)
        error = survey_add_unread(survey, "some of the mapped ELF files",
                                  "read access to them as mapped: run ebb as root");
    if (error)
        return error;
    error = process_read_file(process, "environ", ENVIRON_LIMIT_BYTES, &reading->environ_file);
    if (error && error != -EFBIG)
        error = survey_add_unread(survey, "its environment", survey_needs(error));
    else
        error = 0;
    if (error)
        return error;
    limits_read(process, reading);
    error = threads_read(process, reading);
    if (error == -ENOMEM)
        return error;
    return error ? survey_add_unread(survey, "its threads' stacks", survey_needs(error)) : 0;
}

// What the kernel and the ELF files told is in the account now; renderers see runtimes only.
static void survey_drop_ground(struct survey *survey)
{
    size_t kept = 0;
    for (size_t i = 0; i < survey->report_count; i++) {
        if (survey->reports[i].facts & FACT_GROUND)
            runtime_report_free(&survey->reports[i]);
        else
            survey->reports[kept++] = survey->reports[i];
    }
    survey->report_count = kept;
}

static int survey_add_runtime_unread(struct survey *survey)
{
    int error = 0;
    for (size_t i = 0; i < survey->report_count && !error; i++) {
        const struct runtime_report *report = &survey->reports[i];
        for (size_t k = 0; k < report->unread_count && !error; k++)
            error = survey_add_unread(survey, report->unread[k].what, report->unread[k].needs);
    }
    return error;
}

static int survey_account(const struct survey_options *options, struct process *process,
                          struct survey *survey, struct memory_reading *reading)
{
    struct target target = {
        .process = process,
        .mappings = &reading->mappings,
        .images = &reading->images,
        .status = &survey->status,
        .environ_text = buffer_text(&reading->environ_file),
        .threads = reading->threads,
        .thread_count = reading->thread_count,
        .stack_limit_bytes = reading->stack_limit_bytes,
        .budget_ms = options->budget_ms,
    };
    int error = runtimes_read(&target, &survey->reports, &survey->report_count);
    if (error)
        return error;
    struct account_input input = {&reading->mappings, survey->reports, survey->report_count};
    error = account_build(&input, &survey->account);
    survey->has_account = error == 0;
    if (survey->has_account)
        survey->rss_bytes = survey->account.rss_bytes;
    if (error == -ENODATA)
        error =
            survey_add_unread(survey, "smaps, which the account is made of", survey_needs(-EACCES));
    survey_drop_ground(survey);
    return error ? error : survey_add_runtime_unread(survey);
}

int survey_read_memory(const struct survey_options *options, struct process *process,
                       struct survey *survey)
{
    struct memory_reading reading = {0};
    int error = mappings_read(process, &reading.mappings);
    if (error == -EACCES || error == -EPERM)
        return survey_add_unread(survey, "its mappings (smaps and maps)", survey_needs(error));
    if (error)
        return error;
    survey->mapping_count = reading.mappings.count;
    error = reading_take_helpers(process, survey, &reading);
    if (!error)
        error = survey_account(options, process, survey, &reading);
    reading_free(&reading);
    return error;
}
