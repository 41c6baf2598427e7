// SPDX-License-Identifier: Apache-2.0
// jemalloc's decay times and background thread, see tune_call.h. Tool world; no state.
//
// A write of a decay time purges what its arena has, which may take long: the thread is let go
// between arenas, so that one stop is never longer than one arena's purge.
#include "lever/tune/tune_call.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lever/stop.h"
#include "lever/tune/lasting.h"
#include "runtime/settings.h"

enum { ARENAS_MAX = 4096, MUZZY_DEFAULT_MS = 10000 };

// The names of mallctl(), and the options that undo them.
static const struct control {
    const char *name, *option;
} controls[TUNE_CONTROLS] = {
    [TUNE_DIRTY] = {"dirty_decay_ms", "--dirty-decay"},
    [TUNE_MUZZY] = {"muzzy_decay_ms", "--muzzy-decay"},
    [TUNE_BACKGROUND] = {"background_thread", "--background-thread"},
};

// A library's copy and a static one may be in one process: both are asked.
bool tune_jemalloc_find(const struct tune_scene *scene, struct tune_jemalloc *jemalloc)
{
    jemalloc->count = mallctl_find(&scene->images, jemalloc->copies, MALLCTL_COPIES_MAX);
    return jemalloc->count > 0;
}

// Decay times in milliseconds came with 5.0; a version that is not known is asked.
static bool is_old(const struct mallctl *copy)
{
    struct setting_version version;
    // 0.0.0 is a build outside of git: it may be any.
    return setting_version_parse(text_of(copy->version), &version) && version.major > 0 &&
           version.major < 5;
}

// A later option of the line goes before what --madv-free means.
static void want(struct tune_jemalloc *jemalloc, enum tune_jemalloc_control control, int64_t value)
{
    jemalloc->is_wanted[control] = true;
    jemalloc->value[control] = value;
}

// As the options are typed, so that an undo is one.
static void format_value(enum tune_jemalloc_control control, int64_t value, char *ret_text,
                         size_t size)
{
    if (control == TUNE_BACKGROUND)
        text_copy(text_of(value ? "on" : "off"), ret_text, size);
    else if (value < 0)
        text_copy(text_of("off"), ret_text, size);
    else if (value == 0)
        text_copy(text_of("now"), ret_text, size);
    else
        snprintf(ret_text, size, "%" PRId64 "ms", value);
}

// All controls into one list. False when they do not fit: a list that is cut in the middle of a
// number would be a setting that nobody has made.
static bool merge_controls(struct text list, const struct tune_jemalloc *jemalloc,
                           char ret_merged[LASTING_VALUE_MAX])
{
    char value[32], next[LASTING_VALUE_MAX];
    bool fits = text_copy(list, ret_merged, LASTING_VALUE_MAX);
    for (unsigned i = 0; i < TUNE_CONTROLS && fits; i++) {
        if (!jemalloc->is_wanted[i])
            continue;
        // jemalloc takes true and false for flags, and no on and off.
        bool is_flag = i == TUNE_BACKGROUND;
        snprintf(value, sizeof value, "%" PRId64, jemalloc->value[i]);
        const char *words = !is_flag ? value : jemalloc->value[i] ? "true" : "false";
        fits = lasting_merge(text_of(ret_merged), ',', controls[i].name, ':', words, next,
                             sizeof next);
        text_copy(text_of(next), ret_merged, LASTING_VALUE_MAX);
    }
    return fits;
}

// MALLOC_CONF as it would have to be, with what the user has set there.
static int note_lasting(const struct tune_scene *scene, const struct tune_jemalloc *jemalloc,
                        struct lever_report *report)
{
    struct text list = text_of("");
    char merged[LASTING_VALUE_MAX];
    // redis overwrites its own environment with its title: then there is nothing to merge.
    proc_environ_find(scene->target.environ_text, "MALLOC_CONF", &list);
    bool is_merged = merge_controls(list, jemalloc, merged);
    // The three of them alone always fit.
    if (!is_merged)
        merge_controls(text_of(""), jemalloc, merged);
    int error = lasting_add_until(report);
    if (!error)
        error = lasting_add_list(report, "MALLOC_CONF", merged, is_merged);
    return error ? error
                 : lever_add_note(report, "A jemalloc built with a prefix reads it under that: "
                                          "JE_MALLOC_CONF for je_");
}

