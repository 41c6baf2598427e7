// SPDX-License-Identifier: Apache-2.0
// Metrics as text: OpenMetrics 1.0.0, or the older format of Prometheus. Tool world; pure.
//
// Sources: the OpenMetrics specification 1.0.0 (families: type, unit, help; suffixes; escaping;
// "# EOF"), and the text-based format 0.0.4 of Prometheus, where counters carry _total in their
// family's name and neither units nor infos exist.
#ifndef EBB_METRICS_EXPOSITION_H
#define EBB_METRICS_EXPOSITION_H

#include <stdint.h>

#include "base/buffer.h"

enum metrics_format { METRICS_OPENMETRICS, METRICS_CLASSIC };

// What an Accept header asks for: OpenMetrics where it is named with a weight above 0 that is not
// less than that of plain text; else the older format, which every reader knows. NULL: none.
enum metrics_format metrics_format_of(const char *accept);
const char *metrics_format_type(enum metrics_format format); // for Content-Type

enum metrics_type { METRICS_GAUGE, METRICS_COUNTER, METRICS_INFO };

// A text that is being written. The first failure is remembered; what comes after is dropped.
struct exposition {
    struct buffer *buffer;
    enum metrics_format format;
    int error;        // 0, -ENOMEM, -EFBIG
    const char *name; // the family, without _total or _info
    enum metrics_type type;
};

struct metrics_label {
    const char *name, *value; // the value is valid UTF-8; it is escaped here
};

// Begins a family. `name` is a metric's name without suffix for its type, but ends with its unit;
// NULL: it has none.
void exposition_family(struct exposition *exposition, const char *name, enum metrics_type type,
                       const char *unit, const char *help);

// One point of the family. `labels` ends with a NULL name; NULL: none.
void exposition_count(struct exposition *exposition, const struct metrics_label *labels,
                      uint64_t value);
void exposition_number(struct exposition *exposition, const struct metrics_label *labels,
                       double value);

// The last line, where the format has one.
void exposition_end(struct exposition *exposition);

#endif
