// SPDX-License-Identifier: Apache-2.0
// A report as text for people. Tool world; pure.
//
// From the whole to the detail: what was recorded, the chart of the largest process, a line for
// each process, what it comes to, and what happened.
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "account/swing.h"
#include "base/number.h"
#include "base/units.h"
#include "base/when.h"
#include "render/chart_text.h"
#include "render/report.h"
#include "render/report_parts.h"
#include "render/text.h"

// Ten lines of eighths are eighty steps, more than a page's chart needs to show a shape.
enum {
    CHART_LINES = 10,
    PID_COLUMNS = 7,
    NAME_COLUMNS = 16,
    SIZE_COLUMNS = 10,
    TABLE_COLUMNS = 144, // three verdicts with their shares
    ROWS_MAX = 40,
    TOLD_MAX = 5
};

// Flush right in its column, so that the eye finds the longest.
static void write_size(struct writer *writer, uint64_t bytes)
{
    char text[UNITS_TEXT_MAX];
    if (bytes == SAMPLE_UNKNOWN)
        snprintf(text, sizeof text, "-");
    else
        format_bytes(writer->style, bytes, text, sizeof text);
    write_right(writer, text, SIZE_COLUMNS);
}

// The title is what was asked for, or the command that was run: escaped, since it was typed by
// anybody.
void write_report_head(struct writer *writer, const struct report *report, size_t indent)
{
    const struct history_about *about = &report->about;
    char from[WHEN_TEXT_MAX], to[WHEN_TEXT_MAX], took[UNITS_TEXT_MAX], every[UNITS_TEXT_MAX];
    char when[2 * WHEN_TEXT_MAX + 2 * UNITS_TEXT_MAX + 32];
    when_format(report->from_ms, 0, from, sizeof from);
    // Without the date where it is the same day.
    when_format(report->to_ms, report->from_ms, to, sizeof to);
    units_format_seconds((double)(report->to_ms - report->from_ms) / 1000, took, sizeof took);
    // Tenths of a second would be "0.0 s" of the fastest.
    if (about->interval_ms < 1000)
        snprintf(every, sizeof every, "%u ms", (unsigned)about->interval_ms);
    else
        units_format_seconds((double)about->interval_ms / 1000, every, sizeof every);
    if (!writer->error)
        writer->error = format_color_begin(writer->style, COLOR_BOLD, writer->buffer);
    write_name(writer, about->title[0] ? about->title : "recording", 80);
    if (!writer->error)
        writer->error = format_color_end(writer->style, COLOR_BOLD, writer->buffer);
    snprintf(when, sizeof when, "%s to %s (%s), every %s", from, to, took, every);
    write_fitting(writer, when, indent);
    write_text(writer, "\n");
    write_blanks(writer, indent);
    write_format(writer, "%zu process%s", report->subject_count,
                 report->subject_count == 1 ? "" : "es");
    // Of what was imported nobody knows them.
    write_text(writer, about->host[0] ? ", host " : "");
    write_name(writer, about->host, 64);
    write_text(writer, about->kernel[0] ? ", " : "");
    write_name(writer, about->kernel, 64);
    if (!about->is_ended)
        write_fitting(writer, "not ended: being written, or cut off", indent);
    write_text(writer, "\n");
}

// "+1.20 MiB/h ± 96 KiB/h": per hour, which is the unit in which leaks are told.
void report_slope(const struct render_style *style, double bytes_per_s, double error_bytes_per_s,
                  char *ret_text, size_t size)
{
    char slope[UNITS_TEXT_MAX], error[UNITS_TEXT_MAX];
    units_format_change(number_whole(bytes_per_s * 3600), slope, sizeof slope);
    units_format_bytes((uint64_t)number_whole(error_bytes_per_s * 3600), error, sizeof error);
    snprintf(ret_text, size, "%s/h %s %s/h", slope, style->unicode ? "±" : "+/-", error);
}

