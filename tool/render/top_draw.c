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
#include "render/top_columns.h"
#include "render/top_detail.h"
#include "render/top_groups.h"

enum { LEAST_LIST = 5 }; // processes that the pane leaves to the list

// What stands above the list: of the host, sums and a blank as many as a screen can spare, then the
// heading.
//
// A pane of a tiling terminal has a dozen lines or fewer at times; there processes are worth more
// than sums, and sums more than the host.
static unsigned head_lines(unsigned lines)
{
    return lines >= 12 ? 4 : lines >= 8 ? 2 : lines >= 3 ? 1 : 0;
}

// The keys stand at the bottom, unless a process would be in their place.
static unsigned key_lines(unsigned lines)
{
    return lines >= 3 ? 1 : 0;
}

// What the pane gets of the screen: all that it can use, or what the list can spare, or nothing.
static unsigned detail_lines(const struct top_view *view, unsigned lines)
{
    unsigned others = head_lines(lines) + key_lines(lines) + LEAST_LIST;
    if (!view->shows_detail)
        return 0;
    if (lines >= others + TOP_DETAIL_LINES)
        return TOP_DETAIL_LINES;
    // Rule, title and verdict are what a pane is at the least. Where even that would take too much,
    // the list gives way: whoever asks for the pane wants to see it.
    if (lines >= others + 4)
        return lines - others;
    return lines >= 8 ? 4 : lines >= 6 ? 3 : 0;
}

// What head, keys and pane leave: a row on the smallest screen too.
unsigned top_page(const struct top_view *view, unsigned lines)
{
    unsigned taken = head_lines(lines) + key_lines(lines) + detail_lines(view, lines);
    return lines > taken ? lines - taken : 0;
}

// The host's lazily freed memory is an upper bound (meminfo has no figure of its own), hence "<=".
static void draw_host(struct pen *pen, const struct top *top, const struct top_view *view)
{
    char total[UNITS_TEXT_MAX], available[UNITS_TEXT_MAX], lazy[UNITS_TEXT_MAX];
    units_format_bytes(top->host.total_bytes, total, sizeof total);
    units_format_bytes(top->host.available_bytes, available, sizeof available);
    units_format_bytes(top->host.lazy_bound_bytes, lazy, sizeof lazy);
    pen->color = COLOR_BOLD;
    pen_text(pen, "ebb top");
    pen->color = COLOR_NONE;
    pen_whole(pen, "  host %s", total);
    pen_whole(pen, ", %s available", available);
    pen_whole(pen, ", lazily freed %s %s", pen->canvas->unicode ? "≤" : "<=", lazy);
    // Kernels without PSI have nothing to say here.
    if (top->host.pressure_some_avg10 >= 0)
        pen_whole(pen, ", pressure %.1f %%", top->host.pressure_some_avg10);
    if (view->is_paused) {
        pen->color = COLOR_WARN;
        pen_whole(pen, "  paused: p goes on");
        pen->color = COLOR_NONE;
    }
}

// What is being typed, and behind it where the next letter comes.
static void draw_filter(struct pen *pen, const struct top_view *view)
{
    pen->color = COLOR_WARN;
    pen_text(pen, "filter: ");
    pen_name(pen, view->filter, 40);
    pen->color = COLOR_NONE;
    if (view->is_typing)
        pen_text(pen, pen->canvas->unicode ? "▏" : "_");
    pen_text(pen, "  ");
}

// Sums of what the list shows, so that a filter makes a group of processes one.
static void draw_sums(struct pen *pen, const struct top_row *const *rows, size_t count,
                      const struct top *top, const struct top_view *view)
{
    uint64_t rss = 0, lazy = 0, kept = 0;
    size_t unread = 0, processes = 0;
    for (size_t i = 0; i < count; i++) {
        const struct table_row *figures = &rows[i]->figures;
        rss += figures->rss_bytes;
        lazy += figures->lazy_bytes == SAMPLE_UNKNOWN ? 0 : figures->lazy_bytes;
        // Unknown counts as nothing here, and is told as "not read" behind it.
        kept += figures->kept_bytes == SAMPLE_UNKNOWN ? 0 : figures->kept_bytes;
        unread += figures->is_group ? rows[i]->unread : !rows[i]->has_account;
        processes += figures->is_group ? figures->members : 1;
    }
    char text[4][UNITS_TEXT_MAX];
    units_format_bytes(rss, text[0], sizeof text[0]);
    units_format_bytes(lazy, text[1], sizeof text[1]);
    units_format_bytes(kept, text[2], sizeof text[2]);
    units_format_bytes(rss > lazy ? rss - lazy : 0, text[3], sizeof text[3]);
    // Before the figures: a filter that is out of sight is forgotten.
    if (view->filter[0] || view->is_typing)
        draw_filter(pen, view);
    if (processes != top->count)
        pen_whole(pen, "%zu of ", processes);
    pen_whole(pen, "%zu processes", top->count);
    // First what the others lack, and the one figure that matters.
    if (unread > 0)
        pen_whole(pen, " (%zu not read)", unread);
    pen_whole(pen, "  effective %s", text[3]);
    pen_whole(pen, "  RSS %s", text[0]);
    pen_whole(pen, "  lazy %s", text[1]);
    pen_whole(pen, "  kept %s", text[2]);
}

