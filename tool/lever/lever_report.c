// SPDX-License-Identifier: Apache-2.0
// Building a lever's report: steps, changes, notes, what was left alone. Tool world; its owner
// guards it.
#include "lever/lever.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/text.h"

// What a report owns; texts are inside its arrays.
void lever_report_free(struct lever_report *report)
{
    free(report->steps);
    free(report->changes);
    free(report->untouched);
    free(report->notes);
    *report = (struct lever_report){0};
}

// A new step is planned until somebody says what became of it.
int lever_add_step(struct lever_report *report, const char *format, ...)
{
    int error = array_reserve_one(&report->steps, &report->step_capacity, report->step_count,
                                  sizeof *report->steps);
    if (error)
        return error;
    struct lever_step *step = &report->steps[report->step_count++];
    *step = (struct lever_step){.state = LEVER_STEP_PLANNED};
    va_list args;
    va_start(args, format);
    text_vformat(step->what, sizeof step->what, format, args);
    va_end(args);
    return 0;
}

// For callers that have just added one; the array moves with the next.
struct lever_step *lever_last_step(struct lever_report *report)
{
    return report->step_count > 0 ? &report->steps[report->step_count - 1] : NULL;
}

// The text is replaced, not appended to: what a plan promised is over.
void lever_end_step(struct lever_step *step, enum lever_step_state state, const char *format, ...)
{
    step->state = state;
    va_list args;
    va_start(args, format);
    text_vformat(step->result, sizeof step->result, format, args);
    va_end(args);
}

// Zero bytes is no size but none that was counted; renderers leave it out.
int lever_add_untouched(struct lever_report *report, uint64_t bytes, const char *what,
                        const char *why)
{
    int error = array_reserve_one(&report->untouched, &report->untouched_capacity,
                                  report->untouched_count, sizeof *report->untouched);
    if (error)
        return error;
    struct lever_untouched *untouched = &report->untouched[report->untouched_count++];
    *untouched = (struct lever_untouched){.bytes = bytes};
    text_copy(text_of(what), untouched->what, sizeof untouched->what);
    text_copy(text_of(why), untouched->why, sizeof untouched->why);
    return 0;
}

static int add_note(struct lever_report *report, bool is_warning, const char *format, va_list args)
{
    int error = array_reserve_one(&report->notes, &report->note_capacity, report->note_count,
                                  sizeof *report->notes);
    if (error)
        return error;
    struct lever_note *note = &report->notes[report->note_count];
    note->is_warning = is_warning;
    text_vformat(note->text, sizeof note->text, format, args);
    // Two changes at once say the same of how long they last: once is enough.
    for (size_t i = 0; i < report->note_count; i++)
        if (report->notes[i].is_warning == is_warning &&
            strcmp(report->notes[i].text, note->text) == 0)
            return 0;
    report->note_count++;
    return 0;
}

// One list for both kinds, so that a warning stands where it came up.
int lever_add_note(struct lever_report *report, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int error = add_note(report, false, format, args);
    va_end(args);
    return error;
}

int lever_add_warning(struct lever_report *report, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int error = add_note(report, true, format, args);
    va_end(args);
    return error;
}

// By value: the lever's own copy may change with the next step.
int lever_add_change(struct lever_report *report, const struct lever_change *change)
{
    int error = array_reserve_one(&report->changes, &report->change_capacity, report->change_count,
                                  sizeof *report->changes);
    if (error)
        return error;
    report->changes[report->change_count++] = *change;
    return 0;
}

// A lever that makes the target wait in two ways tells the worse one.
void lever_add_wait(struct lever_report *report, const char *static_what, uint64_t longest_ns,
                    uint64_t total_ns)
{
    if (longest_ns >= report->longest_wait_ns) {
        report->longest_wait_ns = longest_ns;
        text_copy(text_of(static_what), report->waited, sizeof report->waited);
    }
    report->total_wait_ns += total_ns;
}

// The first refusal stands: what follows from it says less.
int lever_refuse(struct lever_report *report, int error, const char *why, const char *needs)
{
    if (report->refusal[0])
        return error;
    text_copy(text_of(why), report->refusal, sizeof report->refusal);
    text_copy(text_of(needs), report->needs, sizeof report->needs);
    report->error = error;
    return error;
}

// Stable: they are words of the JSON.
const char *lever_outcome_name(enum lever_outcome outcome)
{
    static const char *const names[] = {
        [LEVER_PLANNED] = "planned", [LEVER_DONE] = "done",     [LEVER_NOTHING] = "nothing",
        [LEVER_PARTLY] = "partly",   [LEVER_FAILED] = "failed", [LEVER_REFUSED] = "refused",
    };
    return names[outcome];
}

const char *lever_step_state_name(enum lever_step_state state)
{
    static const char *const names[] = {
        [LEVER_STEP_PLANNED] = "planned", [LEVER_STEP_DONE] = "done",
        [LEVER_STEP_NOTHING] = "nothing", [LEVER_STEP_FAILED] = "failed",
        [LEVER_STEP_SKIPPED] = "skipped",
    };
    return names[state];
}