// "lazy 79 %, in-use 21 %": the most part first, at most three.
static void write_verdicts(struct writer *writer, const struct report_subject *entry)
{
    uint64_t left[VERDICT_UNKNOWN + 1], whole = 0;
    memcpy(left, entry->summary.verdict_ms, sizeof left);
    for (int code = 0; code <= VERDICT_UNKNOWN; code++)
        // With the time before the first account, which has no name and is not shown.
        whole += left[code];
    for (int shown = 0; shown < 3 && whole > 0; shown++) {
        int most = VERDICT_LAZY;
        for (int code = VERDICT_LAZY; code <= VERDICT_UNKNOWN; code++)
            if (left[code] > left[most])
                most = code;
        if (left[most] == 0)
            break;
        char share[UNITS_TEXT_MAX];
        units_format_percent(left[most], whole, share, sizeof share);
        write_format(writer, "%s%s %s", shown ? ", " : "", verdict_name((enum verdict_code)most),
                     share);
        // So that the next turn finds the next one.
        left[most] = 0;
    }
}

// On a terminal that is narrower than a row its second half stands below, under the name. What goes
// to a file has no width: a row is a line there.
static void begin_growth(struct writer *writer)
{
    unsigned width = writer->style->width;
    bool is_narrow = width > 0 && width < TABLE_COLUMNS;
    write_text(writer, is_narrow ? "\n" : "");
    write_blanks(writer, is_narrow ? PID_COLUMNS + 2 : 2);
}

// A line for each process; the growth is red only where it is called growth.
static void write_subject(struct writer *writer, const struct report_subject *entry)
{
    const struct history_summary *summary = &entry->summary;
    char text[80];
    write_format(writer, "%*d  ", PID_COLUMNS, entry->subject.pid);
    struct buffer name = {0};
    if (!writer->error)
        writer->error = format_escaped(&name, entry->subject.name, NAME_COLUMNS - 4);
    struct text shown = buffer_text(&name);
    write_text(writer, shown.len ? shown.data : "");
    size_t taken = format_columns(shown);
    write_blanks(writer, taken < NAME_COLUMNS ? NAME_COLUMNS - taken : 1);
    buffer_free(&name);
    write_size(writer, summary->peak_rss_bytes);
    write_size(writer, summary->peak_effective_bytes);
    write_size(writer, (uint64_t)summary->mean_effective_bytes);
    write_size(writer, summary->peak_lazy_bytes);
    units_format_seconds((double)entry->observed_ms / 1000, text, sizeof text);
    write_right(writer, text, 13);
    begin_growth(writer);
    snprintf(text, sizeof text, "-");
    if (summary->has_slope)
        report_slope(writer->style, summary->slope_bytes_per_s, summary->slope_error_bytes_per_s,
                     text, sizeof text);
    if (entry->is_growing)
        write_colored(writer, COLOR_BAD, text);
    else
        write_text(writer, text);
    taken = format_columns(text_of(text));
    write_blanks(writer, taken < 27 ? 27 - taken : 1);
    write_verdicts(writer, entry);
    write_text(writer, "\n");
}

// The largest forty: a table that scrolls away is read by nobody.
static void write_subjects(struct writer *writer, const struct report *report)
{
    char heading[120];
    snprintf(heading, sizeof heading, "%*s  %-*s%*s%*s%*s%*s%13s", PID_COLUMNS, "PID", NAME_COLUMNS,
             "NAME", SIZE_COLUMNS, "PEAK RSS", SIZE_COLUMNS, "PEAK EFF.", SIZE_COLUMNS, "MEAN EFF.",
             SIZE_COLUMNS, "PEAK LAZY", "SEEN FOR");
    write_colored(writer, COLOR_BOLD, heading);
    begin_growth(writer);
    snprintf(heading, sizeof heading, "%-27s%s\n", "GROWTH", "VERDICT");
    write_colored(writer, COLOR_BOLD, heading);
    for (size_t i = 0; i < report->subject_count && i < ROWS_MAX; i++)
        write_subject(writer, &report->subjects[i]);
    // The rest is not hidden: it is counted, and can be had.
    if (report->subject_count > ROWS_MAX)
        write_format(writer, "and %zu smaller ones: --json has them all\n",
                     report->subject_count - ROWS_MAX);
}

