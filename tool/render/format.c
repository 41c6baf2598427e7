// SPDX-License-Identifier: Apache-2.0
// Pieces that renderers share, see format.h. Tool world; pure.
#include "render/format.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/columns.h"
#include "base/units.h"
#include "base/utf8.h"

// Exact sizes have no unit and no separators: they are for scripts and for comparing with smaps.
void format_bytes(const struct render_style *style, uint64_t bytes, char *ret_text, size_t size)
{
    if (style->exact_bytes)
        snprintf(ret_text, size, "%" PRIu64, bytes);
    else
        units_format_bytes(bytes, ret_text, size);
}

// Writes one character of a name, escaped where needed: four bytes at most, with the NUL five.
// Returns how many bytes of it were used.
static size_t format_character(const unsigned char *name, char piece[8])
{
    unsigned char c = name[0];
    size_t length = c >= 0x80 ? utf8_safe_length(name) : 1;
    if (length == 0 || c < 0x20 || c == 0x7F) {
        snprintf(piece, 8, "\\x%02x", c);
        return 1;
    }
    if (c == '\\') {
        memcpy(piece, "\\\\", 3);
        return 1;
    }
    memcpy(piece, name, length);
    piece[length] = '\0';
    return length;
}

// Pieces are never cut in the middle: what is shown stays valid UTF-8 and shows no half of an
// escape. `measure` says what the limit counts.
static int append_escaped(struct buffer *buffer, const char *name, size_t limit,
                          size_t (*measure)(struct text piece))
{
    size_t written = 0;
    while (*name) {
        char piece[8];
        size_t used = format_character((const unsigned char *)name, piece);
        size_t taken = measure(text_of(piece));
        if (limit && written + taken > limit)
            return buffer_append(buffer, "...", 3);
        int error = buffer_append(buffer, piece, strlen(piece));
        if (error)
            return error;
        written += taken;
        name += used;
    }
    return 0;
}

static size_t count_bytes(struct text piece)
{
    return piece.len;
}

int format_escaped(struct buffer *buffer, const char *name, size_t limit)
{
    return append_escaped(buffer, name, limit, format_columns);
}

int format_escaped_bytes(struct buffer *buffer, const char *name, size_t limit)
{
    return append_escaped(buffer, name, limit, count_bytes);
}

// Escaped twice where it is too long, which is seldom: only then is there something to make room
// for.
int format_name(struct buffer *buffer, const char *name, size_t columns)
{
    struct buffer whole = {0};
    int error = format_escaped(&whole, name, 0);
    if (!error && format_columns(buffer_text(&whole)) <= columns)
        error = whole.len > 0 ? buffer_append(buffer, whole.data, whole.len) : 0;
    else if (!error)
        error = columns > 3 ? format_escaped(buffer, name, columns - 3)
                            : buffer_append(buffer, "...", columns);
    buffer_free(&whole);
    return error;
}

// The eight colours that every terminal has, which its owner has made readable there.
static const char *color_code(enum render_color color)
{
    switch (color) {
    case COLOR_NONE:
        break;
    case COLOR_BOLD:
        return "\033[1m";
    case COLOR_DIM:
        return "\033[2m";
    case COLOR_GOOD:
        return "\033[32m";
    case COLOR_WARN:
        return "\033[33m";
    case COLOR_BAD:
        return "\033[31m";
    case COLOR_LAZY:
        return "\033[36m";
    }
    return "";
}

// COLOR_NONE writes nothing, not a reset: a piece without colour may stand inside a coloured one.
int format_color_begin(const struct render_style *style, enum render_color color,
                       struct buffer *buffer)
{
    if (!style->color || color == COLOR_NONE)
        return 0;
    const char *code = color_code(color);
    return buffer_append(buffer, code, strlen(code));
}

// Nothing where no colour was begun: files and pipes stay free of escapes.
int format_color_end(const struct render_style *style, enum render_color color,
                     struct buffer *buffer)
{
    if (!style->color || color == COLOR_NONE)
        return 0;
    return buffer_append(buffer, "\033[0m", 4);
}

// Rounded to the nearest eighth, so that rows of equal size have equal bars.
int format_bar(const struct render_style *style, uint64_t part, uint64_t whole, unsigned columns,
               struct buffer *buffer)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    // A share of nothing is nothing; a part beyond the whole fills the bar and no more.
    double share = whole ? (double)part / (double)whole : 0;
    if (share > 1)
        share = 1;
    unsigned units = (unsigned)(share * columns * 8 + 0.5);
    // What is there is seen, however little.
    if (part > 0 && units == 0)
        units = 1;
    int error = 0;
    for (unsigned i = 0; i < units / 8 && !error; i++)
        error = style->unicode ? buffer_append(buffer, "█", 3) : buffer_append(buffer, "#", 1);
    if (error)
        return error;
    if (style->unicode)
        return buffer_append(buffer, eighths[units % 8], strlen(eighths[units % 8]));
    // Without eighths a half counts, and so does a bar that would vanish.
    bool rounds_up = units % 8 >= 4 || (units > 0 && units < 8);
    return rounds_up ? buffer_append(buffer, "#", 1) : 0;
}

size_t format_columns(struct text text)
{
    size_t columns = 0;
    while (text.len > 0)
        columns += columns_of_character(columns_next_character(&text));
    return columns;
}

// Marks behind the last character still belong to it: they take no column.
size_t format_bytes_within(struct text text, size_t columns)
{
    struct text rest = text;
    size_t taken = 0;
    while (rest.len > 0) {
        struct text behind = rest;
        taken += columns_of_character(columns_next_character(&behind));
        if (taken > columns)
            break;
        rest = behind;
    }
    return text.len - rest.len;
}
