// SPDX-License-Identifier: Apache-2.0
// A survey as text for people. Tool world; pure.
//
// Read at night, so it goes from the whole to the detail: who, how much, where, what it means, what
// to do, and last what could not be read. Every text of the target goes through write_name() or
// write_wrapped(), which escape it.
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "render/render.h"
#include "render/text.h"

// Titles, sizes and bars take 50 columns, which leaves 30 of a terminal for the owners.
enum { TITLE_COLUMNS = 16, SIZE_COLUMNS = 12, BAR_COLUMNS = 20 };

// In the order in which they were found, exact readers first. A version may be a vendor's whole
// banner, so it is cut.
static void write_runtime_names(struct writer *writer, const struct survey *survey)
{
    for (size_t i = 0; i < survey->report_count; i++) {
        const struct runtime_report *report = &survey->reports[i];
        write_text(writer, i == 0 ? "  " : ", ");
        write_name(writer, report->name, 0);
        if (report->version[0]) {
            write_text(writer, " ");
            write_name(writer, report->version, 40);
        }
    }
}

// The path is cut: container runtimes make them of three hashes.
static void write_cgroup(struct writer *writer, const struct cgroup *cgroup)
{
    if (cgroup->version == 0)
        return;
    // The tightest limit from here up, which may be another group's.
    write_text(writer, "cgroup ");
    write_name(writer, cgroup->path[0] ? cgroup->path : "/", 60);
    if (cgroup->limit_bytes == CGROUP_NO_LIMIT) {
        write_text(writer, "  no limit");
        return;
    }
    char limit[UNITS_TEXT_MAX];
    format_bytes(writer->style, cgroup->limit_bytes, limit, sizeof limit);
    write_format(writer, "  limit %s", limit);
}

// Two lines: who it is, and where it runs. The first one is what people paste, so it names PID,
// runtime and age, which tell one instance of a service from the next.
static void write_head(struct writer *writer, const struct survey *survey)
{
    // Not write_colored(), which is for our own words: the name is escaped between the two codes.
    char uptime[UNITS_TEXT_MAX];
    units_format_seconds(survey->uptime_s, uptime, sizeof uptime);
    if (!writer->error)
        writer->error = format_color_begin(writer->style, COLOR_BOLD, writer->buffer);
    write_name(writer, survey->name, 0);
    if (!writer->error)
        writer->error = format_color_end(writer->style, COLOR_BOLD, writer->buffer);
    write_format(writer, " (pid %d)", survey->pid);
    write_runtime_names(writer, survey);
    write_format(writer, "  up %s\n", uptime);
    // The second line is left out where there is no memory group.
    write_cgroup(writer, &survey->cgroup);
    if (survey->cgroup.version != 0)
        write_text(writer, "\n");
    write_text(writer, "\n");
}

// Colour says what to do with a row: cyan is free already, yellow could be, red nobody knows.
static enum render_color row_color(enum account_row row)
{
    switch (row) {
    case ROW_LAZY:
        return COLOR_LAZY;
    case ROW_KEPT:
    case ROW_SLACK:
        return COLOR_WARN;
    case ROW_UNEXPLAINED:
        return COLOR_BAD;
    default:
        return COLOR_NONE;
    }
}

// Owners need their 30 columns of a narrow terminal too, and a bar of a few columns tells nothing.
static unsigned bar_columns(const struct writer *writer)
{
    unsigned width = writer_width(writer);
    if (width >= 80)
        return BAR_COLUMNS;
    return width >= 65 ? width - 60 : 0;
}

// The bars of all rows together are as long as the whole, give or take the rounding.
static void write_bar(struct writer *writer, enum account_row row, uint64_t part, uint64_t whole)
{
    // Into a buffer of its own: its columns are counted before colours, which take none, go round
    // it.
    struct buffer bar = {0};
    unsigned columns = bar_columns(writer);
    if (columns == 0)
        return;
    if (!writer->error)
        writer->error = format_bar(writer->style, part, whole, columns, &bar);
    struct text text = buffer_text(&bar);
    write_colored(writer, row_color(row), text.data);
    size_t taken = format_columns(text);
    write_blanks(writer, taken < columns ? columns - taken : 0);
    buffer_free(&bar);
}

// Bytes that a row has from the runtime of the entry at `index`, or 0 where an entry before it has
// told them: a runtime may have several sources in one row.
static uint64_t owner_bytes(const struct account *account, size_t index)
{
    const struct account_entry *first = &account->entries[index];
    for (size_t i = 0; i < index; i++)
        if (account->entries[i].row == first->row &&
            strcmp(account->entries[i].runtime, first->runtime) == 0)
            return 0;
    return account_runtime_bytes(account, first->runtime, first->row);
}

// Where a row's line is, for what stands behind its bar.
struct behind {
    struct writer *writer;
    size_t column, indent;
};

