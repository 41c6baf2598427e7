// SPDX-License-Identifier: Apache-2.0
// Building text reports: headings, wrapped paragraphs, coloured pieces. Tool world; pure; internal
// to renderers.
#ifndef EBB_RENDER_TEXT_H
#define EBB_RENDER_TEXT_H

#include "render/format.h"

// A text being written. The first error sticks and later calls do nothing, so that a report is
// written without a check after every word.
struct writer {
    struct buffer *buffer; // borrowed, as the style is
    const struct render_style *style;
    int error;
    size_t pending_blanks; // written before the next text, dropped at the end of a line
};

// Columns that paragraphs may fill: the style's, 80 where it has none, at least 40.
unsigned writer_width(const struct writer *writer);

// Our own words. Never for a text of the target.
void write_text(struct writer *writer, const char *text);
// The same with figures: no %s for a name from the target either.
void write_format(struct writer *writer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// The text between the codes of a colour; without colours just the text.
void write_colored(struct writer *writer, enum render_color color, const char *text);
// A name from a target, escaped; `limit` as in format_escaped().
void write_name(struct writer *writer, const char *name, size_t limit);
// `columns` blanks; none are left at the end of a line.
void write_blanks(struct writer *writer, size_t columns);
// `text` flush right in `columns`; wider text takes what it needs.
void write_right(struct writer *writer, const char *text, size_t columns);
// Columns that the line has so far, with the blanks that were put off.
size_t writer_column(const struct writer *writer);
// Our own words behind what the line has, after two blanks; where it has no room for them, on the
// next one, indented.
void write_fitting(struct writer *writer, const char *text, size_t indent);
// A paragraph, broken at blanks, with the first line begun at column `column` already and the
// others indented by `indent`. Text may hold names from a target: it is escaped.
void write_wrapped(struct writer *writer, const char *text, size_t column, size_t indent);

#endif
