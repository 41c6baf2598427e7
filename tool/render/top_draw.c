// SPDX-License-Identifier: Apache-2.0
// Drawing the screen of `ebb top`: head, list, keys. Tool world; pure.
//
// From the top: the host, the sums, the list with its heading, the detail of the selected process
// where it is wanted, and the keys. The list gets what the others leave.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "render/top.h"
#include "render/top_detail.h"
#include "render/top_pen.h"

enum {
    HEAD_LINES = 4, // host, sums, a blank, the heading
    PID_COLUMNS = 7,
    NAME_COLUMNS = 18,
    SIZE_COLUMNS = 10,
    VERDICT_COLUMNS = 11,
    RUNTIME_COLUMNS = 22,
    TREND_COLUMNS = 20,
    LIST_COLUMNS = PID_COLUMNS + 2 + NAME_COLUMNS + 4 * SIZE_COLUMNS + 2 + VERDICT_COLUMNS,
};

// What the pane gets of the screen: all that it can use, or what the list can spare, or nothing.
static unsigned detail_lines(const struct top_view *view, unsigned lines)
{
    if (!view->shows_detail)
        return 0;
    // On a small terminal the list keeps five processes.
    return lines >= HEAD_LINES + 1 + 5 + TOP_DETAIL_LINES ? TOP_DETAIL_LINES
           : lines > HEAD_LINES + 6 + 4                   ? lines - HEAD_LINES - 6
                                                          : 0;
}

// Head, keys and pane are always there; a terminal of five lines has no list.
unsigned top_page(const struct top_view *view, unsigned lines)
{
    unsigned taken = HEAD_LINES + 1 + detail_lines(view, lines);
    return lines > taken ? lines - taken : 0;
}

// Sizes that nobody could read are a dash: a 0 would be a finding.
static void pen_size(struct pen *pen, const struct top_view *view, uint64_t bytes)
{
    char text[UNITS_TEXT_MAX] = "-";
    struct render_style style = {.exact_bytes = view->exact_bytes};
    if (bytes != SAMPLE_UNKNOWN)
        format_bytes(&style, bytes, text, sizeof text);
    pen_right(pen, text, SIZE_COLUMNS);
}

// The host's lazily freed memory is an upper bound (meminfo has no figure of its own), hence "at
// most".
static void draw_host(struct pen *pen, const struct top *top, const struct top_view *view)
{
    char total[UNITS_TEXT_MAX], available[UNITS_TEXT_MAX], lazy[UNITS_TEXT_MAX];
    units_format_bytes(top->host.total_bytes, total, sizeof total);
    units_format_bytes(top->host.available_bytes, available, sizeof available);
    units_format_bytes(top->host.lazy_bound_bytes, lazy, sizeof lazy);
    pen->color = COLOR_BOLD;
    pen_text(pen, "ebb top");
    pen->color = COLOR_NONE;
    pen_format(pen, "  host %s, %s available, lazily freed at most %s", total, available, lazy);
    // Kernels without PSI have nothing to say here.
    if (top->host.pressure_some_avg10 >= 0)
        pen_format(pen, ", pressure %.1f %%", top->host.pressure_some_avg10);
    if (view->is_paused) {
        pen->color = COLOR_WARN;
        pen_text(pen, "  paused: p goes on");
        pen->color = COLOR_NONE;
    }
}

// Sums of what the list shows, so that a filter makes a group of processes one.
static void draw_sums(struct pen *pen, const struct top_row *const *rows, size_t count,
                      const struct top *top, const struct top_view *view)
{
    uint64_t rss = 0, lazy = 0, kept = 0;
    size_t unread = 0;
    for (size_t i = 0; i < count; i++) {
        const struct table_row *figures = &rows[i]->figures;
        rss += figures->rss_bytes;
        lazy += figures->lazy_bytes == SAMPLE_UNKNOWN ? 0 : figures->lazy_bytes;
        // Unknown counts as nothing here, and is told as "not read" behind it.
        kept += figures->kept_bytes == SAMPLE_UNKNOWN ? 0 : figures->kept_bytes;
        unread += !rows[i]->has_account;
    }
    char text[4][UNITS_TEXT_MAX];
    units_format_bytes(rss, text[0], sizeof text[0]);
    units_format_bytes(lazy, text[1], sizeof text[1]);
    units_format_bytes(kept, text[2], sizeof text[2]);
    units_format_bytes(rss > lazy ? rss - lazy : 0, text[3], sizeof text[3]);
    pen_format(pen, "%zu of %zu processes  RSS %s  lazy %s  kept %s  effective %s", count,
               top->count, text[0], text[1], text[2], text[3]);
    if (unread > 0)
        pen_format(pen, "  (%zu not read)", unread);
    if (view->filter[0] || view->is_typing) {
        pen->color = COLOR_WARN;
        pen_text(pen, "  filter: ");
        pen_name(pen, view->filter, 40);
        pen->color = COLOR_NONE;
        if (view->is_typing)
            pen_text(pen, pen->canvas->unicode ? "▏" : "_");
    }
}

