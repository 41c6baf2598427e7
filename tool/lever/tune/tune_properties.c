// SPDX-License-Identifier: Apache-2.0
// mimalloc's options and gperftools' properties by call, see tune_call.h. Tool world; no state.
#include "lever/tune/tune_call.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lever/tune/lasting.h"
#include "runtime/allocators/tcmalloc_property.h"

static const char tcmalloc_prefix[] = "tcmalloc.";

// Both functions are exported under these names only, in every version that has them.
bool tune_properties_find(const struct tune_scene *scene, struct tune_properties *options)
{
    if (tune_find_function(scene, "mi_option_set", &options->set, &options->image) == 0) {
        options->is_mimalloc = true;
        return true;
    }
    if (tune_find_function(scene, "MallocExtension_SetNumericProperty", &options->set,
                           &options->image) != 0)
        return false;
    const struct image *image;
    if (tune_find_function(scene, "MallocExtension_GetNumericProperty", &options->get, &image) != 0)
        options->get = 0;
    return true;
}

// The request's own limit keeps one place free for what --madv-free means.
static void want(struct tune_properties *options, const char *name, int64_t value)
{
    if (options->wanted.count >= TUNE_SETTINGS_MAX)
        return;
    struct tune_setting *setting = &options->wanted.items[options->wanted.count++];
    text_copy(text_of(name), setting->name, sizeof setting->name);
    setting->value = value;
}

// Where purging does not decommit, it resets, which is MADV_FREE. 2.0 has no such switch: it
// decommits always. Source: _mi_os_purge() of src/os.c; mi_option_t of mimalloc.h.
static int want_madv_free(struct tune_properties *options, bool is_on, struct tune_refusal *refusal)
{
    static const char *const names[] = {"purge_decommits", "reset_decommits"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        // Only names that this build's own table has.
        if (!mimalloc_option_find(&options->table, names[i]))
            continue;
        want(options, names[i], is_on ? 0 : 1);
        return 0;
    }
    return tune_refuse(refusal, -ENOTSUP, "`ebb tune PID`, which lists its options",
                       "this mimalloc has no switch for how it gives memory back");
}

// The enum of mimalloc.h numbers options as the table does.
static int check_mimalloc(struct tune_properties *options, struct tune_refusal *refusal)
{
    for (size_t i = 0; i < options->wanted.count; i++)
        if (!mimalloc_option_find(&options->table, options->wanted.items[i].name))
            return tune_refuse(refusal, -ENOENT, "`ebb tune PID`, which lists them",
                               "this mimalloc has no option %s", options->wanted.items[i].name);
    return 0;
}

// What holds already needs no call.
static int drop_held(struct tune_properties *options, struct lever_report *report)
{
    // In place: what is left keeps its order, which is that of the steps.
    size_t kept = 0;
    int error = 0;
    for (size_t i = 0; i < options->wanted.count && !error; i++) {
        const struct tune_setting *setting = &options->wanted.items[i];
        // Checked a moment ago: the name is there.
        if (mimalloc_option_find(&options->table, setting->name)->value == setting->value)
            error = lever_add_note(report, "%s of mimalloc is %" PRId64 " already", setting->name,
                                   setting->value);
        else
            options->wanted.items[kept++] = *setting;
    }
    options->wanted.count = kept;
    return error;
}

// For sentences.
static const char *runtime_name(const struct tune_properties *options)
{
    return options->is_mimalloc ? "mimalloc" : "tcmalloc";
}

