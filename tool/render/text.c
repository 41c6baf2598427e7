// SPDX-License-Identifier: Apache-2.0
// Building text reports, see text.h. Tool world; pure.
//
// Blanks are put off until something follows them, so no line ends in any: reports are pasted into
// tickets and compared as goldens.
#include "render/text.h"

#include <stdarg.h>
#include <string.h>

// Below forty columns nothing can be broken sensibly: such a terminal gets lines that are too long.
unsigned writer_width(const struct writer *writer)
{
    unsigned width = writer->style->width ? writer->style->width : 80;
    return width < 40 ? 40 : width;
}

// Writes the blanks that were put off, now that something follows them. Called by everything that
// writes to the buffer past write_text().
static void write_pending(struct writer *writer)
{
    for (; writer->pending_blanks > 0 && !writer->error; writer->pending_blanks--)
        writer->error = buffer_append(writer->buffer, " ", 1);
}

// The first failure is kept, and all that comes after is dropped: callers look once, at the end.
void write_text(struct writer *writer, const char *text)
{
    // Callers write a newline at the end of a text or alone, never blanks before it.
    if (text[0] == '\n')
        writer->pending_blanks = 0;
    else if (text[0])
        write_pending(writer);
    if (!writer->error)
        writer->error = buffer_append(writer->buffer, text, strlen(text));
}

// For formats that begin with something to be seen: blanks put off are written whatever comes of
// it.
void write_format(struct writer *writer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_pending(writer);
    // va_end() is due on every way out, so the check stands here and not at the top.
    if (!writer->error)
        writer->error = buffer_vprintf(writer->buffer, format, args);
    va_end(args);
}

// Ends its colour before anything else is written: a cut line leaves the terminal as it was.
void write_colored(struct writer *writer, enum render_color color, const char *text)
{
    // Without text no codes either: they would keep the line from ending in nothing.
    if (!text[0])
        return;
    // Blanks stay outside of the colour, so that an underlined or inverted one shows none.
    write_pending(writer);
    if (!writer->error)
        writer->error = format_color_begin(writer->style, color, writer->buffer);
    write_text(writer, text);
    if (!writer->error)
        writer->error = format_color_end(writer->style, color, writer->buffer);
}

// An empty name still writes the blanks before it: its column stays where it is.
void write_name(struct writer *writer, const char *name, size_t limit)
{
    write_pending(writer);
    if (!writer->error)
        writer->error = format_escaped(writer->buffer, name, limit);
}

// Never tabs: their width is the terminal's business.
void write_blanks(struct writer *writer, size_t columns)
{
    writer->pending_blanks += columns;
}

// Text wider than its columns moves what follows: a figure is never cut.
void write_right(struct writer *writer, const char *text, size_t columns)
{
    size_t taken = format_columns(text_of(text));
    write_blanks(writer, taken < columns ? columns - taken : 0);
    write_text(writer, text);
}

size_t writer_column(const struct writer *writer)
{
    struct text line = buffer_text(writer->buffer);
    for (size_t at = line.len; at > 0; at--)
        if (line.data[at - 1] == '\n') {
            line = (struct text){line.data + at, line.len - at};
            break;
        }
    return format_columns(line) + writer->pending_blanks;
}

void write_fitting(struct writer *writer, const char *text, size_t indent)
{
    bool fits = writer_column(writer) + 2 + format_columns(text_of(text)) <= writer_width(writer);
    write_text(writer, fits ? "" : "\n");
    write_blanks(writer, fits ? 2 : indent);
    write_text(writer, text);
}

// At blanks only; a word longer than the line (a path) stays whole, so that it can be copied.
void write_wrapped(struct writer *writer, const char *text, size_t column, size_t indent)
{
    // Escaped first: an escaped byte takes four columns, and an escaped newline breaks no line.
    struct buffer escaped = {0};
    if (!writer->error)
        writer->error = format_escaped(&escaped, text, 0);
    struct text rest = buffer_text(&escaped), word;
    bool first = true;
    // Two blanks in a row make an empty word, which takes its blank and no more.
    while (!writer->error && text_next_field(&rest, ' ', &word)) {
        size_t columns = format_columns(word);
        if (!first && column + 1 + columns > writer_width(writer)) {
            write_text(writer, "\n");
            write_blanks(writer, indent);
            column = indent;
        } else if (!first) {
            write_blanks(writer, 1);
            column++;
        }
        write_pending(writer);
        if (!writer->error)
            writer->error = buffer_append(writer->buffer, word.data, word.len);
        column += columns;
        first = false;
    }
    write_text(writer, "\n");
    buffer_free(&escaped);
}
