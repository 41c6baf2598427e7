// SPDX-License-Identifier: Apache-2.0
// What a lever did to many processes, as a table. Tool world; pure.
#include "render/lever.h"

#include <string.h>

#include "base/units.h"
#include "render/text.h"

// Two blanks stand between columns; the reason of a refusal comes last, since its length is open.
enum {
    PID_COLUMNS = 7,
    NAME_COLUMNS = 18,
    SIZE_COLUMNS = 11,
    OUTCOME_COLUMNS = 9,
    REASON_MAX = 60
};

// A column, as in the report of one process.
static void write_size(struct writer *writer, uint64_t bytes)
{
    char text[UNITS_TEXT_MAX];
    format_bytes(writer->style, bytes, text, sizeof text);
    write_right(writer, text, SIZE_COLUMNS);
}

// Escapes may make a name longer than its column: it is cut there.
static void write_short_name(struct writer *writer, const char *name)
{
    struct buffer shown = {0};
    if (!writer->error)
        writer->error = format_escaped(&shown, name, NAME_COLUMNS - 4);
    struct text text = buffer_text(&shown);
    write_text(writer, text.len > 0 ? text.data : "");
    size_t taken = format_columns(text);
    write_blanks(writer, taken < NAME_COLUMNS ? NAME_COLUMNS - taken : 1);
    buffer_free(&shown);
}

// A row for each that was looked at, refused ones too: the table must add up to the group.
static void write_row(struct writer *writer, const struct lever_report *report)
{
    const struct lever_reading *before = &report->before;
    // Where nothing was done, what is there now is what was there before.
    const struct lever_reading *after = report->has_after ? &report->after : before;
    write_format(writer, "%*d  ", PID_COLUMNS, report->pid);
    write_short_name(writer, report->name);
    write_size(writer, before->rss_bytes);
    write_size(writer, after->rss_bytes);
    write_size(writer, before->lazy_bytes);
    write_size(writer, after->lazy_bytes);
    const char *outcome = lever_outcome_name(report->outcome);
    write_format(writer, "  %s", outcome);
    // Blanks that nothing follows are not written.
    write_blanks(writer, OUTCOME_COLUMNS - strlen(outcome));
    if (report->refusal[0])
        write_name(writer, report->refusal, REASON_MAX);
    write_text(writer, "\n");
}

// Only what the table shows; shared pages count once for each process that maps them, as RSS does.
static void add_reading(struct lever_reading *sum, const struct lever_reading *reading)
{
    sum->rss_bytes += reading->rss_bytes;
    sum->lazy_bytes += reading->lazy_bytes;
}

// Below all, where it stays in sight when a long table has scrolled by.
static void write_sum(struct writer *writer, const struct lever_report *reports, size_t count)
{
    // Only its readings are used.
    struct lever_report sum = {.has_after = true};
    for (size_t i = 0; i < count; i++) {
        add_reading(&sum.before, &reports[i].before);
        add_reading(&sum.after, reports[i].has_after ? &reports[i].after : &reports[i].before);
    }
    write_format(writer, "%*s  %-*s", PID_COLUMNS, "", NAME_COLUMNS, "sum");
    write_size(writer, sum.before.rss_bytes);
    write_size(writer, sum.after.rss_bytes);
    write_size(writer, sum.before.lazy_bytes);
    write_size(writer, sum.after.lazy_bytes);
    write_text(writer, "\n");
}

// No group is too small for its sum: of one process, too, it shows that there was one.
int render_levers_text(const struct lever_report *reports, size_t count,
                       const struct render_style *style, struct buffer *buffer)
{
    struct writer writer = {.buffer = buffer, .style = style};
    char heading[128];
    text_format(heading, sizeof heading, "%*s  %-*s%*s%*s%*s%*s  %s\n", PID_COLUMNS, "PID",
                NAME_COLUMNS, "NAME", SIZE_COLUMNS, "RSS", SIZE_COLUMNS, "AFTER", SIZE_COLUMNS,
                "LAZY", SIZE_COLUMNS, "AFTER", "OUTCOME");
    write_colored(&writer, COLOR_BOLD, heading);
    for (size_t i = 0; i < count; i++)
        write_row(&writer, &reports[i]);
    write_sum(&writer, reports, count);
    return writer.error;
}
