// SPDX-License-Identifier: Apache-2.0
// Turning what was found of glibc's malloc into rows and figures, see result.h. Tool world; pure
// but for the report.
//
// Formulas: int_mallinfo() and __malloc_info() of malloc/malloc.c. Memory in a thread's tcache
// counts as in use there, and here.
#include <inttypes.h>
#include <stdio.h>

#include "base/units.h"
#include "runtime/glibc/result.h"

enum {
    ARENAS_IN_DETAIL = 8,
    // Below this, what arenas keep from each other is no reason for anybody's RSS.
    TELLING_BYTES = 16 << 20,
};

// Sums over all arenas.
struct totals {
    struct glibc_arena_survey sum;
    uint64_t holding; // arenas with memory
    uint64_t late, absent, approximate;
};

static struct totals totals_of(const struct glibc_result *result)
{
    struct totals totals = {0};
    for (size_t i = 0; i < result->arena_count; i++) {
        const struct glibc_arena_survey *arena = &result->arenas[i];
        struct glibc_arena_survey *sum = &totals.sum;
        sum->system_bytes += arena->system_bytes;
        sum->top_bytes += arena->top_bytes;
        sum->free_chunks += arena->free_chunks;
        sum->free_bytes += arena->free_bytes;
        sum->fast_chunks += arena->fast_chunks;
        sum->fast_bytes += arena->fast_bytes;
        sum->whole_bytes += arena->whole_bytes;
        sum->resident_bytes += arena->resident_bytes;
        sum->free_error_bytes += arena->free_error_bytes;
        sum->resident_error_bytes += arena->resident_error_bytes;
        sum->attached_threads += arena->attached_threads;
        totals.holding += arena->system_bytes > 0;
        totals.late += arena->is_late;
        totals.absent += arena->is_absent;
        totals.approximate += arena->approximate;
    }
    return totals;
}

// Figures of different moments may cross; none goes below 0.
static uint64_t minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

// One line of the ledger.
struct named_figure {
    const char *name;
    enum figure_unit unit;
    uint64_t value, error;
};

static int add_figures(struct runtime_report *report, const struct named_figure *figures,
                       size_t count)
{
    int error = 0;
    for (size_t i = 0; i < count && !error; i++)
        error = report_add_figure(report, figures[i].name, figures[i].unit, figures[i].value,
                                  figures[i].error);
    return error;
}

// The fields of mallinfo2 under their own names, then those for people.
static int add_ledger(const struct glibc_result *result, const struct totals *totals,
                      struct runtime_report *report)
{
    const struct glibc_arena_survey *sum = &totals->sum;
    const struct glibc_par *par = &result->state.par;
    uint64_t error = sum->free_error_bytes;
    uint64_t in_use = minus(sum->system_bytes, sum->free_bytes);
    // What malloc_trim() could give back from the main arena's end, as mallinfo2 has it.
    // int_mallinfo() sets it for the main arena only.
    uint64_t keepcost = result->arena_count ? result->arenas[0].top_bytes : 0;
    const struct named_figure figures[] = {
        {"arena", FIGURE_BYTES, sum->system_bytes, 0},
        {"ordblks", FIGURE_COUNT, sum->free_chunks, error / GLIBC_CHUNK_MIN_BYTES},
        {"smblks", FIGURE_COUNT, sum->fast_chunks, 0},
        {"usmblks", FIGURE_BYTES, 0, 0},
        {"fsmblks", FIGURE_BYTES, sum->fast_bytes, 0},
        {"uordblks", FIGURE_BYTES, in_use, error},
        {"fordblks", FIGURE_BYTES, sum->free_bytes, error},
        {"keepcost", FIGURE_BYTES, keepcost, 0},
        {"arenas", FIGURE_COUNT, result->arena_count, 0},
        {"arenas_with_memory", FIGURE_COUNT, totals->holding, 0},
        {"attached_threads", FIGURE_COUNT, sum->attached_threads, 0},
        {"free_pages_bytes", FIGURE_BYTES, sum->whole_bytes, sum->resident_error_bytes},
        {"resident_free_pages_bytes", FIGURE_BYTES, sum->resident_bytes, sum->resident_error_bytes},
    };
    int result_code = add_figures(report, figures, sizeof figures / sizeof figures[0]);
    // Without malloc_par no figure for mapped blocks is made up.
    if (result_code || !result->state.has_par)
        return result_code;
    const struct named_figure mapped[] = {
        {"hblks", FIGURE_COUNT, par->mmapped_chunks, 0},
        {"hblkhd", FIGURE_BYTES, par->mmapped_bytes, 0},
        {"mmapped", FIGURE_BYTES, result->mapped_bytes, 0},
        {"max_mmapped", FIGURE_BYTES, par->max_mmapped_bytes, 0},
    };
    return add_figures(report, mapped, sizeof mapped / sizeof mapped[0]);
}

// One arena, in few words.
static int add_arena(const char *prefix, const struct glibc_arena_survey *arena,
                     struct runtime_report *report)
{
    char names[5][32];
    static const char *const suffixes[] = {"system", "in_use", "free", "resident_free", "threads"};
    for (size_t i = 0; i < 5; i++)
        snprintf(names[i], sizeof names[i], "%s.%s", prefix, suffixes[i]);
    const struct named_figure figures[] = {
        {names[0], FIGURE_BYTES, arena->system_bytes, 0},
        {names[1], FIGURE_BYTES, minus(arena->system_bytes, arena->free_bytes),
         arena->free_error_bytes},
        {names[2], FIGURE_BYTES, arena->free_bytes, arena->free_error_bytes},
        {names[3], FIGURE_BYTES, arena->resident_bytes, arena->resident_error_bytes},
        {names[4], FIGURE_COUNT, arena->attached_threads, 0},
    };
    return add_figures(report, figures, sizeof figures / sizeof figures[0]);
}

