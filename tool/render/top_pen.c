// SPDX-License-Identifier: Apache-2.0
// A pen on a canvas, see top_pen.h. Tool world; pure.
#include "render/top_pen.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/columns.h"

// A terminal whose locale is not UTF-8 would show the bytes of a name one by one: there a question
// mark stands for each column.
static void replace_wide(char *text)
{
    struct text rest = text_of(text);
    while (rest.len > 0) {
        uint32_t character = columns_next_character(&rest);
        unsigned columns = character < 0x80 ? 0 : columns_of_character(character);
        if (character < 0x80)
            *text++ = (char)character;
        // Never more columns than bytes, so that what is still to be read stays.
        while (columns-- > 0)
            *text++ = '?';
    }
    *text = '\0';
}

// The one place that paints: whatever the caller does, nothing is put outside of the canvas.
void pen_text(struct pen *pen, const char *text)
{
    const struct canvas *canvas = pen->canvas;
    if (pen->line >= canvas->lines || pen->column >= canvas->columns || !text[0])
        return;
    char cut[512];
    // No piece is that long, and a cut one must not end within a character.
    struct text whole = text_of(text);
    whole.len = format_bytes_within(whole, canvas->columns - pen->column);
    text_copy(whole, cut, sizeof cut);
    if (!canvas->unicode)
        replace_wide(cut);
    canvas->put(canvas->context, pen->line, pen->column, pen->color, pen->is_inverse, cut);
    pen->column += (unsigned)format_columns(text_of(cut));
}

void pen_whole(struct pen *pen, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    // As counted by pen_text(), so that both agree on where the line ends.
    if (pen->column + format_columns(text_of(text)) <= pen->canvas->columns)
        pen_text(pen, text);
}

// For figures; names of targets never come this way, since they are not escaped here.
void pen_format(struct pen *pen, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    pen_text(pen, text);
}

// Without memory the name is missing for one refresh.
void pen_name(struct pen *pen, const char *name, size_t columns)
{
    struct buffer shown = {0};
    if (format_name(&shown, name, columns) == 0 && shown.data)
        pen_text(pen, shown.data);
    buffer_free(&shown);
}

// Blanks are painted too, not skipped: in an inverse line they carry the colour.
void pen_blanks(struct pen *pen, unsigned columns)
{
    static const char blanks[] = "                                                                ";
    while (columns > 0 && pen->column < pen->canvas->columns) {
        unsigned piece = columns < sizeof blanks - 1 ? columns : (unsigned)sizeof blanks - 1;
        pen_text(pen, blanks + (sizeof blanks - 1 - piece));
        columns -= piece;
    }
}

// A field that took more than its columns is still parted from the next one.
void pen_to(struct pen *pen, unsigned column)
{
    if (column > pen->column)
        pen_blanks(pen, column - pen->column);
    else
        pen_blanks(pen, 1);
}

// By characters, not bytes: "±" and names with accents take one column each.
void pen_right(struct pen *pen, const char *text, unsigned columns)
{
    size_t taken = format_columns(text_of(text));
    if (taken < columns)
        pen_blanks(pen, columns - (unsigned)taken);
    pen_text(pen, text);
}

// As above, on the other side.
void pen_left(struct pen *pen, const char *text, unsigned columns)
{
    size_t taken = format_columns(text_of(text));
    pen_text(pen, text);
    if (taken < columns)
        pen_blanks(pen, columns - (unsigned)taken);
}
