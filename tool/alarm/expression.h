// SPDX-License-Identifier: Apache-2.0
// What an alarm watches for, as people write it: "effective>80%limit for 30s". Tool world; pure.
//
//   METRIC COMPARATOR LEVEL [for DURATION] [clear LEVEL] [every DURATION]
//
// A level is a size ("512MiB"; growth: "1MiB/s", "/min", "/h") or a share ("80%limit", "50% of
// host", "30%rss"). The comparators are > >= < <=. The clauses may come in any order, each once.
#ifndef EBB_ALARM_EXPRESSION_H
#define EBB_ALARM_EXPRESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

enum alarm_metric {
    ALARM_RSS,
    ALARM_EFFECTIVE,
    ALARM_LAZY,
    ALARM_KEPT,
    ALARM_IN_USE,
    ALARM_SWAP,
    ALARM_GROWTH,      // of effective RSS, bytes per second
    ALARM_USAGE,       // of the memory cgroup
    ALARM_WORKING_SET, // of the memory cgroup, as the kubelet has it
    ALARM_METRIC_COUNT
};

// What a level is a share of. The limit is the tightest of the cgroup, or the host's memory where
// there is none.
enum alarm_base { ALARM_BYTES, ALARM_OF_LIMIT, ALARM_OF_HOST, ALARM_OF_RSS, ALARM_BASE_COUNT };

struct alarm_level {
    double number; // bytes, bytes per second, or percent of the base
    enum alarm_base base;
};

enum { ALARM_EXPRESSION_MAX = 160, ALARM_ERROR_MAX = 320 };

struct alarm_condition {
    char text[ALARM_EXPRESSION_MAX]; // as it was written: printable ASCII
    enum alarm_metric metric;
    bool is_above, or_equal;      // > or >=, else < or <=
    struct alarm_level threshold; // crossed: the alarm begins, once it held for `for_ms`
    struct alarm_level clear; // crossed back: it ends. Without the clause 90 % of the threshold,
                              // below a lower bound 110 % of it
    uint64_t for_ms;          // 0: at once. Growth: what the slope is taken over
    uint64_t every_ms;        // one beginning is told in that time; 5 minutes unless said
};

// Reads an expression. 0; -EINVAL with a sentence for the user, printable ASCII.
int alarm_condition_parse(struct text text, struct alarm_condition *ret_condition,
                          char ret_error[ALARM_ERROR_MAX]);

const char *alarm_metric_name(enum alarm_metric metric);  // "effective", as it is written
const char *alarm_metric_title(enum alarm_metric metric); // "effective RSS", for people
const char *alarm_base_name(enum alarm_base base);        // "limit"; "" for bytes

#endif
