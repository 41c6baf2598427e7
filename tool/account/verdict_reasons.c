// SPDX-License-Identifier: Apache-2.0
// The numbers behind a verdict: what the runtime says beside what the kernel says. Tool world;
// pure.
//
// Two sources that agree are a proof, and where they do not, the reader sees by how much. No
// sentence claims that one number is a part of another unless both come from one reading.
#include <string.h>

#include "account/swing.h"
#include "account/verdict_text.h"
#include "base/number.h"
#include "base/text.h"
#include "base/units.h"

// A figure of a ledger as its users know it, and what has to be taken off or put on so that it
// means the same as a row: HeapIdle counts what is released too, uordblks leaves out mapped blocks.
struct ledger_figure {
    const char *runtime;
    enum verdict_code code;
    enum account_row row;
    const char *name, *minus, *plus; // minus, plus: further figures, or NULL
    const char *shown;               // how the sum is written
};

static const struct ledger_figure ledger_figures[] = {
    {"Go", VERDICT_LAZY, ROW_LAZY, "HeapReleased", NULL, NULL, "HeapReleased"},
    {"Go", VERDICT_IN_USE, ROW_IN_USE, "HeapAlloc", NULL, NULL, "HeapAlloc"},
    {"Go", VERDICT_KEPT, ROW_KEPT, "HeapIdle", "HeapReleased", NULL, "HeapIdle - HeapReleased"},
    {"Go", VERDICT_FRAGMENTED, ROW_SLACK, "HeapInuse", "HeapAlloc", NULL, "HeapInuse - HeapAlloc"},
    {"glibc", VERDICT_IN_USE, ROW_IN_USE, "uordblks", NULL, "hblkhd", "uordblks + hblkhd"},
    {"glibc", VERDICT_KEPT, ROW_KEPT, "fordblks", NULL, NULL, "fordblks (pages that are gone too)"},
    {"glibc", VERDICT_FRAGMENTED, ROW_SLACK, "fordblks", NULL, NULL,
     "fordblks (whole free pages too)"},
};

// The value of a figure; 0 where the ledger lacks it or none is asked for.
static uint64_t ledger_value(const struct runtime_report *report, const char *name)
{
    const struct runtime_figure *figure = name ? report_figure(report, name) : NULL;
    return figure ? figure->value : 0;
}

// The figure that people know from their dashboards, beside the row that it becomes here. Only
// runtimes with a ledger that is read from outside have one.
static void reason_ledger(const struct verdict_input *input, const struct ledger_figure *known,
                          struct verdict_lines *lines)
{
    const struct runtime_report *report = verdict_find_runtime(input, known->runtime);
    if (!report || !report_figure(report, known->name))
        return;
    uint64_t value = ledger_value(report, known->name) + ledger_value(report, known->plus);
    value -= number_least(value, ledger_value(report, known->minus));
    uint64_t bytes = account_runtime_bytes(input->account, report->name, known->row);
    // A malloc that serves next to nothing, below another one.
    uint64_t least = input->account->rss_bytes / 100;
    if (value <= least && bytes <= least)
        return;
    char claimed[UNITS_TEXT_MAX], measured[UNITS_TEXT_MAX];
    units_format_bytes(value, claimed, sizeof claimed);
    units_format_bytes(bytes, measured, sizeof measured);
    verdict_say(lines, "%s says %s %s; the account has %s of %s in memory as %s.", report->name,
                known->shown, claimed, measured, report->name, account_row_title(known->row));
}

static void reason_ledgers(const struct verdict_input *input, enum verdict_code code,
                           struct verdict_lines *lines)
{
    for (size_t i = 0; i < sizeof ledger_figures / sizeof ledger_figures[0]; i++)
        if (ledger_figures[i].code == code)
            reason_ledger(input, &ledger_figures[i], lines);
}

// The JVM publishes how full its heap is, garbage and all, though not which pages of it. Source:
// hsperfdata.
static void reason_jvm(const struct verdict_input *input, struct verdict_lines *lines)
{
    const struct runtime_report *report = verdict_find_runtime(input, "JVM");
    if (!report || !report_figure(report, "heap committed"))
        return;
    char used[UNITS_TEXT_MAX], committed[UNITS_TEXT_MAX], held[UNITS_TEXT_MAX];
    units_format_bytes(ledger_value(report, "heap used"), used, sizeof used);
    units_format_bytes(ledger_value(report, "heap committed"), committed, sizeof committed);
    units_format_bytes(account_runtime_bytes(input->account, "JVM", ROW_HELD), held, sizeof held);
    verdict_say(
        lines,
        "JVM says heap used %s of %s committed, garbage that is not collected yet included; "
        "the account has %s of JVM in memory as held, heap and all else.",
        used, committed, held);
}

// The nearest whole number that the type holds: a change of gigabytes within nanoseconds, as only a
// damaged reading has it, would be beyond it.
static int64_t whole_bytes(double bytes)
{
    if (!(bytes < 9e18))
        return INT64_MAX;
    return bytes > -9e18 ? (int64_t)bytes : INT64_MIN;
}

// Change and slope side by side: where they disagree, the rise was a step and not a line.
static void reason_line(const char *what, const struct growth_line *line,
                        struct verdict_lines *lines)
{
    char change[UNITS_TEXT_MAX], slope[UNITS_TEXT_MAX], error[UNITS_TEXT_MAX];
    units_format_change(line->change_bytes, change, sizeof change);
    units_format_change(whole_bytes(line->slope_bytes_per_s), slope, sizeof slope);
    if (!line->has_error) {
        verdict_say(lines, "%s: %s, slope %s/s (two readings tell no spread).", what, change,
                    slope);
        return;
    }
    units_format_bytes((uint64_t)whole_bytes(line->slope_error_bytes_per_s), error, sizeof error);
    verdict_say(lines, "%s: %s, slope %s/s, standard error %s/s.", what, change, slope, error);
}

