// SPDX-License-Identifier: Apache-2.0
// A survey as JSON, as docs/json.md describes it. Tool world; pure.
//
// The schema is a promise: fields are added, never renamed, and docs/json.md changes with this
// file. Each function makes one value; NULL without memory, which json_put() and json_push() hand
// on to the root.
#include <errno.h>

#include "render/json.h"
#include "render/render.h"

// The minimal configuration has no jansson; callers are told so by -ENOTSUP.
#ifdef EBB_WITH_JSON

// Ledgers hold bytes, counts, nanoseconds and ratios alike; the name tells which, as in the
// runtime's own documentation.
static json_t *json_of_figure(const struct runtime_figure *figure)
{
    return figure->unit == FIGURE_RATIO ? json_of_double(figure->ratio)
                                        : json_of_u64(figure->value);
}

// Settings and figures are objects by name, so of two with one name the later stays.
static json_t *json_of_runtime(const struct runtime_report *report)
{
    json_t *settings = json_object();
    for (size_t i = 0; i < report->setting_count; i++) {
        const struct runtime_setting *setting = &report->settings[i];
        json_t *value = json_object();
        json_put(&value, "value", json_of_name(setting->value));
        json_put(&value, "source", json_of_name(setting->source));
        json_put(&settings, setting->name, value);
    }
    json_t *ledger = json_object();
    for (size_t i = 0; i < report->figure_count; i++)
        json_put(&ledger, report->figures[i].name, json_of_figure(&report->figures[i]));
    json_t *object = json_object();
    json_put(&object, "name", json_of_name(report->name));
    // "" where it is not known, so that the field is always a string.
    json_put(&object, "version", json_of_name(report->version));
    json_put(&object, "place", json_of_name(report->place));
    json_put(&object, "method", json_of_name(report->method));
    json_put(&object, "approximate", json_boolean(report->approximate));
    json_put(&object, "settings", settings);
    json_put(&object, "ledger", ledger);
    return object;
}

// Ground is not among them: a survey holds runtimes only.
static json_t *json_of_runtimes(const struct survey *survey)
{
    json_t *array = json_array();
    for (size_t i = 0; i < survey->report_count; i++)
        json_push(&array, json_of_runtime(&survey->reports[i]));
    return array;
}

// Entries, not rows: who wants rows adds up the entries of one, and both sum to rss_bytes.
static json_t *json_of_account(const struct account *account)
{
    json_t *array = json_array();
    for (size_t i = 0; i < account->entry_count; i++) {
        const struct account_entry *entry = &account->entries[i];
        json_t *object = json_object();
        json_put(&object, "row", json_string(account_row_key(entry->row)));
        json_put(&object, "bytes", json_of_u64(entry->bytes));
        json_put(&object, "error_bytes", json_of_u64(entry->error_bytes));
        json_put(&object, "source", json_of_name(entry->source));
        json_put(&object, "runtime", json_of_name(entry->runtime));
        json_push(&array, object);
    }
    return array;
}

// Sentences for people, whose words may change with any version; programs look at codes and
// figures.
static json_t *json_of_lines(const struct verdict_lines *lines)
{
    json_t *array = json_array();
    for (size_t i = 0; i < lines->count; i++)
        json_push(&array, json_of_name(lines->text[i]));
    return array;
}

// The code is the one that --exit-code adds to 10.
static json_t *json_of_verdict(const struct verdict *verdict)
{
    json_t *object = json_object();
    json_put(&object, "name", json_string(verdict_name(verdict->code)));
    json_put(&object, "code", json_integer(verdict->code));
    json_put(&object, "headline", json_of_name(verdict->headline));
    json_put(&object, "reasons", json_of_lines(&verdict->reasons));
    json_put(&object, "traps", json_of_lines(&verdict->traps));
    return object;
}

// Through two samples any line is perfect: the error is null then, not 0.
static json_t *json_of_line(const struct growth_line *line)
{
    json_t *object = json_object();
    json_put(&object, "change_bytes", json_integer(line->change_bytes));
    json_put(&object, "slope_bytes_per_s", json_of_double(line->slope_bytes_per_s));
    json_put(&object, "slope_error_bytes_per_s",
             line->has_error ? json_of_double(line->slope_error_bytes_per_s) : json_null());
    return object;
}

