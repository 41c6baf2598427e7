// SPDX-License-Identifier: Apache-2.0
// What the keys of `ebb top` do. Tool world; pure.
#include <stdlib.h>
#include <string.h>

#include "render/top_groups.h"

static const char *const order_names[TOP_ORDER_COUNT] = {
    [TOP_BY_BACK] = "back",
    [TOP_BY_RSS] = "rss",
    [TOP_BY_LAZY] = "lazy",
    [TOP_BY_KEPT] = "kept",
    [TOP_BY_EFFECTIVE] = "effective",
    [TOP_BY_VERDICT] = "verdict",
    [TOP_BY_PID] = "pid",
    [TOP_BY_NAME] = "name",
};

// The names are those of --sort, so that what one sees can be typed.
const char *top_order_name(enum top_order order)
{
    return order < TOP_ORDER_COUNT ? order_names[order] : "";
}

// The place of the selected process in the list; 0 where it is not there any more.
static size_t place_of(const struct top_row *const *rows, size_t count, unsigned subject)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i]->subject == subject)
            return i;
    return 0;
}

// The selection holds on to a process, not to a line: it moves with it when the order changes.
static void select_by(struct top_view *view, const struct top *top, long step)
{
    const struct top_row **rows;
    size_t count;
    // Without memory the selection stays where it is.
    if (top_list(top, view, &rows, &count))
        return;
    long place = (long)place_of(rows, count, view->selected);
    // A first key press selects the first line rather than the second; but End is the end.
    if (view->selected != 0 || step > 1)
        place += step;
    if (place >= (long)count)
        place = (long)count - 1;
    if (count > 0)
        view->selected = rows[place < 0 ? 0 : place]->subject;
    free(rows);
}

// Round and round; the list begins at its top again, where the new order shows.
static void order_by(struct top_view *view, int step)
{
    // The count is added, since % of a negative number is negative.
    view->order = (enum top_order)(((int)view->order + step + TOP_ORDER_COUNT) % TOP_ORDER_COUNT);
    view->first = 0;
}

// The last character of a UTF-8 text goes with all its bytes.
static void erase_last(char *text)
{
    size_t len = strlen(text);
    // Continuation bytes are 10xxxxxx. Source: RFC 3629.
    while (len > 0 && ((unsigned char)text[len - 1] & 0xC0) == 0x80)
        len--;
    text[len > 0 ? len - 1 : 0] = '\0';
}

// UTF-8 by hand, since the C library's way depends on the locale; what does not fit is not typed.
static void type_into(char *text, size_t size, uint32_t key)
{
    char bytes[5] = {0};
    if (key < 0x80)
        bytes[0] = (char)key;
    // Beyond the first plane no process is called.
    else if (key < 0x800)
        bytes[0] = (char)(0xC0 | key >> 6), bytes[1] = (char)(0x80 | (key & 0x3F));
    else if (key < 0x10000)
        bytes[0] = (char)(0xE0 | key >> 12), bytes[1] = (char)(0x80 | (key >> 6 & 0x3F)),
        bytes[2] = (char)(0x80 | (key & 0x3F));
    else
        return;
    size_t len = strlen(text), more = strlen(bytes);
    if (len + more < size)
        memcpy(text + len, bytes, more + 1);
}

// Each key narrows the list at once; Enter keeps the filter, Escape drops it.
static void press_typing(struct top_view *view, uint32_t key)
{
    if (key == TOP_KEY_ESCAPE)
        view->filter[0] = '\0';
    if (key == TOP_KEY_ENTER || key == TOP_KEY_ESCAPE)
        view->is_typing = false;
    else if (key == TOP_KEY_BACKSPACE)
        erase_last(view->filter);
    else if (key >= ' ' && key != 0x7F && key < TOP_KEY_UP)
        type_into(view->filter, sizeof view->filter, key);
    // The list may have become shorter than where it stood.
    view->first = 0;
}

// Arrows, and the letters of vi and less for those who have them in their fingers. A page overlaps
// by a line, so that the eye finds the place again.
static void press_move(struct top_view *view, const struct top *top, unsigned page, uint32_t key)
{
    long step = page > 1 ? (long)page - 1 : 1;
    switch (key) {
    case TOP_KEY_UP:
    case 'k':
        select_by(view, top, -1);
        break;
    case TOP_KEY_DOWN:
    case 'j':
        select_by(view, top, 1);
        break;
    case TOP_KEY_PAGE_UP:
        select_by(view, top, -step);
        break;
    case TOP_KEY_PAGE_DOWN:
        select_by(view, top, step);
        break;
    // More steps than there are lines: select_by() stops at the end.
    case TOP_KEY_HOME:
    case 'g':
        select_by(view, top, -(long)top->count);
        break;
    case TOP_KEY_END:
    case 'G':
        select_by(view, top, (long)top->count);
        break;
    default:
        break;
    }
}

// Escape goes one step back: from the help, from the detail, from the filter.
static void press_escape(struct top_view *view)
{
    if (view->shows_help)
        view->shows_help = false;
    else if (view->shows_detail)
        view->shows_detail = false;
    else
        view->filter[0] = '\0';
}

// What changes the view alone; whoever calls draws again in any case.
static void press_look(struct top_view *view, const struct top *top, uint32_t key)
{
    switch (key) {
    case TOP_KEY_LEFT:
    case '<':
        order_by(view, -1);
        break;
    case TOP_KEY_RIGHT:
    case '>':
        order_by(view, 1);
        break;
    // The order's own sense is kept: another order is turned round as well.
    case 'r':
        view->is_reversed = !view->is_reversed;
        break;
    case 'b':
        view->exact_bytes = !view->exact_bytes;
        break;
    case 'p':
    case ' ':
        view->is_paused = !view->is_paused;
        break;
    case '/':
        view->is_typing = true;
        break;
    // Rows of one list are none of the other: nothing stays selected.
    case 'n':
        view->is_grouped = !view->is_grouped;
        view->selected = 0;
        view->first = 0;
        view->shows_detail = false;
        break;
    case '?':
    case 'h':
        view->shows_help = !view->shows_help;
        break;
    // A step of nothing selects the first line where none was.
    case TOP_KEY_ENTER:
        if (view->selected == 0)
            select_by(view, top, 0);
        view->shows_detail = !view->shows_detail;
        break;
    case TOP_KEY_ESCAPE:
        press_escape(view);
        break;
    default:
        break;
    }
}

// A group's accounts are those of its processes: there is none to be read of itself.
static bool is_process(const struct top_view *view)
{
    return view->selected != 0 && !top_row_is_group(view->selected);
}

// While a filter is typed every key is a letter, q too.
enum top_wish top_press(struct top_view *view, const struct top *top, unsigned page, uint32_t key)
{
    if (view->is_typing) {
        press_typing(view, key);
        return TOP_WISH_NONE;
    }
    press_move(view, top, page, key);
    press_look(view, top, key);
    switch (key) {
    case 'q':
        return TOP_WISH_QUIT;
    case 'a':
        return is_process(view) ? TOP_WISH_ACCOUNT : TOP_WISH_NONE;
    case '+':
        return TOP_WISH_FASTER;
    case '-':
        return TOP_WISH_SLOWER;
    case TOP_KEY_ENTER:
        // Whoever opens the detail wants to see it as it is now.
        return view->shows_detail && is_process(view) ? TOP_WISH_ACCOUNT : TOP_WISH_NONE;
    default:
        return TOP_WISH_NONE;
    }
}
