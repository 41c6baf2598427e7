// SPDX-License-Identifier: Apache-2.0
// What the texts of reports share. Tool world; pure; internal to renderers.
#ifndef EBB_RENDER_REPORT_PARTS_H
#define EBB_RENDER_REPORT_PARTS_H

#include "history/report.h"
#include "render/text.h"

// An account that is as old as this is told to be.
enum { AGE_TOLD_MS = 1000 };

// What was recorded, from when to when, where: two lines, the second indented.
void write_report_head(struct writer *writer, const struct report *report, size_t indent);

// One line: time, process, what happened.
void write_event(struct writer *writer, const struct report *report, const struct event *event);

// "+1.20 MiB/h ± 96 KiB/h".
void report_slope(const struct render_style *style, double bytes_per_s, double error_bytes_per_s,
                  char *ret_text, size_t size);

#endif
