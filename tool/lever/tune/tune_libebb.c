// SPDX-License-Identifier: Apache-2.0
// libebb's policy and bound by its control word, see tune_libebb.h. Tool world; no state.
#include "lever/tune/tune_libebb.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lever/tune/lasting.h"

// Found is one thing, usable another: the list of what can be tuned shows both.
bool tune_libebb_find(const struct tune_scene *scene, struct tune_libebb *libebb)
{
    // -ENOENT alone is no libebb; whatever else is wrong is told where it is needed.
    libebb->error = control_find(&scene->target, &libebb->control);
    libebb->is_there = libebb->error != -ENOENT;
    if (libebb->is_there)
        libebb_read_version(libebb->control.found.image, libebb->version, sizeof libebb->version);
    return libebb->is_there;
}

// In the order in which each can be helped; a version that differs cannot, but for a newer ebb.
int tune_libebb_check(const struct tune_libebb *libebb, struct tune_refusal *refusal)
{
    const struct control *control = &libebb->control;
    switch (-libebb->error) {
    case 0:
        return 0;
    case ENOENT:
        return tune_refuse(refusal, -ENOENT, "", "libebb is not there");
    case EPERM:
    case EACCES:
        return tune_refuse(refusal, -EPERM, tune_needs_attach, "its memory may not be read");
    case EBADMSG:
        return tune_refuse(refusal, -ENOTSUP, control->refusal.needs, "libebb's ledger: %s",
                           control->refusal.why);
    case ENODATA:
        return tune_refuse(refusal, -EAGAIN,
                           "a second try: it was swapped out, or the program has "
                           "allocated nothing yet",
                           "libebb's ledger is not in memory");
    default:
        return tune_refuse(refusal, libebb->error, "", "libebb's ledger could not be read: %s",
                           strerror(-libebb->error));
    }
}

// A policy that a later version may have is still told by its number.
static void format_policy(uint32_t policy, char *ret_text, size_t size)
{
    const char *name = libebb_policy_name(policy);
    if (name)
        text_copy(text_of(name), ret_text, size);
    else
        text_format(ret_text, size, "number %" PRIu32, policy);
}

// EBB_CONF as it would have to be, with what the user has set there.
static int note_lasting(const struct tune_scene *scene, const struct control_request *wanted,
                        struct lever_report *report)
{
    // Both keys go into one list, one after the other.
    struct text list = text_of("");
    char first[LASTING_VALUE_MAX], second[LASTING_VALUE_MAX], within[32];
    bool fits = true;
    proc_environ_find(scene->target.environ_text, "EBB_CONF", &list);
    // Once with what is set, and where that does not fit once without.
    for (unsigned i = 0; i < 2; i++, list = text_of("")) {
        const char *merged = "";
        bool whole = true;
        if (wanted->policy != WIRE_POLICY_NONE) {
            whole = lasting_merge(list, ',', "policy", ':', libebb_policy_name(wanted->policy),
                                  first, sizeof first);
            merged = first;
        }
        if (whole && wanted->return_within_ms) {
            libebb_format_ms(wanted->return_within_ms, within, sizeof within);
            whole = lasting_merge(merged[0] ? text_of(merged) : list, ',', "return_within", ':',
                                  within, second, sizeof second);
            merged = second;
        }
        if (whole) {
            int error = lasting_add_until(report);
            return error ? error : lasting_add_list(report, "EBB_CONF", merged, fits);
        }
        fits = false;
    }
    return 0;
}

// What is asked for by name goes before what --madv-free means.
static struct control_request want(const struct tune_request *request)
{
    struct control_request wanted = {.policy = (enum wire_policy)request->policy,
                                     .return_within_ms = request->return_within_ms};
    // Of the two words the more precise one wins.
    if (wanted.policy == WIRE_POLICY_NONE && request->madv_free != TUNE_KEEP)
        wanted.policy = request->madv_free == TUNE_ON ? WIRE_POLICY_FREE : WIRE_POLICY_DONTNEED;
    return wanted;
}

// "set libebb 0.1.0 to policy free, return within 500ms"
static int add_step(struct tune_libebb *libebb, struct lever_report *report)
{
    const struct control_request *wanted = &libebb->wanted;
    char policy[32] = "", within[32] = "";
    if (wanted->policy != WIRE_POLICY_NONE)
        text_format(policy, sizeof policy, "policy %s", libebb_policy_name(wanted->policy));
    if (wanted->return_within_ms)
        libebb_format_ms(wanted->return_within_ms, within, sizeof within);
    int error =
        lever_add_step(report, "set %s%s%s%s of libebb%s%s by its control word", policy,
                       policy[0] && within[0] ? " and " : "", within[0] ? "return_within " : "",
                       within, libebb->version[0] ? " " : "", libebb->version);
    // By index: the list of steps moves when other parts add theirs.
    libebb->step = report->step_count - 1;
    libebb->has_step = error == 0;
    return error;
}