// The column that decides the order carries the mark.
static void draw_title(struct pen *pen, const struct top_view *view, const char *title,
                       enum top_order order, int columns)
{
    bool decides = view->order == order;
    // Three bytes and one column, or one of each: pen_right() counts columns.
    const char *mark = !decides                ? ""
                       : !pen->canvas->unicode ? (view->is_reversed ? "^" : "v")
                       : view->is_reversed     ? "▲"
                                               : "▼";
    char text[32];
    snprintf(text, sizeof text, "%s%s", title, mark);
    // Texts are negative: they stand flush left.
    if (columns > 0)
        pen_right(pen, text, (unsigned)columns);
    else
        pen_left(pen, text, (unsigned)-columns);
}

// Inverse over the whole width, so that the eye finds where the list begins.
static void draw_heading(struct pen *pen, const struct top_view *view)
{
    pen->is_inverse = true;
    draw_title(pen, view, "PID", TOP_BY_PID, PID_COLUMNS);
    pen_blanks(pen, 2);
    draw_title(pen, view, "NAME", TOP_BY_NAME, -NAME_COLUMNS);
    draw_title(pen, view, "RSS", TOP_BY_RSS, SIZE_COLUMNS);
    draw_title(pen, view, "LAZY", TOP_BY_LAZY, SIZE_COLUMNS);
    draw_title(pen, view, "KEPT", TOP_BY_KEPT, SIZE_COLUMNS);
    draw_title(pen, view, "EFFECTIVE", TOP_BY_EFFECTIVE, SIZE_COLUMNS);
    pen_blanks(pen, 2);
    draw_title(pen, view, "VERDICT", TOP_BY_VERDICT, -VERDICT_COLUMNS);
    pen_left(pen, "RUNTIME", RUNTIME_COLUMNS);
    pen_text(pen,
             view->order == TOP_BY_BACK ? "(by what could be got back: lazy + kept)" : "TREND");
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

// One process. Fields have fixed columns: what changes from round to round is a figure, never the
// place of one.
static void draw_row(struct pen *pen, const struct top_view *view, const struct top_row *row)
{
    const struct table_row *figures = &row->figures;
    // Colours are kept in an inverse line: a verdict must be seen in the line one looks at.
    pen->is_inverse = row->subject == view->selected;
    char pid[16];
    snprintf(pid, sizeof pid, "%d", figures->pid);
    pen_right(pen, pid, PID_COLUMNS);
    pen_blanks(pen, 2);
    // Escapes make a name longer than its bytes: it is cut four columns early, and the rest filled
    // up.
    unsigned begin = pen->column;
    pen_name(pen, figures->name, NAME_COLUMNS - 4);
    pen_to(pen, begin + NAME_COLUMNS);
    pen_size(pen, view, figures->rss_bytes);
    pen->color =
        figures->lazy_bytes != SAMPLE_UNKNOWN && figures->lazy_bytes > 0 ? COLOR_LAZY : COLOR_NONE;
    pen_size(pen, view, figures->lazy_bytes);
    pen->color = COLOR_NONE;
    pen_size(pen, view, figures->kept_bytes);
    pen_size(pen, view, figures->effective_bytes);
    pen_blanks(pen, 2);
    pen->color = verdict_color(figures->verdict);
    pen_left(pen, figures->verdict ? verdict_name(figures->verdict) : "-", VERDICT_COLUMNS);
    pen->color = COLOR_NONE;
    begin = pen->column;
    pen_name(pen, figures->runtimes, RUNTIME_COLUMNS - 4);
    pen_to(pen, begin + RUNTIME_COLUMNS);
    // A piece of a trend would look like a short history.
    if (pen->canvas->columns >= LIST_COLUMNS + RUNTIME_COLUMNS + TREND_COLUMNS)
        top_draw_trend(pen, row, TREND_COLUMNS);
    if (pen->is_inverse)
        pen_blanks(pen, pen->canvas->columns);
    pen->is_inverse = false;
}

// Always in sight, most used first: what is cut off on the right of a small terminal is what few
// need.
static void draw_keys(struct pen *pen, const struct top_view *view)
{
    if (view->is_typing) {
        pen_text(pen, "type a part of a name, command line, runtime or verdict; Enter keeps the "
                      "filter, Esc drops it");
        return;
    }
    static const char *const keys[][2] = {
        {"q", "quit"},     {"?", "help"},    {"/", "filter"}, {"< >", "order"}, {"Enter", "detail"},
        {"a", "read now"}, {"r", "reverse"}, {"p", "pause"},  {"b", "bytes"},   {"+ -", "interval"},
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        pen->is_inverse = true;
        pen_text(pen, keys[i][0]);
        pen->is_inverse = false;
        pen_format(pen, " %s  ", keys[i][1]);
    }
}

// Over the list: whoever reads about the columns still sees their headings above it.
static void draw_help(const struct canvas *canvas)
{
    static const char *const lines[] = {
        "RSS        pages in memory now, as the kernel counts them",
        "LAZY       lazily freed (MADV_FREE): in RSS, yet free; taken when memory is needed",
        "KEPT       free pages that the runtime holds: it could give them back",
        "EFFECTIVE  RSS - LAZY: what the process would keep; the one number for alarms",
        "VERDICT    lazy, kept, fragmented, growing, in-use, files: ebb explain PID says why",
        "-          not read yet, or not allowed: run ebb as root to see all",
        "",
        "Up Down PgUp PgDn Home End  select      < >  order by the next column    r  turn it round",
        "Enter  account and history of the selected process    a  read its account now",
        "/  filter    Esc  back    p  pause    b  exact bytes    + -  interval    q  quit",
    };
    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct pen pen = {.canvas = canvas, .line = HEAD_LINES + i};
        pen_text(&pen, lines[i]);
    }
}

