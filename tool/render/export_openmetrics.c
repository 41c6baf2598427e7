// SPDX-License-Identifier: Apache-2.0
// Samples as OpenMetrics with their times, to be loaded into Prometheus ("promtool tsdb create-
// blocks-from openmetrics"). Tool world.
//
// The format wants all of a family together, so the recording is read once for each family; and a
// PID for a label, because two processes of one name must not become one line.
#include <inttypes.h>

#include "metrics/label.h"
#include "render/export.h"

static const struct family {
    const char *name, *help;
    enum series_column column;
    // Gauges only: counters of faults and time would need a suffix and a restart rule of their own.
} families[] = {
    {"ebb_process_resident_bytes", "Resident memory (RSS).", SERIES_RSS},
    {"ebb_process_lazy_bytes", "Lazily freed memory, in RSS and yet free.", SERIES_LAZY},
    {"ebb_process_effective_bytes", "RSS without lazily freed memory.", SERIES_EFFECTIVE},
    {"ebb_process_kernel_peak_rss_bytes", "Highest RSS between two readings (VmHWM), if missed.",
     SERIES_KERNEL_PEAK},
    {"ebb_process_virtual_bytes", "Virtual memory.", SERIES_VIRTUAL},
    {"ebb_process_swap_bytes", "Swapped out memory.", SERIES_SWAP},
};

// What a slice is written as; one run at a time uses it.
struct family_export {
    struct export export; // first, so that a slice's export leads here
    const char *name, *label;
    enum series_column column;
};

// In label values backslash, quote and newline are escaped; the cleaned name has no newline.
static int write_label(struct buffer *buffer, const char *name)
{
    char clean[METRICS_LABEL_MAX];
    // As `ebb export` cleans its labels: a name is the same in both.
    metrics_label_clean(name, clean, sizeof clean);
    int error = 0;
    for (const char *c = clean; *c && !error; c++)
        error = *c == '"' || *c == '\\' ? buffer_printf(buffer, "\\%c", *c)
                                        : buffer_append(buffer, c, 1);
    return error;
}

// Seconds with milliseconds, as the format wants times.
static int write_point(struct buffer *buffer, const struct family_export *family,
                       const struct report_subject *entry, int64_t time_ms, uint64_t value)
{
    int error = buffer_printf(buffer, "%s{name=\"", family->name);
    if (!error)
        error = write_label(buffer, entry->subject.name);
    if (!error)
        error = buffer_printf(buffer, "\",pid=\"%d\",subject=\"%u\"", entry->subject.pid,
                              entry->subject.id);
    if (!error && family->label)
        error = buffer_printf(buffer, ",row=\"%s\"", family->label);
    return error ? error
                 : buffer_printf(buffer, "} %" PRIu64 " %" PRId64 ".%03d\n", value, time_ms / 1000,
                                 (int)(time_ms % 1000));
}

// Two samples of one moment would be refused as a whole file: the first one stands. Times before
// 1970, which a damaged file may have, have no form here.
static int family_slice(struct export *export, const struct report_subject *entry,
                        const struct series *series)
{
    struct family_export *family = (struct family_export *)export;
    const uint64_t *values = series->columns[family->column];
    int error = 0;
    for (size_t i = 0; i < series->count && !error; i++) {
        if (values[i] == SAMPLE_UNKNOWN || series->time_ms[i] < 0 ||
            (i > 0 && series->time_ms[i] <= series->time_ms[i - 1]))
            continue;
        error = write_point(&export->text, family, entry, series->time_ms[i], values[i]);
        if (!error)
            error = export_flush(export, false);
    }
    return error;
}

// Samples of one process ascend by time; another process is another series, which the format lets
// begin anew.
static int write_family(struct export *export, const char *name, const char *label,
                        enum series_column column)
{
    // With the text that is waiting to be written, which is given back below.
    struct family_export family = {
        .export = *export, .name = name, .label = label, .column = column};
    int error = 0;
    for (size_t i = 0; i < export->report->subject_count && !error; i++)
        error = export_each_slice(&family.export, &export->report->subjects[i], family_slice);
    // The text moved along.
    export->text = family.export.text;
    return error;
}

// Sizes are gauges in bytes: the unit is part of the name, as the format asks.
static int write_head(struct export *export, const char *name, const char *help)
{
    return buffer_printf(&export->text, "# TYPE %s gauge\n# UNIT %s bytes\n# HELP %s %s\n", name,
                         name, name, help);
}

// Rows are one family with a label, so that a query can sum and stack them.
int export_openmetrics(struct export *export)
{
    int error = 0;
    for (size_t i = 0; i < sizeof families / sizeof families[0] && !error; i++) {
        error = write_head(export, families[i].name, families[i].help);
        if (!error)
            error = write_family(export, families[i].name, NULL, families[i].column);
    }
    if (!error)
        error = write_head(export, "ebb_process_account_bytes", "Rows of the account.");
    for (int row = 0; row < ROW_COUNT && !error; row++)
        error = write_family(export, "ebb_process_account_bytes",
                             account_row_key((enum account_row)row),
                             (enum series_column)(SERIES_ROWS + row));
    return error ? error : buffer_printf(&export->text, "# EOF\n");
}
