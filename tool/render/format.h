// SPDX-License-Identifier: Apache-2.0
// Pieces that renderers share: sizes, times, escaping, colour, bars. Tool world; pure.
#ifndef EBB_RENDER_FORMAT_H
#define EBB_RENDER_FORMAT_H

#include <stdint.h>

#include "base/buffer.h"
#include "render/render.h"

enum render_color {
    COLOR_NONE,
    COLOR_BOLD,
    COLOR_DIM,
    COLOR_GOOD,
    COLOR_WARN,
    COLOR_BAD,
    COLOR_LAZY,
};

// As units_format_bytes(), or plain digits where the style is exact.
void format_bytes(const struct render_style *style, uint64_t bytes, char *ret_text, size_t size);

// Appends a name from a target: control bytes, DEL and broken UTF-8 become \xNN, a backslash is
// doubled, and so are marks that turn the direction of text. Cut at `limit` columns of output with
// "..." behind them (0: no limit). 0 or -ENOMEM.
int format_escaped(struct buffer *buffer, const char *name, size_t limit);
// The same with a limit in bytes, for buffers of a fixed size.
int format_escaped_bytes(struct buffer *buffer, const char *name, size_t limit);
// The same for a column of a table: at most `columns`, the dots of what is cut included.
int format_name(struct buffer *buffer, const char *name, size_t columns);

// Colours have roles, so that all reports agree; COLOR_LAZY is for lazily freed memory alone.
// Appends the escape sequence that begins or ends a colour; nothing in a style without colour.
int format_color_begin(const struct render_style *style, enum render_color color,
                       struct buffer *buffer);
int format_color_end(const struct render_style *style, enum render_color color,
                     struct buffer *buffer);

// Appends a bar of `part` in `whole` in at most `columns` columns, in eighths of a column where the
// style allows. At least one mark for any part but 0, whatever the whole is. 0 or -ENOMEM.
int format_bar(const struct render_style *style, uint64_t part, uint64_t whole, unsigned columns,
               struct buffer *buffer);

// Columns that a UTF-8 text takes on a terminal: wide characters two, combining marks none.
size_t format_columns(struct text text);
// How many bytes of it fit into so many columns, in whole characters.
size_t format_bytes_within(struct text text, size_t columns);

#endif