// Nothing is written here, and nothing is asked for that holds already.
int tune_libebb_plan(const struct tune_scene *scene, struct tune_libebb *libebb,
                     const struct tune_request *request, struct lever_report *report,
                     struct tune_refusal *refusal)
{
    const struct wire_ledger *ledger = &libebb->control.ledger;
    int error = tune_libebb_check(libebb, refusal);
    if (error)
        return error;
    libebb->wanted = want(request);
    struct control_request *wanted = &libebb->wanted;
    // A request that is still under way may be about to change what holds now.
    bool is_settled = ledger->control == ledger->control_obeyed;
    bool has_policy =
        wanted->policy == WIRE_POLICY_NONE || (uint32_t)wanted->policy == ledger->policy;
    bool has_bound =
        wanted->return_within_ms == 0 || wanted->return_within_ms == ledger->return_within_ms;
    if (is_settled && has_policy && has_bound)
        return lever_add_note(report, "libebb is set so already");
    error = add_step(libebb, report);
    return error ? error : note_lasting(scene, wanted, report);
}

// One value of a ledger before and after, if it was asked for.
static int add_change(const char *name, const char *option, const char *before, const char *after,
                      struct lever_report *report)
{
    struct lever_change change = {0};
    text_copy(text_of(name), change.name, sizeof change.name);
    text_copy(text_of(before), change.before, sizeof change.before);
    text_copy(text_of(after), change.after, sizeof change.after);
    text_format(change.undo, sizeof change.undo, "ebb tune %d %s=%s", report->pid, option, before);
    return lever_add_change(report, &change);
}

// The new values are those of the ledger where it was obeyed, else those that were asked for.
static int add_changes(const struct tune_libebb *libebb, const struct wire_ledger *before,
                       bool is_obeyed, struct lever_report *report)
{
    const struct wire_ledger *now = &libebb->control.ledger;
    const struct control_request *wanted = &libebb->wanted;
    char old[64], new[64];
    // Only what was asked for: the program may change the rest at any moment.
    int error = 0;
    if (wanted->policy != WIRE_POLICY_NONE) {
        format_policy(before->policy, old, sizeof old);
        format_policy(is_obeyed ? now->policy : (uint32_t)wanted->policy, new, sizeof new);
        error = add_change("policy", "--policy", old, new, report);
    }
    if (!error && wanted->return_within_ms) {
        libebb_format_ms(before->return_within_ms, old, sizeof old);
        libebb_format_ms(is_obeyed ? now->return_within_ms : wanted->return_within_ms, new,
                         sizeof new);
        error = add_change("return_within", "--return-within", old, new, report);
    }
    return error;
}

// A word that was obeyed and shows no effect would be a slip of libebb's: it is not told as done.
static bool is_as_wanted(const struct tune_libebb *libebb)
{
    const struct wire_ledger *now = &libebb->control.ledger;
    const struct control_request *wanted = &libebb->wanted;
    return (wanted->policy == WIRE_POLICY_NONE || (uint32_t)wanted->policy == now->policy) &&
           (wanted->return_within_ms == 0 || wanted->return_within_ms == now->return_within_ms);
}

// One store, then a wait of two seconds at most. That nobody has looked by then is no failure: the
// word stays.
int tune_libebb_act(const struct tune_scene *scene, struct tune_libebb *libebb,
                    const struct poke *poke, struct lever_report *report)
{
    if (!libebb->has_step)
        return 0;
    struct lever_step *step = &report->steps[libebb->step];
    // As it was read for the plan: a change that the program made meanwhile is the program's.
    const struct wire_ledger before = libebb->control.ledger;
    // A copy: what is read back takes its place.
    bool is_obeyed = false;
    uint64_t began_ns = lever_now_ns();
    int error =
        control_send(scene->target.process, poke, &libebb->control, &libebb->wanted, &is_obeyed);
    step->took_ns = lever_now_ns() - began_ns;
    if (error == -EBADMSG)
        lever_end_step(step, LEVER_STEP_FAILED, "its ledger: %s", libebb->control.refusal.why);
    else if (error)
        lever_end_step(step, LEVER_STEP_FAILED, "%s", strerror(-error));
    else if (is_obeyed && !is_as_wanted(libebb))
        lever_end_step(step, LEVER_STEP_FAILED, "it was taken, and the ledger reads otherwise");
    else
        lever_end_step(step, LEVER_STEP_DONE, "%s",
                       is_obeyed ? "in force, read back"
                                 : "written; it will be in force when the program next allocates");
    // What failed has changed nothing that is known.
    return error ? 0 : add_changes(libebb, &before, is_obeyed, report);
}