// mimalloc reads each option under its own name, in capitals; gperftools' names are not those of
// its properties.
static int note_lasting(const struct tune_properties *options, struct lever_report *report)
{
    int error = lasting_add_until(report);
    for (size_t i = 0; i < options->wanted.count && options->is_mimalloc && !error; i++) {
        char variable[TUNE_NAME_MAX + 16], value[32];
        text_format(variable, sizeof variable, "MIMALLOC_%s", options->wanted.items[i].name);
        // MIMALLOC_PURGE_DELAY.
        for (char *byte = variable; *byte; byte++)
            *byte = (char)toupper((unsigned char)*byte);
        snprintf(value, sizeof value, "%" PRId64, options->wanted.items[i].value);
        error = lasting_add_variable(report, variable, value);
    }
    if (!error && !options->is_mimalloc)
        error = lever_add_note(report, "For good: TCMALLOC_AGGRESSIVE_DECOMMIT, "
                                       "TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES, "
                                       "TCMALLOC_HEAP_LIMIT_MB in its environment");
    return error;
}

// mimalloc's names are checked here; tcmalloc answers for its own when it is asked.
int tune_properties_plan(const struct tune_scene *scene, struct tune_properties *options,
                         const struct tune_request *request, struct lever_report *report,
                         struct tune_refusal *refusal)
{
    int error = 0;
    for (size_t i = 0; i < request->options.count; i++)
        want(options, request->options.items[i].name, request->options.items[i].value);
    // From the target's memory, as they are in force.
    if (options->is_mimalloc) {
        error = mimalloc_options_read(&scene->target, options->image, &options->table);
        if (error)
            return tune_refuse(refusal, error, "", "mimalloc's table of options was not found");
        if (request->madv_free != TUNE_KEEP)
            error = want_madv_free(options, request->madv_free == TUNE_ON, refusal);
        if (!error)
            error = check_mimalloc(options, refusal);
    }
    if (!error && options->is_mimalloc)
        error = drop_held(options, report);
    options->first_step = report->step_count;
    for (size_t i = 0; i < options->wanted.count && !error; i++)
        error = lever_add_step(report, "set %s of %s to %" PRId64 " by %s()",
                               options->wanted.items[i].name, runtime_name(options),
                               options->wanted.items[i].value,
                               options->is_mimalloc ? "mi_option_set" : "SetNumericProperty");
    return error || options->wanted.count == 0 ? error : note_lasting(options, report);
}

// "aggressive_memory_decommit" may be typed without its prefix.
static void property_name(const char *name, char *ret_name, size_t size)
{
    // "tcmalloc." is what nearly all begin with; "generic." ones cannot be set.
    bool has_prefix = text_starts_with(text_of(name), tcmalloc_prefix);
    text_format(ret_name, size, "%s%s", has_prefix ? "" : tcmalloc_prefix, name);
}

// What one setting held and holds; both are read where there is a way.
struct outcome {
    int64_t before, after;
    bool has_before, has_after;
};

// A property that cannot be read is not known either: then nothing is set.
static int set_property(const struct tune_properties *options, struct tune_calls *calls,
                        const struct tune_setting *setting, struct outcome *outcome)
{
    char name[TUNE_NAME_MAX + 16];
    property_name(setting->name, name, sizeof name);
    uint64_t before = 0, after = 0;
    int error = 0;
    // The old value first: it is what undo needs.
    if (options->get)
        error = tcmalloc_property_read(calls->session, options->get, name, &before);
    outcome->has_before = options->get && !error;
    if (!error)
        error =
            tcmalloc_property_write(calls->session, options->set, name, (uint64_t)setting->value);
    if (!error && options->get)
        error = tcmalloc_property_read(calls->session, options->get, name, &after);
    outcome->has_after = options->get && !error;
    outcome->before = (int64_t)before;
    outcome->after = (int64_t)after;
    return error;
}

// The old value stands in the table that was read when it was planned.
static int set_mimalloc(const struct tune_properties *options, struct tune_calls *calls,
                        const struct tune_setting *setting, struct outcome *outcome)
{
    const struct mimalloc_option *option = mimalloc_option_find(&options->table, setting->name);
    const uint64_t arguments[] = {(uint64_t)(option - options->table.items),
                                  (uint64_t)setting->value};
    // The enum's number is the place in the table.
    outcome->before = option->value;
    outcome->has_before = true;
    return call_make(calls->session, options->set, arguments, 2, NULL);
}

