// SPDX-License-Identifier: Apache-2.0
// A series as a chart of characters, see chart_text.h. Tool world; pure.
#include "render/chart_text.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "base/when.h"

enum { COLUMNS_MAX = 200, LABEL_COLUMNS = 10, INDENT = 2 };

static const char *const eighths[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

// Of a whole terminal, on the stack: some KiB.
struct chart {
    unsigned columns, lines;
    uint64_t rss[COLUMNS_MAX], effective[COLUMNS_MAX];
    bool is_known[COLUMNS_MAX];
    uint64_t highest;
};

// What the terminal has, within reason: below ten columns there is no shape to see.
static unsigned chart_columns(const struct writer *writer)
{
    unsigned width = writer_width(writer);
    unsigned columns = width > LABEL_COLUMNS + INDENT + 10 ? width - LABEL_COLUMNS - INDENT : 10;
    // Wider terminals leave room at the right.
    return columns < COLUMNS_MAX ? columns : COLUMNS_MAX;
}

// By time, not by number: samples are stored when something changed.
static unsigned column_of(const struct chart *chart, int64_t time_ms, int64_t from_ms,
                          int64_t to_ms)
{
    double part = to_ms > from_ms ? (double)(time_ms - from_ms) / (double)(to_ms - from_ms) : 0;
    double column = part * chart->columns;
    return column < 0 ? 0 : column >= chart->columns ? chart->columns - 1 : (unsigned)column;
}

// A sample stands until the next one, unless that is too far away to be believed.
static void take_sample(struct chart *chart, const struct series *series, size_t index,
                        unsigned first, unsigned last)
{
    uint64_t rss = series->columns[SERIES_RSS][index];
    for (unsigned column = first; column <= last; column++) {
        // Within a column the highest wins.
        if (chart->is_known[column] && chart->rss[column] >= rss)
            continue;
        chart->is_known[column] = true;
        chart->rss[column] = rss;
        // Of the same sample, so that the lazy part of a column is one that was.
        chart->effective[column] = series->columns[SERIES_EFFECTIVE][index];
    }
    if (rss > chart->highest)
        chart->highest = rss;
}

// Of what was read before the range, the last sample stands at its beginning.
static void fill_chart(struct chart *chart, const struct report *report, int64_t until_ms)
{
    const struct series *series = &report->chart;
    const int64_t from_ms = report->from_ms, to_ms = report->to_ms;
    // Buckets are apart by their width.
    int64_t longest_ms = report_stands_ms(report) + 2 * (int64_t)series->step_ms;
    for (size_t i = 0; i < series->count; i++) {
        bool is_last = i + 1 == series->count;
        int64_t next_ms = is_last ? until_ms : series->time_ms[i + 1];
        bool is_before = series->time_ms[i] < from_ms;
        if (is_before && (next_ms <= from_ms || next_ms - series->time_ms[i] > longest_ms))
            continue;
        unsigned first = column_of(chart, series->time_ms[i], from_ms, to_ms), last = first;
        if (next_ms - series->time_ms[i] <= longest_ms)
            last = column_of(chart, next_ms, from_ms, to_ms);
        // The column of the next sample is that one's own.
        if (!is_last && last > first)
            last--;
        take_sample(chart, series, i, first, last);
    }
}

// Where nothing was read nothing is drawn: columns that lie wholly in a gap.
static void clear_gaps(struct chart *chart, const struct report *report)
{
    const int64_t from_ms = report->from_ms, to_ms = report->to_ms;
    for (size_t i = 0; i < report->gap_count; i++) {
        const struct event *event = &report->gaps[i];
        int64_t end_ms = event->time_ms, begin_ms;
        if (__builtin_sub_overflow(end_ms, (int64_t)(event->value & INT64_MAX), &begin_ms) ||
            end_ms <= from_ms || begin_ms >= to_ms)
            continue;
        // The columns of both ends have readings, but where the range cuts the gap.
        unsigned first = begin_ms < from_ms ? 0 : column_of(chart, begin_ms, from_ms, to_ms) + 1;
        unsigned behind =
            end_ms > to_ms ? chart->columns : column_of(chart, end_ms, from_ms, to_ms);
        for (unsigned column = first; column < behind; column++)
            chart->is_known[column] = false;
    }
}

// How much of a line `level` lines from the ground is filled, in eighths.
static unsigned eighths_of(const struct chart *chart, uint64_t bytes, unsigned level)
{
    double height = (double)bytes * chart->lines * 8 / (double)chart->highest;
    double part = height - (double)level * 8;
    return part <= 0 ? 0 : part >= 8 ? 8 : (unsigned)(part + 0.5);
}

// Solid up to effective RSS, light from there to RSS; in ASCII half a line is the finest there is.
static void write_cell(struct writer *writer, const struct chart *chart, unsigned column,
                       unsigned level)
{
    if (!chart->is_known[column]) {
        write_blanks(writer, 1);
        return;
    }
    bool unicode = writer->style->unicode;
    unsigned solid = eighths_of(chart, chart->effective[column], level);
    unsigned all = eighths_of(chart, chart->rss[column], level);
    if (solid > 0)
        write_text(writer, unicode ? eighths[solid] : solid >= 4 ? "#" : "_");
    else if (all > 0)
        write_colored(writer, COLOR_LAZY, unicode ? "░" : ":");
    else
        write_blanks(writer, 1);
}

// From the top down, as terminals write.
static void write_line(struct writer *writer, const struct chart *chart, unsigned level)
{
    char label[UNITS_TEXT_MAX] = "";
    // The top, the middle and the ground are enough to read the rest off.
    if (level + 1 == chart->lines)
        units_format_bytes(chart->highest, label, sizeof label);
    else if (level == chart->lines / 2 && chart->lines >= 6)
        units_format_bytes(chart->highest * (level + 1) / chart->lines, label, sizeof label);
    else if (level == 0)
        snprintf(label, sizeof label, "0");
    write_right(writer, label, LABEL_COLUMNS);
    write_blanks(writer, INDENT);
    for (unsigned column = 0; column < chart->columns; column++)
        write_cell(writer, chart, column, level);
    write_text(writer, "\n");
}

// Both ends; where they do not fit side by side the first is enough.
static void write_times(struct writer *writer, const struct chart *chart, int64_t from_ms,
                        int64_t to_ms)
{
    char first[WHEN_TEXT_MAX], last[WHEN_TEXT_MAX];
    when_format(from_ms, to_ms, first, sizeof first);
    when_format(to_ms, from_ms, last, sizeof last);
    write_blanks(writer, LABEL_COLUMNS + INDENT);
    write_text(writer, first);
    if (strlen(first) + strlen(last) + 2 <= chart->columns)
        write_right(writer, last, chart->columns - strlen(first));
    write_text(writer, "\n");
}

// The highest RSS of the range is the top of the chart, so that two charts of one recording differ
// in scale, never in shape.
void write_chart(struct writer *writer, const struct report *report, int64_t until_ms,
                 unsigned lines)
{
    const int64_t from_ms = report->from_ms, to_ms = report->to_ms;
    struct chart chart = {.columns = chart_columns(writer), .lines = lines, .highest = 1};
    fill_chart(&chart, report, until_ms);
    clear_gaps(&chart, report);
    for (unsigned level = lines; level-- > 0;)
        write_line(writer, &chart, level);
    write_times(writer, &chart, from_ms, to_ms);
}
