// SPDX-License-Identifier: Apache-2.0
// Samples of a recording on their way into a format. Tool world; internal to renderers.
//
// A recording may be larger than memory: it is read in slices of time, and text leaves as soon as
// there is some.
#ifndef EBB_RENDER_EXPORT_H
#define EBB_RENDER_EXPORT_H

#include "render/report.h"

struct export
{
    struct history *history;
    const struct report *report;
    const struct export_sink *sink;
    struct buffer text; // what was not handed to the sink yet
};

// Hands the text on once it is large, or in any case with `is_last`. 0 or the sink's -errno.
int export_flush(struct export *export, bool is_last);

// Calls `take` with each slice of a subject's samples, ascending, and flushes behind it.
int export_each_slice(struct export *export, const struct report_subject *entry,
                      int (*take)(struct export *export, const struct report_subject *entry,
                                  const struct series *series));

// The name of an account's row at sample `index`: a verdict, or "" where there was none.
const char *export_verdict(const struct series *series, size_t index);

int export_csv(struct export *export);
int export_json_lines(struct export *export);
int export_openmetrics(struct export *export);
int export_chrome(struct export *export);

#endif