// A rise that is not called growth has to be explained: the slope stands right below.
static const char *reason_of_rise(const struct growth *growth)
{
    if (growth->is_growing)
        return "it grows";
    if (growth->is_doubted)
        return "it rises, but in a step or a wave, levels off, or not for long enough to tell";
    return growth->is_rising ? "it rises, but mostly by what is kept, slack, files or shared"
                             : "no growth beyond chance, or too little to matter";
}

// The doubt of what grows in waves: a longer one, seen in part, has lows that rise as well.
static void reason_swings(const struct growth *growth, struct verdict_lines *lines)
{
    if (!growth->is_growing || growth->swing_count == 0 || growth->swing_count > SWINGS_FEW)
        return;
    verdict_say(lines,
                "It falls in between: what rises are its lows, over %zu swings so far. A wave that "
                "is longer than this looks the same.",
                growth->swing_count);
}

// Page faults tell idle from busy: a process that does nothing has none.
static void reason_growth(const struct growth *growth, struct verdict_lines *lines)
{
    char seconds[UNITS_TEXT_MAX];
    units_format_seconds(growth->seconds, seconds, sizeof seconds);
    verdict_say(lines,
                "Observed for %s with %zu samples: %s; %llu minor and %llu major page faults.",
                seconds, growth->sample_count, reason_of_rise(growth),
                (unsigned long long)growth->minor_faults, (unsigned long long)growth->major_faults);
    reason_swings(growth, lines);
    reason_line("Effective RSS", &growth->effective, lines);
    if (growth->rss.change_bytes != growth->effective.change_bytes)
        reason_line("RSS", &growth->rss, lines);
    if (growth->has_in_use)
        reason_line("In use", &growth->in_use, lines);
}

// Below this nobody looks for unexplained memory: ebb's own goal for it.
static const uint64_t unexplained_bytes = 4 << 20;

static void reason_unexplained(const struct account *account, struct verdict_lines *lines)
{
    const struct mapping *largest = &account->largest_unexplained;
    if (account->unexplained_mapped_bytes < unexplained_bytes)
        return;
    char all[UNITS_TEXT_MAX], bytes[UNITS_TEXT_MAX];
    units_format_bytes(account->unexplained_mapped_bytes, all, sizeof all);
    units_format_bytes((uint64_t)largest->rss_kib * 1024, bytes, sizeof bytes);
    verdict_say(lines,
                "Unexplained: %s in anonymous mappings (%zu of them; the largest part, %s, in "
                "%llx-%llx), mapped by the program itself or by an allocator that ebb does not "
                "know.",
                all, account->unexplained_mappings, bytes, (unsigned long long)largest->start,
                (unsigned long long)largest->end);
}

// Memory that is a runtime's own and yet in none of its figures: what the reader failed to see.
static void reason_unexplained_claims(const struct account *account, struct verdict_lines *lines)
{
    for (size_t i = 0; i < account->entry_count; i++) {
        const struct account_entry *entry = &account->entries[i];
        if (entry->row != ROW_UNEXPLAINED || !entry->runtime[0] || entry->bytes < unexplained_bytes)
            continue;
        char bytes[UNITS_TEXT_MAX];
        units_format_bytes(entry->bytes, bytes, sizeof bytes);
        verdict_say(lines, "Unexplained: %s that belong to %s and are in none of its figures.",
                    bytes, entry->runtime);
    }
}

// A name is where the search goes on: who made that file, and who else maps it.
static void reason_files(const struct account *account, struct verdict_lines *lines)
{
    char bytes[UNITS_TEXT_MAX];
    if (account->largest_file_bytes < unexplained_bytes)
        return;
    units_format_bytes(account->largest_file_bytes, bytes, sizeof bytes);
    verdict_say(lines, "The largest mapping of a file or of shared memory: %s of %s.", bytes,
                account->largest_file[0] ? account->largest_file : "shared anonymous memory");
}

// How close the cgroup's limit is, by the number that counts.
static void reason_limit(const struct verdict_input *input, struct verdict_lines *lines)
{
    const struct cgroup *cgroup = input->cgroup;
    if (cgroup->version == 0 || cgroup->limit_bytes == CGROUP_NO_LIMIT || cgroup->limit_bytes == 0)
        return;
    char rss[UNITS_TEXT_MAX], effective[UNITS_TEXT_MAX];
    units_format_percent(input->account->rss_bytes, cgroup->limit_bytes, rss, sizeof rss);
    units_format_percent(input->account->effective_bytes, cgroup->limit_bytes, effective,
                         sizeof effective);
    verdict_say(lines, "Of the memory limit of its cgroup it has %s by RSS, %s by effective RSS.",
                rss, effective);
}

// Figures that a reader can check against other tools, each with where it is from.
void verdict_give_reasons(const struct verdict_input *input, enum verdict_code code,
                          struct verdict_lines *lines)
{
    if (!input->account)
        return;
    reason_ledgers(input, code, lines);
    if (code == VERDICT_LAZY) {
        char lazy[UNITS_TEXT_MAX];
        units_format_bytes(input->account->lazy_bytes, lazy, sizeof lazy);
        verdict_say(lines, "The kernel says LazyFree %s: it can take that at once, without I/O.",
                    lazy);
    }
    if (code == VERDICT_UNKNOWN || code == VERDICT_GROWING)
        reason_jvm(input, lines);
    if (code == VERDICT_FILES)
        reason_files(input->account, lines);
    if (input->growth)
        reason_growth(input->growth, lines);
    reason_unexplained(input->account, lines);
    reason_unexplained_claims(input->account, lines);
    reason_limit(input, lines);
}