// One sentence, which may be longer than a line has room.
__attribute__((format(printf, 2, 3))) static void write_sentence(struct writer *writer,
                                                                 const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    text_vformat(text, sizeof text, format, args);
    va_end(args);
    write_wrapped(writer, text, 0, 2);
}

// Peaks that came and went between two readings: of those that the table shows, the first few.
static void write_missed(struct writer *writer, const struct report *report)
{
    size_t told = 0;
    for (size_t i = 0; i < report->subject_count && i < ROWS_MAX && told < TOLD_MAX; i++) {
        const struct report_subject *entry = &report->subjects[i];
        const struct history_summary *summary = &entry->summary;
        char when[WHEN_TEXT_MAX], missed[UNITS_TEXT_MAX], seen[UNITS_TEXT_MAX];
        if (summary->missed_rss_bytes == 0)
            continue;
        when_format(summary->missed_rss_ms, report->to_ms, when, sizeof when);
        format_bytes(writer->style, summary->missed_rss_bytes, missed, sizeof missed);
        format_bytes(writer->style, summary->peak_rss_bytes, seen, sizeof seen);
        write_sentence(writer,
                       "Peak RSS by the kernel: %s, of %s (%d), shortly before %s; readings saw %s "
                       "at most.",
                       missed, entry->subject.name, entry->subject.pid, when, seen);
        told++;
    }
}

// "RSS: 17.2 MiB at first, 275 MiB at most (02:26:36), 20.1 MiB at last."
static void write_course(struct writer *writer, const struct report *report, const char *what,
                         const uint64_t bytes[3], int64_t peak_ms)
{
    char first[UNITS_TEXT_MAX], most[UNITS_TEXT_MAX], last[UNITS_TEXT_MAX], when[WHEN_TEXT_MAX];
    format_bytes(writer->style, bytes[0], first, sizeof first);
    format_bytes(writer->style, bytes[1], most, sizeof most);
    format_bytes(writer->style, bytes[2], last, sizeof last);
    when_format(peak_ms, report->to_ms, when, sizeof when);
    write_sentence(writer, "%s: %s at first, %s at most (%s), %s at last.", what, first, most, when,
                   last);
}

// A fiftieth: what is less changes no decision.
static bool differs(uint64_t rss_bytes, uint64_t effective_bytes)
{
    return rss_bytes - effective_bytes > rss_bytes / 50;
}

// How RSS went, and what lazily freed pages did to it.
static void write_courses(struct writer *writer, const struct report *report)
{
    const struct history_summary *summary = &report->subjects[0].summary;
    const uint64_t rss[3] = {summary->first_rss_bytes, summary->peak_rss_bytes,
                             summary->last_rss_bytes};
    const uint64_t effective[3] = {summary->first_effective_bytes, summary->peak_effective_bytes,
                                   summary->last_effective_bytes};
    write_course(writer, report, "RSS", rss, summary->peak_rss_ms);
    if (differs(rss[0], effective[0]) || differs(rss[1], effective[1]) ||
        differs(rss[2], effective[2]))
        write_course(writer, report, "Effective RSS", effective, summary->peak_effective_ms);
    // By the peaks: what was lazily freed at another time than the highest does not lower it.
    if (!differs(rss[1], effective[1]))
        return;
    char seen[UNITS_TEXT_MAX], without[UNITS_TEXT_MAX];
    format_bytes(writer->style, rss[1], seen, sizeof seen);
    format_bytes(writer->style, effective[1], without, sizeof without);
    write_sentence(writer, "Without lazily freed pages its RSS would have been %s at most, not %s.",
                   without, seen);
}

