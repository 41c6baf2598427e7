// SPDX-License-Identifier: Apache-2.0
// Reports of recordings as text and as JSON, and their samples in the formats of other tools. Tool
// world; pure but for the recording that exports read.
#ifndef EBB_RENDER_REPORT_H
#define EBB_RENDER_REPORT_H

#include "history/report.h"
#include "render/render.h"

// Append the whole report. 0; -ENOMEM or -EFBIG; JSON: -ENOTSUP in a build without it.
int render_report_text(const struct report *report, const struct render_style *style,
                       struct buffer *buffer);
int render_report_json(const struct report *report, struct buffer *buffer);

// The same of two reports beside each other; `names` are how the user calls them.
int render_comparison_text(const struct report *const reports[2], const char *const names[2],
                           const struct report_pair *pairs, size_t count,
                           const struct render_style *style, struct buffer *buffer);
int render_comparison_json(const struct report *const reports[2], const char *const names[2],
                           const struct report_pair *pairs, size_t count, struct buffer *buffer);

// The account of each subject at a moment (those that had one by then), as explain shows it.
int render_moment_text(struct history *history, const struct report *report, int64_t at_ms,
                       const struct render_style *style, struct buffer *buffer);
int render_moment_json(struct history *history, const struct report *report, int64_t at_ms,
                       struct buffer *buffer);

// Formats of samples for other tools.
enum export_format { EXPORT_CSV, EXPORT_JSON_LINES, EXPORT_OPENMETRICS, EXPORT_CHROME };

// Where an export goes, piece by piece: a recording may be larger than memory.
struct export_sink {
    int (*write)(void *context, const char *data, size_t len); // 0, or -errno, which ends it
    void *context;
};

// Writes the samples of the report's subjects in its time range. Memory stays at a few MiB. 0,
// -ENOMEM, -errno of the reading or of the sink.
int export_samples(struct history *history, const struct report *report, enum export_format format,
                   const struct export_sink *sink);

#endif
