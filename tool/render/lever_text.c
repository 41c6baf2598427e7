// SPDX-License-Identifier: Apache-2.0
// What a lever did, as text for people. Tool world; pure.
//
// From the answer to the detail: what became of it, each step, before and after, what was left
// alone, how long the target waited, what else to know.
#include "render/lever.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "render/text.h"

enum { ROW_COLUMNS = 16, SIZE_COLUMNS = 12, STATE_COLUMNS = 9 };

// Colour repeats what the word says and never adds to it: output without it loses nothing.
static enum render_color outcome_color(enum lever_outcome outcome)
{
    switch (outcome) {
    case LEVER_DONE:
        return COLOR_GOOD;
    case LEVER_PARTLY:
        return COLOR_WARN;
    case LEVER_FAILED:
    case LEVER_REFUSED:
        return COLOR_BAD;
    case LEVER_PLANNED:
    case LEVER_NOTHING:
        break;
    }
    return COLOR_NONE;
}

// As the outcome's; what was skipped is a warning, since somebody may have counted on it.
static enum render_color state_color(enum lever_step_state state)
{
    switch (state) {
    case LEVER_STEP_DONE:
        return COLOR_GOOD;
    case LEVER_STEP_FAILED:
        return COLOR_BAD;
    case LEVER_STEP_SKIPPED:
        return COLOR_WARN;
    case LEVER_STEP_PLANNED:
    case LEVER_STEP_NOTHING:
        break;
    }
    return COLOR_NONE;
}

// Waits are milliseconds; other times are people's.
static void format_time(uint64_t ns, char *ret_text, size_t size)
{
    // A tenth of a millisecond is what readings from outside can tell.
    if (ns < 1000000000ULL)
        snprintf(ret_text, size, "%.1f ms", (double)ns / 1e6);
    else
        snprintf(ret_text, size, "%.2f s", (double)ns / 1e9);
}

// "reclaim: api (pid 4121): done in 182.3 ms"
static void write_head(struct writer *writer, const struct lever_report *report)
{
    write_colored(writer, COLOR_BOLD, report->lever);
    // A command that is not started yet, a host: neither has a number.
    if (report->name[0]) {
        write_text(writer, ": ");
        // Escaped: a process may call itself anything.
        write_name(writer, report->name, 60);
    }
    if (report->pid != 0)
        write_format(writer, " (pid %d)", report->pid);
    write_text(writer, ": ");
    write_colored(writer, outcome_color(report->outcome), lever_outcome_name(report->outcome));
    // Said at once: a dry run must never be taken for a run.
    if (report->outcome == LEVER_PLANNED)
        write_text(writer, ", nothing is changed yet");
    if (report->outcome == LEVER_NOTHING)
        write_text(writer, " to do");
    if (report->outcome == LEVER_DONE || report->outcome == LEVER_PARTLY) {
        // A refusal's time is of no interest, and a plan's would be taken for the lever's.
        char took[UNITS_TEXT_MAX];
        format_time(report->took_ns, took, sizeof took);
        write_format(writer, " in %s", took);
    }
    write_text(writer, "\n");
}

// A refusal is the whole answer: it stands at once below the head.
static void write_refusal(struct writer *writer, const struct lever_report *report)
{
    if (!report->refusal[0])
        return;
    // Both sentences and the words between them fit.
    char text[3 * LEVER_WHAT_MAX];
    text_format(text, sizeof text, report->needs[0] ? "%s. What would help: %s." : "%s.",
                report->refusal, report->needs);
    write_text(writer, "  ");
    write_wrapped(writer, text, 2, 2);
}

// A plan's steps need no state of their own: the head has said it.
static void write_step(struct writer *writer, const struct lever_step *step)
{
    const char *state = lever_step_state_name(step->state);
    // Wrapped lines stand below the text, not below the state.
    const size_t column = 2 + STATE_COLUMNS;
    write_blanks(writer, 2);
    write_colored(writer, state_color(step->state), state);
    write_blanks(writer, STATE_COLUMNS - strlen(state));
    char text[2 * LEVER_WHAT_MAX + 8];
    text_format(text, sizeof text, step->result[0] ? "%s: %s" : "%s", step->what, step->result);
    write_wrapped(writer, text, column, column);
}

// Right-aligned, so that sizes of one column can be compared at a glance.
static void write_size(struct writer *writer, uint64_t bytes)
{
    char text[UNITS_TEXT_MAX];
    format_bytes(writer->style, bytes, text, sizeof text);
    write_right(writer, text, SIZE_COLUMNS);
}

// With a sign, so that it cannot be taken for a size.
static void write_change(struct writer *writer, uint64_t before, uint64_t after)
{
    char text[UNITS_TEXT_MAX];
    // Wraps on purpose: what fell becomes negative.
    int64_t change = (int64_t)(after - before);
    if (writer->style->exact_bytes)
        snprintf(text, sizeof text, "%+lld", (long long)change);
    else
        units_format_change(change, text, sizeof text);
    write_right(writer, before == after ? "-" : text, SIZE_COLUMNS);
}

// One figure before and after.
struct figure {
    const char *title;
    uint64_t before, after;
    bool is_always_shown;
};

// Rows of zeros say nothing to most: only what every report must answer is always there.
static void write_figure(struct writer *writer, const struct figure *figure, bool has_after)
{
    if (!figure->is_always_shown && figure->before == 0 && figure->after == 0)
        return;
    write_format(writer, "  %-*s", ROW_COLUMNS - 2, figure->title);
    write_size(writer, figure->before);
    if (has_after) {
        write_size(writer, figure->after);
        write_change(writer, figure->before, figure->after);
    }
    write_text(writer, "\n");
}

