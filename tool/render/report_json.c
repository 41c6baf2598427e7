// SPDX-License-Identifier: Apache-2.0
// Reports, comparisons and moments as JSON. Tool world; pure but for a moment's recording.
#include <errno.h>

#include "base/when.h"
#include "render/json.h"
#include "render/report.h"
#include "render/report_moment.h"
#include "render/report_parts.h"

#ifdef EBB_WITH_JSON

// RFC 3339 in UTC with milliseconds: sorted as text it is sorted by time.
static json_t *json_of_time(int64_t time_ms)
{
    char text[WHEN_TEXT_MAX];
    when_format_utc(time_ms, text, sizeof text);
    return json_string(text);
}

// All verdicts, those of 0 seconds too: a program need not ask whether a key is there. Slot 0, the
// time before the first account, is what they lack to the observed time.
static json_t *json_of_verdicts(const struct history_summary *summary)
{
    json_t *object = json_object();
    for (int code = VERDICT_LAZY; code <= VERDICT_UNKNOWN; code++)
        json_put(&object, verdict_name((enum verdict_code)code),
                 json_of_double((double)summary->verdict_ms[code] / 1000));
    return object;
}

// null where no slope could be fitted: 0 would be a measurement.
static json_t *json_of_slope(bool has_slope, double slope, double error)
{
    if (!has_slope)
        return json_null();
    json_t *object = json_object();
    json_put(&object, "bytes_per_s", json_of_double(slope));
    json_put(&object, "error_bytes_per_s", json_of_double(error));
    return object;
}

// Names as in explain's JSON where they mean the same; peaks come with their moments.
static void put_summary(json_t **object, const struct history_summary *summary)
{
    json_put(object, "samples", json_of_u64(summary->samples));
    json_put(object, "first_rss_bytes", json_of_u64(summary->first_rss_bytes));
    json_put(object, "last_rss_bytes", json_of_u64(summary->last_rss_bytes));
    json_put(object, "first_effective_rss_bytes", json_of_u64(summary->first_effective_bytes));
    json_put(object, "last_effective_rss_bytes", json_of_u64(summary->last_effective_bytes));
    json_put(object, "peak_rss_bytes", json_of_u64(summary->peak_rss_bytes));
    // Moments of peaks are those of samples, and so found again in an export.
    json_put(object, "peak_rss_time", json_of_time(summary->peak_rss_ms));
    json_put(object, "peak_effective_rss_bytes", json_of_u64(summary->peak_effective_bytes));
    json_put(object, "peak_effective_rss_time", json_of_time(summary->peak_effective_ms));
    // null where the readings missed none.
    bool has_missed = summary->missed_rss_bytes > 0;
    json_put(object, "kernel_peak_rss_bytes",
             has_missed ? json_of_u64(summary->missed_rss_bytes) : json_null());
    json_put(object, "kernel_peak_rss_time",
             has_missed ? json_of_time(summary->missed_rss_ms) : json_null());
    // null where nobody could look: 0 would be a measurement.
    json_put(object, "peak_lazy_bytes",
             summary->peak_lazy_bytes == SAMPLE_UNKNOWN ? json_null()
                                                        : json_of_u64(summary->peak_lazy_bytes));
    json_put(object, "lowest_effective_rss_bytes", json_of_u64(summary->low_effective_bytes));
    json_put(object, "mean_rss_bytes", json_of_double(summary->mean_rss_bytes));
    json_put(object, "mean_effective_rss_bytes", json_of_double(summary->mean_effective_bytes));
    json_put(object, "verdict_seconds", json_of_verdicts(summary));
    json_put(object, "growth",
             json_of_slope(summary->has_slope, summary->slope_bytes_per_s,
                           summary->slope_error_bytes_per_s));
}

// One process of the report: who, when, how much, and what was made of it.
static json_t *json_of_entry(const struct report *report, const struct report_subject *entry)
{
    json_t *object = json_object();
    // What tells processes apart that had the same PID.
    json_put(&object, "id", json_of_u64(entry->subject.id));
    json_put(&object, "pid", json_integer(entry->subject.pid));
    json_put(&object, "name", json_of_name(entry->subject.name));
    json_put(&object, "cmdline", json_of_name(entry->subject.cmdline));
    json_put(&object, "cgroup", json_of_name(entry->subject.cgroup));
    json_put(&object, "runtimes", json_of_name(entry->runtimes));
    json_put(&object, "first_time", json_of_time(entry->subject.first_ms));
    json_put(&object, "last_time", json_of_time(entry->subject.last_ms));
    json_put(&object, "ended", json_boolean(entry->subject.has_ended));
    json_put(&object, "observed_seconds", json_of_double((double)entry->observed_ms / 1000));
    put_summary(&object, &entry->summary);
    json_put(&object, "growing", json_boolean(entry->is_growing));
    json_put(&object, "account_time",
             entry->has_account ? json_of_time(entry->account_ms) : json_null());
    json_put(&object, "account_age_seconds",
             entry->has_account ? json_of_double((double)entry->age_ms / 1000) : json_null());
    // Of that account, as what follows.
    json_put(&object, "verdict",
             entry->has_account ? json_string(verdict_name(entry->verdict)) : json_null());
    json_put(&object, "headline", entry->has_account ? json_of_name(entry->headline) : json_null());
    json_put(&object, "next", entry->next[0] ? json_of_name(entry->next) : json_null());
    // Missing where it was not asked for; 0 would be an answer.
    if (report->above_bytes) {
        json_put(&object, "rss_above_seconds", json_of_double((double)entry->rss_above_ms / 1000));
        json_put(&object, "effective_rss_above_seconds",
                 json_of_double((double)entry->effective_above_ms / 1000));
    }
    return object;
}