// The first arenas one by one, the others as one.
static int add_arenas(const struct glibc_result *result, struct runtime_report *report)
{
    // A single arena is the totals once more.
    if (result->arena_count < 2)
        return 0;
    struct glibc_result rest = *result;
    int error = 0;
    for (size_t i = 0; i < result->arena_count && i < ARENAS_IN_DETAIL && !error; i++) {
        char prefix[16];
        snprintf(prefix, sizeof prefix, "arena.%zu", i);
        error = add_arena(prefix, &result->arenas[i], report);
        rest.arenas++;
        rest.arena_count--;
    }
    if (error || rest.arena_count == 0)
        return error;
    struct totals totals = totals_of(&rest);
    return add_arena("arena.others", &totals.sum, report);
}

// Kept and slack are measured; what the claims hold beyond them is in use: memory that the program
// has, as far as it is in memory.
// mallinfo's uordblks counts what was never touched as well; rows count what is in memory.
static int add_rows(const struct glibc_result *result, const struct totals *totals,
                    struct runtime_report *report)
{
    const struct glibc_arena_survey *sum = &totals->sum;
    uint64_t rss = 0, lazy = 0;
    report->rest_row = ROW_IN_USE;
    if (report->claim_count == 0)
        return 0;
    for (size_t i = 0; i < report->claim_count; i++) {
        rss += report->claims[i].rss_bytes;
        lazy += report->claims[i].lazy_bytes;
    }
    // The ends of free chunks hold headers and are resident with them.
    uint64_t slack = minus(sum->free_bytes, sum->whole_bytes);
    // No error is larger than all that is there.
    uint64_t slack_error = sum->free_error_bytes + sum->resident_error_bytes;
    slack_error = slack_error < rss ? slack_error : rss;
    uint64_t others = lazy + sum->resident_bytes + slack + result->metadata_bytes;
    int error = report_add_part(report, ROW_KEPT, sum->resident_bytes, sum->resident_error_bytes,
                                "whole pages of free chunks x pagemap");
    if (!error)
        error = report_add_part(report, ROW_SLACK, slack, slack_error,
                                "free chunks but their whole pages");
    if (!error && result->metadata_bytes)
        error = report_add_part(report, ROW_METADATA, result->metadata_bytes, 0,
                                "heap_info, malloc_state");
    if (!error)
        error = report_add_part(report, ROW_IN_USE, minus(rss, others), slack_error,
                                "resident memory of arenas and mapped blocks - free chunks");
    return error;
}

// What the figures leave out, each with what would help.
static int add_unread(const struct glibc_result *result, const struct totals *totals,
                      struct runtime_report *report)
{
    char what[128];
    int error = 0;
    const struct glibc_par *par = &result->state.par;
    if (!result->state.has_par)
        error = report_add_unread(report, "glibc's settings and its count of mapped blocks",
                                  "a layout of malloc_par that this version of ebb knows");
    if (!error && totals->late) {
        snprintf(what, sizeof what, "all free chunks: %" PRIu64 " were seen",
                 totals->sum.free_chunks + totals->sum.fast_chunks);
        error = report_add_unread(report, what, "more time: --budget=0 sets no limit");
    }
    if (!error && totals->absent)
        error = report_add_unread(report, "free lists that run through pages in swap",
                                  "these pages in memory: ebb brings none in");
    if (!error && result->unread_arenas) {
        snprintf(what, sizeof what, "the heaps of %" PRIu64 " arenas", result->unread_arenas);
        error = report_add_unread(report, what, "a second try: they were changing");
    }
    if (!error && result->outside_bytes) {
        snprintf(what, sizeof what, "%" PRIu64 " bytes of the main arena outside of the heap",
                 result->outside_bytes);
        error =
            report_add_unread(report, what, "nothing that is known: no free list leads to them");
    }
    if (!error && result->state.has_par && result->mapped_bytes != par->mmapped_bytes) {
        char found[UNITS_TEXT_MAX], all[UNITS_TEXT_MAX];
        units_format_bytes(result->mapped_bytes, found, sizeof found);
        units_format_bytes(par->mmapped_bytes, all, sizeof all);
        snprintf(what, sizeof what, "where all of glibc's mapped blocks lie: found %s of %s", found,
                 all);
        error = report_add_unread(report, what, "a second try: they come and go");
    }
    return error;
}

// Free memory in arenas beyond the main one, as far as it is resident: each arena is used by its
// own threads alone, however much of it the others could do with.
static uint64_t other_free_bytes(const struct glibc_result *result)
{
    uint64_t bytes = 0;
    for (size_t i = 1; i < result->arena_count; i++) {
        const struct glibc_arena_survey *arena = &result->arenas[i];
        bytes += arena->resident_bytes + minus(arena->free_bytes, arena->whole_bytes);
    }
    return bytes;
}

int glibc_report_fill(const struct target *target, const struct glibc_result *result,
                      struct runtime_report *report)
{
    struct totals totals = totals_of(result);
    if (other_free_bytes(result) >= TELLING_BYTES)
        report->facts |= FACT_MANY_ARENAS;
    report->approximate = totals.approximate > 0 || result->unread_arenas > 0;
    int error = add_ledger(result, &totals, report);
    if (!error)
        error = report_add_count(report, "threads", target->status ? target->status->threads : 0);
    if (!error)
        error = add_arenas(result, report);
    if (!error)
        error = add_rows(result, &totals, report);
    if (!error)
        error = glibc_report_settings(target, result, report);
    if (!error)
        error = add_unread(result, &totals, report);
    return error;
}
