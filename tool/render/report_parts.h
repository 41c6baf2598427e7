// SPDX-License-Identifier: Apache-2.0
// What the texts of reports share. Tool world; pure; internal to renderers.
#ifndef EBB_RENDER_REPORT_PARTS_H
#define EBB_RENDER_REPORT_PARTS_H

#include "history/report.h"
#include "render/text.h"

// What was recorded, from when to when, where: two lines, the second indented.
void write_report_head(struct writer *writer, const struct report *report, size_t indent);

// One line: time, process, what happened.
void write_event(struct writer *writer, const struct report *report, const struct event *event);

// The highest lazily freed memory; SAMPLE_UNKNOWN where nothing was ever read of it. Summaries have
// 0 there, which would say that all of RSS is in use.
uint64_t report_peak_lazy(const struct history_summary *summary);

// "+1.20 MiB/h ± 96 KiB/h".
void report_slope(const struct render_style *style, double bytes_per_s, double error_bytes_per_s,
                  char *ret_text, size_t size);

#endif
