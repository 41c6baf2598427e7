// SPDX-License-Identifier: Apache-2.0
// A report: what a recording says over a time range, ready to be drawn. Tool world; one thread.
//
// Text, JSON and the comparison of two recordings are all drawn from this struct.
#ifndef EBB_HISTORY_REPORT_H
#define EBB_HISTORY_REPORT_H

#include "history/history.h"

enum { REPORT_CHART_POINTS = 400, REPORT_EVENTS_MAX = 200 };

struct report_options {
    int64_t from_ms, to_ms; // 0: from its first, to its last sample
    unsigned subject;       // only this one; 0 all
    uint64_t above_bytes;   // the time above this is counted; 0: not asked for
};

struct report_subject {
    struct subject subject;
    struct history_summary summary;
    uint64_t observed_ms;
    bool has_account;   // the rest is of the last account in the range
    int64_t account_ms; // its moment
    uint64_t age_ms;    // how much older it is than the last that is known of the process
    enum verdict_code verdict;
    char headline[VERDICT_TEXT_MAX], next[VERDICT_TEXT_MAX];
    char runtimes[128];
    // Effective RSS rises beyond twice the error of its slope, by an amount that matters, and in
    // its lows: a wave that was cut in its middle has a slope as well.
    bool is_growing;
    uint64_t rss_above_ms, effective_above_ms;
};

struct report {
    struct history_about about;
    int64_t from_ms, to_ms;
    uint64_t above_bytes;
    struct report_subject *subjects; // by peak of RSS, most first
    size_t subject_count;
    struct event *events;                 // of those worth a line, the first REPORT_EVENTS_MAX
    size_t event_count, listed_events;    // and how many of those there are
    uint64_t events_of_kind[EVENT_COUNT]; // all of them
    struct event *gaps;                   // those without readings, all of them
    size_t gap_count;
    struct series chart; // of the first subject, from what stood when the range began
};

// 0 and a report that report_free() frees; -ENODATA when nothing was recorded in the range;
// -ENOENT without such a subject; -ENOMEM; -EIO and others of the reading.
int report_build(struct history *history, const struct report_options *options,
                 struct report *ret_report);
void report_free(struct report *report);

// How long a stored sample stands at most where no other follows.
int64_t report_stands_ms(const struct report *report);

// NULL for the host, and for processes that the report leaves out.
const struct report_subject *report_find_subject(const struct report *report, unsigned id);

// Processes of one name in one report, as comparisons need them: a service's PIDs differ.
struct report_group {
    char name[64];
    size_t processes;
    uint64_t peak_rss_bytes, peak_effective_bytes;     // of any of them
    uint64_t missed_rss_bytes;                         // as history_summary's, of any of them
    double mean_rss_bytes, mean_effective_bytes;       // over the time that was observed
    double slope_bytes_per_s, slope_error_bytes_per_s; // of the one observed longest
    bool has_slope;
    uint64_t observed_ms, slope_ms; // of all of them; of the one that the slope is of
};

// A name in two reports; `has` tells in which it is.
struct report_pair {
    struct report_group side[2];
    bool has[2];
};

// Pairs the names of two reports, those in both first, by peak of RSS; malloc'ed, free() it. 0,
// -ENOMEM.
int report_compare(const struct report *before, const struct report *after,
                   struct report_pair **ret_pairs, size_t *ret_count);

#endif
