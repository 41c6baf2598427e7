// SPDX-License-Identifier: Apache-2.0
// Where a process's memory is: readings of kernel and runtimes, and the account of them. Tool
// world; one thread.
//
// smaps comes first and is walked once; everything after it is read within the next milliseconds,
// and the account fits it to smaps.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proc/limits.h"
#include "runtime/ask.h"
#include "runtime/target.h"
#include "survey/reading.h"

enum {
    ENVIRON_LIMIT_BYTES = 1 << 20,
    LIMITS_LIMIT_BYTES = 1 << 16,
    THREAD_PASSES = 5,
    THREAD_PAUSE_US = 500,
    // What glibc gives a thread where RLIMIT_STACK is unlimited (ARCH_STACK_DEFAULT_SIZE, x86-64
    // and aarch64).
    UNLIMITED_STACK_BYTES = 2 << 20,
    // mm/swap.c: a batch of each processor holds pages back from the lazily freed (PAGEVEC_SIZE; 15
    // in older kernels).
    LAZY_BATCH_PAGES = 31,
};

// No pass over the threads begins that would end later than this: ten thousand threads take 150 ms.
static const double thread_passes_s = 0.1;

double survey_now_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

// Everything that readers look at; freed when the account is made.
struct memory_reading {
    struct mappings mappings;
    struct images images;
    struct buffer environ_file;
    struct proc_thread *threads;
    size_t thread_count;
    uint64_t stack_limit_bytes;
};

// Reports copy what they keep, so that all of this goes before anything is shown.
static void reading_free(struct memory_reading *reading)
{
    mappings_free(&reading->mappings);
    images_close(&reading->images);
    buffer_free(&reading->environ_file);
    free(reading->threads);
}

// Ascending by stack pointer: claims of stacks are appended then, never put in between.
static int thread_compare(const void *left, const void *right)
{
    const struct proc_thread *a = left, *b = right;
    return a->stack_pointer < b->stack_pointer ? -1 : a->stack_pointer > b->stack_pointer;
}

// Appends the threads that were found asleep. Returns how many were running.
// The caller has made room for all of them.
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

// One pass over all threads.
static int threads_read_pass(struct process *process, struct memory_reading *reading,
                             size_t *ret_running)
{
    struct proc_thread *threads;
    size_t count;
    int error = proc_threads_read(process, &threads, &count);
    if (error)
        return error;
    // At most PROC_THREADS_MAX for each of few passes: no overflow.
    size_t total = reading->thread_count + count;
    struct proc_thread *grown = realloc(reading->threads, (total ? total : 1) * sizeof *grown);
    if (!grown) {
        free(threads);
        return -ENOMEM;
    }
    reading->threads = grown;
    *ret_running = threads_keep_asleep(reading, threads, count);
    free(threads);
    return 0;
}

// Stack pointers show only while a thread sleeps, so those that run are asked a few times more. A
// thread that sleeps again and again is listed once for each pass: its pointers lie in one stack,
// and a stack is claimed once. One that never sleeps is not found; its stack stays unnamed.
static int threads_read(struct process *process, struct memory_reading *reading)
{
    size_t running = 0;
    double begin_s = survey_now_s();
    for (int pass = 0; pass < THREAD_PASSES; pass++) {
        double pass_s = survey_now_s();
        int error = threads_read_pass(process, reading, &running);
        if (error)
            return error;
        double now_s = survey_now_s();
        if (running == 0 || now_s - begin_s + (now_s - pass_s) > thread_passes_s)
            break;
        usleep(THREAD_PAUSE_US);
    }
    if (reading->thread_count > 0)
        qsort(reading->threads, reading->thread_count, sizeof *reading->threads, thread_compare);
    return 0;
}

// The size of a stack is a hint for where one ends: without it the mapping's end is taken.
static void limits_read(struct process *process, struct memory_reading *reading)
{
    struct buffer file = {0};
    struct proc_limits limits;
    if (process_read_file(process, "limits", LIMITS_LIMIT_BYTES, &file) == 0 &&
        proc_limits_parse(buffer_text(&file), &limits) == 0)
        reading->stack_limit_bytes =
            limits.stack_bytes == LIMIT_UNLIMITED ? UNLIMITED_STACK_BYTES : limits.stack_bytes;
    buffer_free(&file);
}

