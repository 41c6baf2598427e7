// SPDX-License-Identifier: Apache-2.0
// The heading and the rows of `ebb top`, see top_columns.h. Tool world; pure.
#include "render/top_columns.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "render/top_detail.h"

enum { GAP = 2, LEAST_NAME = 8, LEAST_RUNTIME = 8 };

// What a column is like. Texts stand flush left and begin behind a gap that belongs to them.
struct column {
    const char *title;
    enum top_order order; // that it shows; TOP_ORDER_COUNT none
    unsigned width;
    bool is_text;
};

// All but runtime and trend fill 80 columns, which every terminal has; the widths are those of the
// longest figure ("1023 MiB", "EFFECTIVE" with its mark) and of most names.
static const struct column kinds[TOP_COLUMN_COUNT] = {
    [TOP_COLUMN_PID] = {"PID", TOP_BY_PID, 7, false},
    [TOP_COLUMN_NAME] = {"NAME", TOP_BY_NAME, 20, true},
    [TOP_COLUMN_RSS] = {"RSS", TOP_BY_RSS, 10, false},
    [TOP_COLUMN_LAZY] = {"LAZY", TOP_BY_LAZY, 10, false},
    [TOP_COLUMN_KEPT] = {"KEPT", TOP_BY_KEPT, 10, false},
    [TOP_COLUMN_EFFECTIVE] = {"EFFECTIVE", TOP_BY_EFFECTIVE, 10, false},
    [TOP_COLUMN_VERDICT] = {"VERDICT", TOP_BY_VERDICT, 13, true},
    [TOP_COLUMN_STARTS] = {"STARTS/MIN", TOP_ORDER_COUNT, 11, false},
    [TOP_COLUMN_RUNTIME] = {"RUNTIME", TOP_ORDER_COUNT, 22, true},
    [TOP_COLUMN_TREND] = {"TREND", TOP_ORDER_COUNT, 22, true},
};

// Most important first: who, the one number that matters, why, and then the rest.
static const enum top_column by_importance[] = {
    TOP_COLUMN_EFFECTIVE, TOP_COLUMN_PID,  TOP_COLUMN_VERDICT, TOP_COLUMN_STARTS, TOP_COLUMN_RSS,
    TOP_COLUMN_LAZY,      TOP_COLUMN_KEPT, TOP_COLUMN_RUNTIME, TOP_COLUMN_TREND,
};

// The column that shows why the rows stand as they do; the effective RSS where that has none, or
// is the name, which is always there.
static enum top_column ordering_column(enum top_order order)
{
    for (int i = 0; i < TOP_COLUMN_COUNT; i++)
        if (kinds[i].order == order && i != TOP_COLUMN_NAME)
            return (enum top_column)i;
    return TOP_COLUMN_EFFECTIVE;
}

// Greedy, by importance: what does not fit ends it, since less important ones behind it that happen
// to be narrower would come and go with every column that a window is made wider.
struct top_columns top_columns_for(unsigned columns, const struct top_view *view)
{
    struct top_columns found = {{0}};
    // The name takes what it can get, and gives some of it back where another column needs it.
    unsigned name = kinds[TOP_COLUMN_NAME].width, least = LEAST_NAME + GAP;
    unsigned taken = 0;
    enum top_column ordering = ordering_column(view->order);
    for (size_t i = 0; i <= sizeof by_importance / sizeof by_importance[0]; i++) {
        enum top_column column = i == 0 ? ordering : by_importance[i - 1];
        unsigned width = kinds[column].width;
        // Only these, effective RSS and the PID are worth a shorter name.
        unsigned needed = i < 3 ? least : name;
        if (found.widths[column] > 0 || (column == TOP_COLUMN_STARTS && !view->is_grouped))
            continue;
        // A part of a runtime's name tells something; a part of a figure does not.
        if (column == TOP_COLUMN_RUNTIME && taken + name + LEAST_RUNTIME <= columns &&
            taken + name + width > columns)
            width = columns - taken - name;
        if (taken + needed + width > columns)
            break;
        found.widths[column] = width;
        taken += width;
    }
    found.widths[TOP_COLUMN_NAME] = columns - taken < name ? columns - taken : name;
    return found;
}

// One field, whatever its kind: nothing leaves its column.
static void put_field(struct pen *pen, enum top_column column, unsigned width, const char *text)
{
    if (width == 0)
        return;
    // The first column has nothing to its left to be parted from: on the smallest screens that is
    // the name.
    unsigned gap = kinds[column].is_text && pen->column > 0 && width > GAP ? GAP : 0;
    pen_blanks(pen, gap);
    if (!kinds[column].is_text) {
        pen_right(pen, text, width);
        return;
    }
    unsigned end = pen->column + width - gap;
    pen_text(pen, text);
    if (pen->column < end)
        pen_blanks(pen, end - pen->column);
}

// The column that decides the order carries the mark.
static void put_title(struct pen *pen, const struct top_view *view, enum top_column column,
                      unsigned width)
{
    bool decides = view->order == kinds[column].order;
    const char *title = kinds[column].title;
    // Three bytes and one column, or one of each.
    const char *mark = !decides                ? ""
                       : !pen->canvas->unicode ? (view->is_reversed ? "^" : "v")
                       : view->is_reversed     ? "▲"
                                               : "▼";
    if (column == TOP_COLUMN_PID && view->is_grouped)
        title = "COUNT";
    char text[32];
    snprintf(text, sizeof text, "%s%s", title, mark);
    put_field(pen, column, width, text);
}

