// SPDX-License-Identifier: Apache-2.0
// A survey as JSON, as docs/json.md describes it. Tool world; pure.
#include <errno.h>

#include "render/json.h"
#include "render/render.h"

#ifdef EBB_WITH_JSON

static json_t *json_of_figure(const struct runtime_figure *figure)
{
    return figure->unit == FIGURE_RATIO ? json_real(figure->ratio) : json_of_u64(figure->value);
}

static json_t *json_of_runtime(const struct runtime_report *report)
{
    json_t *settings = json_object();
    for (size_t i = 0; i < report->setting_count; i++) {
        const struct runtime_setting *setting = &report->settings[i];
        json_t *value = json_object();
        json_object_set_new(value, "value", json_of_name(setting->value));
        json_object_set_new(value, "source", json_of_name(setting->source));
        json_object_set_new(settings, setting->name, value);
    }
    json_t *ledger = json_object();
    for (size_t i = 0; i < report->figure_count; i++)
        json_object_set_new(ledger, report->figures[i].name, json_of_figure(&report->figures[i]));
    json_t *object = json_object();
    json_object_set_new(object, "name", json_of_name(report->name));
    json_object_set_new(object, "version", json_of_name(report->version));
    json_object_set_new(object, "place", json_of_name(report->place));
    json_object_set_new(object, "approximate", json_boolean(report->approximate));
    json_object_set_new(object, "settings", settings);
    json_object_set_new(object, "ledger", ledger);
    return object;
}

static json_t *json_of_runtimes(const struct survey *survey)
{
    json_t *array = json_array();
    for (size_t i = 0; i < survey->report_count; i++)
        json_array_append_new(array, json_of_runtime(&survey->reports[i]));
    return array;
}

static json_t *json_of_account(const struct account *account)
{
    json_t *array = json_array();
    for (size_t i = 0; i < account->entry_count; i++) {
        const struct account_entry *entry = &account->entries[i];
        json_t *object = json_object();
        json_object_set_new(object, "row", json_string(account_row_key(entry->row)));
        json_object_set_new(object, "bytes", json_of_u64(entry->bytes));
        json_object_set_new(object, "error_bytes", json_of_u64(entry->error_bytes));
        json_object_set_new(object, "source", json_of_name(entry->source));
        json_object_set_new(object, "runtime", json_of_name(entry->runtime));
        json_array_append_new(array, object);
    }
    return array;
}

static json_t *json_of_lines(const struct verdict_lines *lines)
{
    json_t *array = json_array();
    for (size_t i = 0; i < lines->count; i++)
        json_array_append_new(array, json_of_name(lines->text[i]));
    return array;
}

static json_t *json_of_verdict(const struct verdict *verdict)
{
    json_t *object = json_object();
    json_object_set_new(object, "name", json_string(verdict_name(verdict->code)));
    json_object_set_new(object, "code", json_integer(verdict->code));
    json_object_set_new(object, "headline", json_of_name(verdict->headline));
    json_object_set_new(object, "reasons", json_of_lines(&verdict->reasons));
    json_object_set_new(object, "traps", json_of_lines(&verdict->traps));
    return object;
}

static json_t *json_of_line(const struct growth_line *line)
{
    json_t *object = json_object();
    json_object_set_new(object, "change_bytes", json_integer(line->change_bytes));
    json_object_set_new(object, "slope_bytes_per_s", json_real(line->slope_bytes_per_s));
    json_object_set_new(object, "slope_error_bytes_per_s",
                        json_real(line->slope_error_bytes_per_s));
    return object;
}

static json_t *json_of_growth(const struct growth *growth)
{
    json_t *object = json_object();
    json_object_set_new(object, "seconds", json_real(growth->seconds));
    json_object_set_new(object, "samples", json_of_u64(growth->sample_count));
    json_object_set_new(object, "growing", json_boolean(growth->is_growing));
    json_object_set_new(object, "minor_faults", json_of_u64(growth->minor_faults));
    json_object_set_new(object, "major_faults", json_of_u64(growth->major_faults));
    json_object_set_new(object, "effective", json_of_line(&growth->effective));
    json_object_set_new(object, "rss", json_of_line(&growth->rss));
    if (growth->has_in_use)
        json_object_set_new(object, "in_use", json_of_line(&growth->in_use));
    return object;
}

static json_t *json_of_unread(const struct survey *survey)
{
    json_t *array = json_array();
    for (size_t i = 0; i < survey->unread_count; i++) {
        json_t *object = json_object();
        json_object_set_new(object, "what", json_of_name(survey->unread[i].what));
        json_object_set_new(object, "needs", json_of_name(survey->unread[i].needs));
        json_array_append_new(array, object);
    }
    return array;
}

static json_t *json_of_cgroup(const struct cgroup *cgroup)
{
    if (cgroup->version == 0)
        return json_null();
    json_t *object = json_object();
    json_object_set_new(object, "version", json_integer(cgroup->version));
    json_object_set_new(object, "path", json_of_name(cgroup->path));
    bool limited = cgroup->limit_bytes != CGROUP_NO_LIMIT;
    json_object_set_new(object, "limit_bytes",
                        limited ? json_of_u64(cgroup->limit_bytes) : json_null());
    if (cgroup->has_usage) {
        json_object_set_new(object, "usage_bytes", json_of_u64(cgroup->usage_bytes));
        json_object_set_new(object, "working_set_bytes", json_of_u64(cgroup->working_set_bytes));
        json_object_set_new(object, "anon_bytes", json_of_u64(cgroup->anon_bytes));
        json_object_set_new(object, "file_bytes", json_of_u64(cgroup->file_bytes));
        json_object_set_new(object, "inactive_file_bytes",
                            json_of_u64(cgroup->inactive_file_bytes));
    }
    return object;
}

// What the account adds to the survey's identity; null figures where there is no account.
static void json_add_account(json_t *object, const struct survey *survey)
{
    const struct account *account = &survey->account;
    bool has = survey->has_account;
    json_object_set_new(object, "rss_bytes", json_of_u64(survey->rss_bytes));
    json_object_set_new(object, "lazy_bytes", has ? json_of_u64(account->lazy_bytes) : json_null());
    json_object_set_new(object, "effective_rss_bytes",
                        has ? json_of_u64(account->effective_bytes) : json_null());
    json_object_set_new(object, "swap_bytes", has ? json_of_u64(account->swap_bytes) : json_null());
    json_object_set_new(object, "account", json_of_account(account));
}

static json_t *json_of_survey(const struct survey *survey)
{
    json_t *object = json_object();
    json_object_set_new(object, "schema", json_integer(1));
    json_object_set_new(object, "pid", json_integer(survey->pid));
    json_object_set_new(object, "name", json_of_name(survey->name));
    json_object_set_new(object, "cmdline", json_of_name(survey->cmdline));
    json_object_set_new(object, "exe", json_of_name(survey->exe));
    json_object_set_new(object, "start_time", json_real(survey->start_time_s));
    json_object_set_new(object, "threads", json_of_u64(survey->status.threads));
    json_object_set_new(object, "mappings", json_of_u64(survey->mapping_count));
    json_object_set_new(object, "runtimes", json_of_runtimes(survey));
    json_add_account(object, survey);
    if (survey->has_growth)
        json_object_set_new(object, "growth", json_of_growth(&survey->growth));
    json_object_set_new(object, "verdict", json_of_verdict(&survey->verdict));
    json_object_set_new(object, "next", json_of_lines(&survey->verdict.next));
    json_object_set_new(object, "unread", json_of_unread(survey));
    json_object_set_new(object, "cgroup", json_of_cgroup(&survey->cgroup));
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
