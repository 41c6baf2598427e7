// SPDX-License-Identifier: Apache-2.0
// The screen of `ebb top`: its rows, their order, what keys do, and the drawing onto a canvas. Tool
// world; pure, so that a test can press keys and read the screen without a terminal.
//
// Batches go into a `struct top`; a `struct top_view` is what the user made of it (order, filter,
// selection); top_draw() puts both onto whatever paints text.
#ifndef EBB_RENDER_TOP_H
#define EBB_RENDER_TOP_H

#include <stdbool.h>

#include "render/format.h"
#include "render/render.h"
#include "sample/sample.h"

enum { TOP_HISTORY = 120 }; // rounds that the detail pane can show

// A process on the screen, or a group of them. Figures that nobody could read are SAMPLE_UNKNOWN,
// and shown as "-".
struct top_row {
    struct table_row figures; // verdict 0: none yet
    unsigned subject;
    bool has_account;
    int64_t account_ms; // when the rows below were measured
    uint64_t row_bytes[ROW_COUNT];
    char headline[VERDICT_TEXT_MAX], next[VERDICT_TEXT_MAX], cmdline[256];
    uint32_t rss_kib[TOP_HISTORY], effective_kib[TOP_HISTORY]; // a ring, `rounds` written so far
    size_t rounds;
    int64_t start_ms;    // of the process
    unsigned group;      // id of its group's row
    char group_name[64]; // the name without a title, raw
    unsigned program;    // id of its executable's row, where that is called otherwise; 0 none
    char exe[64];
    bool is_collapsed; // a group stands for it in the plain list
    size_t unread;     // of a group: how many of its processes have no account
};

struct top_group;

// Zero-initialised is empty; top_free() frees it and makes it so again.
struct top {
    struct top_row *rows; // ascending by subject
    size_t count, capacity;
    struct top_group *groups; // ascending by id, see top_groups.h
    size_t group_count, group_capacity;
    struct host_sample host;
    int64_t time_ms;
};

// Takes a round over: samples into their rows, new subjects, and ended ones off. 0, -ENOMEM.
int top_update(struct top *top, const struct batch *batch, const struct subject *subjects,
               size_t subject_count);
void top_free(struct top *top);
// The figures of a row go into its history.
void top_row_push(struct top_row *row);

// What the rows are sorted by: the largest, or the first of the alphabet, on top.
enum top_order {
    TOP_BY_BACK, // what could be got back: lazy + kept
    TOP_BY_RSS,
    TOP_BY_LAZY,
    TOP_BY_KEPT,
    TOP_BY_EFFECTIVE,
    TOP_BY_VERDICT,
    TOP_BY_PID,
    TOP_BY_NAME,
    TOP_ORDER_COUNT
};
const char *top_order_name(enum top_order order); // "back", "rss", ...: for an option

// Keys that are no characters; others are what was typed, as a code point.
enum top_key {
    TOP_KEY_UP = 0x110000,
    TOP_KEY_DOWN,
    TOP_KEY_LEFT,
    TOP_KEY_RIGHT,
    TOP_KEY_PAGE_UP,
    TOP_KEY_PAGE_DOWN,
    TOP_KEY_HOME,
    TOP_KEY_END,
    TOP_KEY_ENTER,
    TOP_KEY_ESCAPE,
    TOP_KEY_BACKSPACE,
};

struct top_view {
    enum top_order order;
    bool is_reversed, is_paused;
    bool is_grouped; // a row for each name
    bool shows_each; // processes that keep ending too, each by itself
    bool shows_detail, shows_help;
    bool is_typing;    // the filter
    char filter[64];   // part of a name, a command line, a runtime or a verdict; "": all
    unsigned selected; // a subject; 0 none
    size_t first;      // of the rows on the screen
    bool exact_bytes;
};

// What a key asks of the caller.
enum top_wish { TOP_WISH_NONE, TOP_WISH_QUIT, TOP_WISH_ACCOUNT, TOP_WISH_FASTER, TOP_WISH_SLOWER };
enum top_wish top_press(struct top_view *view, const struct top *top, unsigned page, uint32_t key);

// The rows that the filter leaves, in order; malloc'ed pointers into `top`, free() them. 0,
// -ENOMEM.
int top_list(const struct top *top, const struct top_view *view, const struct top_row ***ret_rows,
             size_t *ret_count);

// What a screen can do. Text is valid UTF-8 without control bytes, and never beyond the columns.
struct canvas {
    unsigned lines, columns;
    bool unicode;
    void *context;
    void (*put)(void *context, unsigned line, unsigned column, enum render_color color,
                bool is_inverse, const char *text);
};

// Draws it all; the caller has cleared the screen. Moves the view's selection and first row to
// where they can be seen. Cost: that of the rows on the screen, and of sorting. 0, -ENOMEM.
int top_draw(const struct top *top, struct top_view *view, const struct canvas *canvas);

// How many process rows a screen of that size shows.
unsigned top_page(const struct top_view *view, unsigned lines);

// The rows as the table that `explain --all` prints, in the view's order. 0, -ENOMEM.
int top_table(const struct top *top, const struct top_view *view, struct table *ret_table);

#endif
