// SPDX-License-Identifier: Apache-2.0
// Building a report out of a recording, see report.h. Tool world.
#include "history/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "history/store.h"
#include "sample/digest.h"
#include "sample/subjects.h"

// Growth that nobody would act upon is none: a MiB, or a twentieth of what there is.
static const uint64_t least_growth_bytes = 1 << 20;
// ROUNDS_OF_START: what appears within the first two rounds was there before.
enum { LEAST_GROWTH_SHARE = 20, LISTED_SUBJECTS = 12, ROUNDS_OF_START = 2 };

// A slope alone is none: noise has one too. It must be beyond its error, and worth a look.
static bool grows(const struct history_summary *summary, uint64_t observed_ms)
{
    // Twice the standard error: by chance alone one steady process in forty would be called
    // growing.
    if (!summary->has_slope || summary->slope_bytes_per_s <= 2 * summary->slope_error_bytes_per_s)
        return false;
    if (!summary->lows_rise)
        return false;
    double rise_bytes = summary->slope_bytes_per_s * (double)observed_ms / 1000;
    return rise_bytes > (double)least_growth_bytes &&
           rise_bytes > summary->mean_effective_bytes / LEAST_GROWTH_SHARE;
}

// The part of [from, to] in which the subject was there.
static uint64_t observed_ms_of(const struct subject *subject, int64_t from_ms, int64_t to_ms)
{
    // In the day's time, as the caller's range is.
    int64_t first = subject->first_ms > from_ms ? subject->first_ms : from_ms;
    int64_t last = subject->last_ms < to_ms ? subject->last_ms : to_ms;
    return last > first ? (uint64_t)(last - first) : 0;
}

// A process without an account is no failure: most of them may not be read.
static int take_digest(struct history *history, int64_t to_ms, struct report_subject *entry)
{
    struct digest digest;
    int64_t time_ms;
    // The last one in the range, as "at the end" is meant.
    int error = history_digest(history, entry->subject.id, to_ms, &time_ms, &digest);
    if (error)
        return error == -ENOENT ? 0 : error;
    int64_t end_ms = entry->subject.last_ms < to_ms ? entry->subject.last_ms : to_ms;
    entry->has_account = true;
    entry->account_ms = time_ms;
    entry->age_ms = end_ms > time_ms ? (uint64_t)(end_ms - time_ms) : 0;
    entry->verdict = digest.verdict;
    text_copy(text_of(digest.headline), entry->headline, sizeof entry->headline);
    text_copy(text_of(digest.next), entry->next, sizeof entry->next);
    text_copy(text_of(digest.runtimes), entry->runtimes, sizeof entry->runtimes);
    digest_free(&digest);
    return 0;
}

// Everything that is told of one process. The time above a size is read only where it is asked for,
// since it is not in the minutes' rows.
static int fill_subject(struct history *history, const struct report *report,
                        const struct subject *subject, const struct history_summary *summary,
                        struct report_subject *entry)
{
    *entry = (struct report_subject){.subject = *subject, .summary = *summary};
    // Needed before growth: a slope matters by how long it lasted.
    entry->observed_ms = observed_ms_of(subject, report->from_ms, report->to_ms);
    entry->is_growing = grows(summary, entry->observed_ms);
    int error = take_digest(history, report->to_ms, entry);
    if (error || report->above_bytes == 0)
        return error;
    return history_time_above(history, subject->id, report->from_ms, report->to_ms,
                              report->above_bytes, &entry->rss_above_ms,
                              &entry->effective_above_ms);
}

// By the number that people complain about; then as they appeared, so that the order is the same
// each time.
static int subject_order(const void *left, const void *right)
{
    const struct report_subject *a = left, *b = right;
    if (a->summary.peak_rss_bytes != b->summary.peak_rss_bytes)
        return a->summary.peak_rss_bytes > b->summary.peak_rss_bytes ? -1 : 1;
    return a->subject.id < b->subject.id ? -1 : a->subject.id > b->subject.id;
}

// Both lists ascend by id, but a damaged recording may lack either.
static int fill_subjects(struct history *history, unsigned only, struct report *report,
                         const struct subject *subjects, size_t count,
                         const struct history_summary *summaries, size_t summary_count)
{
    // One more than there are, since calloc() of none may give NULL.
    report->subjects = calloc(summary_count + 1, sizeof *report->subjects);
    if (!report->subjects)
        return -ENOMEM;
    for (size_t i = 0; i < summary_count; i++) {
        const struct subject *subject = subjects_find(subjects, count, summaries[i].subject);
        // A process that stands still has a sample a minute.
        bool is_there = summaries[i].samples > 0 || summaries[i].covered_ms > 0;
        if (!subject || !is_there || (only != 0 && subject->id != only))
            continue;
        int error = fill_subject(history, report, subject, &summaries[i],
                                 &report->subjects[report->subject_count]);
        if (error)
            return error;
        report->subject_count++;
    }
    // A subject that exists but has nothing in the range counts as none here.
    if (report->subject_count == 0)
        return only != 0 && !subjects_find(subjects, count, only) ? -ENOENT : -ENODATA;
    qsort(report->subjects, report->subject_count, sizeof *report->subjects, subject_order);
    return 0;
}

// Two reads, since summaries know figures and subjects know names.
static int read_subjects(struct history *history, unsigned only, struct report *report)
{
    struct subject *subjects = NULL;
    struct history_summary *summaries = NULL;
    size_t count = 0, summary_count = 0;
    int error = history_subjects(history, &subjects, &count);
    if (!error)
        error =
            history_summarize(history, report->from_ms, report->to_ms, &summaries, &summary_count);
    if (!error)
        error = fill_subjects(history, only, report, subjects, count, summaries, summary_count);
    free(summaries);
    free(subjects);
    return error;
}

