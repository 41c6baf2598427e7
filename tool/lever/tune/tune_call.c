// SPDX-License-Identifier: Apache-2.0
// What all settings by call share, see tune_call.h. Tool world; no state.
#include "lever/tune/tune_call.h"

#include <errno.h>
#include <string.h>

// One session serves all parts of a pull: the threads are looked at once.
int tune_calls_open(const struct tune_scene *scene, struct tune_calls *calls,
                    struct tune_refusal *refusal)
{
    // Two parts of one pull share it.
    if (calls->session)
        return 0;
    struct call_refusal why = {0};
    int error = call_open(scene->target.process, &scene->mappings, &scene->images, NULL,
                          &calls->session, &why);
    // No words for that one.
    if (error == -ENOMEM)
        return error;
    return error ? tune_refuse(refusal, error, why.needs, "it cannot be called: %s", why.why) : 0;
}

// Ends a stop too, should one be left.
void tune_calls_close(struct tune_calls *calls)
{
    if (calls->session)
        call_close(calls->session);
    calls->session = NULL;
}

// A call that failed has better words than its errno: which thread, and why not.
void tune_calls_fail(const struct tune_calls *calls, struct lever_step *step, int call_error,
                     const char *words)
{
    const struct call_refusal *why = call_error ? call_why(calls->session) : NULL;
    // A malloc's own refusal has no words of the session.
    bool is_told = why && why->why[0];
    const char *needs = is_told && why->needs[0] ? why->needs : "";
    lever_end_step(step, LEVER_STEP_FAILED, "%s%s%s", is_told ? why->why : words,
                   needs[0] ? "; what would help: " : "", needs);
}

// Nothing is told where nothing was stopped.
void tune_calls_add_wait(const struct tune_calls *calls, struct lever_report *report)
{
    if (!calls->session)
        return;
    const struct call_stats *stats = call_get_stats(calls->session);
    // Several stops: the longest and the sum.
    if (stats->stops > 0)
        lever_add_wait(report, "one thread", stats->longest_stop_ns, stats->total_stop_ns);
}

// The executable comes first: what it defines takes the place of a library's.
int tune_find_function(const struct tune_scene *scene, const char *name, uint64_t *ret_address,
                       const struct image **ret_image)
{
    const char *const names[] = {name, NULL};
    return call_find_function(&scene->images, names, ret_address, ret_image);
}
