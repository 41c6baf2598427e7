// SPDX-License-Identifier: Apache-2.0
// Go's part of the account, see go_account.h. Tool world; no state.
#include "runtime/go/go_account.h"

#include <errno.h>
#include <stdlib.h>

#include "base/number.h"
#include "runtime/go/go_large.h"
#include "runtime/go/go_metadata.h"
#include "runtime/target.h"

// Where Go asks for its arenas first (runtime/malloc.go): 0xc000000000 on amd64 and arm64, and up.
static const uint64_t ARENAS_START = UINT64_C(0xc000000000);
static const uint64_t ARENAS_END = UINT64_C(0x10000000000);

// Looking for untouched objects is worth it where they are more than both of these.
static const uint64_t UNTOUCHED_WORTH_BYTES = 4 << 20;
enum { UNTOUCHED_WORTH_PART = 50 };

// A difference that a target in motion cannot make negative.
static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

// Takes up to `*deficit` off `*bytes`.
static void cut(uint64_t *bytes, uint64_t *deficit)
{
    uint64_t step = number_least(*bytes, *deficit);
    *bytes -= step;
    *deficit -= step;
}

// The measured rows are fixed first. What the ledger says of the rest is then cut to what is
// there, from the rows that are most likely to be untouched.
void go_heap_split(const struct go_memstats *stats, const struct go_heap_measure *measure,
                   struct go_heap_split *ret_split)
{
    struct go_heap_split split = {
        .in_use = number_least(stats->heap_alloc, stats->heap_inuse),
        .slack = less(stats->heap_inuse, stats->heap_alloc),
        .stacks = stats->stack_inuse,
        .work_bufs = stats->work_bufs,
    };
    // Before 1.14 there are no bitmaps: the ledger's figure has to do.
    uint64_t free_bytes = less(stats->heap_idle, stats->heap_released);
    // Measured pages come first; the ledger's sizes share what remains.
    const struct go_page_totals *pages = measure->pages;
    uint64_t left = measure->resident, measured = 0;
    if (pages) {
        measured = number_least(pages->resident[GO_PAGES_KEPT], left);
        left -= measured;
        // Returned pages that are resident are lazily freed, or were written to again.
        split.repopulated =
            number_least(less(pages->resident[GO_PAGES_RETURNED], measure->lazy), left);
        left -= split.repopulated;
        // Free pages that a P has taken for itself are allocated in the bitmaps.
        free_bytes = less(free_bytes, pages->bytes[GO_PAGES_KEPT]);
    }
    // What the ledger counts and memory does not hold was never touched since it was mapped.
    uint64_t used = split.in_use + split.slack + split.stacks + split.work_bufs;
    uint64_t deficit = less(used + free_bytes, left);
    uint64_t untouched = number_least(measure->untouched, deficit);
    deficit -= untouched;
    cut(&split.in_use, &untouched);
    deficit += untouched;
    // What else was never touched is taken off by guess: free pages first, then holes, then
    // objects.
    split.error = deficit;
    cut(&free_bytes, &deficit);
    cut(&split.slack, &deficit);
    cut(&split.in_use, &deficit);
    cut(&split.stacks, &deficit);
    cut(&split.work_bufs, &deficit);
    split.kept = measured + free_bytes;
    *ret_split = split;
}

// Sums of what the report has claimed so far. Lazily freed bytes have a row of their own.
static void claimed_bytes(const struct runtime_report *report, uint64_t *ret_resident,
                          uint64_t *ret_lazy)
{
    *ret_resident = *ret_lazy = 0;
    for (size_t i = 0; i < report->claim_count; i++) {
        *ret_resident += less(report->claims[i].rss_bytes, report->claims[i].lazy_bytes);
        *ret_lazy += report->claims[i].lazy_bytes;
    }
}

// Empty rows are left out. Each error is bounded by the ledger's own figure: a row of a few KiB is
// not uncertain by megabytes.
static int add_heap_parts(struct runtime_report *report, const struct go_memstats *stats,
                          const struct go_heap_split *split, bool by_pages)
{
    uint64_t slack = less(stats->heap_inuse, stats->heap_alloc);
    uint64_t idle = less(stats->heap_idle, stats->heap_released);
    const struct {
        enum account_row row;
        uint64_t bytes, error;
        const char *source;
    } parts[] = {
        {ROW_IN_USE, split->in_use, number_least(split->error, stats->heap_alloc),
         "HeapAlloc, less what is not in memory"},
        {ROW_SLACK, split->slack, number_least(split->error, slack), "HeapInuse - HeapAlloc"},
        {ROW_KEPT, split->kept, by_pages ? 0 : number_least(split->error, idle),
         by_pages ? "free pages of mheap_.pages that are resident" : "HeapIdle - HeapReleased"},
        {ROW_KEPT, split->repopulated, 0, "returned pages that are resident again (huge pages)"},
        {ROW_STACKS, split->stacks, 0, "StackInuse: goroutines' stacks"},
        {ROW_METADATA, split->work_bufs, 0, "the collector's work buffers"},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].bytes == 0)
            continue;
        int error =
            report_add_part(report, parts[i].row, parts[i].bytes, parts[i].error, parts[i].source);
        if (error)
            return error;
    }
    return 0;
}