// One step each, so that what a build lacks fails by itself.
static int plan_copy(const struct tune_jemalloc *jemalloc, const struct mallctl *copy,
                     struct lever_report *report)
{
    int error = 0;
    for (unsigned i = 0; i < TUNE_CONTROLS && !error; i++) {
        char value[32];
        if (!jemalloc->is_wanted[i])
            continue;
        format_value((enum tune_jemalloc_control)i, jemalloc->value[i], value, sizeof value);
        error = lever_add_step(report, "set %s%s of jemalloc%s%s to %s by mallctl()",
                               controls[i].name, i == TUNE_BACKGROUND ? "" : " of every arena",
                               copy->version[0] ? " " : "", copy->version, value);
    }
    return error;
}

// Old values are not known yet: jemalloc tells them only when it is asked, which is a call.
int tune_jemalloc_plan(const struct tune_scene *scene, struct tune_jemalloc *jemalloc,
                       const struct tune_request *request, struct lever_report *report,
                       struct tune_refusal *refusal)
{
    // Lazily freed pages are jemalloc's muzzy ones; 10 s were the default up to 5.1.
    if (request->madv_free != TUNE_KEEP)
        want(jemalloc, TUNE_MUZZY, request->madv_free == TUNE_OFF ? 0 : MUZZY_DEFAULT_MS);
    // What is asked for by name goes before what the switch means.
    if (request->dirty_decay_ms.is_given)
        want(jemalloc, TUNE_DIRTY, request->dirty_decay_ms.value);
    if (request->muzzy_decay_ms.is_given)
        want(jemalloc, TUNE_MUZZY, request->muzzy_decay_ms.value);
    if (request->background_thread != TUNE_KEEP)
        want(jemalloc, TUNE_BACKGROUND, request->background_thread == TUNE_ON);
    jemalloc->first_step = report->step_count;
    int error = 0;
    for (size_t i = 0; i < jemalloc->count && !error; i++) {
        // One old copy spoils it: half of the memory would keep its policy.
        if (is_old(&jemalloc->copies[i]))
            return tune_refuse(refusal, -ENOTSUP, "MALLOC_CONF at the next start",
                               "jemalloc %s has no decay times in milliseconds: 5.0 brought them",
                               jemalloc->copies[i].version);
        error = plan_copy(jemalloc, &jemalloc->copies[i], report);
    }
    // It is a change of RSS that a setting alone would not promise.
    if (!error && (jemalloc->is_wanted[TUNE_DIRTY] || jemalloc->is_wanted[TUNE_MUZZY]))
        error = lever_add_note(report, "Setting a decay time also purges at once what the arenas "
                                       "hold of such pages, unless it is off");
    return error ? error : note_lasting(scene, jemalloc, report);
}

// What came of one control of one copy.
struct outcome {
    int64_t before;
    bool has_before;
    uint32_t arenas, differing, refused;
    int64_t other; // what a differing arena had
    bool is_session_over;
};

// Before, write, after: three calls of microseconds, but for the purge in the second.
static int set_number(struct stop *stop, struct mallctl *copy, const char *name, int64_t value,
                      int64_t *ret_before)
{
    int64_t now = 0;
    int error = mallctl_read_i64(stop->session, copy, name, ret_before);
    if (!error)
        error = mallctl_write_i64(stop->session, copy, name, value);
    if (!error)
        error = mallctl_read_i64(stop->session, copy, name, &now);
    return !error && now != value ? -EIO : error;
}

// One arena; those that no thread has used yet take the default when they begin.
static int set_arena(struct stop *stop, struct mallctl *copy, const char *control, uint32_t arena,
                     int64_t value, struct outcome *outcome)
{
    char name[MALLCTL_NAME_MAX];
    bool is_there = false;
    int64_t before;
    // A write to an arena that is not there is an error, and would be counted as one.
    mallctl_arena_name(name, "initialized", arena);
    int error = mallctl_read_bool(stop->session, copy, name, &is_there);
    // A call that failed ends the session; an answer does not.
    if (error || !is_there)
        return copy->call_error ? error : 0;
    mallctl_arena_name(name, control, arena);
    error = set_number(stop, copy, name, value, &before);
    if (copy->call_error)
        return error;
    if (error) {
        outcome->refused++;
        return 0;
    }
    outcome->arenas++;
    // Programs may give an arena of their own another time: it is told, since undoing levels it.
    if (before != outcome->before) {
        outcome->differing++;
        outcome->other = before;
    }
    return 0;
}

// The default of arenas to come first: one that begins in between has it already.
static int set_decay(struct stop *stop, struct mallctl *copy, const char *control, int64_t value,
                     struct outcome *outcome)
{
    char name[MALLCTL_NAME_MAX];
    uint32_t count = 0;
    // The default first, for arenas that are made while this goes on.
    snprintf(name, sizeof name, "arenas.%s", control);
    int error = set_number(stop, copy, name, value, &outcome->before);
    if (!error)
        outcome->has_before = true;
    if (!error)
        error = mallctl_read_u32(stop->session, copy, "arenas.narenas", &count);
    // One by one: the index for all of them takes no decay time in every version.
    for (uint32_t i = 0; i < count && i < ARENAS_MAX && !error; i++) {
        error = set_arena(stop, copy, control, i, value, outcome);
        if (error)
            break;
        error = stop_breathe(stop);
        outcome->is_session_over = error != 0;
    }
    return error;
}

