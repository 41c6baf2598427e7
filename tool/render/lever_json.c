// SPDX-License-Identifier: Apache-2.0
// What levers did, as JSON (docs/json.md). Tool world; pure.
#include "render/lever.h"

#include <errno.h>

#include "render/json.h"

#ifdef EBB_WITH_JSON

// Absent is null, so that nobody takes a reading that failed for a process without memory.
static json_t *json_of_reading(const struct lever_reading *reading, bool is_there)
{
    if (!is_there)
        return json_null();
    json_t *object = json_object();
    json_put(&object, "rss_bytes", json_of_u64(reading->rss_bytes));
    json_put(&object, "virtual_bytes", json_of_u64(reading->virtual_bytes));
    json_put(&object, "swap_bytes", json_of_u64(reading->swap_bytes));
    json_put(&object, "locked_bytes", json_of_u64(reading->locked_bytes));
    // Unknown is not 0: without the right to smaps these are missing.
    if (!reading->has_details)
        return object;
    json_put(&object, "lazy_bytes", json_of_u64(reading->lazy_bytes));
    json_put(&object, "effective_rss_bytes", json_of_u64(reading->rss_bytes - reading->lazy_bytes));
    json_put(&object, "anon_huge_bytes", json_of_u64(reading->anon_huge_bytes));
    return object;
}

// In the order in which they are done, which is that of the text.
static json_t *json_of_steps(const struct lever_report *report)
{
    json_t *array = json_array();
    for (size_t i = 0; i < report->step_count; i++) {
        const struct lever_step *step = &report->steps[i];
        json_t *object = json_object();
        json_put(&object, "what", json_of_name(step->what));
        json_put(&object, "state", json_string(lever_step_state_name(step->state)));
        // null until it was done.
        json_put(&object, "result", json_of_name_or_null(step->result));
        json_put(&object, "took_seconds", json_of_double((double)step->took_ns / 1e9));
        json_push(&array, object);
    }
    return array;
}

// Values are texts: they are written as the runtime's own settings are.
static json_t *json_of_changes(const struct lever_report *report)
{
    json_t *array = json_array();
    for (size_t i = 0; i < report->change_count; i++) {
        const struct lever_change *change = &report->changes[i];
        json_t *object = json_object();
        json_put(&object, "name", json_of_name(change->name));
        json_put(&object, "before", json_of_name_or_null(change->before));
        json_put(&object, "after", json_of_name_or_null(change->after));
        json_put(&object, "undo", json_of_name_or_null(change->undo));
        json_push(&array, object);
    }
    return array;
}

// Nothing counted is null here and not 0, which would say that it was looked at.
static json_t *json_of_untouched(const struct lever_report *report)
{
    json_t *array = json_array();
    for (size_t i = 0; i < report->untouched_count; i++) {
        const struct lever_untouched *untouched = &report->untouched[i];
        json_t *object = json_object();
        json_put(&object, "what", json_of_name(untouched->what));
        json_put(&object, "why", json_of_name_or_null(untouched->why));
        json_put(&object, "bytes",
                 untouched->bytes > 0 ? json_of_u64(untouched->bytes) : json_null());
        json_push(&array, object);
    }
    return array;
}

// Two lists for programs, that may want to alarm on the one; texts keep them in one.
static json_t *json_of_notes(const struct lever_report *report, bool is_warning)
{
    json_t *array = json_array();
    for (size_t i = 0; i < report->note_count; i++)
        if (report->notes[i].is_warning == is_warning)
            json_push(&array, json_of_name(report->notes[i].text));
    return array;
}

// Always there: 0 is the answer that is hoped for.
static json_t *json_of_wait(const struct lever_report *report)
{
    json_t *object = json_object();
    json_put(&object, "what", json_of_name_or_null(report->waited));
    json_put(&object, "longest_seconds", json_of_double((double)report->longest_wait_ns / 1e9));
    json_put(&object, "total_seconds", json_of_double((double)report->total_wait_ns / 1e9));
    return object;
}

// Every key is there in every report, so that programs need not ask for it.
static json_t *json_of_report(const struct lever_report *report)
{
    json_t *object = json_object();
    // Goes up when a key changes its meaning or goes; new keys leave it.
    json_put(&object, "schema", json_integer(1));
    json_put(&object, "lever", json_string(report->lever));
    // null for a command that did not start, and for a host.
    json_put(&object, "pid", report->pid != 0 ? json_integer(report->pid) : json_null());
    json_put(&object, "name", json_of_name_or_null(report->name));
    json_put(&object, "outcome", json_string(lever_outcome_name(report->outcome)));
    json_put(&object, "refusal", json_of_name_or_null(report->refusal));
    json_put(&object, "needs", json_of_name_or_null(report->needs));
    json_put(&object, "steps", json_of_steps(report));
    json_put(&object, "changes", json_of_changes(report));
    json_put(&object, "before", json_of_reading(&report->before, report->has_before));
    json_put(&object, "after", json_of_reading(&report->after, report->has_after));
    json_put(&object, "untouched", json_of_untouched(report));
    json_put(&object, "waited", json_of_wait(report));
    json_put(&object, "warnings", json_of_notes(report, true));
    json_put(&object, "notes", json_of_notes(report, false));
    // Seconds everywhere in the JSON, whatever the clock counted.
    json_put(&object, "took_seconds", json_of_double((double)report->took_ns / 1e9));
    return object;
}

// A failure for want of memory shows when the tree is written: json_put() has dropped it.
int render_lever_json(const struct lever_report *report, struct buffer *buffer)
{
    return json_append(json_of_report(report), buffer);
}

// One object and no stream: a reader knows when it has all of them.
int render_levers_json(const struct lever_report *reports, size_t count, struct buffer *buffer)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        json_push(&array, json_of_report(&reports[i]));
    json_t *object = json_object();
    json_put(&object, "schema", json_integer(1));
    json_put(&object, "processes", array);
    return json_append(object, buffer);
}

// Built without jansson: the verb says so.
#else

int render_lever_json(const struct lever_report *report, struct buffer *buffer)
{
    (void)report;
    (void)buffer;
    return -ENOTSUP;
}

int render_levers_json(const struct lever_report *reports, size_t count, struct buffer *buffer)
{
    (void)reports;
    (void)count;
    (void)buffer;
    return -ENOTSUP;
}

#endif
