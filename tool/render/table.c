// SPDX-License-Identifier: Apache-2.0
// The table of all processes: collecting, sorting, as text and as JSON. Tool world; pure.
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/units.h"
#include "render/json.h"
#include "render/render.h"
#include "render/text.h"

// Together with verdict and blanks 84 columns: runtimes stand last because their length is anyone's
// guess.
// Without the runtimes a row is 79 columns, so that it fits a terminal of 80.
enum {
    PID_COLUMNS = 7,
    NAME_COLUMNS = 16,
    SIZE_COLUMNS = 10,
    VERDICT_COLUMNS = 10,
    FIXED_COLUMNS = PID_COLUMNS + 2 + NAME_COLUMNS + 4 * SIZE_COLUMNS + 2 + VERDICT_COLUMNS + 2,
    STARTS_COLUMNS = 10,        // of groups: "STARTS/MIN"
    LEAST_RUNTIME_COLUMNS = 10, // a shorter piece of a name tells nothing
};

// Columns that are left for the runtimes, the last and longest field: 0 where it does not fit,
// SIZE_MAX in a file, which has no width.
static size_t runtime_columns(const struct writer *writer, bool is_grouped)
{
    unsigned width = writer->style->width;
    unsigned fixed = FIXED_COLUMNS + (is_grouped ? STARTS_COLUMNS + 2 : 0);
    if (width == 0)
        return SIZE_MAX;
    return width < fixed + LEAST_RUNTIME_COLUMNS ? 0 : width - fixed;
}

// Which of the columns have room.
struct shown {
    bool kept, lazy, rss, verdict, starts;
};

// False, and its columns are given up, where so many are more than there are.
static bool fits(unsigned width, unsigned *needed, unsigned columns)
{
    if (width >= *needed)
        return true;
    *needed -= columns;
    return false;
}

// What gives way first stands first: groups have a column more than 80 columns hold, and terminals
// may be narrower. The effective RSS stays: it is the number.
static struct shown shown_columns(const struct writer *writer, bool is_grouped)
{
    unsigned width = writer->style->width ? writer->style->width : UINT_MAX;
    // Blanks at the end of a line are dropped.
    unsigned needed = FIXED_COLUMNS - 2 + (is_grouped ? STARTS_COLUMNS + 2 : 0);
    struct shown shown;
    shown.kept = fits(width, &needed, SIZE_COLUMNS);
    shown.lazy = fits(width, &needed, SIZE_COLUMNS);
    shown.rss = fits(width, &needed, SIZE_COLUMNS);
    shown.verdict = fits(width, &needed, VERDICT_COLUMNS + 2);
    shown.starts = is_grouped && fits(width, &needed, STARTS_COLUMNS + 2);
    return shown;
}

// Names are ours, versions the target's: "Go 1.24.4, glibc 2.36", cut where full: raw bytes still,
// escaped when the row is written.
static void row_name_runtimes(const struct survey *survey, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < survey->report_count && used < size; i++) {
        const struct runtime_report *report = &survey->reports[i];
        int len = snprintf(text + used, size - used, "%s%s%s%s", i ? ", " : "", report->name,
                           report->version[0] ? " " : "", report->version);
        // snprintf() says what it would have needed, which ends the loop where the room does.
        used += len > 0 ? (size_t)len : 0;
    }
}

// Copies, so that the survey can be freed at once.
int table_add(struct table *table, const struct survey *survey)
{
    int error =
        array_reserve_one(&table->rows, &table->capacity, table->count, sizeof *table->rows);
    if (error)
        return error;
    struct table_row *row = &table->rows[table->count++];
    // Zeros of an account that was not made are no findings, but a table has no room to say so.
    // Without an account nothing is known to be lazily freed: effective RSS is RSS then.
    *row = (struct table_row){
        .pid = survey->pid,
        .rss_bytes = survey->rss_bytes,
        .lazy_bytes = survey->account.lazy_bytes,
        .kept_bytes = survey->account.row_bytes[ROW_KEPT],
        .effective_bytes =
            survey->has_account ? survey->account.effective_bytes : survey->rss_bytes,
        .verdict = survey->verdict.code,
    };
    text_copy(text_of(survey->name), row->name, sizeof row->name);
    row_name_runtimes(survey, row->runtimes, sizeof row->runtimes);
    return 0;
}

// What could be got back decides; then size; then the PID, so that the order is the same each time.
static int row_compare(const void *left, const void *right)
{
    const struct table_row *a = left, *b = right;
    uint64_t a_back = a->lazy_bytes + a->kept_bytes, b_back = b->lazy_bytes + b->kept_bytes;
    if (a_back != b_back)
        return a_back > b_back ? -1 : 1;
    if (a->rss_bytes != b->rss_bytes)
        return a->rss_bytes > b->rss_bytes ? -1 : 1;
    return a->pid < b->pid ? -1 : a->pid > b->pid;
}

// qsort() may not be given NULL, even for nothing.
void table_sort(struct table *table)
{
    if (table->count > 0)
        qsort(table->rows, table->count, sizeof *table->rows, row_compare);
}

// Rows hold names by value: there is nothing below them to free.
void table_free(struct table *table)
{
    free(table->rows);
    *table = (struct table){0};
}

// Sizes are flush right, so that the eye finds the longest.
static void write_size(struct writer *writer, uint64_t bytes)
{
    char text[UNITS_TEXT_MAX] = "-";
    if (bytes != TABLE_UNKNOWN)
        format_bytes(writer->style, bytes, text, sizeof text);
    write_right(writer, text, SIZE_COLUMNS);
}