// As the recording has it; the value of a clock's step is signed.
static json_t *json_of_event(const struct event *event)
{
    json_t *object = json_object();
    // 0 for the host, as in the recording.
    json_put(&object, "subject", json_of_u64(event->subject));
    json_put(&object, "time", json_of_time(event->time_ms));
    json_put(&object, "kind", json_string(event_kind_name(event->kind)));
    json_put(&object, "value", json_integer((json_int_t)event->value));
    json_put(&object, "text", json_of_name(event->text));
    return object;
}

// Where and when, and whether its writer came to an end.
static json_t *json_of_about(const struct report *report)
{
    const struct history_about *about = &report->about;
    json_t *object = json_object();
    json_put(&object, "title", json_of_name(about->title));
    json_put(&object, "host", json_of_name(about->host));
    json_put(&object, "kernel", json_of_name(about->kernel));
    json_put(&object, "ebb_version", json_of_name(about->ebb_version));
    json_put(&object, "first_time", json_of_time(about->first_ms));
    json_put(&object, "last_time", json_of_time(about->last_ms));
    json_put(&object, "interval_seconds", json_of_double((double)about->interval_ms / 1000));
    // False: still being written, or its writer was killed.
    json_put(&object, "ended", json_boolean(about->is_ended));
    json_put(&object, "file_bytes", json_of_u64(about->file_bytes));
    json_put(&object, "samples", json_of_u64(about->sample_count));
    json_put(&object, "accounts", json_of_u64(about->account_count));
    return object;
}

// Counts of collections and purges stand beside the events, which do not list them.
int render_report_json(const struct report *report, struct buffer *buffer)
{
    json_t *object = json_object(), *subjects = json_array(), *events = json_array();
    json_put(&object, "schema", json_integer(1));
    json_put(&object, "recording", json_of_about(report));
    json_put(&object, "from", json_of_time(report->from_ms));
    json_put(&object, "to", json_of_time(report->to_ms));
    if (report->above_bytes)
        json_put(&object, "above_bytes", json_of_u64(report->above_bytes));
    for (size_t i = 0; i < report->subject_count; i++)
        json_push(&subjects, json_of_entry(report, &report->subjects[i]));
    json_put(&object, "processes", subjects);
    for (size_t i = 0; i < report->event_count; i++)
        json_push(&events, json_of_event(&report->events[i]));
    json_put(&object, "events", events);
    json_put(&object, "collections", json_of_u64(report->events_of_kind[EVENT_GC]));
    json_put(&object, "purges", json_of_u64(report->events_of_kind[EVENT_PURGE]));
    return json_append(object, buffer);
}

// One side of a pair. Peaks are of any one process of the name, means of all of them over their
// time.
static json_t *json_of_group(const struct report_group *group)
{
    json_t *object = json_object();
    json_put(&object, "processes", json_of_u64(group->processes));
    json_put(&object, "observed_seconds", json_of_double((double)group->observed_ms / 1000));
    json_put(&object, "peak_rss_bytes", json_of_u64(group->peak_rss_bytes));
    // null where the readings missed none.
    json_put(&object, "kernel_peak_rss_bytes",
             group->missed_rss_bytes > 0 ? json_of_u64(group->missed_rss_bytes) : json_null());
    json_put(&object, "peak_effective_rss_bytes", json_of_u64(group->peak_effective_bytes));
    json_put(&object, "mean_rss_bytes", json_of_double(group->mean_rss_bytes));
    json_put(&object, "mean_effective_rss_bytes", json_of_double(group->mean_effective_bytes));
    json_put(
        &object, "growth",
        json_of_slope(group->has_slope, group->slope_bytes_per_s, group->slope_error_bytes_per_s));
    return object;
}

