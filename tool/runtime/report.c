// SPDX-License-Identifier: Apache-2.0
// Building a runtime's report, see report.h. Tool world; the report's owner guards it.
//
// Texts are copied into fixed arrays: they come from a target's memory, and a report that is cut is
// better than one that is as long as somebody likes. A failed call leaves the report as it was.
#include "runtime/report.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/text.h"

void runtime_report_free(struct runtime_report *report)
{
    free(report->claims);
    free(report->parts);
    free(report->settings);
    free(report->figures);
    free(report->unread);
    *report = (struct runtime_report){0};
}

int report_add_part(struct runtime_report *report, enum account_row row, uint64_t bytes,
                    uint64_t error_bytes, const char *static_source)
{
    int error = array_reserve_one(&report->parts, &report->part_capacity, report->part_count,
                                  sizeof *report->parts);
    if (error)
        return error;
    report->parts[report->part_count++] = (struct runtime_part){
        .row = row, .bytes = bytes, .error_bytes = error_bytes, .source = static_source};
    return 0;
}

int report_add_setting(struct runtime_report *report, const char *name, const char *value,
                       const char *source)
{
    int error = array_reserve_one(&report->settings, &report->setting_capacity,
                                  report->setting_count, sizeof *report->settings);
    if (error)
        return error;
    struct runtime_setting *setting = &report->settings[report->setting_count++];
    text_copy(text_of(name), setting->name, sizeof setting->name);
    text_copy(text_of(value), setting->value, sizeof setting->value);
    text_copy(text_of(source), setting->source, sizeof setting->source);
    return 0;
}

// Figures of one name may come twice (two arenas' reports merged, say); report_figure() finds the
// first.
static int report_add(struct runtime_report *report, const char *name, struct runtime_figure figure)
{
    int error = array_reserve_one(&report->figures, &report->figure_capacity, report->figure_count,
                                  sizeof *report->figures);
    if (error)
        return error;
    text_copy(text_of(name), figure.name, sizeof figure.name);
    report->figures[report->figure_count++] = figure;
    return 0;
}

int report_add_figure(struct runtime_report *report, const char *name, enum figure_unit unit,
                      uint64_t value, uint64_t error)
{
    return report_add(report, name,
                      (struct runtime_figure){.unit = unit, .value = value, .error = error});
}

int report_add_bytes(struct runtime_report *report, const char *name, uint64_t bytes)
{
    return report_add_figure(report, name, FIGURE_BYTES, bytes, 0);
}

int report_add_count(struct runtime_report *report, const char *name, uint64_t count)
{
    return report_add_figure(report, name, FIGURE_COUNT, count, 0);
}

int report_add_ratio(struct runtime_report *report, const char *name, double ratio)
{
    return report_add(report, name, (struct runtime_figure){.unit = FIGURE_RATIO, .ratio = ratio});
}

int report_add_unread(struct runtime_report *report, const char *what, const char *needs)
{
    int error = array_reserve_one(&report->unread, &report->unread_capacity, report->unread_count,
                                  sizeof *report->unread);
    if (error)
        return error;
    struct runtime_unread *unread = &report->unread[report->unread_count++];
    text_copy(text_of(what), unread->what, sizeof unread->what);
    text_copy(text_of(needs), unread->needs, sizeof unread->needs);
    return 0;
}

const struct runtime_figure *report_figure(const struct runtime_report *report, const char *name)
{
    for (size_t i = 0; i < report->figure_count; i++)
        if (strcmp(report->figures[i].name, name) == 0)
            return &report->figures[i];
    return NULL;
}