// What may not change (swap, huge pages, the virtual size) stands beside what shall.
static void write_readings(struct writer *writer, const struct lever_report *report)
{
    if (!report->has_before)
        return;
    // Without the right to smaps lazily freed bytes are unknown, which is not 0: the rows go.
    const struct lever_reading *before = &report->before, *after = &report->after;
    // On both sides, or a change would be one of knowledge and not of memory.
    bool has_details = before->has_details && (after->has_details || !report->has_after);
    const struct figure figures[] = {
        {"RSS", before->rss_bytes, after->rss_bytes, true},
        {"lazily freed", before->lazy_bytes, after->lazy_bytes, has_details},
        {"effective RSS", has_details ? before->rss_bytes - before->lazy_bytes : 0,
         has_details ? after->rss_bytes - after->lazy_bytes : 0, has_details},
        {"huge pages", before->anon_huge_bytes, after->anon_huge_bytes, false},
        {"locked", before->locked_bytes, after->locked_bytes, false},
        {"swapped out", before->swap_bytes, after->swap_bytes, false},
        {"virtual size", before->virtual_bytes, after->virtual_bytes, true},
    };
    write_text(writer, "\n");
    write_blanks(writer, ROW_COLUMNS);
    write_right(writer, report->has_after ? "before" : "now", SIZE_COLUMNS);
    if (report->has_after) {
        write_right(writer, "after", SIZE_COLUMNS);
        write_right(writer, "change", SIZE_COLUMNS);
    }
    write_text(writer, "\n");
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        write_figure(writer, &figures[i], report->has_after);
}

// "GOGC: 100 -> 50", and below it the way back.
static void write_changes(struct writer *writer, const struct lever_report *report)
{
    for (size_t i = 0; i < report->change_count; i++) {
        // One line for the value and one to paste: the way back must be as easy as the way in.
        const struct lever_change *change = &report->changes[i];
        write_text(writer, "  ");
        write_name(writer, change->name, 0);
        write_text(writer, ": ");
        write_name(writer, change->before[0] ? change->before : "unknown", 0);
        // A listing of what could be changed has but one value.
        if (change->after[0]) {
            write_text(writer, " -> ");
            write_name(writer, change->after, 0);
        }
        write_text(writer, "\n");
        if (!change->undo[0])
            continue;
        write_text(writer, "    undo: ");
        write_name(writer, change->undo, 0);
        write_text(writer, "\n");
    }
}

// What a lever leaves alone is as much of an answer as what it takes: nobody should have to guess.
static void write_untouched(struct writer *writer, const struct lever_report *report)
{
    if (report->untouched_count == 0)
        return;
    write_text(writer, "\n");
    write_colored(writer, COLOR_BOLD, "Not touched");
    write_text(writer, "\n");
    for (size_t i = 0; i < report->untouched_count; i++) {
        const struct lever_untouched *untouched = &report->untouched[i];
        char size[UNITS_TEXT_MAX] = "", text[2 * LEVER_WHAT_MAX + UNITS_TEXT_MAX + 8];
        // Not everything can be counted; then the words stand alone.
        if (untouched->bytes > 0)
            format_bytes(writer->style, untouched->bytes, size, sizeof size);
        text_format(text, sizeof text, "%s%s%s%s%s", size, size[0] ? " " : "", untouched->what,
                    untouched->why[0] ? ": " : "", untouched->why);
        write_text(writer, "  ");
        write_wrapped(writer, text, 2, 4);
    }
}

// Who pulls a lever at a service asks this first.
static void write_wait(struct writer *writer, const struct lever_report *report)
{
    if (report->outcome == LEVER_PLANNED || !report->has_after)
        return;
    write_text(writer, "\n");
    if (report->longest_wait_ns == 0) {
        write_text(writer, "The target did not wait.\n");
        return;
    }
    // "At most": it was measured from outside, and the target waited only if it wanted the same
    // lock.
    char longest[UNITS_TEXT_MAX], total[UNITS_TEXT_MAX], text[LEVER_WHAT_MAX];
    format_time(report->longest_wait_ns, longest, sizeof longest);
    format_time(report->total_wait_ns, total, sizeof total);
    text_format(text, sizeof text, "The target waited (%s): at most %s at a time, %s in all.",
                report->waited, longest, total);
    write_wrapped(writer, text, 0, 0);
}

// One below the other, like what was not touched: a list needs no full stops, and shows by its
// indent where the next one begins.
static void write_notes(struct writer *writer, const struct lever_report *report)
{
    if (report->note_count == 0)
        return;
    write_text(writer, "\n");
    write_colored(writer, COLOR_BOLD, "Good to know");
    write_text(writer, "\n");
    for (size_t i = 0; i < report->note_count; i++) {
        const struct lever_note *note = &report->notes[i];
        write_text(writer, "  ");
        if (note->is_warning)
            write_colored(writer, COLOR_WARN, "warning: ");
        write_wrapped(writer, note->text, note->is_warning ? 2 + strlen("warning: ") : 2, 4);
    }
}

// Blank lines come with the parts themselves, so that a part that is missing leaves no gap.
int render_lever_text(const struct lever_report *report, const struct render_style *style,
                      struct buffer *buffer)
{
    struct writer writer = {.buffer = buffer, .style = style};
    write_head(&writer, report);
    write_refusal(&writer, report);
    for (size_t i = 0; i < report->step_count; i++)
        write_step(&writer, &report->steps[i]);
    write_changes(&writer, report);
    write_readings(&writer, report);
    write_untouched(&writer, report);
    write_wait(&writer, report);
    write_notes(&writer, report);
    return writer.error;
}
