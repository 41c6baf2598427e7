// SPDX-License-Identifier: Apache-2.0
// Two recordings beside each other as text. Tool world; pure.
#include <stdio.h>

#include "base/number.h"
#include "base/units.h"
#include "render/report.h"
#include "render/report_parts.h"
#include "render/text.h"

enum { WHAT_COLUMNS = 18, SIZE_COLUMNS = 12, CHANGE_COLUMNS = 13, PAIRS_MAX = 40 };

// "+412 MiB  +32 %"; growth of what one pays for is red, less of it green.
static void write_change(struct writer *writer, double before, double after)
{
    char change[UNITS_TEXT_MAX];
    units_format_change(number_whole(after - before), change, sizeof change);
    write_right(writer, change, CHANGE_COLUMNS);
    // No percentage of nothing.
    if (before <= 0)
        return;
    char share[32];
    double percent = (after - before) / before * 100;
    snprintf(share, sizeof share, "  %+.1f %%", percent);
    // Within 5 % two runs of the same program differ by themselves.
    enum render_color color = percent > 5 ? COLOR_BAD : percent < -5 ? COLOR_GOOD : COLOR_NONE;
    write_colored(writer, color, share);
}

// Before, after, and the difference, which is what one looks for.
static void write_figure(struct writer *writer, const char *what, double before, double after)
{
    char text[UNITS_TEXT_MAX];
    write_blanks(writer, 2);
    write_text(writer, what);
    write_blanks(writer, WHAT_COLUMNS - format_columns(text_of(what)));
    format_bytes(writer->style, (uint64_t)before, text, sizeof text);
    write_right(writer, text, SIZE_COLUMNS);
    format_bytes(writer->style, (uint64_t)after, text, sizeof text);
    write_right(writer, text, SIZE_COLUMNS);
    write_change(writer, before, after);
    write_text(writer, "\n");
}

// Two slopes cannot be subtracted without their errors: both are told whole.
static void write_growth(struct writer *writer, const struct report_pair *pair)
{
    if (!pair->side[0].has_slope || !pair->side[1].has_slope)
        return;
    char before[80], after[80];
    report_slope(writer->style, pair->side[0].slope_bytes_per_s,
                 pair->side[0].slope_error_bytes_per_s, before, sizeof before);
    report_slope(writer->style, pair->side[1].slope_bytes_per_s,
                 pair->side[1].slope_error_bytes_per_s, after, sizeof after);
    write_format(writer, "  growth of effective RSS: %s before, %s after\n", before, after);
}

// What the kernel saw where readings missed it; where they did not, they saw all.
static double kernel_peak(const struct report_group *group)
{
    return (double)(group->missed_rss_bytes > group->peak_rss_bytes ? group->missed_rss_bytes
                                                                    : group->peak_rss_bytes);
}

// Peaks beside means: a deploy may help one and harm the other.
static void write_pair(struct writer *writer, const struct report_pair *pair)
{
    const struct report_group *before = &pair->side[0], *after = &pair->side[1];
    write_name(writer, before->name, 60);
    // A name in one recording only is news too: a worker that is gone, a sidecar that came.
    if (!pair->has[0] || !pair->has[1]) {
        char text[UNITS_TEXT_MAX];
        const struct report_group *only = pair->has[0] ? before : after;
        format_bytes(writer->style, only->peak_rss_bytes, text, sizeof text);
        write_format(writer, "  only %s, peak RSS %s\n", pair->has[0] ? "before" : "after", text);
        return;
    }
    // With several, peaks are those of the largest, means those of all.
    if (before->processes != 1 || after->processes != 1)
        write_format(writer, "  %zu and %zu processes", before->processes, after->processes);
    write_text(writer, "\n");
    write_figure(writer, "peak RSS", (double)before->peak_rss_bytes, (double)after->peak_rss_bytes);
    if (before->missed_rss_bytes > 0 || after->missed_rss_bytes > 0)
        write_figure(writer, "peak by kernel", kernel_peak(before), kernel_peak(after));
    write_figure(writer, "mean RSS", before->mean_rss_bytes, after->mean_rss_bytes);
    write_figure(writer, "peak effective", (double)before->peak_effective_bytes,
                 (double)after->peak_effective_bytes);
    write_figure(writer, "mean effective", before->mean_effective_bytes,
                 after->mean_effective_bytes);
    write_growth(writer, pair);
}

// The files' names stand above, since "before" and "after" depend on the order in which they were
// typed.
int render_comparison_text(const struct report *const reports[2], const char *const names[2],
                           const struct report_pair *pairs, size_t count,
                           const struct render_style *style, struct buffer *buffer)
{
    struct writer writer = {.buffer = buffer, .style = style};
    for (int side = 0; side < 2; side++) {
        write_text(&writer, side ? "after:  " : "before: ");
        write_name(&writer, names[side], 60);
        write_text(&writer, "  ");
        write_report_head(&writer, reports[side], 8);
    }
    write_format(&writer, "\n%*s%*s%*s%*s\n", 2 + WHAT_COLUMNS, "", SIZE_COLUMNS, "BEFORE",
                 SIZE_COLUMNS, "AFTER", CHANGE_COLUMNS, "CHANGE");
    // The pairs of both come first: without them the heads of columns stand above nothing.
    if (count > 0 && (!pairs[0].has[0] || !pairs[0].has[1]))
        write_text(&writer, "No name is in both.\n");
    for (size_t i = 0; i < count && i < PAIRS_MAX; i++)
        write_pair(&writer, &pairs[i]);
    if (count > PAIRS_MAX)
        write_format(&writer, "and %zu smaller ones: --format json has them all\n",
                     count - PAIRS_MAX);
    return writer.error;
}