// On a terminal what has no room goes below; a file has room, and a row on one line.
static void write_behind(struct behind *behind, const char *glue, const char *text)
{
    struct writer *writer = behind->writer;
    size_t columns = format_columns(text_of(glue)) + format_columns(text_of(text));
    // One column is for the comma of a piece that goes below.
    if (writer->style->width > 0 && behind->column + columns >= writer_width(writer)) {
        write_text(writer, glue[0] == ',' ? ",\n" : "\n");
        write_blanks(writer, behind->indent);
        behind->column = behind->indent + format_columns(text_of(text));
    } else {
        write_text(writer, glue);
        behind->column += columns;
    }
    write_text(writer, text);
}

// Who owns the row: "Go 400 MiB, glibc 12 MiB", or a name alone where it owns all of it. What is of
// no runtime is not named: the row's title says what it is.
static void write_owners(struct behind *behind, const struct account *account, enum account_row row)
{
    struct writer *writer = behind->writer;
    bool is_first = true;
    for (size_t i = 0; i < account->entry_count; i++) {
        const struct account_entry *entry = &account->entries[i];
        if (entry->row != row || !entry->runtime[0])
            continue;
        uint64_t bytes = owner_bytes(account, i);
        if (bytes == 0)
            continue;
        // One piece, so that a name and its size stay together.
        struct buffer owner = {0};
        char size[UNITS_TEXT_MAX];
        format_bytes(writer->style, bytes, size, sizeof size);
        if (!writer->error)
            writer->error = format_escaped(&owner, entry->runtime, 0);
        if (!writer->error && bytes != account->row_bytes[row])
            writer->error = buffer_printf(&owner, " %s", size);
        if (!writer->error)
            write_behind(behind, is_first ? "  " : ", ", owner.data);
        buffer_free(&owner);
        is_first = false;
    }
}

// An error is shown where it could change what one reads out of the row: from two percent on.
static void write_row_error(struct behind *behind, uint64_t bytes, uint64_t error_bytes)
{
    const struct render_style *style = behind->writer->style;
    // Less is below the three digits that sizes are shown with, or near it.
    if (error_bytes == 0 || error_bytes < bytes / 50)
        return;
    char error[UNITS_TEXT_MAX], piece[UNITS_TEXT_MAX + 8];
    format_bytes(style, error_bytes, error, sizeof error);
    text_format(piece, sizeof piece, "%s %s", style->unicode ? "±" : "+/-", error);
    write_behind(behind, "  ", piece);
}

// Title, size, bar, owners, error: from what everybody reads to what few do.
static void write_row(struct writer *writer, const struct account *account, enum account_row row)
{
    char bytes[UNITS_TEXT_MAX];
    format_bytes(writer->style, account->row_bytes[row], bytes, sizeof bytes);
    // Titles are our own and ASCII, so bytes are columns here; sizes and bars are counted.
    write_format(writer, "  %-*s", TITLE_COLUMNS - 2, account_row_title(row));
    write_right(writer, bytes, SIZE_COLUMNS);
    write_blanks(writer, 2);
    write_bar(writer, row, account->row_bytes[row], account->rss_bytes);
    struct behind behind = {writer, TITLE_COLUMNS + SIZE_COLUMNS + 2 + bar_columns(writer), 0};
    // Below the first of them, but where a terminal has next to nothing there.
    behind.indent = behind.column + 20 <= writer_width(writer) ? behind.column + 2 : TITLE_COLUMNS;
    write_owners(&behind, account, row);
    write_row_error(&behind, account->row_bytes[row], account->row_error_bytes[row]);
    write_text(writer, "\n");
}

// RSS and effective RSS share the first line: the number that alarms, and the one that should. Swap
// follows the rows because it is not among them.
static void write_account(struct writer *writer, const struct account *account)
{
    char rss[UNITS_TEXT_MAX], effective[UNITS_TEXT_MAX];
    format_bytes(writer->style, account->rss_bytes, rss, sizeof rss);
    format_bytes(writer->style, account->effective_bytes, effective, sizeof effective);
    write_format(writer, "%-*s", TITLE_COLUMNS, "RSS");
    write_right(writer, rss, SIZE_COLUMNS);
    if (writer_width(writer) < 50) {
        size_t taken = strlen(effective);
        write_format(writer, "\n%-*s", TITLE_COLUMNS, "effective RSS");
        write_blanks(writer, taken < SIZE_COLUMNS ? SIZE_COLUMNS - taken : 0);
    } else {
        write_text(writer, "  effective ");
    }
    write_colored(writer, COLOR_BOLD, effective);
    write_text(writer, "\n");
    // Empty rows are noise, but that nothing is lazily freed is an answer.
    for (int row = 0; row < ROW_COUNT; row++)
        if (account->row_bytes[row] > 0 || row == ROW_LAZY)
            write_row(writer, account, (enum account_row)row);
    if (account->swap_bytes > 0) {
        char swap[UNITS_TEXT_MAX];
        format_bytes(writer->style, account->swap_bytes, swap, sizeof swap);
        write_format(writer, "swapped out, not in RSS: %s\n", swap);
    }
    write_text(writer, "\n");
}

