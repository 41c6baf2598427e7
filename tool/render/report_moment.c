// SPDX-License-Identifier: Apache-2.0
// The accounts of a recording at one moment, as text. Tool world.
#include "render/report_moment.h"

#include <errno.h>
#include <inttypes.h>

#include "base/units.h"
#include "base/when.h"
#include "render/report.h"
#include "render/report_parts.h"
#include "render/text.h"
#include "sample/digest.h"

enum { TITLE_COLUMNS = 16, SIZE_COLUMNS = 12, BAR_COLUMNS = 20 };

// A process that had ended by then, or came later, has no place in the picture. Where a recording
// was cut off nothing has ended: what lived then counts to the end of time.
static bool was_there(const struct subject *subject, int64_t at_ms)
{
    return subject->first_ms <= at_ms && (subject->last_ms >= at_ms || !subject->has_ended);
}

// Told apart from processes that had no account yet.
static bool anybody_was_there(const struct report *report, int64_t at_ms)
{
    for (size_t i = 0; i < report->subject_count; i++)
        if (was_there(&report->subjects[i].subject, at_ms))
            return true;
    return false;
}

// Digests are read one at a time: two thousand of them would be some ten MiB.
int report_each_moment(struct history *history, const struct report *report, int64_t at_ms,
                       int (*take)(void *context, const struct report_subject *entry,
                                   int64_t time_ms, const struct digest *digest),
                       void *context)
{
    int error = 0;
    for (size_t i = 0; i < report->subject_count && !error; i++) {
        const struct report_subject *entry = &report->subjects[i];
        struct digest digest;
        int64_t time_ms;
        if (!was_there(&entry->subject, at_ms))
            continue;
        int found = history_digest(history, entry->subject.id, at_ms, &time_ms, &digest);
        // There by then, but without an account so early.
        if (found == -ENOENT)
            continue;
        error = found ? found : take(context, entry, time_ms, &digest);
        if (!found)
            digest_free(&digest);
    }
    return error;
}

uint64_t report_moment_age_ms(const struct report_subject *entry, int64_t at_ms, int64_t time_ms)
{
    // What has ended grows no older; of what lives the last moment is the recording's.
    if (entry->subject.last_ms < at_ms)
        at_ms = entry->subject.last_ms;
    return at_ms > time_ms ? (uint64_t)(at_ms - time_ms) : 0;
}

// What the text needs beside each account: whether it is the first, and for which moment.
struct moment_text {
    struct writer *writer;
    size_t count;
    int64_t at_ms;
};

// As in explain's text, without owners: a recording has rows, not what each runtime has in them.
static void write_row(struct writer *writer, const struct digest *digest, enum account_row row,
                      uint64_t whole)
{
    char size[UNITS_TEXT_MAX];
    format_bytes(writer->style, digest->row_bytes[row], size, sizeof size);
    const char *title = account_row_title(row);
    write_text(writer, title);
    size_t taken = format_columns(text_of(title));
    write_blanks(writer, taken < TITLE_COLUMNS ? TITLE_COLUMNS - taken : 1);
    write_right(writer, size, SIZE_COLUMNS);
    // Written, not put off: the bar does not come through the writer.
    write_format(writer, "  ");
    if (!writer->error)
        writer->error =
            format_bar(writer->style, digest->row_bytes[row], whole, BAR_COLUMNS, writer->buffer);
    write_text(writer, "\n");
}

// What the rows below sum up to, and what of it the process would keep: as explain begins.
static void write_whole(struct writer *writer, const struct digest *digest, uint64_t whole)
{
    char size[UNITS_TEXT_MAX];
    format_bytes(writer->style, whole, size, sizeof size);
    write_text(writer, "RSS");
    write_blanks(writer, TITLE_COLUMNS - 3);
    write_right(writer, size, SIZE_COLUMNS);
    uint64_t lazy = digest->row_bytes[ROW_LAZY];
    // Unknown is not zero: without it nothing is said of effective RSS.
    if (lazy != SAMPLE_UNKNOWN && lazy <= whole) {
        format_bytes(writer->style, whole - lazy, size, sizeof size);
        write_text(writer, "  effective ");
        write_text(writer, size);
    }
    write_text(writer, "\n");
}

