// SPDX-License-Identifier: Apache-2.0
// Asking libebb to give back what it keeps, see purge_libebb.h. Tool world; no state.
#include "lever/purge_libebb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "proc/threads.h"

// Less than this is not worth asking: ledgers and smaps are off by more. A slot of libebb has as
// many.
static const uint64_t worth_bytes = 64 << 10;

void purge_libebb_init(struct purge_libebb *libebb)
{
    // 0 would be stdin.
    *libebb = (struct purge_libebb){.poke = {.fd = -1}};
}

// The session borrows mappings and images, which the caller frees behind it.
void purge_libebb_close(struct purge_libebb *libebb)
{
    if (libebb->session)
        call_close(libebb->session);
    poke_close(&libebb->poke);
    purge_libebb_init(libebb);
}

// There is one at most: the reader picks among copies.
static const struct runtime_report *find_report(const struct survey *survey)
{
    for (size_t i = 0; i < survey->report_count; i++)
        if (strcmp(survey->reports[i].name, "libebb") == 0)
            return &survey->reports[i];
    return NULL;
}

// Free pages beside live blocks stand in its slack, of which a purge takes what is whole pages.
static uint64_t keeps_bytes(const struct survey *survey)
{
    static const enum account_row rows[] = {ROW_KEPT, ROW_LAZY, ROW_SLACK};
    uint64_t bytes = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        bytes += account_runtime_bytes(&survey->account, "libebb", rows[i]);
    return bytes;
}

// Why its ledger cannot be used. Without a heap, another malloc serves the program: no failure.
static void fail_step(const struct purge_libebb *libebb, struct lever_step *step, int error)
{
    const struct libebb_refusal *refusal = &libebb->control.refusal;
    if (error == -EBADMSG)
        lever_end_step(step, LEVER_STEP_FAILED, "its ledger: %s; what would help: %s", refusal->why,
                       refusal->needs);
    else if (error == -EPERM || error == -EACCES)
        lever_end_step(step, LEVER_STEP_FAILED,
                       "its memory may not be written; what would help: the right to attach "
                       "(ptrace): root, or the target's user");
    else if (error == -ENODATA && !libebb->control.found.ledger)
        lever_end_step(step, LEVER_STEP_NOTHING, "it has no heap: nothing was allocated from it");
    else if (error == -ENODATA)
        lever_end_step(step, LEVER_STEP_FAILED, "its ledger is not in memory");
    else
        lever_end_step(step, LEVER_STEP_FAILED, "%s", strerror(-error));
}

// "it keeps 211 MiB", or why there is nothing to do.
static void tell_kept(struct purge_libebb *libebb, const struct survey *survey,
                      const struct runtime_report *found, struct lever_step *step)
{
    bool is_known = survey->has_account && found && !(found->facts & FACT_OPAQUE);
    uint64_t bytes = is_known ? keeps_bytes(survey) : 0;
    char size[UNITS_TEXT_MAX];
    units_format_bytes(bytes, size, sizeof size);
    libebb->has_step = !is_known || bytes >= worth_bytes;
    if (!libebb->has_step)
        lever_end_step(step, LEVER_STEP_NOTHING, "it keeps next to nothing");
    else if (is_known)
        text_format(step->result, sizeof step->result, "it keeps up to %s", size);
}

// Rights are tried by opening what will be written to; nothing is written.
int purge_libebb_plan(struct purge_libebb *libebb, const struct survey *survey,
                      struct process *process, const struct mappings *mappings,
                      const struct images *images, struct lever_report *report)
{
    const struct target target = {.process = process, .mappings = mappings, .images = images};
    const struct runtime_report *found = find_report(survey);
    char version[32];
    // Its reader knows it by name as well; a process without it is not searched again.
    int error = found ? control_find(&target, &libebb->control) : -ENOENT;
    if (error == -ENOENT)
        return 0;
    libebb_read_version(libebb->control.found.image, version, sizeof version);
    int failed = lever_add_step(report,
                                "ask libebb%s%s to purge all that is free, by its control "
                                "word",
                                version[0] ? " " : "", version);
    if (failed)
        return failed;
    libebb->step = report->step_count - 1;
    struct lever_step *step = lever_last_step(report);
    if (!error)
        error = poke_open(process, mappings, &libebb->poke);
    if (error)
        fail_step(libebb, step, error);
    else
        tell_kept(libebb, survey, found, step);
    return 0;
}