// A name that is in one recording alone has null on the other side.
int render_comparison_json(const struct report *const reports[2], const char *const names[2],
                           const struct report_pair *pairs, size_t count, struct buffer *buffer)
{
    json_t *object = json_object(), *recordings = json_array(), *list = json_array();
    json_put(&object, "schema", json_integer(1));
    for (int side = 0; side < 2; side++) {
        json_t *recording = json_of_about(reports[side]);
        json_put(&recording, "file", json_of_name(names[side]));
        json_push(&recordings, recording);
    }
    json_put(&object, "recordings", recordings);
    for (size_t i = 0; i < count; i++) {
        json_t *pair = json_object();
        json_put(&pair, "name", json_of_name(pairs[i].side[0].name));
        json_put(&pair, "before", pairs[i].has[0] ? json_of_group(&pairs[i].side[0]) : json_null());
        json_put(&pair, "after", pairs[i].has[1] ? json_of_group(&pairs[i].side[1]) : json_null());
        json_push(&list, pair);
    }
    json_put(&object, "names", list);
    return json_append(object, buffer);
}

// Rows that were not measured are left out, so that a sum over what is there is true.
static json_t *json_of_rows(const struct digest *digest)
{
    json_t *rows = json_array();
    for (int row = 0; row < ROW_COUNT; row++) {
        if (digest->row_bytes[row] == SAMPLE_UNKNOWN)
            continue;
        json_t *object = json_object();
        json_put(&object, "row", json_string(account_row_key((enum account_row)row)));
        json_put(&object, "bytes", json_of_u64(digest->row_bytes[row]));
        json_put(&object, "error_bytes", json_of_u64(digest->row_error_bytes[row]));
        json_push(&rows, object);
    }
    return rows;
}

// In the order of the ledger, which is that of the runtime's own documentation.
static json_t *json_of_figures(const struct digest *digest)
{
    json_t *figures = json_array();
    for (size_t i = 0; i < digest->figure_count; i++) {
        const struct digest_figure *entry = &digest->figures[i];
        json_t *object = json_object();
        json_put(&object, "runtime", json_of_name(entry->runtime));
        json_put(&object, "name", json_of_name(entry->figure.name));
        // Units are the runtime's own, and its documentation's to tell.
        json_put(&object, "value",
                 entry->figure.unit == FIGURE_RATIO ? json_of_double(entry->figure.ratio)
                                                    : json_of_u64(entry->figure.value));
        json_push(&figures, object);
    }
    return figures;
}

// The array, and the moment that was asked for.
struct moment_json {
    json_t **accounts;
    int64_t at_ms;
};

// One process at that moment.
static int push_moment(void *context, const struct report_subject *entry, int64_t time_ms,
                       const struct digest *digest)
{
    const struct moment_json *moment = context;
    json_t *object = json_object();
    json_put(&object, "pid", json_integer(entry->subject.pid));
    json_put(&object, "name", json_of_name(entry->subject.name));
    json_put(&object, "time", json_of_time(time_ms));
    json_put(&object, "age_seconds",
             json_of_double((double)report_moment_age_ms(entry, moment->at_ms, time_ms) / 1000));
    json_put(&object, "account", json_of_rows(digest));
    json_put(&object, "swap_bytes", json_of_u64(digest->swap_bytes));
    json_put(&object, "verdict",
             digest->verdict ? json_string(verdict_name(digest->verdict)) : json_null());
    json_put(&object, "headline", json_of_name(digest->headline));
    json_put(&object, "runtimes", json_of_name(digest->runtimes));
    json_put(&object, "figures", json_of_figures(digest));
    json_push(moment->accounts, object);
    return 0;
}

// An empty array when nobody had an account by then: that is an answer.
int render_moment_json(struct history *history, const struct report *report, int64_t at_ms,
                       struct buffer *buffer)
{
    json_t *object = json_object(), *accounts = json_array();
    struct moment_json moment = {&accounts, at_ms};
    int error = report_each_moment(history, report, at_ms, push_moment, &moment);
    json_put(&object, "schema", json_integer(1));
    json_put(&object, "at", json_of_time(at_ms));
    json_put(&object, "processes", accounts);
    if (error) {
        json_decref(object);
        return error;
    }
    return json_append(object, buffer);
}

#else

int render_report_json(const struct report *report, struct buffer *buffer)
{
    (void)report;
    (void)buffer;
    return -ENOTSUP;
}

int render_comparison_json(const struct report *const reports[2], const char *const names[2],
                           const struct report_pair *pairs, size_t count, struct buffer *buffer)
{
    (void)reports;
    (void)names;
    (void)pairs;
    (void)count;
    (void)buffer;
    return -ENOTSUP;
}

int render_moment_json(struct history *history, const struct report *report, int64_t at_ms,
                       struct buffer *buffer)
{
    (void)history;
    (void)report;
    (void)at_ms;
    (void)buffer;
    return -ENOTSUP;
}

#endif
