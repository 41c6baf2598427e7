// SPDX-License-Identifier: Apache-2.0
// The lever itself, see tune.h: which runtimes are there, what each can do of what is asked, and
// all of it or nothing. Tool world; its state is the context.
#include "lever/tune/tune.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lever/tune/tune_call.h"
#include "lever/tune/tune_go.h"
#include "lever/tune/tune_libebb.h"

struct tune {
    struct tune_request request;
    struct tune_scene scene;
    struct poke poke;
    struct tune_calls calls;
    struct tune_go go;
    struct tune_jemalloc jemalloc;
    struct tune_glibc glibc;
    struct tune_properties properties;
    struct tune_libebb libebb;
    // What the plan found to do.
    bool has_jemalloc_steps, has_glibc_steps, has_property_steps;
};

// Large for a stack: it holds tables of options and copies of jemalloc.
int tune_new(const struct tune_request *request, struct tune **ret_tune)
{
    struct tune *tune = calloc(1, sizeof *tune);
    if (!tune)
        return -ENOMEM;
    tune->request = *request;
    // 0 would be stdin.
    tune->poke.fd = -1;
    *ret_tune = tune;
    return 0;
}

// The session goes before what it borrows.
void tune_free(struct tune *tune)
{
    if (!tune)
        return;
    tune_calls_close(&tune->calls);
    poke_close(&tune->poke);
    tune_scene_close(&tune->scene);
    free(tune);
}

// "--gogc is for Go: found here: jemalloc, glibc"
static int refuse_runtime(const struct tune *tune, const char *option, const char *wanted,
                          struct tune_refusal *refusal)
{
    char found[96];
    tune_scene_name_runtimes(&tune->scene, found, sizeof found);
    return tune_refuse(refusal, -ENOTSUP, "`ebb tune PID`, which shows what can be tuned there",
                       "%s is for %s, and this process has %s", option, wanted, found);
}

// The descriptor that will write is opened before anything is planned: without the right to write
// there is no plan.
static int open_poke(struct tune *tune, struct tune_refusal *refusal)
{
    // One descriptor for all stores.
    if (tune->poke.fd >= 0)
        return 0;
    int error = poke_open(tune->scene.target.process, &tune->scene.mappings, &tune->poke);
    if (error == -EPERM)
        return tune_refuse(refusal, error, tune_needs_attach, "its memory may not be written");
    if (error)
        return tune_refuse(refusal, error, "", "its memory could not be opened: %s",
                           strerror(-error));
    return 0;
}

// The knob is found before rights are asked for: what cannot work is said first.
static int plan_go_madv_free(struct tune *tune, struct lever_report *report,
                             struct tune_refusal *refusal)
{
    int error = tune_go_find_knob(&tune->scene, &tune->go, refusal);
    if (!error)
        error = open_poke(tune, refusal);
    return error ? error
                 : tune_go_plan_madv_free(&tune->scene, &tune->go, &tune->poke,
                                          tune->request.madv_free, report, refusal);
}

// The limit first: with --gogc=off beside it, the heap has a bound before it loses the other.
static int plan_go_pacer(struct tune *tune, struct lever_report *report,
                         struct tune_refusal *refusal)
{
    const struct tune_request *request = &tune->request;
    // Before versions: most wrong targets are no Go at all.
    if (!tune->go.image)
        return refuse_runtime(tune, request->gogc.is_given ? "--gogc" : "--memory-limit", "Go",
                              refusal);
    int error = request->memory_limit.is_given ? tune_go_check_limit(&tune->go, refusal) : 0;
    if (!error)
        error = tune_go_find_pacer(&tune->scene, &tune->go, refusal);
    if (!error)
        error = open_poke(tune, refusal);
    // Both come from the same proven pacer.
    if (!error && request->memory_limit.is_given)
        error = tune_go_plan_limit(&tune->scene, &tune->go, &tune->poke, request, report, refusal);
    if (!error && request->gogc.is_given)
        error =
            tune_go_plan_percent(&tune->scene, &tune->go, &tune->poke, request, report, refusal);
    return error;
}

// What only jemalloc has.
static bool wants_decay(const struct tune_request *request)
{
    return request->dirty_decay_ms.is_given || request->muzzy_decay_ms.is_given ||
           request->background_thread != TUNE_KEEP;
}

// Whether calls are possible at all is known without stopping anything.
static int plan_jemalloc(struct tune *tune, struct lever_report *report,
                         struct tune_refusal *refusal)
{
    int error = tune_calls_open(&tune->scene, &tune->calls, refusal);
    if (!error)
        error = tune_jemalloc_plan(&tune->scene, &tune->jemalloc, &tune->request, report, refusal);
    tune->has_jemalloc_steps = error == 0;
    return error;
}

// The same for mallocs that are asked by name.
static int plan_properties(struct tune *tune, struct lever_report *report,
                           struct tune_refusal *refusal)
{
    int error = tune_calls_open(&tune->scene, &tune->calls, refusal);
    if (!error)
        error =
            tune_properties_plan(&tune->scene, &tune->properties, &tune->request, report, refusal);
    // What holds already needs no thread to be stopped.
    tune->has_property_steps = error == 0 && tune->properties.wanted.count > 0;
    return error;
}

// glibc is in nearly every process; what counts is whether its malloc serves the program.
static int plan_glibc(struct tune *tune, struct lever_report *report, struct tune_refusal *refusal)
{
    if (!tune_glibc_find(&tune->scene, &tune->glibc))
        return refuse_runtime(tune, "--mallopt", "glibc's malloc", refusal);
    int error = tune_calls_open(&tune->scene, &tune->calls, refusal);
    if (!error)
        error = tune_glibc_plan(&tune->scene, &tune->glibc, &tune->request, report, refusal);
    tune->has_glibc_steps = error == 0;
    return error;
}

