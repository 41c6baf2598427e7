// SPDX-License-Identifier: Apache-2.0
// A pen on a canvas, see top_pen.h. Tool world; pure.
#include "render/top_pen.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// Bytes of a UTF-8 text that take at most `columns`, in whole characters.
static size_t bytes_within(const char *text, unsigned columns)
{
    size_t len = 0;
    for (unsigned taken = 0; text[len]; len++) {
        bool begins = ((unsigned char)text[len] & 0xC0) != 0x80;
        if (begins && taken++ == columns)
            break;
    }
    return len;
}

// The one place that paints: whatever the caller does, nothing is put outside of the canvas.
void pen_text(struct pen *pen, const char *text)
{
    const struct canvas *canvas = pen->canvas;
    if (pen->line >= canvas->lines || pen->column >= canvas->columns || !text[0])
        return;
    char cut[512];
    size_t len = bytes_within(text, canvas->columns - pen->column);
    // No piece is that long, and a cut one must not end within a character.
    if (len >= sizeof cut)
        len = bytes_within(text, sizeof cut / 4 - 1);
    memcpy(cut, text, len);
    cut[len] = '\0';
    canvas->put(canvas->context, pen->line, pen->column, pen->color, pen->is_inverse, cut);
    pen->column += (unsigned)format_columns(text_of(cut));
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
void pen_name(struct pen *pen, const char *name, size_t limit)
{
    struct buffer shown = {0};
    if (format_escaped(&shown, name, limit) == 0 && shown.data)
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