// ebb_purge() of the image that has the heap; 0 for a stripped one.
static uint64_t find_purge(const struct purge_libebb *libebb)
{
    static const char *const names[] = {"ebb_purge", NULL};
    struct images one = {.items = (struct image *)libebb->control.found.image, .count = 1};
    const struct image *image;
    uint64_t address;
    return call_find_function(&one, names, &address, &image) == 0 ? address : 0;
}

// size_t ebb_purge(void), in a thread that sleeps.
static int call_purge(struct purge_libebb *libebb, struct process *process,
                      const struct mappings *mappings, const struct images *images,
                      struct call_refusal *refusal)
{
    uint64_t function = find_purge(libebb), bytes;
    if (!function)
        return -ENOENT;
    int error = call_open(process, mappings, images, NULL, &libebb->session, refusal);
    if (error) {
        libebb->session = NULL;
        return error;
    }
    error = call_begin(libebb->session);
    if (!error)
        error = call_make(libebb->session, function, NULL, 0, &bytes);
    // Safe after any failure.
    call_end(libebb->session);
    if (error)
        *refusal = *call_why(libebb->session);
    return error;
}

// What the ledger has counted since the plan: the request's doing, and of whatever went on beside.
static void tell_given(const struct wire_ledger *before, const struct wire_ledger *now,
                       const char *how, struct lever_step *step)
{
    char size[UNITS_TEXT_MAX];
    units_format_bytes(now->purged_bytes - before->purged_bytes, size, sizeof size);
    lever_end_step(step, LEVER_STEP_DONE, "it gave back %s%s", size, how);
}

// One that is at work has the word, and the locks that a call would wait for.
static bool has_helper(struct process *process)
{
    struct proc_thread *threads;
    size_t count;
    if (proc_threads_read(process, &threads, &count) != 0)
        return false;
    bool has_one = libebb_find_helper(process, threads, count) != 0;
    free(threads);
    return has_one;
}

// Nobody looks where no helper runs and nothing allocates: then a borrowed thread does it.
static int purge_by_call(struct purge_libebb *libebb, struct process *process,
                         const struct mappings *mappings, const struct images *images,
                         const struct wire_ledger *before, struct lever_step *step)
{
    struct call_refusal refusal = {0};
    int error = call_purge(libebb, process, mappings, images, &refusal);
    if (error == -ENOMEM)
        return error;
    if (error) {
        lever_end_step(step, LEVER_STEP_FAILED,
                       "it has not looked for 2 s, and will do it when the program next allocates; "
                       "ebb_purge() was not called: %s",
                       error == -ENOENT ? "it is not among its symbols"
                       : refusal.why[0] ? refusal.why
                                        : strerror(-error));
        return 0;
    }
    error = control_refresh(process, &libebb->control);
    if (error)
        lever_end_step(step, LEVER_STEP_DONE, "by a call of ebb_purge()");
    else
        tell_given(before, &libebb->control.ledger, ", by a call of ebb_purge()", step);
    return 0;
}

// By the word first, which stops nothing; a call is for where nobody comes for it.
int purge_libebb_act(struct purge_libebb *libebb, struct process *process,
                     const struct mappings *mappings, const struct images *images,
                     struct lever_report *report)
{
    if (!libebb->has_step)
        return 0;
    struct lever_step *step = &report->steps[libebb->step];
    const struct control_request request = {.is_purge = true};
    const struct wire_ledger before = libebb->control.ledger;
    bool is_obeyed = false;
    uint64_t began_ns = lever_now_ns();
    int error = control_send(process, &libebb->poke, &libebb->control, &request, &is_obeyed);
    if (error)
        fail_step(libebb, step, error);
    else if (is_obeyed)
        tell_given(&before, &libebb->control.ledger, "", step);
    else if (has_helper(process))
        lever_end_step(step, LEVER_STEP_DONE, "asked; its thread is not done yet");
    else
        error = purge_by_call(libebb, process, mappings, images, &before, step);
    step->took_ns = lever_now_ns() - began_ns;
    // Stops that came to nothing are waits too.
    if (libebb->session) {
        const struct call_stats *stats = call_get_stats(libebb->session);
        if (stats->stops > 0)
            lever_add_wait(report, "the thread that was borrowed", stats->longest_stop_ns,
                           stats->total_stop_ns);
    }
    return error == -ENOMEM ? error : 0;
}
