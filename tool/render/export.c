// SPDX-License-Identifier: Apache-2.0
// Samples of a recording in the formats of other tools, see report.h. Tool world.
#include "render/export.h"

#include <errno.h>

enum { FLUSH_BYTES = 64 * 1024 };

// An hour of samples at ten a second is 36,000 of them: some ten MiB.
static const int64_t slice_ms = 3600 * 1000;

// Pieces of 64 KiB: a pipe takes them in one go, and a disk has no reason to complain.
int export_flush(struct export *export, bool is_last)
{
    if (export->text.len == 0 || (!is_last && export->text.len < FLUSH_BYTES))
        return 0;
    int error = export->sink->write(export->sink->context, export->text.data, export->text.len);
    // Also after a failure, which ends the export.
    buffer_clear(&export->text);
    return error;
}

// Slices do not overlap, so that no sample is told twice.
int export_each_slice(struct export *export, const struct report_subject *entry,
                      int (*take)(struct export *export, const struct report_subject *entry,
                                  const struct series *series))
{
    const struct report *report = export->report;
    // A subject's own time: a process of a minute in a month's recording is one slice.
    int64_t from_ms = entry->subject.first_ms, to_ms = report->to_ms;
    if (from_ms < report->from_ms)
        from_ms = report->from_ms;
    if (entry->subject.last_ms < to_ms)
        to_ms = entry->subject.last_ms;
    int error = 0;
    // A slice begins at a sample, so that time without any takes none, however long: a clock that
    // was set may have left out half a century.
    for (; from_ms <= to_ms && !error; from_ms += slice_ms) {
        error = history_next_sample(export->history, entry->subject.id, from_ms, to_ms, &from_ms);
        if (error)
            break;
        int64_t end_ms = from_ms + slice_ms - 1 < to_ms ? from_ms + slice_ms - 1 : to_ms;
        struct series series = {0};
        error = history_series(export->history, entry->subject.id, from_ms, end_ms, 0, &series);
        if (!error) {
            error = take(export, entry, &series);
            series_free(&series);
        }
        if (!error)
            error = export_flush(export, false);
    }
    return error == -ENOENT ? 0 : error;
}

// Numbers of verdicts may change between versions; names are for ever.
const char *export_verdict(const struct series *series, size_t index)
{
    uint64_t verdict = series->columns[SERIES_VERDICT][index];
    return verdict >= VERDICT_LAZY && verdict <= VERDICT_UNKNOWN
               ? verdict_name((enum verdict_code)verdict)
               : "";
}

// The last piece goes out only after all went well; what was written before a failure the sink's
// owner removes.
int export_samples(struct history *history, const struct report *report, enum export_format format,
                   const struct export_sink *sink)
{
    static int (*const formats[])(struct export *) = {
        [EXPORT_CSV] = export_csv,
        [EXPORT_JSON_LINES] = export_json_lines,
        [EXPORT_OPENMETRICS] = export_openmetrics,
        [EXPORT_CHROME] = export_chrome,
    };
    if ((size_t)format >= sizeof formats / sizeof formats[0])
        return -EINVAL;
    struct export export = {.history = history, .report = report, .sink = sink};
    int error = formats[format](&export);
    if (!error)
        error = export_flush(&export, true);
    buffer_free(&export.text);
    return error;
}