// Items are indented instead of numbered: nobody refers to them, and they wrap.
static void write_lines(struct writer *writer, const char *heading, enum render_color color,
                        const struct verdict_lines *lines)
{
    if (lines->count == 0)
        return;
    write_colored(writer, color, heading);
    write_text(writer, "\n");
    for (size_t i = 0; i < lines->count; i++) {
        write_text(writer, "  ");
        write_wrapped(writer, lines->text[i], 2, 2);
    }
}

// Red is for what gets worse by waiting.
static enum render_color verdict_color(enum verdict_code code)
{
    if (code == VERDICT_GROWING)
        return COLOR_BAD;
    if (code == VERDICT_UNKNOWN || code == VERDICT_FRAGMENTED)
        return COLOR_WARN;
    return COLOR_GOOD;
}

// The headline begins with the verdict's own word. The heading's size counts its NUL, which stands
// for the blank behind it.
static void write_verdict(struct writer *writer, const struct verdict *verdict)
{
    static const char heading[] = "Verdict:";
    write_colored(writer, verdict_color(verdict->code), heading);
    write_text(writer, " ");
    write_wrapped(writer, verdict->headline, sizeof heading, 2);
    for (size_t i = 0; i < verdict->reasons.count; i++) {
        write_text(writer, "  ");
        write_wrapped(writer, verdict->reasons.text[i], 2, 4);
    }
    write_lines(writer, "Beware:", COLOR_WARN, &verdict->traps);
    write_lines(writer, "Next:", COLOR_BOLD, &verdict->next);
}

// A sentence whatever the reader wrote: "WHAT. What would help: NEEDS.", and where nothing helps,
// "WHAT. Nothing that helps is known.".
static void write_unread_line(struct writer *writer, const struct survey_unread *unread)
{
    // Room for both texts in full and the words around them.
    char line[VERDICT_TEXT_MAX];
    bool is_hopeless = strncmp(unread->needs, "nothing", 7) == 0;
    if (!unread->needs[0])
        text_format(line, sizeof line, "%s.", unread->what);
    else if (is_hopeless)
        text_format(line, sizeof line, "%s. N%s.", unread->what, unread->needs + 1);
    else
        text_format(line, sizeof line, "%s. What would help: %s.", unread->what, unread->needs);
    write_text(writer, "  ");
    write_wrapped(writer, line, 2, 4);
}

// Several runtimes may lack the same thing, and say so in the same words: once is enough.
static bool unread_is_new(const struct survey *survey, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(survey->unread[i].what, survey->unread[index].what) == 0 &&
            strcmp(survey->unread[i].needs, survey->unread[index].needs) == 0)
            return false;
    return true;
}

// Last, because it is about the report and not about the process; never left out, because a figure
// is only worth as much as what is known to be missing from it.
static void write_unread(struct writer *writer, const struct survey *survey)
{
    if (survey->unread_count == 0)
        return;
    write_colored(writer, COLOR_WARN, "Could not read:");
    write_text(writer, "\n");
    for (size_t i = 0; i < survey->unread_count; i++)
        if (unread_is_new(survey, i))
            write_unread_line(writer, &survey->unread[i]);
}

// What asking cost the target is told wherever it was asked.
static void write_ask(struct writer *writer, const struct survey *survey)
{
    if (survey->has_nothing_to_ask)
        write_text(writer,
                   "Asked nothing: no malloc in it knows more than can be read from outside.\n");
    if (survey->ask_calls > 0)
        write_format(writer, "Asked by %llu call%s; one thread stood still for up to %.1f ms.\n",
                     (unsigned long long)survey->ask_calls, survey->ask_calls == 1 ? "" : "s",
                     (double)survey->ask_longest_stop_ns / 1e6);
}

// The verdict first: who was called at night reads no further than the first line that answers.
int render_survey_text(const struct survey *survey, const struct render_style *style,
                       struct buffer *buffer)
{
    // Errors stick in the writer, so that one look at the end is enough.
    struct writer writer = {.buffer = buffer, .style = style};
    write_head(&writer, survey);
    if (survey->has_account) {
        write_account(&writer, &survey->account);
    } else {
        // Said with its source: it may differ from smaps by some pages for each thread.
        char rss[UNITS_TEXT_MAX];
        format_bytes(style, survey->rss_bytes, rss, sizeof rss);
        write_format(&writer, "RSS %s (of /proc/PID/status)\n\n", rss);
    }
    write_verdict(&writer, &survey->verdict);
    write_unread(&writer, survey);
    write_ask(&writer, survey);
    return writer.error;
}