// Did the recording last long enough to tell growth from a wave?
static bool is_judged(const struct report_subject *entry)
{
    return entry->summary.has_slope && (double)entry->observed_ms / 1000 >= swings_least_s();
}

// Growth, or why what rises is none, or that nothing does.
static void write_growth(struct writer *writer, const struct report_subject *entry)
{
    const struct history_summary *summary = &entry->summary;
    char slope[80];
    report_slope(writer->style, summary->slope_bytes_per_s, summary->slope_error_bytes_per_s, slope,
                 sizeof slope);
    bool rises = summary->slope_bytes_per_s > 2 * summary->slope_error_bytes_per_s;
    if (entry->is_growing && summary->swing_count > 0 && summary->swing_count <= SWINGS_FEW)
        write_format(writer,
                     "Effective RSS grows: %s. Suspect a leak, or a wave that is longer than this: "
                     "its lows rise, over %zu swings.",
                     slope, summary->swing_count);
    else if (entry->is_growing)
        write_sentence(writer, "Effective RSS grows: %s. Suspect a leak.", slope);
    else if (!is_judged(entry))
        write_sentence(writer,
                       "Too short to tell growth from a wave: that takes more than five minutes.");
    else if (summary->slope_bytes_per_s <= 0)
        write_sentence(writer, "Effective RSS does not grow: %s.", slope);
    else if (!rises)
        write_sentence(writer, "No growth of effective RSS beyond its error: %s.", slope);
    else if (summary->lows_rise)
        write_sentence(writer, "Effective RSS grows by too little to matter: %s.", slope);
    else
        write_sentence(writer, "Effective RSS rose, but its lows do not go on rising: a step, a "
                               "warm-up or a wave.");
}

// Whoever leaks is not always the largest: of those that the table shows, the first few.
static void write_growing(struct writer *writer, const struct report *report)
{
    size_t told = 0;
    for (size_t i = 1; i < report->subject_count && i < ROWS_MAX && told < TOLD_MAX; i++) {
        const struct report_subject *entry = &report->subjects[i];
        if (!entry->is_growing)
            continue;
        char slope[80];
        report_slope(writer->style, entry->summary.slope_bytes_per_s,
                     entry->summary.slope_error_bytes_per_s, slope, sizeof slope);
        write_sentence(writer, "Effective RSS of %s (%d) grows: %s. Suspect a leak.",
                       entry->subject.name, entry->subject.pid, slope);
        told++;
    }
}

// The time above a size, where that was asked for.
static void write_above(struct writer *writer, const struct report *report)
{
    const struct report_subject *entry = &report->subjects[0];
    char above[UNITS_TEXT_MAX], took[UNITS_TEXT_MAX], lazily[UNITS_TEXT_MAX];
    if (report->above_bytes == 0)
        return;
    format_bytes(writer->style, report->above_bytes, above, sizeof above);
    units_format_seconds((double)entry->rss_above_ms / 1000, took, sizeof took);
    units_format_seconds((double)entry->effective_above_ms / 1000, lazily, sizeof lazily);
    write_format(writer, "Above %s: RSS for %s, effective RSS for %s.\n", above, took, lazily);
}

// What the last account says, and what to do.
static void write_verdict(struct writer *writer, const struct report_subject *entry)
{
    char text[80], took[UNITS_TEXT_MAX];
    size_t column = 12;
    write_text(writer, "At the end");
    // What has happened since then, nobody has looked at.
    if (entry->age_ms >= AGE_TOLD_MS) {
        units_format_seconds((double)entry->age_ms / 1000, took, sizeof took);
        snprintf(text, sizeof text, " (an account %s older)", took);
        write_text(writer, text);
        column += strlen(text);
    }
    write_text(writer, ": ");
    write_wrapped(writer, entry->headline, column, 2);
    // What is in use is to be watched for longer, which the recording has done.
    if (!entry->next[0] || (entry->verdict == VERDICT_IN_USE && is_judged(entry)))
        return;
    // Advice that tells its time itself; and the number in what it says may be nobody's by now, or
    // another's.
    struct text next = text_of(entry->next);
    snprintf(text, sizeof text, " %d", entry->subject.pid);
    bool is_stale = entry->subject.has_ended && strstr(entry->next, text);
    const char *when = text_take_prefix(&next, "Now: ") ? "Now: "
                       : is_stale                       ? "Next, with the PID of one that runs: "
                                                        : "Next: ";
    write_text(writer, when);
    write_wrapped(writer, next.data, strlen(when), 2);
}