// Bars are of the sum of the rows, which is RSS at that moment.
static void write_rows(struct writer *writer, const struct digest *digest)
{
    uint64_t whole = 0;
    for (int row = 0; row < ROW_COUNT; row++)
        whole += digest->row_bytes[row] == SAMPLE_UNKNOWN ? 0 : digest->row_bytes[row];
    // Dumps of other tools have figures and no rows.
    if (whole > 0)
        write_whole(writer, digest, whole);
    // Rows of nothing are left out, as in explain's text.
    for (int row = 0; row < ROW_COUNT; row++)
        if (digest->row_bytes[row] != SAMPLE_UNKNOWN && digest->row_bytes[row] > 0)
            write_row(writer, digest, (enum account_row)row, whole);
}

// Nanoseconds as they are: totals of a runtime's time are compared, not read. Those since 1970 are
// a moment (Go's LastGC): of durations none is a tenth as long.
static void write_nanoseconds(struct writer *writer, uint64_t value)
{
    const uint64_t moment_least = UINT64_C(1000000000000000000);
    char when[WHEN_TEXT_MAX];
    if (value < moment_least) {
        write_format(writer, "%" PRIu64 " ns", value);
        return;
    }
    when_format((int64_t)(value / 1000000), 0, when, sizeof when);
    write_text(writer, when);
}

// The runtime's own names and units, for who knows them from its documentation.
static void write_figure(struct writer *writer, const struct digest_figure *entry)
{
    char value[UNITS_TEXT_MAX];
    const struct runtime_figure *figure = &entry->figure;
    write_blanks(writer, 2);
    write_name(writer, entry->runtime, 20);
    write_text(writer, " ");
    write_name(writer, figure->name, sizeof figure->name);
    write_text(writer, "  ");
    switch (figure->unit) {
    case FIGURE_BYTES:
        format_bytes(writer->style, figure->value, value, sizeof value);
        write_text(writer, value);
        break;
    case FIGURE_RATIO:
        write_format(writer, "%.3f", figure->ratio);
        break;
    case FIGURE_NANOSECONDS:
        write_nanoseconds(writer, figure->value);
        break;
    case FIGURE_COUNT:
        write_format(writer, "%" PRIu64, figure->value);
        break;
    }
    write_text(writer, "\n");
}

// The moment of the account is told: it may be older than the one that was asked for.
static int write_moment(void *context, const struct report_subject *entry, int64_t time_ms,
                        const struct digest *digest)
{
    struct moment_text *moment = context;
    struct writer *writer = moment->writer;
    char when[WHEN_TEXT_MAX];
    when_format(time_ms, 0, when, sizeof when);
    write_text(writer, moment->count++ ? "\n" : "");
    write_name(writer, entry->subject.name, 40);
    // The PID of then: it may be another process's by now.
    write_format(writer, " (pid %d)  ", entry->subject.pid);
    write_name(writer, digest->runtimes, 60);
    write_format(writer, "  account of %s", when);
    uint64_t age_ms = report_moment_age_ms(entry, moment->at_ms, time_ms);
    // Tenths of a second are the time that a round takes.
    if (age_ms >= AGE_TOLD_MS) {
        units_format_seconds((double)age_ms / 1000, when, sizeof when);
        write_format(writer, ", %s before", when);
    }
    write_text(writer, "\n");
    write_rows(writer, digest);
    if (digest->headline[0]) {
        write_text(writer, "Verdict: ");
        write_wrapped(writer, digest->headline, 9, 2);
    }
    // As rows of nothing, figures of nothing are left out.
    for (size_t i = 0; i < digest->figure_count; i++) {
        uint64_t value = digest_figure_value(&digest->figures[i].figure);
        if (value != 0 && value != SAMPLE_UNKNOWN)
            write_figure(writer, &digest->figures[i]);
    }
    return writer->error;
}

// Nothing found is said, or one would wonder whether it was looked for.
int render_moment_text(struct history *history, const struct report *report, int64_t at_ms,
                       const struct render_style *style, struct buffer *buffer)
{
    struct writer writer = {.buffer = buffer, .style = style};
    struct moment_text moment = {.writer = &writer, .at_ms = at_ms};
    int error = report_each_moment(history, report, at_ms, write_moment, &moment);
    if (!error && moment.count == 0)
        write_text(&writer, anybody_was_there(report, at_ms) ? "no account was taken by then\n"
                                                             : "no process was there then\n");
    // Text that is complete up to a failure is not shown: the caller drops the buffer.
    return error ? error : writer.error;
}