// Runtimes' structures are known with 8-byte pointers.
static bool is_32bit(const struct images *images)
{
    const struct image *program = images_main(images);
    return program && !program->is_64bit;
}

// Of the files that were left out: a limit of ebb's own, or else rights.
static const char *images_needs(const struct images *images)
{
    for (size_t i = 0; i < images->unread_count; i++)
        if (images->unread[i].error == -EMFILE)
            return survey_needs(-EMFILE);
    return "the right to read them as they are mapped: run ebb as root";
}

// Readings that help but are not required: without images no runtime is found, without environment
// some settings are not known, without threads their stacks are unexplained. Each failure is said
// once. Only running out of memory fails.
static int reading_take_helpers(struct process *process, struct survey *survey,
                                struct memory_reading *reading)
{
    size_t skipped = 0;
    int error = images_open(process, &reading->mappings, &reading->images, &skipped);
    if (error)
        return error;
    if (skipped > 0)
        error = survey_add_unread(survey, "some of the mapped ELF files",
                                  images_needs(&reading->images));
    if (!error && is_32bit(&reading->images))
        error = survey_add_unread(survey, "the runtimes of a 32-bit program",
                                  "nothing in this version: they are read in 64-bit ones only");
    if (error)
        return error;
    // An environment that is too long is taken as far as it was read.
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

// Renderers have one list. Before ground is dropped: what it could not read counts too.
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

// How far LazyFree may lag: every processor may hold one batch back. In a tree of files nothing is
// known of the processors.
static uint64_t lazy_lag_bytes(const struct process *process)
{
    long processors = process_is_live(process) ? sysconf(_SC_NPROCESSORS_ONLN) : 1;
    long page_bytes = sysconf(_SC_PAGESIZE);
    return (uint64_t)(processors > 0 ? processors : 1) * LAZY_BATCH_PAGES *
           (uint64_t)(page_bytes > 0 ? page_bytes : 4096);
}

// What it has cost, for the reader of the report to know.
static void survey_end_ask(const struct survey_options *options, struct survey *survey,
                           struct ask *ask)
{
    survey->has_nothing_to_ask = options->ask && !ask->session && !ask->error;
    if (ask->session) {
        const struct call_stats *stats = call_get_stats(ask->session);
        survey->ask_calls = stats->calls;
        survey->ask_longest_stop_ns = stats->longest_stop_ns;
    }
    ask_close(ask);
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
        .memory = options->memory,
    };
    struct ask ask = {0};
    if (options->ask)
        target.ask = &ask;
    // A reader sees the mappings of one walk only: what it finds elsewhere has moved since.
    int error = runtimes_read(&target, &survey->reports, &survey->report_count);
    survey_end_ask(options, survey, &ask);
    if (error)
        return error;
    struct account_input input = {.mappings = &reading->mappings,
                                  .reports = survey->reports,
                                  .report_count = survey->report_count,
                                  .lazy_lag_bytes = lazy_lag_bytes(process)};
    error = account_build(&input, &survey->account);
    survey->has_account = error == 0;
    if (survey->has_account)
        survey->rss_bytes = survey->account.rss_bytes;
    // Without sizes the mappings came from maps: runtimes are named all the same.
    if (error == -ENODATA)
        error =
            survey_add_unread(survey, "smaps, which the account is made of", survey_needs(-EACCES));
    if (!error)
        error = survey_add_runtime_unread(survey);
    survey_drop_ground(survey);
    return error;
}

int survey_read_memory(const struct survey_options *options, struct process *process,
                       struct survey *survey)
{
    struct memory_reading reading = {0};
    double begin_s = survey_now_s();
    int error = mappings_read(process, &reading.mappings);
    // Then there is nothing to look at, but identity and RSS are still worth showing.
    if (error == -EACCES || error == -EPERM)
        return survey_add_unread(survey, "its mappings (smaps and maps)", survey_needs(error));
    if (error)
        return error;
    survey->taken_s = survey_now_s();
    survey->walk_s = survey->taken_s - begin_s;
    survey->mapping_count = reading.mappings.count;
    error = reading_take_helpers(process, survey, &reading);
    if (!error)
        error = survey_account(options, process, survey, &reading);
    reading_free(&reading);
    return error;
}