// A name that is longer than its column is cut; a blank always parts it from the figures.
static void write_first_columns(struct writer *writer, const struct table_row *row)
{
    // Escaped aside, because what its columns are is known only then.
    struct buffer name = {0};
    if (!writer->error)
        writer->error = format_name(&name, row->name, NAME_COLUMNS - 1);
    if (row->is_group)
        write_format(writer, "%*u  ", PID_COLUMNS, row->members);
    else
        write_format(writer, "%*d  ", PID_COLUMNS, row->pid);
    struct text shown = buffer_text(&name);
    write_text(writer, shown.data);
    size_t taken = format_columns(shown);
    write_blanks(writer, taken < NAME_COLUMNS ? NAME_COLUMNS - taken : 1);
    buffer_free(&name);
}

static void write_table_row(struct writer *writer, const struct table_row *row)
{
    struct shown shown = shown_columns(writer, row->is_group);
    write_first_columns(writer, row);
    if (shown.rss)
        write_size(writer, row->rss_bytes);
    if (shown.lazy)
        write_size(writer, row->lazy_bytes);
    if (shown.kept)
        write_size(writer, row->kept_bytes);
    write_size(writer, row->effective_bytes);
    // Ten columns hold the longest verdict, "fragmented".
    const char *verdict = row->verdict ? verdict_name(row->verdict) : "-";
    write_blanks(writer, 2);
    if (shown.verdict) {
        write_text(writer, verdict);
        write_blanks(writer, VERDICT_COLUMNS - strlen(verdict) + 2);
    }
    size_t columns = runtime_columns(writer, row->is_group);
    if (shown.starts) {
        write_format(writer, "%*u", STARTS_COLUMNS, row->starts_per_minute);
        // Blanks at the end of a line are dropped.
        write_blanks(writer, 2);
    }
    // The limit does not count the three dots that say that it was cut.
    if (columns > 0)
        write_name(writer, row->runtimes,
                   format_columns(text_of(row->runtimes)) > columns ? columns - 3 : 0);
    write_text(writer, "\n");
}

// Columns are fixed, so that two tables taken a minute apart can be compared line by line.
int render_table_text(const struct table *table, const struct render_style *style,
                      struct buffer *buffer)
{
    struct writer writer = {.buffer = buffer, .style = style};
    // One piece for one colour; 160 bytes hold it whatever the columns above are, within reason.
    char heading[160];
    bool is_grouped = table->is_grouped;
    struct shown shown = shown_columns(&writer, is_grouped);
    snprintf(heading, sizeof heading, "%*s  %-*s%*s%*s%*s%*s%s%s%s\n", PID_COLUMNS,
             is_grouped ? "COUNT" : "PID", NAME_COLUMNS, "NAME", shown.rss ? SIZE_COLUMNS : 0,
             shown.rss ? "RSS" : "", shown.lazy ? SIZE_COLUMNS : 0, shown.lazy ? "LAZY" : "",
             shown.kept ? SIZE_COLUMNS : 0, shown.kept ? "KEPT" : "", SIZE_COLUMNS, "EFFECTIVE",
             shown.verdict ? "  VERDICT   " : "", shown.starts ? "  STARTS/MIN" : "",
             runtime_columns(&writer, is_grouped) > 0 ? "  RUNTIME" : "");
    write_colored(&writer, COLOR_BOLD, heading);
    for (size_t i = 0; i < table->count; i++)
        write_table_row(&writer, &table->rows[i]);
    // A table that looks complete and is not would mislead. Those that ended are nobody's loss.
    if (table->denied > 0)
        write_format(&writer, "%zu more may not be read; %s\n", table->denied,
                     table->is_root ? "ebb explain PID says why not."
                                    : "run ebb as root to see all.");
    return writer.error;
}

// A build without jansson has the table as text only.
#ifdef EBB_WITH_JSON

static json_t *json_of_size(uint64_t bytes)
{
    return bytes == TABLE_UNKNOWN ? json_null() : json_of_u64(bytes);
}

// The names of `ebb explain --json`, so that one program reads both.
static json_t *json_of_row(const struct table_row *row)
{
    json_t *object = json_object();
    if (!row->is_group)
        json_put(&object, "pid", json_integer(row->pid));
    json_put(&object, "name", json_of_name(row->name));
    if (row->is_group) {
        json_put(&object, "processes", json_integer((json_int_t)row->members));
        json_put(&object, "starts_per_minute", json_integer((json_int_t)row->starts_per_minute));
    }
    json_put(&object, "rss_bytes", json_of_u64(row->rss_bytes));
    json_put(&object, "lazy_bytes", json_of_size(row->lazy_bytes));
    json_put(&object, "kept_bytes", json_of_size(row->kept_bytes));
    json_put(&object, "effective_rss_bytes", json_of_u64(row->effective_bytes));
    json_put(&object, "runtimes", json_of_name(row->runtimes));
    json_put(&object, "verdict",
             row->verdict ? json_string(verdict_name(row->verdict)) : json_null());
    return object;
}

// Fields have the names that they have in the survey's JSON, and mean the same.
int render_table_json(const struct table *table, struct buffer *buffer)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < table->count; i++)
        json_push(&rows, json_of_row(&table->rows[i]));
    json_t *object = json_object();
    json_put(&object, "schema", json_integer(1));
    json_put(&object, table->is_grouped ? "groups" : "processes", rows);
    json_put(&object, "denied", json_of_u64(table->denied));
    json_put(&object, "vanished", json_of_u64(table->vanished));
    return json_append(object, buffer);
}

#else

int render_table_json(const struct table *table, struct buffer *buffer)
{
    (void)table;
    (void)buffer;
    return -ENOTSUP;
}

#endif
