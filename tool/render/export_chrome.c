// SPDX-License-Identifier: Apache-2.0
// Samples as a Chrome trace: counters for chrome://tracing and Perfetto. Tool world.
//
// Source: the Trace Event Format (Google, 2016): "C" counters, "i" instants, "M" names; times in
// microseconds.
#include <inttypes.h>

#include "render/export.h"
#include "render/json_write.h"

// Something stands before each of them.
static int begin(struct export *export, const char *phase, int pid, int64_t time_ms)
{
    // Viewers keep it as a double: microseconds since 1970 are exact there until the year 2255.
    return buffer_printf(&export->text, ",\n{\"ph\":\"%s\",\"pid\":%d,\"ts\":%" PRId64 ",", phase,
                         pid, time_ms * 1000);
}

// Effective and lazily freed memory, which a viewer stacks to RSS.
static int write_counter(struct export *export, const struct report_subject *entry,
                         const struct series *series, size_t index)
{
    uint64_t rss = series->columns[SERIES_RSS][index];
    // A sample always has its RSS: both are known.
    uint64_t effective = series->columns[SERIES_EFFECTIVE][index];
    int error = begin(export, "C", entry->subject.pid, series->time_ms[index]);
    return error ? error
                 : buffer_printf(&export->text,
                                 "\"name\":\"RSS\",\"args\":{\"effective\":%" PRIu64
                                 ",\"lazily freed\":%" PRIu64 "}}",
                                 effective, rss > effective ? rss - effective : 0);
}

// Only accounts have rows: between them the viewer draws the last one on.
static int write_rows(struct export *export, const struct report_subject *entry,
                      const struct series *series, size_t index)
{
    if (series->columns[SERIES_ROWS][index] == SAMPLE_UNKNOWN)
        return 0;
    int error = begin(export, "C", entry->subject.pid, series->time_ms[index]);
    if (!error)
        error = buffer_printf(&export->text, "\"name\":\"account\",\"args\":{");
    for (int row = 0; row < ROW_COUNT && !error; row++) {
        uint64_t bytes = series->columns[SERIES_ROWS + row][index];
        // Every row in every counter: a viewer stacks what it knows from the first one.
        error = buffer_printf(&export->text, "%s\"%s\":%" PRIu64, row ? "," : "",
                              account_row_title((enum account_row)row),
                              bytes == SAMPLE_UNKNOWN ? 0 : bytes);
    }
    return error ? error : buffer_printf(&export->text, "}}");
}

// A mark and no counter, which a viewer would draw on until the next one.
static int write_peak(struct export *export, const struct report_subject *entry,
                      const struct series *series, size_t index)
{
    uint64_t peak = series->columns[SERIES_KERNEL_PEAK][index];
    if (peak == SAMPLE_UNKNOWN)
        return 0;
    const char *name = series_column_name(SERIES_KERNEL_PEAK);
    int error = begin(export, "i", entry->subject.pid, series->time_ms[index]);
    return error ? error
                 : buffer_printf(&export->text,
                                 "\"s\":\"p\",\"name\":\"%s\",\"args\":{\"%s\":%" PRIu64 "}}", name,
                                 name, peak);
}

// Counters are per process: the viewer makes a track of each.
static int chrome_slice(struct export *export, const struct report_subject *entry,
                        const struct series *series)
{
    int error = 0;
    for (size_t i = 0; i < series->count && !error; i++) {
        error = write_counter(export, entry, series, i);
        if (!error)
            error = write_rows(export, entry, series, i);
        if (!error)
            error = write_peak(export, entry, series, i);
        if (!error)
            error = export_flush(export, false);
    }
    return error;
}

// Viewers show PIDs as bare numbers unless they are told a name.
static int write_name(struct export *export, const struct report_subject *entry)
{
    int error = buffer_printf(&export->text,
                              ",\n{\"ph\":\"M\",\"pid\":%d,\"name\":\"process_name\",\"args\":"
                              "{\"name\":",
                              entry->subject.pid);
    if (!error)
        error = json_write_name(&export->text, entry->subject.name);
    return error ? error : buffer_printf(&export->text, "}}");
}

// Events of the host, and of processes that were left out, stand on the track of PID 0.
static int pid_of(const struct report *report, unsigned subject)
{
    const struct report_subject *entry = report_find_subject(report, subject);
    return entry ? entry->subject.pid : 0;
}

// Scope "p": a mark on the track of its process alone.
static int write_event(struct export *export, const struct event *event)
{
    int error = begin(export, "i", pid_of(export->report, event->subject), event->time_ms);
    if (!error)
        error = buffer_printf(&export->text, "\"s\":\"p\",\"name\":\"%s\",\"args\":{\"text\":",
                              event_kind_name(event->kind));
    if (!error)
        error = json_write_name(&export->text, event->text);
    return error ? error : buffer_printf(&export->text, "}}");
}

// The array is closed by hand: the format is one JSON text, however long it is.
int export_chrome(struct export *export)
{
    const struct report *report = export->report;
    // An object of its own first, so that each of the others has a comma before it.
    int error =
        buffer_printf(&export->text, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n"
                                     "{\"ph\":\"M\",\"pid\":0,\"name\":\"process_name\",\"args\":"
                                     "{\"name\":\"host\"}}");
    for (size_t i = 0; i < report->subject_count && !error; i++) {
        error = write_name(export, &report->subjects[i]);
        if (!error)
            error = export_each_slice(export, &report->subjects[i], chrome_slice);
    }
    for (size_t i = 0; i < report->event_count && !error; i++)
        // Only those that the report lists: a viewer with a million marks shows none.
        error = write_event(export, &report->events[i]);
    return error ? error : buffer_printf(&export->text, "\n]}\n");
}
