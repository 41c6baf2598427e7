// SPDX-License-Identifier: Apache-2.0
// A series as JSON or CSV, part by part, see page.h. Tool world.
//
// Parts are slices of time. None holds more than PART_POINTS, whatever is asked for: the interval
// bounds how many samples a slice can have.
#include "render/page.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "render/csv_write.h"
#include "render/json_write.h"
#include "render/page_internal.h"
#include "sample/digest.h"

// Some 500 KiB of JSON with all columns known: what a connection holds in memory at a time.
enum { PART_POINTS = 2048 };

// What of the asked range there is. 0, -ENOENT, -errno. A page that shows "the last hour" of a
// process that lived ten minutes asks for the hour.
static int cut_range(struct history *history, struct page_series *series)
{
    struct subject subject;
    int error = history_subject(history, series->subject, &subject);
    if (error)
        return error;
    // Before and behind it there is nothing: parts would be empty.
    if (series->from_ms < subject.first_ms)
        series->from_ms = subject.first_ms;
    if (series->to_ms > subject.last_ms)
        series->to_ms = subject.last_ms;
    return 0;
}

// How long a part is and how many points it may have.
static void plan_parts(struct page_series *series, uint64_t interval_ms)
{
    // Both ends are within it.
    int64_t span_ms = series->to_ms >= series->from_ms ? series->to_ms - series->from_ms + 1 : 1;
    // An interval of 0 is what a damaged file says.
    int64_t fitting_ms = (int64_t)(interval_ms > 0 ? interval_ms : 1) * PART_POINTS;
    series->part_ms = fitting_ms;
    series->part_points = 0;
    // More samples than points: slices of equal length share the points.
    // By the interval, not by a count, which would be a walk of its own: a recording with gaps has
    // fewer samples, and then finer parts than it needs.
    if (series->points > 0 && span_ms / (fitting_ms / PART_POINTS) > (int64_t)series->points) {
        // Rounded up, so that no part has more than PART_POINTS.
        size_t parts = (series->points + PART_POINTS - 1) / PART_POINTS;
        series->part_points = series->points / parts;
        series->part_ms = (span_ms + (int64_t)parts - 1) / (int64_t)parts;
    }
    series->next_ms = series->from_ms;
}

// An empty range is a series without parts, and no error.
int page_series_begin(struct history *history, struct page_series *series)
{
    // The interval is the recording's: it bounds a part.
    uint64_t interval_ms;
    int error = history_interval(history, &interval_ms);
    if (!error)
        error = cut_range(history, series);
    if (error)
        return error;
    plan_parts(series, interval_ms);
    int64_t time_ms;
    // So that page_series_end() may be called without a CSV, too.
    memset(&series->digest, 0, sizeof series->digest);
    // The last account's figures are the columns of a CSV; without one it has none.
    // Figures that only earlier accounts had are left out: a CSV's columns are fixed by its first
    // line.
    if (series->is_csv && history_digest(history, series->subject, series->to_ms, &time_ms,
                                         &series->digest) == -ENOMEM)
        return -ENOMEM;
    return 0;
}

// The digest is all that it holds.
void page_series_end(struct page_series *series)
{
    digest_free(&series->digest);
}

// The first line of a CSV: columns, then figures with their runtimes.
static void write_csv_head(struct page_out *out, const struct page_series *series)
{
    // Plain milliseconds: spreadsheets and programs both take them.
    page_put(out, "time_ms");
    for (int column = 0; column < SERIES_COLUMN_COUNT; column++) {
        page_put(out, ",");
        page_put(out, series_column_name((enum series_column)column));
    }
    for (size_t i = 0; i < series->digest.figure_count; i++) {
        // Names are cut where structs cut them: this holds two, and a blank.
        char title[80];
        const struct digest_figure *figure = &series->digest.figures[i];
        text_format(title, sizeof title, "%s %s", figure->runtime, figure->figure.name);
        page_put(out, ",");
        if (!out->error)
            out->error = csv_write_name(out->buffer, title);
    }
    // Source: RFC 4180, which wants both.
    page_put(out, "\r\n");
}

// What the parts have in common.
static void write_json_head(struct page_out *out, const struct page_series *series)
{
    page_put(out, "{");
    page_u64(out, "subject", series->subject);
    page_i64(out, "from_ms", series->from_ms);
    page_i64(out, "to_ms", series->to_ms);
    // Told with each answer: the page goes by names and not by places.
    page_put(out, ",\"columns\":[\"time_ms\"");
    for (int column = 0; column < SERIES_COLUMN_COUNT; column++) {
        page_put(out, ",\"");
        page_put(out, series_column_name((enum series_column)column));
        page_put(out, "\"");
    }
    page_put(out, "],\"parts\":[");
}

// null for a column of which nothing is known: in cheap samples that is two thirds of them.
static void write_column(struct page_out *out, const uint64_t *values, size_t count)
{
    // Most columns are known at their first value.
    bool is_known = false;
    for (size_t i = 0; i < count && !is_known; i++)
        is_known = values[i] != SAMPLE_UNKNOWN;
    if (!is_known) {
        page_put(out, "null");
        return;
    }
    // The hot loop: some three million values of a large series.
    for (size_t i = 0; i < count && !out->error; i++) {
        page_put(out, i > 0 ? "," : "[");
        if (!out->error)
            out->error = json_write_u64(out->buffer, values[i]);
    }
    page_put(out, "]");
}