// What only libebb has.
static bool wants_policy(const struct tune_request *request)
{
    return request->policy != 0 || request->return_within_ms != 0;
}

// A store, as for Go.
static int plan_libebb(struct tune *tune, struct lever_report *report, struct tune_refusal *refusal)
{
    int error = tune_libebb_check(&tune->libebb, refusal);
    if (!error)
        error = open_poke(tune, refusal);
    return error ? error
                 : tune_libebb_plan(&tune->scene, &tune->libebb, &tune->request, report, refusal);
}

// --madv-free is for every runtime that frees lazily at all.
static int plan_madv_free(struct tune *tune, struct lever_report *report,
                          struct tune_refusal *refusal)
{
    // More than one may be there (cgo with jemalloc): the switch turns all of them, or none.
    bool has_go = tune->go.image != NULL, has_jemalloc = tune->jemalloc.count > 0;
    // tcmalloc returns memory at once, and glibc too: neither has the switch.
    bool has_mimalloc = tune->properties.image && tune->properties.is_mimalloc;
    if (!has_go && !has_jemalloc && !has_mimalloc && !tune->libebb.is_there)
        return refuse_runtime(tune, "--madv-free", "Go, jemalloc, mimalloc and libebb", refusal);
    return has_go ? plan_go_madv_free(tune, report, refusal) : 0;
}

// Each part that is asked for must be possible: half of what was asked for is not done.
static int plan_all(struct tune *tune, struct lever_report *report, struct tune_refusal *refusal)
{
    const struct tune_request *request = &tune->request;
    bool is_madv_free = request->madv_free != TUNE_KEEP;
    int error = 0;
    // All that could be asked for are looked up first, since --madv-free is for several.
    tune_go_find(&tune->scene, &tune->go);
    tune_jemalloc_find(&tune->scene, &tune->jemalloc);
    tune_properties_find(&tune->scene, &tune->properties);
    tune_libebb_find(&tune->scene, &tune->libebb);
    // Refused before anything is planned, and so before anything is done.
    if (wants_decay(request) && tune->jemalloc.count == 0)
        return refuse_runtime(tune, "a decay time or --background-thread",
                              "a jemalloc whose mallctl() can be found", refusal);
    if (request->options.count > 0 && !tune->properties.image)
        return refuse_runtime(tune, "--option", "mimalloc and tcmalloc", refusal);
    if (wants_policy(request) && !tune->libebb.is_there)
        return refuse_runtime(tune, request->policy ? "--policy" : "--return-within", "libebb",
                              refusal);
    if (is_madv_free)
        error = plan_madv_free(tune, report, refusal);
    if (!error && (request->gogc.is_given || request->memory_limit.is_given))
        error = plan_go_pacer(tune, report, refusal);
    if (!error && tune->jemalloc.count > 0 && (is_madv_free || wants_decay(request)))
        error = plan_jemalloc(tune, report, refusal);
    // The switch alone concerns mimalloc only.
    bool is_option = request->options.count > 0 || (is_madv_free && tune->properties.is_mimalloc);
    if (!error && tune->properties.image && is_option)
        error = plan_properties(tune, report, refusal);
    if (!error && tune->libebb.is_there && (is_madv_free || wants_policy(request)))
        error = plan_libebb(tune, report, refusal);
    if (!error && request->mallopt.count > 0)
        error = plan_glibc(tune, report, refusal);
    return error;
}

// Notes of parts that come to nothing do not stand below a refusal.
static int refuse_plan(const struct tune_refusal *refusal, struct lever_report *report)
{
    // What was planned before the refusal is not going to happen.
    report->step_count = report->note_count = 0;
    return lever_refuse(report, refusal->error, refusal->why, refusal->needs);
}

// -ENOMEM has no words and leaves no report.
static int tune_plan(void *context, struct process *process, struct lever_report *report)
{
    struct tune *tune = context;
    // Zero, so that a part that fails without a word is told from one that refuses.
    struct tune_refusal refusal = {0};
    int error = tune_scene_open(process, &tune->scene, &refusal);
    if (!error)
        error = plan_all(tune, report, &refusal);
    // Running out of memory has no words.
    if (error && refusal.error)
        return refuse_plan(&refusal, report);
    return error;
}

// One part's failure does not keep the others from what they can do: steps tell.
static int tune_act(void *context, struct process *process, struct lever_report *report)
{
    (void)process;
    struct tune *tune = context;
    // Stores first: they take microseconds, and calls may have to wait for a thread.
    int error = tune_go_act(&tune->go, &tune->poke, report);
    if (!error)
        error = tune_libebb_act(&tune->scene, &tune->libebb, &tune->poke, report);
    if (!error && tune->has_jemalloc_steps)
        error = tune_jemalloc_act(&tune->jemalloc, &tune->calls, report);
    if (!error && tune->has_property_steps)
        error = tune_properties_act(&tune->scene, &tune->properties, &tune->calls, report);
    if (!error && tune->has_glibc_steps)
        error = tune_glibc_act(&tune->scene, &tune->glibc, &tune->request, &tune->calls, report);
    // Also after a failure: a stop is a stop.
    tune_calls_add_wait(&tune->calls, report);
    return error;
}

const struct lever tune_lever = {.name = "tune", .plan = tune_plan, .act = tune_act};