// Inverse over the whole width, so that the eye finds where the list begins.
void top_draw_heading(struct pen *pen, const struct top_view *view,
                      const struct top_columns *columns)
{
    pen->is_inverse = true;
    for (int i = 0; i < TOP_COLUMN_COUNT; i++)
        put_title(pen, view, (enum top_column)i, columns->widths[i]);
    // The one order that is no column's: lazy and kept together.
    if (view->order == TOP_BY_BACK && pen->column + 36 < pen->canvas->columns)
        pen_text(pen, "  by lazy + kept");
    pen_blanks(pen, pen->canvas->columns);
    pen->is_inverse = false;
}

// Red for what somebody should look into, yellow for what could be got back, as in explain.
static enum render_color verdict_color(enum verdict_code verdict)
{
    switch (verdict) {
    case VERDICT_GROWING:
        return COLOR_BAD;
    case VERDICT_KEPT:
    case VERDICT_FRAGMENTED:
        return COLOR_WARN;
    case VERDICT_LAZY:
        return COLOR_LAZY;
    default:
        return COLOR_NONE;
    }
}

// Sizes that nobody could read are a dash: a 0 would be a finding.
static void put_size(struct pen *pen, const struct top_view *view, enum top_column column,
                     unsigned width, uint64_t bytes)
{
    char text[UNITS_TEXT_MAX] = "-";
    struct render_style style = {.exact_bytes = view->exact_bytes};
    if (bytes != SAMPLE_UNKNOWN)
        format_bytes(&style, bytes, text, sizeof text);
    // Exact bytes of a terabyte need more than a column: a blank still parts them from the next.
    if (width > 0 && strlen(text) >= width)
        pen_blanks(pen, 1);
    put_field(pen, column, width, text);
}

// Escaped and cut here; put_field() takes texts of ours alone.
static void put_name(struct pen *pen, enum top_column column, unsigned width, const char *name)
{
    struct buffer shown = {0};
    unsigned gap = pen->column > 0 && width > GAP ? GAP : 0;
    // A blank parts it from what follows; without memory the name is missing for one refresh.
    if (width > 0 && format_name(&shown, name, width - gap) == 0)
        put_field(pen, column, width, shown.data ? shown.data : "");
    buffer_free(&shown);
}

// The column of PIDs is that of numbers of processes where rows are groups.
static void put_pid(struct pen *pen, const struct top_view *view, unsigned width,
                    const struct table_row *figures)
{
    char text[24];
    // Among PIDs a number of processes must not look like one.
    if (!figures->is_group)
        snprintf(text, sizeof text, "%d", figures->pid);
    else
        snprintf(text, sizeof text, "%s%u",
                 view->is_grouped       ? ""
                 : pen->canvas->unicode ? "×"
                                        : "x",
                 figures->members);
    put_field(pen, TOP_COLUMN_PID, width, text);
}

// What stands for a name that keeps coming and going tells how often, where a list by name has a
// column for it.
static void put_runtime(struct pen *pen, const struct top_view *view, unsigned width,
                        const struct table_row *figures)
{
    char text[sizeof figures->runtimes + 32];
    if (figures->is_group && !view->is_grouped)
        snprintf(text, sizeof text, "%u starts/min", figures->starts_per_minute);
    else
        snprintf(text, sizeof text, "%s", figures->runtimes);
    put_name(pen, TOP_COLUMN_RUNTIME, width, text);
}

// Fields have fixed columns: what changes from round to round is a figure, never the place of one.
void top_draw_row(struct pen *pen, const struct top_view *view, const struct top_columns *columns,
                  const struct top_row *row)
{
    const struct table_row *figures = &row->figures;
    const unsigned *widths = columns->widths;
    char starts[24];
    // Colours are kept in an inverse line: a verdict must be seen in the line one looks at.
    pen->is_inverse = row->subject == view->selected;
    put_pid(pen, view, widths[TOP_COLUMN_PID], figures);
    put_name(pen, TOP_COLUMN_NAME, widths[TOP_COLUMN_NAME], figures->name);
    put_size(pen, view, TOP_COLUMN_RSS, widths[TOP_COLUMN_RSS], figures->rss_bytes);
    bool is_lazy = figures->lazy_bytes != SAMPLE_UNKNOWN && figures->lazy_bytes > 0;
    // The colour of lazily freed memory, here as in explain and on the page.
    pen->color = is_lazy ? COLOR_LAZY : COLOR_NONE;
    put_size(pen, view, TOP_COLUMN_LAZY, widths[TOP_COLUMN_LAZY], figures->lazy_bytes);
    pen->color = COLOR_NONE;
    put_size(pen, view, TOP_COLUMN_KEPT, widths[TOP_COLUMN_KEPT], figures->kept_bytes);
    put_size(pen, view, TOP_COLUMN_EFFECTIVE, widths[TOP_COLUMN_EFFECTIVE],
             figures->effective_bytes);
    pen->color = verdict_color(figures->verdict);
    put_field(pen, TOP_COLUMN_VERDICT, widths[TOP_COLUMN_VERDICT],
              figures->verdict ? verdict_name(figures->verdict) : "-");
    pen->color = COLOR_NONE;
    snprintf(starts, sizeof starts, "%u", figures->starts_per_minute);
    put_field(pen, TOP_COLUMN_STARTS, widths[TOP_COLUMN_STARTS], starts);
    put_runtime(pen, view, widths[TOP_COLUMN_RUNTIME], figures);
    // A piece of a trend would look like a short history: it is there as a whole or not at all.
    if (widths[TOP_COLUMN_TREND] > 0) {
        pen_blanks(pen, GAP);
        top_draw_trend(pen, row, widths[TOP_COLUMN_TREND] - GAP);
    }
    // The selected line is marked up to the edge of the screen.
    if (pen->is_inverse)
        pen_blanks(pen, pen->canvas->columns);
    pen->is_inverse = false;
}