// Starting the thread is jemalloc's own business, done by the thread that was borrowed.
static int set_background(struct stop *stop, struct mallctl *copy, int64_t value,
                          struct outcome *outcome)
{
    static const char name[] = "background_thread";
    bool before = false, now = false;
    int error = mallctl_read_bool(stop->session, copy, name, &before);
    if (!error)
        error = mallctl_write_bool(stop->session, copy, name, value != 0);
    // A thread that could not be started (EAGAIN) is no change, and nothing to undo.
    if (!error) {
        outcome->before = before;
        outcome->has_before = true;
        error = mallctl_read_bool(stop->session, copy, name, &now);
    }
    return !error && now != (value != 0) ? -EIO : error;
}

// What mallctl() itself answers, in words.
static const char *words_of(int error)
{
    switch (-error) {
    case ENOENT:
        return "this build of jemalloc does not have it";
    case EIO:
        return "it was set, and reads otherwise";
    default:
        return strerror(-error);
    }
}

// The default's old value stands for all: it is what nearly every arena has.
static int add_change(enum tune_jemalloc_control control, int64_t value,
                      const struct outcome *outcome, struct lever_report *report)
{
    struct lever_change change = {0};
    text_copy(text_of(controls[control].name), change.name, sizeof change.name);
    format_value(control, outcome->before, change.before, sizeof change.before);
    format_value(control, value, change.after, sizeof change.after);
    text_format(change.undo, sizeof change.undo, "ebb tune %d %s=%s", report->pid,
                controls[control].option, change.before);
    int error = lever_add_change(report, &change);
    // One value puts all of them back.
    if (error || outcome->differing == 0)
        return error;
    char other[32];
    format_value(control, outcome->other, other, sizeof other);
    return lever_add_warning(report,
                             "%" PRIu32 " arenas had another %s than new ones get (%s): "
                             "undoing gives all of them %s",
                             outcome->differing, controls[control].name, other, change.before);
}

// Arenas that refuse are counted, not hidden.
static int end_step(enum tune_jemalloc_control control, const struct outcome *outcome,
                    struct lever_step *step)
{
    if (control == TUNE_BACKGROUND)
        lever_end_step(step, LEVER_STEP_DONE, "read back");
    else
        lever_end_step(step, outcome->refused ? LEVER_STEP_FAILED : LEVER_STEP_DONE,
                       "new arenas and %" PRIu32 " that are there, read back%s", outcome->arenas,
                       outcome->refused ? "; some refused" : "");
    return 0;
}

// Whatever happens, the thread is let go before anything is told.
static int act_control(struct tune_jemalloc *jemalloc, struct mallctl *copy,
                       enum tune_jemalloc_control control, struct tune_calls *calls,
                       struct lever_step *step, struct lever_report *report)
{
    struct stop stop = {.session = calls->session};
    struct outcome outcome = {0};
    int64_t value = jemalloc->value[control];
    uint64_t started_ns = lever_now_ns();
    int error = stop_begin(&stop);
    outcome.is_session_over = error != 0;
    // Of an earlier control, whose session was another stop.
    copy->call_error = 0;
    if (!error && control == TUNE_BACKGROUND)
        error = set_background(&stop, copy, value, &outcome);
    else if (!error)
        error = set_decay(&stop, copy, controls[control].name, value, &outcome);
    // Safe after any failure.
    call_end(calls->session);
    step->took_ns = lever_now_ns() - started_ns;
    if (error)
        tune_calls_fail(calls, step, copy->call_error || outcome.is_session_over ? error : 0,
                        words_of(error));
    else
        end_step(control, &outcome, step);
    // After a failure half way, what was changed is told all the same.
    return outcome.has_before ? add_change(control, value, &outcome, report) : 0;
}

// In the order in which the plan has added the steps.
int tune_jemalloc_act(struct tune_jemalloc *jemalloc, struct tune_calls *calls,
                      struct lever_report *report)
{
    size_t step = jemalloc->first_step;
    int error = 0;
    for (size_t i = 0; i < jemalloc->count && !error; i++)
        for (unsigned k = 0; k < TUNE_CONTROLS && !error; k++)
            if (jemalloc->is_wanted[k])
                error = act_control(jemalloc, &jemalloc->copies[i], (enum tune_jemalloc_control)k,
                                    calls, &report->steps[step++], report);
    return error;
}
