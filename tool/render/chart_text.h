// SPDX-License-Identifier: Apache-2.0
// A series as a chart of characters: effective RSS solid, lazily freed memory light on top of it.
// Tool world; pure; internal to renderers.
#ifndef EBB_RENDER_CHART_TEXT_H
#define EBB_RENDER_CHART_TEXT_H

#include "history/report.h"
#include "render/text.h"

// Writes `lines` lines of the report's chart and one with the times below. A column shows the
// sample with the highest RSS in its time, or what stood before, up to `until_ms`, where its
// process ended; a gap among the report's events is left empty, and so is a time without samples
// that is longer than a minute and ten intervals.
void write_chart(struct writer *writer, const struct report *report, int64_t until_ms,
                 unsigned lines);

#endif