// Lines that are not known are left out; their absence is no zero.
static json_t *json_of_growth(const struct growth *growth)
{
    json_t *object = json_object();
    json_put(&object, "seconds", json_of_double(growth->seconds));
    json_put(&object, "samples", json_of_u64(growth->sample_count));
    json_put(&object, "growing", json_boolean(growth->is_growing));
    json_put(&object, "minor_faults", json_of_u64(growth->minor_faults));
    json_put(&object, "major_faults", json_of_u64(growth->major_faults));
    json_put(&object, "effective", json_of_line(&growth->effective));
    json_put(&object, "rss", json_of_line(&growth->rss));
    if (growth->has_busy)
        json_put(&object, "busy", json_of_line(&growth->busy));
    if (growth->has_in_use)
        json_put(&object, "in_use", json_of_line(&growth->in_use));
    return object;
}

// Always there, if empty: an empty list says that everything was read.
static json_t *json_of_unread(const struct survey *survey)
{
    json_t *array = json_array();
    for (size_t i = 0; i < survey->unread_count; i++) {
        json_t *object = json_object();
        json_put(&object, "what", json_of_name(survey->unread[i].what));
        json_put(&object, "needs", json_of_name(survey->unread[i].needs));
        json_push(&array, object);
    }
    return array;
}

// null without a group, and limit_bytes null without a limit: version 1 has no word for "none".
static json_t *json_of_cgroup(const struct cgroup *cgroup)
{
    if (cgroup->version == 0)
        return json_null();
    json_t *object = json_object();
    json_put(&object, "version", json_integer(cgroup->version));
    // As the process sees it, which in a cgroup namespace is "/".
    json_put(&object, "path", json_of_name(cgroup->path));
    bool limited = cgroup->limit_bytes != CGROUP_NO_LIMIT;
    json_put(&object, "limit_bytes", limited ? json_of_u64(cgroup->limit_bytes) : json_null());
    if (cgroup->has_usage) {
        json_put(&object, "usage_bytes", json_of_u64(cgroup->usage_bytes));
        json_put(&object, "working_set_bytes", json_of_u64(cgroup->working_set_bytes));
        json_put(&object, "anon_bytes", json_of_u64(cgroup->anon_bytes));
        json_put(&object, "file_bytes", json_of_u64(cgroup->file_bytes));
        json_put(&object, "inactive_file_bytes", json_of_u64(cgroup->inactive_file_bytes));
    }
    return object;
}

// What the account adds to the survey's identity. Without one the figures are null and the list is
// empty: 0 would say that nothing is lazily freed.
static void json_add_account(json_t *object, const struct survey *survey)
{
    const struct account *account = &survey->account;
    bool has = survey->has_account;
    json_put(&object, "rss_bytes", json_of_u64(survey->rss_bytes));
    json_put(&object, "lazy_bytes", has ? json_of_u64(account->lazy_bytes) : json_null());
    json_put(&object, "effective_rss_bytes",
             has ? json_of_u64(account->effective_bytes) : json_null());
    json_put(&object, "swap_bytes", has ? json_of_u64(account->swap_bytes) : json_null());
    json_put(&object, "account", json_of_account(account));
}

// What asking cost the target.
static json_t *json_of_ask(const struct survey *survey)
{
    json_t *object = json_object();
    json_put(&object, "calls", json_of_u64(survey->ask_calls));
    json_put(&object, "longest_stop_ns", json_of_u64(survey->ask_longest_stop_ns));
    return object;
}

// Identity first, then figures, then words: the order of docs/json.md, which jansson keeps.
static json_t *json_of_survey(const struct survey *survey)
{
    json_t *object = json_object();
    json_put(&object, "schema", json_integer(1));
    json_put(&object, "pid", json_integer(survey->pid));
    json_put(&object, "name", json_of_name(survey->name));
    json_put(&object, "cmdline", json_of_name(survey->cmdline));
    json_put(&object, "exe", json_of_name(survey->exe));
    json_put(&object, "start_time", json_of_double(survey->start_time_s));
    json_put(&object, "threads", json_of_u64(survey->status.threads));
    json_put(&object, "mappings", json_of_u64(survey->mapping_count));
    json_put(&object, "runtimes", json_of_runtimes(survey));
    json_add_account(object, survey);
    if (survey->has_growth)
        json_put(&object, "growth", json_of_growth(&survey->growth));
    json_put(&object, "verdict", json_of_verdict(&survey->verdict));
    json_put(&object, "next", json_of_lines(&survey->verdict.next));
    json_put(&object, "unread", json_of_unread(survey));
    json_put(&object, "cgroup", json_of_cgroup(&survey->cgroup));
    // Only a reading that asked has it.
    if (survey->ask_calls > 0)
        json_put(&object, "ask", json_of_ask(survey));
    return object;
}

int render_survey_json(const struct survey *survey, struct buffer *buffer)
{
    return json_append(json_of_survey(survey), buffer);
}

#else

int render_survey_json(const struct survey *survey, struct buffer *buffer)
{
    (void)survey;
    (void)buffer;
    return -ENOTSUP;
}

#endif