// Ranges may span several mappings, and mappings may hold parts that are only reserved.
static int claim_ranges(const struct target *target, const struct page_range *ranges, size_t count,
                        struct runtime_report *report)
{
    for (size_t i = 0; i < count; i++) {
        int error = target_claim(target, report, ranges[i].start, ranges[i].end);
        if (error)
            return error;
    }
    return 0;
}

// Splits, and looks for untouched objects where much of the ledger is not in memory.
static void split_heap(const struct target *target, const struct go_runtime *runtime,
                       const struct go_memstats *stats, uint64_t deadline_ns,
                       struct go_heap_measure *measure, struct go_heap_split *ret_split)
{
    go_heap_split(stats, measure, ret_split);
    if (ret_split->error <= UNTOUCHED_WORTH_BYTES ||
        ret_split->error <= measure->resident / UNTOUCHED_WORTH_PART)
        return;
    // Without it the split stands as it was, with its error.
    if (go_large_untouched(runtime, target->process, deadline_ns, &measure->untouched) == 0)
        go_heap_split(stats, measure, ret_split);
}

// The heap: claims, bitmaps, parts.
static int account_heap(const struct target *target, const struct go_runtime *runtime,
                        const struct go_memstats *stats, uint64_t deadline_ns,
                        struct runtime_report *report)
{
    struct page_range *ranges;
    size_t count;
    int error = go_heap_ranges(runtime, target->mappings, &ranges, &count);
    if (error)
        return error;
    struct go_heap_measure measure = {0};
    struct go_page_totals pages;
    struct go_heap_split split;
    error = claim_ranges(target, ranges, count, report);
    claimed_bytes(report, &measure.resident, &measure.lazy);
    int pages_error =
        error ? error
              : go_pages_measure(runtime, target->process, ranges, count, deadline_ns, &pages);
    free(ranges);
    if (error)
        return error;
    measure.pages = pages_error ? NULL : &pages;
    split_heap(target, runtime, stats, deadline_ns, &measure, &split);
    if (pages_error && pages_error != -ENOENT)
        error = report_add_unread(report, "which of Go's free pages are resident",
                                  pages_error == -ETIME ? "more time" : "ptrace read access");
    return error ? error : add_heap_parts(report, stats, &split, !pages_error);
}

// The order matters: a claim takes only what is left, so the most exact ones come first.
int go_account_report(const struct target *target, const struct go_runtime *runtime,
                      const struct go_memstats *stats, uint64_t deadline_ns,
                      struct runtime_report *report)
{
    report->rest_row = ROW_UNEXPLAINED;
    int error = account_heap(target, runtime, stats, deadline_ns, report);
    uint64_t before, after, lazy;
    claimed_bytes(report, &before, &lazy);
    // Before the tables: where there is no C code these take all that is left.
    if (!error && runtime->version.race)
        error = go_metadata_claim_race(target, report);
    claimed_bytes(report, &after, &lazy);
    if (!error && after > before)
        error = report_add_part(report, ROW_METADATA, after - before, 0,
                                "the race detector's shadow memory and tables");
    before = after;
    if (!error)
        error = go_metadata_claim(target, runtime, report);
    claimed_bytes(report, &after, &lazy);
    if (!error)
        error = report_add_part(report, ROW_METADATA, less(after, before), 0,
                                "tables outside the heap: spans, bitmaps, profiling buckets");
    return error;
}

// Beside C code only the addresses where Go puts its arenas are certain to be Go's.
int go_account_report_opaque(const struct target *target, const struct go_runtime *runtime,
                             struct runtime_report *report)
{
    report->facts |= FACT_OPAQUE;
    report->rest_row = ROW_HELD;
    if (!runtime->has_cgo)
        return target_claim_rest(target, report, false);
    return target_claim(target, report, ARENAS_START, ARENAS_END);
}