// The table is read again once the thread runs: a search through the library's data.
static void read_back_mimalloc(const struct tune_scene *scene,
                               const struct tune_properties *options, struct outcome *outcomes)
{
    struct mimalloc_options now;
    process_forget_residency(scene->target.process);
    // Set all the same; then it is told that it could not be read back.
    if (mimalloc_options_read(&scene->target, options->image, &now) != 0)
        return;
    for (size_t i = 0; i < options->wanted.count; i++) {
        const struct mimalloc_option *option =
            mimalloc_option_find(&now, options->wanted.items[i].name);
        outcomes[i].has_after = option != NULL;
        outcomes[i].after = option ? option->value : 0;
    }
}

// An undo needs an old value.
static int add_change(const struct tune_setting *setting, const struct outcome *outcome,
                      struct lever_report *report)
{
    // What could not be read back is told as it was asked for.
    struct lever_change change = {0};
    text_copy(text_of(setting->name), change.name, sizeof change.name);
    snprintf(change.after, sizeof change.after, "%" PRId64,
             outcome->has_after ? outcome->after : setting->value);
    if (outcome->has_before) {
        snprintf(change.before, sizeof change.before, "%" PRId64, outcome->before);
        text_format(change.undo, sizeof change.undo, "ebb tune %d --option=%s=%s", report->pid,
                    change.name, change.before);
    }
    return lever_add_change(report, &change);
}

// The calls alone. What failed ends its step here; the others' come when they are read back.
static void set_one(const struct tune_properties *options, struct tune_calls *calls,
                    const struct tune_setting *setting, struct lever_step *step,
                    struct outcome *outcome)
{
    uint64_t started_ns = lever_now_ns();
    int error = options->is_mimalloc ? set_mimalloc(options, calls, setting, outcome)
                                     : set_property(options, calls, setting, outcome);
    step->took_ns = lever_now_ns() - started_ns;
    // A name that is not known fails its own step only.
    if (error == -ENOENT)
        lever_end_step(step, LEVER_STEP_FAILED, "this %s has no property of this name",
                       runtime_name(options));
    else if (error)
        tune_calls_fail(calls, step, error, strerror(-error));
}

// Steps that failed in the call have their words already.
static int end_one(const struct tune_setting *setting, const struct outcome *outcome,
                   struct lever_step *step, struct lever_report *report)
{
    // No change, and nothing to undo.
    if (step->state == LEVER_STEP_FAILED)
        return 0;
    bool is_otherwise = outcome->has_after && outcome->after != setting->value;
    lever_end_step(step, is_otherwise ? LEVER_STEP_FAILED : LEVER_STEP_DONE, "%s",
                   is_otherwise ? "it was set, and reads otherwise"
                                : (outcome->has_after ? "read back" : "it cannot be read back"));
    return add_change(setting, outcome, report);
}

// One stop for all: none of these calls purges.
int tune_properties_act(const struct tune_scene *scene, struct tune_properties *options,
                        struct tune_calls *calls, struct lever_report *report)
{
    // By the place of the setting: at most as many as a request holds.
    struct outcome outcomes[TUNE_SETTINGS_MAX] = {0};
    struct lever_step *steps = &report->steps[options->first_step];
    size_t count = options->wanted.count;
    int error = call_begin(calls->session);
    for (size_t i = 0; i < count; i++) {
        if (error)
            tune_calls_fail(calls, &steps[i], error, strerror(-error));
        else
            set_one(options, calls, &options->wanted.items[i], &steps[i], &outcomes[i]);
    }
    call_end(calls->session);
    if (options->is_mimalloc)
        read_back_mimalloc(scene, options, outcomes);
    error = 0;
    for (size_t i = 0; i < count && !error; i++)
        error = end_one(&options->wanted.items[i], &outcomes[i], &steps[i], report);
    return error;
}
