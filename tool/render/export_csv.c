// SPDX-License-Identifier: Apache-2.0
// Samples as CSV and as JSON lines: a record for each. Tool world.
#include <inttypes.h>

#include "base/when.h"
#include "render/csv_write.h"
#include "render/export.h"
#include "render/json_write.h"

// All numbers but the kind of reading and the verdict, which have names.
static bool is_number(int column)
{
    return column != SERIES_KIND && column != SERIES_VERDICT;
}

// An unknown figure is an empty field: 0 would be a measurement.
static int csv_record(struct buffer *buffer, const struct report_subject *entry,
                      const struct series *series, size_t index)
{
    char when[WHEN_TEXT_MAX];
    when_format_utc(series->time_ms[index], when, sizeof when);
    // Two times: one to read, one to compute with.
    int error = buffer_printf(buffer, "%s,%" PRId64 ",%u,%d,", when, series->time_ms[index],
                              entry->subject.id, entry->subject.pid);
    // A PID does not tell two processes of one night apart, the subject's id does.
    if (!error)
        error = csv_write_name(buffer, entry->subject.name);
    if (!error)
        error = buffer_printf(buffer, ",%s,%s", csv_kind_name(series->columns[SERIES_KIND][index]),
                              export_verdict(series, index));
    // The same columns in each line, in the order of the heading.
    for (int column = 0; column < SERIES_COLUMN_COUNT && !error; column++) {
        if (!is_number(column))
            continue;
        uint64_t value = series->columns[column][index];
        error = value == SAMPLE_UNKNOWN ? buffer_append(buffer, ",", 1)
                                        : buffer_printf(buffer, ",%" PRIu64, value);
    }
    return error ? error : buffer_append(buffer, "\r\n", 2);
}

// Flushed within a slice too: an hour of samples is some MiB of text.
static int csv_slice(struct export *export, const struct report_subject *entry,
                     const struct series *series)
{
    int error = 0;
    for (size_t i = 0; i < series->count && !error; i++) {
        error = csv_record(&export->text, entry, series, i);
        if (!error)
            // It does nothing until there are 64 KiB.
            error = export_flush(export, false);
    }
    return error;
}

// One heading for all processes; the columns are those of every series, whichever are known.
// Figures of ledgers are not among them: each runtime has others.
int export_csv(struct export *export)
{
    int error = buffer_printf(&export->text, "time,time_ms,subject,pid,name,kind,verdict");
    for (int column = 0; column < SERIES_COLUMN_COUNT && !error; column++)
        if (is_number(column))
            error =
                buffer_printf(&export->text, ",%s", series_column_name((enum series_column)column));
    if (!error)
        error = buffer_append(&export->text, "\r\n", 2);
    for (size_t i = 0; i < export->report->subject_count && !error; i++)
        error = export_each_slice(export, &export->report->subjects[i], csv_slice);
    return error;
}

// In its own unit: a series holds ratios in millionths.
static int json_figure(struct buffer *buffer, const struct series_figure *figure, uint64_t value)
{
    if (figure->unit == FIGURE_RATIO)
        return buffer_printf(buffer, ":%.6g", (double)value / 1e6);
    return buffer_printf(buffer, ":%" PRIu64, value);
}

// Figures of the ledger, which only accounts have.
static int json_figures(struct buffer *buffer, const struct series *series, size_t index)
{
    int error = 0;
    for (size_t i = 0; i < series->figure_count && !error; i++) {
        const struct series_figure *figure = &series->figures[i];
        if (figure->values[index] == SAMPLE_UNKNOWN)
            continue;
        // With the runtime in front: two runtimes may call their figures alike.
        char name[sizeof figure->runtime + sizeof figure->name + 1];
        text_format(name, sizeof name, "%s.%s", figure->runtime, figure->name);
        error = buffer_append(buffer, ",", 1);
        if (!error)
            error = json_write_name(buffer, name);
        if (!error)
            error = json_figure(buffer, figure, figure->values[index]);
    }
    return error;
}

// What is unknown is left out.
static int json_record(struct buffer *buffer, const struct report_subject *entry,
                       const struct series *series, size_t index)
{
    char when[WHEN_TEXT_MAX];
    when_format_utc(series->time_ms[index], when, sizeof when);
    int error = buffer_printf(buffer,
                              "{\"time\":\"%s\",\"time_ms\":%" PRId64 ",\"subject\":%u,\"pid\":%d,"
                              "\"name\":",
                              when, series->time_ms[index], entry->subject.id, entry->subject.pid);
    if (!error)
        error = json_write_name(buffer, entry->subject.name);
    if (!error)
        error = buffer_printf(buffer, ",\"kind\":\"%s\"",
                              csv_kind_name(series->columns[SERIES_KIND][index]));
    const char *verdict = export_verdict(series, index);
    // Only accounts have one.
    if (!error && verdict[0])
        error = buffer_printf(buffer, ",\"verdict\":\"%s\"", verdict);
    for (int column = 0; column < SERIES_COLUMN_COUNT && !error; column++)
        if (is_number(column) && series->columns[column][index] != SAMPLE_UNKNOWN)
            error = buffer_printf(buffer, ",\"%s\":%" PRIu64,
                                  series_column_name((enum series_column)column),
                                  series->columns[column][index]);
    if (!error)
        error = json_figures(buffer, series, index);
    return error ? error : buffer_append(buffer, "}\n", 2);
}

// As csv_slice().
static int json_slice(struct export *export, const struct report_subject *entry,
                      const struct series *series)
{
    int error = 0;
    for (size_t i = 0; i < series->count && !error; i++) {
        error = json_record(&export->text, entry, series, i);
        if (!error)
            error = export_flush(export, false);
    }
    return error;
}

// A line stands alone: it can be cut, sorted and filtered by any tool of lines.
int export_json_lines(struct export *export)
{
    int error = 0;
    for (size_t i = 0; i < export->report->subject_count && !error; i++)
        error = export_each_slice(export, &export->report->subjects[i], json_slice);
    return error;
}