// The selected process stays in sight; without one the list stands still.
static void scroll(struct top_view *view, const struct top_row *const *rows, size_t count,
                   unsigned page)
{
    size_t place = view->first;
    // Looked for anew at each drawing: order and filter may have moved it.
    for (size_t i = 0; i < count; i++)
        if (rows[i]->subject == view->selected)
            place = i;
    if (place < view->first)
        view->first = place;
    if (page > 0 && place >= view->first + page)
        view->first = place - page + 1;
    // No empty lines below while rows are hidden above.
    if (view->first + page > count)
        view->first = count > page ? count - page : 0;
}

// Says why it is empty, where it is.
static void draw_list(const struct top_row *const *rows, size_t count, struct top_view *view,
                      const struct canvas *canvas)
{
    unsigned page = top_page(view, canvas->lines);
    // It changes the view: where the list stands is remembered for the next drawing.
    scroll(view, rows, count, page);
    for (unsigned i = 0; i < page && view->first + i < count; i++) {
        struct pen pen = {.canvas = canvas, .line = HEAD_LINES + i};
        draw_row(&pen, view, rows[view->first + i]);
    }
    if (count == 0) {
        struct pen pen = {.canvas = canvas, .line = HEAD_LINES, .column = PID_COLUMNS + 2};
        pen_text(&pen, view->filter[0] ? "nothing matches the filter: Esc drops it"
                                       : "no process that may be read");
    }
}

// NULL when nothing is selected, or when it has ended.
static const struct top_row *selected_row(const struct top *top, unsigned subject)
{
    for (size_t i = 0; i < top->count; i++)
        if (top->rows[i].subject == subject)
            return &top->rows[i];
    return NULL;
}

// The list is made once: sums, scrolling and rows must speak of the same processes.
int top_draw(const struct top *top, struct top_view *view, const struct canvas *canvas)
{
    const struct top_row **rows;
    size_t count;
    int error = top_list(top, view, &rows, &count);
    if (error)
        return error;
    struct pen head[] = {{.canvas = canvas, .line = 0},
                         {.canvas = canvas, .line = 1},
                         {.canvas = canvas, .line = HEAD_LINES - 1},
                         {.canvas = canvas, .line = canvas->lines - 1}};
    draw_host(&head[0], top, view);
    draw_sums(&head[1], rows, count, top, view);
    draw_heading(&head[2], view);
    if (view->shows_help)
        draw_help(canvas);
    else
        draw_list(rows, count, view, canvas);
    unsigned detail = detail_lines(view, canvas->lines);
    const struct top_row *selected = selected_row(top, view->selected);
    // Help takes the list's place, and has no selected process.
    if (detail > 0 && selected && !view->shows_help)
        top_draw_detail(canvas, canvas->lines - 1 - detail, detail, selected, top->time_ms);
    draw_keys(&head[3], view);
    free(rows);
    return 0;
}
