// SPDX-License-Identifier: Apache-2.0
// The pane of `ebb top`, see top_detail.h. Tool world; pure.
//
// Left the account as `explain` prints it, right RSS over the last rounds: what is effective solid,
// what is lazily freed light on top of it.
#include "render/top_detail.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"

enum { TITLE_COLUMNS = 16, SIZE_COLUMNS = 10, BAR_COLUMNS = 14, LEFT_COLUMNS = 44 };

static const char *const eighths[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
// Of equal length, so that one index does for both.
static const char *const ascii_eighths[] = {" ", "_", "_", ".", "-", "-", "=", "=", "#"};

// The round that was `age` rounds ago; false where the ring does not go back so far.
static bool ring_slot(const struct top_row *row, size_t age, size_t *ret_slot)
{
    if (age >= row->rounds || age >= TOP_HISTORY)
        return false;
    *ret_slot = (row->rounds - 1 - age) % TOP_HISTORY;
    return true;
}

// What the scale of a line or chart is: at least 1, so that nothing is divided by 0. Only the
// rounds that are shown count, so that an old peak does not flatten what came after it.
static uint32_t ring_highest(const struct top_row *row, const uint32_t *figures, unsigned columns)
{
    uint32_t highest = 1;
    size_t slot;
    for (unsigned age = 0; age < columns && ring_slot(row, age, &slot); age++)
        if (figures[slot] > highest)
            highest = figures[slot];
    return highest;
}

// Each row has its own scale: the shape tells whether it grows, the column beside it how large it
// is.
void top_draw_trend(struct pen *pen, const struct top_row *row, unsigned columns)
{
    const char *const *blocks = pen->canvas->unicode ? eighths : ascii_eighths;
    uint32_t highest = ring_highest(row, row->effective_kib, columns);
    for (unsigned i = columns; i-- > 0;) {
        size_t slot;
        if (!ring_slot(row, i, &slot)) {
            pen_blanks(pen, 1);
            continue;
        }
        // From one eighth on: a round of nothing still shows that there was one.
        pen_text(pen, blocks[1 + (uint64_t)row->effective_kib[slot] * 7 / highest]);
    }
}

// One cell of the chart: `level` of `levels` lines, in eighths of a line.
static void draw_cell(struct pen *pen, uint64_t effective, uint64_t rss, unsigned level)
{
    const char *const *blocks = pen->canvas->unicode ? eighths : ascii_eighths;
    // What the lines below it have drawn.
    uint64_t floor = (uint64_t)level * 8;
    if (effective > floor) {
        uint64_t part = effective - floor;
        pen->color = COLOR_NONE;
        pen_text(pen, blocks[part < 8 ? part : 8]);
    } else if (rss > floor) {
        pen->color = COLOR_LAZY;
        pen_text(pen, pen->canvas->unicode ? "░" : ":");
    } else {
        pen_blanks(pen, 1);
    }
    pen->color = COLOR_NONE;
}

// The newest round stands at the right edge, as on every monitor; until there are enough rounds the
// left stays empty.
static void draw_chart(const struct canvas *canvas, unsigned first, unsigned lines,
                       const struct top_row *row)
{
    // The caller has seen to it that there are some.
    unsigned columns = canvas->columns - LEFT_COLUMNS - 1;
    if (columns > TOP_HISTORY)
        columns = TOP_HISTORY;
    uint32_t highest = ring_highest(row, row->rss_kib, columns);
    char size[UNITS_TEXT_MAX];
    units_format_bytes((uint64_t)highest * 1024, size, sizeof size);
    struct pen title = {
        .canvas = canvas, .line = first, .column = LEFT_COLUMNS, .color = COLOR_DIM};
    pen_format(&title, "RSS (%s lazily freed), highest %s", canvas->unicode ? "░" : ":", size);
    unsigned levels = lines - 1;
    for (unsigned line = 0; line < levels; line++) {
        struct pen pen = {.canvas = canvas, .line = first + 1 + line, .column = LEFT_COLUMNS};
        for (unsigned i = columns; i-- > 0;) {
            size_t slot;
            if (!ring_slot(row, i, &slot)) {
                pen_blanks(&pen, 1);
                continue;
            }
            uint64_t scale = (uint64_t)levels * 8;
            draw_cell(&pen, row->effective_kib[slot] * scale / highest,
                      row->rss_kib[slot] * scale / highest, levels - 1 - line);
        }
    }
}

// The colours of explain's account, so that both are read alike.
static enum render_color account_color(enum account_row row)
{
    return row == ROW_LAZY                       ? COLOR_LAZY
           : row == ROW_KEPT || row == ROW_SLACK ? COLOR_WARN
           : row == ROW_UNEXPLAINED              ? COLOR_BAD
                                                 : COLOR_NONE;
}

// Shares are of the rows' own sum: RSS moves on between two accounts, and bars must not change with
// it.
static void draw_account_row(struct pen *pen, const struct top_row *row, enum account_row which)
{
    uint64_t whole = 0;
    for (int i = 0; i < ROW_COUNT; i++)
        whole += row->row_bytes[i];
    char size[UNITS_TEXT_MAX];
    units_format_bytes(row->row_bytes[which], size, sizeof size);
    pen_left(pen, account_row_title(which), TITLE_COLUMNS);
    pen_right(pen, size, SIZE_COLUMNS);
    pen_blanks(pen, 2);
    struct render_style style = {.unicode = pen->canvas->unicode};
    struct buffer bar = {0};
    pen->color = account_color(which);
    if (format_bar(&style, row->row_bytes[which], whole, BAR_COLUMNS, &bar) == 0 && bar.data)
        pen_text(pen, bar.data);
    buffer_free(&bar);
}

// From the top, as many rows as there are lines: the first ones are the program's own.
static void draw_account(const struct canvas *canvas, unsigned first, unsigned lines,
                         const struct top_row *row)
{
    unsigned line = 0;
    for (int which = 0; which < ROW_COUNT && line < lines; which++) {
        if (row->row_bytes[which] == 0)
            continue;
        struct pen pen = {.canvas = canvas, .line = first + line};
        draw_account_row(&pen, row, (enum account_row)which);
        line++;
    }
}

// Who it is, and how old what is below: an account is of one moment.
static void draw_title(const struct canvas *canvas, unsigned line, const struct top_row *row,
                       int64_t now_ms)
{
    struct pen pen = {.canvas = canvas, .line = line, .color = COLOR_BOLD};
    if (row->figures.is_group)
        pen_format(&pen, "%u processes, %u starts a minute: ", row->figures.members,
                   row->figures.starts_per_minute);
    else
        pen_format(&pen, "%d ", row->figures.pid);
    pen_name(&pen, row->cmdline[0] ? row->cmdline : row->figures.name, canvas->columns * 2 / 5);
    pen.color = COLOR_DIM;
    if (!row->has_account) {
        pen_text(&pen, "  no account yet, or no right to read it");
        return;
    }
    char age[UNITS_TEXT_MAX];
    units_format_seconds((double)(now_ms - row->account_ms) / 1000, age, sizeof age);
    pen_format(&pen, "  account of %s ago", age);
}

// From the sentence to the figures: whoever has only four lines sees the verdict.
void top_draw_detail(const struct canvas *canvas, unsigned first, unsigned lines,
                     const struct top_row *row, int64_t now_ms)
{
    struct pen rule = {.canvas = canvas, .line = first, .color = COLOR_DIM};
    for (unsigned i = 0; i < canvas->columns; i++)
        pen_text(&rule, canvas->unicode ? "─" : "-");
    draw_title(canvas, first + 1, row, now_ms);
    struct pen verdict = {.canvas = canvas, .line = first + 2};
    pen_name(&verdict, row->headline, canvas->columns - 4);
    if (row->next[0] && lines > 3) {
        struct pen next = {.canvas = canvas, .line = first + 3, .color = COLOR_DIM};
        pen_text(&next, "next: ");
        pen_name(&next, row->next, canvas->columns - 10);
    }
    // Less than two rows of an account are no account.
    if (lines < 6)
        return;
    draw_account(canvas, first + 4, lines - 4, row);
    if (canvas->columns > LEFT_COLUMNS + 20)
        draw_chart(canvas, first + 4, lines - 4, row);
}