// As a column with its name.
static void write_figure(struct page_out *out, const struct series_figure *figure, size_t count)
{
    page_put(out, "{");
    page_figure_head(out, figure->runtime, figure->name, figure->unit);
    page_key(out, "values");
    for (size_t i = 0; i < count && !out->error; i++) {
        page_put(out, i > 0 ? "," : "[");
        page_figure_value(out, figure->unit, figure->values[i]);
    }
    page_put(out, "]}");
}

// Each column whole, as uPlot wants its data.
static void write_json_part(struct page_out *out, const struct series *part)
{
    page_put(out, "{");
    // 0: every stored sample; a chart then may draw steps rather than lines.
    page_u64(out, "step_ms", part->step_ms);
    page_key(out, "data");
    for (size_t i = 0; i < part->count && !out->error; i++) {
        page_put(out, i > 0 ? "," : "[[");
        if (!out->error)
            out->error = json_write_i64(out->buffer, part->time_ms[i]);
    }
    page_put(out, "]");
    for (int column = 0; column < SERIES_COLUMN_COUNT; column++) {
        page_put(out, ",");
        write_column(out, part->columns[column], part->count);
    }
    page_put(out, "]");
    page_key(out, "figures");
    page_put(out, "[");
    for (size_t i = 0; i < part->figure_count && !out->error; i++) {
        if (i > 0)
            page_put(out, ",");
        write_figure(out, &part->figures[i], part->count);
    }
    page_put(out, "]}");
}

// The values of this figure in this part, or NULL.
static const struct series_figure *find_figure(const struct series *part,
                                               const struct digest_figure *wanted)
{
    // A few dozen, for each line again: cheap beside the writing of the line.
    for (size_t i = 0; i < part->figure_count; i++) {
        // Two runtimes may have figures of one name.
        if (strcmp(part->figures[i].runtime, wanted->runtime) == 0 &&
            strcmp(part->figures[i].name, wanted->figure.name) == 0)
            return &part->figures[i];
    }
    return NULL;
}

// Unknown is an empty cell.
static void write_cell(struct page_out *out, enum figure_unit unit, uint64_t value)
{
    page_put(out, ",");
    if (value != SAMPLE_UNKNOWN)
        page_figure_value(out, unit, value);
}

// Kinds and verdicts have names.
static void write_column_cell(struct page_out *out, enum series_column column, uint64_t value)
{
    if (column == SERIES_KIND) {
        page_put(out, ",");
        page_put(out, csv_kind_name(value));
    } else if (column == SERIES_VERDICT) {
        bool is_one = value >= VERDICT_LAZY && value <= VERDICT_UNKNOWN;
        page_put(out, ",");
        page_put(out, is_one ? verdict_name((enum verdict_code)value) : "");
    } else {
        write_cell(out, FIGURE_COUNT, value);
    }
}

// A line for each sample.
static void write_csv_part(struct page_out *out, const struct page_series *series,
                           const struct series *part)
{
    for (size_t i = 0; i < part->count && !out->error; i++) {
        out->error = json_write_i64(out->buffer, part->time_ms[i]);
        for (int column = 0; column < SERIES_COLUMN_COUNT; column++)
            write_column_cell(out, (enum series_column)column, part->columns[column][i]);
        for (size_t k = 0; k < series->digest.figure_count; k++) {
            // A figure that an earlier runtime had is not in the head, and left out.
            const struct series_figure *figure = find_figure(part, &series->digest.figures[k]);
            write_cell(out, series->digest.figures[k].figure.unit,
                       figure ? figure->values[i] : SAMPLE_UNKNOWN);
        }
        page_put(out, "\r\n");
    }
}

// The next slice that has samples. 0; 1 when there is none left; -errno.
static int next_slice(struct history *history, struct page_series *series, struct series *ret_part)
{
    while (series->next_ms <= series->to_ms) {
        // Parts do not overlap: a sample is in one of them.
        int64_t last_ms = series->next_ms + series->part_ms - 1;
        if (last_ms > series->to_ms)
            last_ms = series->to_ms;
        int error = history_series(history, series->subject, series->next_ms, last_ms,
                                   series->part_points, ret_part);
        // Also after a failure: the caller ends there.
        series->next_ms = last_ms + 1;
        if (error)
            return error;
        // The host slept, or the process stood still: on to the next slice.
        if (ret_part->count > 0)
            return 0;
        series_free(ret_part);
    }
    return 1;
}

// The recording may have gone on, or dropped old samples, since the part before: each part is true
// by itself.
int page_series_next(struct history *history, struct page_series *series, struct buffer *buffer)
{
    struct page_out out = {.buffer = buffer};
    // The head comes with the first part, so that a refusal before it can still have a status.
    if (!series->has_begun)
        series->is_csv ? write_csv_head(&out, series) : write_json_head(&out, series);
    series->has_begun = true;
    struct series part;
    int found = out.error ? out.error : next_slice(history, series, &part);
    // Half an answer was sent: the caller breaks it off.
    if (found < 0)
        return found;
    if (found > 0) {
        if (!series->is_csv)
            page_put(&out, "]}\n");
        return out.error ? out.error : 1;
    }
    if (series->is_csv) {
        write_csv_part(&out, series, &part);
    } else {
        if (series->has_part)
            page_put(&out, ",");
        write_json_part(&out, &part);
    }
    series->has_part = true;
    series_free(&part);
    return out.error;
}