// Always in sight, most used first: what is cut off on the right of a small terminal is what few
// need.
static void draw_keys(struct pen *pen, const struct top_view *view)
{
    // Where the screen has no line for the sums, the filter has no other place.
    if (head_lines(pen->canvas->lines) < 2 && (view->is_typing || view->filter[0]))
        draw_filter(pen, view);
    if (view->is_typing) {
        pen_text(pen, "type a part of a name, command line, runtime or verdict; Enter keeps the "
                      "filter, Esc drops it");
        return;
    }
    static const char *const keys[][2] = {
        {"q", "quit"},       {"?", "help"},    {"/", "filter"},     {"< >", "order"},
        {"Enter", "detail"}, {"n", "by name"}, {"a", "read now"},   {"r", "reverse"},
        {"p", "pause"},      {"b", "bytes"},   {"+ -", "interval"},
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        // Key, blank and meaning, or none of them.
        if (pen->column + strlen(keys[i][0]) + 1 + strlen(keys[i][1]) > pen->canvas->columns)
            break;
        pen->is_inverse = true;
        pen_text(pen, keys[i][0]);
        pen->is_inverse = false;
        pen_format(pen, " %s  ", keys[i][1]);
    }
}

// Over the list: whoever reads about the columns still sees their headings above it.
static void draw_help(const struct canvas *canvas, unsigned page)
{
    static const char *const lines[] = {
        "RSS        pages in memory now, as the kernel counts them",
        "LAZY       lazily freed (MADV_FREE): in RSS, yet free for the kernel to take",
        "KEPT       free pages that the runtime holds: it could give them back",
        "EFFECTIVE  RSS - LAZY: what the process would keep; the one number for alarms",
        "VERDICT    growing, fragmented, kept, lazy, in-use, files: see ebb explain PID",
        "-          not read yet, or not allowed: run ebb as root to see all",
        "",
        "Up Down PgUp PgDn Home End  select    < >  order by next column    r  reverse",
        "Enter  account and history of the selected process    a  read its account now",
        "n  one row for each name; its starts in the last minute tell of crash loops",
        "/  filter    Esc  back    p  pause    b  exact bytes    + -  interval    q  quit",
    };
    // The keys below stay in sight.
    for (unsigned i = 0; i < sizeof lines / sizeof lines[0] && i < page; i++) {
        struct pen pen = {.canvas = canvas, .line = head_lines(canvas->lines) + i};
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
    unsigned head = head_lines(canvas->lines);
    struct top_columns columns = top_columns_for(canvas->columns, view);
    for (unsigned i = 0; i < page && view->first + i < count; i++) {
        struct pen pen = {.canvas = canvas, .line = head + i};
        top_draw_row(&pen, view, &columns, rows[view->first + i]);
    }
    if (count == 0) {
        struct pen pen = {.canvas = canvas, .line = head};
        pen_text(&pen, view->filter[0] ? "nothing matches the filter: Esc drops it"
                                       : "no process that may be read");
    }
}

// NULL when nothing is selected, or when it has ended.
static const struct top_row *selected_row(const struct top *top, unsigned subject)
{
    if (top_row_is_group(subject))
        return top_groups_find(top, subject);
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
    unsigned lines = head_lines(canvas->lines);
    struct pen head[] = {{.canvas = canvas, .line = 0},
                         {.canvas = canvas, .line = lines > 2 ? 1 : 0},
                         {.canvas = canvas, .line = lines - 1},
                         {.canvas = canvas, .line = canvas->lines - 1}};
    struct top_columns columns = top_columns_for(canvas->columns, view);
    // From the least important down: see head_lines().
    if (lines > 2)
        draw_host(&head[0], top, view);
    if (lines > 1)
        draw_sums(&head[1], rows, count, top, view);
    if (lines > 0)
        top_draw_heading(&head[2], view, &columns);
    if (view->shows_help)
        draw_help(canvas, top_page(view, canvas->lines));
    else
        draw_list(rows, count, view, canvas);
    unsigned detail = detail_lines(view, canvas->lines);
    const struct top_row *selected = selected_row(top, view->selected);
    // Help takes the list's place, and has no selected process.
    if (detail > 0 && selected && !view->shows_help)
        top_draw_detail(canvas, canvas->lines - key_lines(canvas->lines) - detail, detail, selected,
                        top->time_ms);
    if (key_lines(canvas->lines) > 0)
        draw_keys(&head[3], view);
    free(rows);
    return 0;
}