// What the table comes to, for the largest process: the sentences that one takes to the meeting.
static void write_findings(struct writer *writer, const struct report *report)
{
    const struct report_subject *entry = &report->subjects[0];
    write_courses(writer, report);
    write_growth(writer, entry);
    write_growing(writer, report);
    write_above(writer, report);
    write_missed(writer, report);
    if (entry->headline[0])
        write_verdict(writer, entry);
}

// Kinds that are counted where they are too many to be listed.
static void write_counts(struct writer *writer, const struct report *report)
{
    static const struct {
        enum event_kind kind;
        const char *one, *many;
    } counts[] = {{EVENT_GC, "collection", "collections"},
                  {EVENT_PURGE, "purge", "purges"},
                  {EVENT_APPEARED, "process appeared", "processes appeared"},
                  {EVENT_ENDED, "process ended", "processes ended"},
                  {EVENT_EXEC, "became another program", "became other programs"}};
    // Commas between, none in front.
    const char *before = "";
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        uint64_t count = report->events_of_kind[counts[i].kind];
        if (count == 0)
            continue;
        write_format(writer, "%s%" PRIu64 " %s", before, count,
                     count == 1 ? counts[i].one : counts[i].many);
        before = ", ";
    }
    write_text(writer, before[0] ? "\n" : "");
}

// Last, since there may be many; the numbers of those that are not listed stand below.
static void write_events(struct writer *writer, const struct report *report)
{
    const uint64_t *counts = report->events_of_kind;
    uint64_t all = report->listed_events;
    for (int kind = 0; kind < EVENT_COUNT; kind++)
        all += counts[kind];
    if (all == 0)
        return;
    write_text(writer, "\n");
    write_colored(writer, COLOR_BOLD, "Events\n");
    for (size_t i = 0; i < report->event_count; i++)
        write_event(writer, report, &report->events[i]);
    if (report->listed_events > report->event_count)
        write_format(writer, "and %zu more\n", report->listed_events - report->event_count);
    write_counts(writer, report);
}

// The chart is of the process with the highest RSS, which is the one that rang.
int render_report_text(const struct report *report, const struct render_style *style,
                       struct buffer *buffer)
{
    struct writer writer = {.buffer = buffer, .style = style};
    write_report_head(&writer, report, 0);
    const struct report_subject *largest = &report->subjects[0];
    write_text(&writer, "\n");
    write_name(&writer, largest->subject.name, 40);
    write_format(&writer, " (pid %d)", largest->subject.pid);
    write_text(&writer, largest->runtimes[0] ? ", " : "");
    write_name(&writer, largest->runtimes, 60);
    write_fitting(&writer,
                  style->unicode ? "effective RSS, and lazily freed ░ above it"
                                 : "effective RSS, and lazily freed : above it",
                  0);
    write_text(&writer, "\n");
    // What ended stands no longer.
    int64_t until_ms = largest->subject.has_ended && largest->subject.last_ms < report->to_ms
                           ? largest->subject.last_ms
                           : report->to_ms;
    write_chart(&writer, report, until_ms, CHART_LINES);
    write_text(&writer, "\n");
    write_findings(&writer, report);
    write_text(&writer, "\n");
    write_subjects(&writer, report);
    write_events(&writer, report);
    return writer.error;
}
