// SPDX-License-Identifier: Apache-2.0
// A report as a page that stands alone. Tool world; no state.
#include <errno.h>
#include <stdlib.h>

#include "cmd/report_sink.h"

#if defined(EBB_WITH_HTTP) && defined(EBB_WITH_JSON)

#include "serve/standalone.h"

// In the report's order: the page opens with the first one.
int report_html(struct history *history, const struct report *report, struct report_sink *sink)
{
    unsigned *subjects = calloc(report->subject_count, sizeof *subjects);
    if (!subjects)
        return -ENOMEM;
    for (size_t i = 0; i < report->subject_count; i++)
        subjects[i] = report->subjects[i].subject.id;
    struct standalone_options options = {.subjects = subjects,
                                         .subject_count = report->subject_count,
                                         .from_ms = report->from_ms,
                                         .to_ms = report->to_ms,
                                         .write = report_sink_write,
                                         .context = sink};
    int error = standalone_write(history, &options);
    free(subjects);
    return error;
}

#else

int report_html(struct history *history, const struct report *report, struct report_sink *sink)
{
    (void)history;
    (void)report;
    (void)sink;
    return -ENOTSUP;
}

#endif