// That the processes of the first round appeared then is no news.
static bool is_news(const struct report *report, const struct event *event)
{
    const struct history_about *about = &report->about;
    return event->kind != EVENT_APPEARED ||
           event->time_ms > about->first_ms + ROUNDS_OF_START * (int64_t)about->interval_ms;
}

// Collections are too many to list, and so are the comings and goings of a whole host: they are
// counted.
static bool is_listed(const struct report *report, const struct event *event)
{
    switch (event->kind) {
    case EVENT_GC:
    case EVENT_PURGE:
        return false;
    case EVENT_APPEARED:
    case EVENT_ENDED:
    case EVENT_EXEC:
        return report->subject_count <= LISTED_SUBJECTS;
    default:
        return true;
    }
}

// Collections and purges come as numbers of them.
static uint64_t event_weight(const struct event *event)
{
    bool is_number = event->kind == EVENT_GC || event->kind == EVENT_PURGE;
    return is_number && event->value > 0 ? event->value : 1;
}

// By time; of one moment the host's first, as history_events() has them.
static int event_order(const void *left, const void *right)
{
    const struct event *a = left, *b = right;
    if (a->time_ms != b->time_ms)
        return a->time_ms < b->time_ms ? -1 : 1;
    return (a->subject > b->subject) - (a->subject < b->subject);
}

// What befell the host befell each of its processes, and so belongs to a report of one of them.
static int add_host_events(struct report *report, const struct event *host, size_t count)
{
    size_t all = report->event_count + count;
    struct event *events = reallocarray(report->events, all + 1, sizeof *events);
    if (!events)
        return -ENOMEM;
    report->events = events;
    for (size_t i = 0; i < count; i++)
        if (host[i].time_ms <= report->to_ms)
            events[report->event_count++] = host[i];
    qsort(events, report->event_count, sizeof *events, event_order);
    return 0;
}

// Of the host: gaps up to the end of all, since one that is told behind the range may begin in it.
static int read_host_events(struct history *history, unsigned only, int64_t from_ms,
                            struct report *report)
{
    struct event *host = NULL;
    size_t count = 0;
    int error = history_host_events(history, from_ms, INT64_MAX, &host, &count);
    if (!error && only != 0)
        error = add_host_events(report, host, count);
    if (error) {
        free(host);
        return error;
    }
    for (size_t i = 0; i < count; i++)
        if (host[i].kind == EVENT_GAP)
            host[report->gap_count++] = host[i];
    report->gaps = host;
    return 0;
}

// The array is compacted in place: what is listed moves to its front.
static int read_events(struct history *history, unsigned only, struct report *report)
{
    // Whoever is there at the start has come before the first sample of all, if by a moment.
    int64_t from_ms = report->from_ms > report->about.first_ms ? report->from_ms : 0;
    int error = history_events(history, only, from_ms, report->to_ms, &report->events,
                               &report->event_count);
    if (!error)
        error = read_host_events(history, only, from_ms, report);
    if (error)
        return error;
    size_t kept = 0;
    for (size_t i = 0; i < report->event_count; i++) {
        const struct event *event = &report->events[i];
        if (!is_news(report, event))
            continue;
        if ((unsigned)event->kind < EVENT_COUNT)
            report->events_of_kind[event->kind] += event_weight(event);
        if (!is_listed(report, event))
            continue;
        // Counted beyond what is kept, so that "and 12 more" is true.
        report->listed_events++;
        // The first ones are kept: what came first is more often the cause.
        if (kept < REPORT_EVENTS_MAX)
            report->events[kept++] = *event;
    }
    report->event_count = kept;
    return 0;
}

// What stood when the range began stood there before it: a sample of the last minute.
static int read_chart(struct history *history, struct report *report)
{
    const int64_t before_ms = report_stands_ms(report);
    int64_t from_ms = report->from_ms > before_ms ? report->from_ms - before_ms : 0;
    return history_series(history, report->subjects[0].subject.id, from_ms, report->to_ms,
                          REPORT_CHART_POINTS, &report->chart);
}

// An idle process is stored once a minute; what is missing for longer was not recorded.
int64_t report_stands_ms(const struct report *report)
{
    const int64_t minute_ms = 60000, intervals = 10;
    return minute_ms + intervals * (int64_t)report->about.interval_ms;
}

// The order matters: the chart is of the first subject, which sorting decides.
int report_build(struct history *history, const struct report_options *options,
                 struct report *ret_report)
{
    struct report report = {.above_bytes = options->above_bytes};
    int error = store_begin_reading(history);
    if (!error)
        error = history_about(history, &report.about);
    if (error) {
        store_end_reading(history);
        return error;
    }
    // 0 cannot be meant as a time: recordings are later than 1970.
    report.from_ms = options->from_ms ? options->from_ms : report.about.first_ms;
    report.to_ms = options->to_ms ? options->to_ms : report.about.last_ms;
    error = read_subjects(history, options->subject, &report);
    if (!error)
        error = read_events(history, options->subject, &report);
    if (!error)
        error = read_chart(history, &report);
    store_end_reading(history);
    if (error) {
        report_free(&report);
        return error;
    }
    *ret_report = report;
    return 0;
}

// Sorted by peak, so one by one; asked for by the few events that a report lists.
const struct report_subject *report_find_subject(const struct report *report, unsigned id)
{
    for (size_t i = 0; i < report->subject_count; i++)
        if (report->subjects[i].subject.id == id)
            return &report->subjects[i];
    return NULL;
}

// Makes it empty again, so that a failed build can be freed as well.
void report_free(struct report *report)
{
    series_free(&report->chart);
    free(report->events);
    free(report->gaps);
    free(report->subjects);
    *report = (struct report){0};
}
