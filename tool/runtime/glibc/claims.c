// SPDX-License-Identifier: Apache-2.0
// Finding glibc's memory among the mappings, see claims.h. Tool world; one thread.
#include <errno.h>

#include "runtime/glibc/claims.h"
#include "runtime/glibc/mmapped.h"

enum {
    SIZE_FLAGS = 7,
    MAIN_REGIONS_MAX = 64,
    // How many pages are looked at in search of lost blocks: some 50 ms.
    SEARCH_PAGES_MAX = 65536,
    SMALL_GAP_BYTES = 16 << 20,
    // Small mappings of others that the kernel may have merged to the arena's.
    MERGED_BYTES_MAX = 256 << 10,
};

// Memory as malloc gets it: private, anonymous, writable.
static bool is_heap_like(const struct mapping *mapping)
{
    return (mapping->kind == MAPPING_ANONYMOUS || mapping->kind == MAPPING_BRK) &&
           (mapping->flags & MAPPING_WRITE) && !(mapping->flags & MAPPING_SHARED);
}

// The end of the claim of `report` that holds `at` (ret_from = at), or the start of the first one
// behind it.
static void next_claim(const struct runtime_report *report, uint64_t at, uint64_t *from,
                       uint64_t *upto)
{
    // Claims are sorted by address, see claim.c.
    size_t low = 0, high = report->claim_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (report->claims[middle].end > at)
            high = middle;
        else
            low = middle + 1;
    }
    if (low == report->claim_count)
        return;
    const struct runtime_claim *claim = &report->claims[low];
    if (claim->start < *from) {
        *from = claim->start;
        *upto = claim->end;
    }
}

// The first stretch of [at, end) that nobody has claimed. False when there is none.
static bool next_gap(const struct target *target, const struct runtime_report *report, uint64_t at,
                     uint64_t end, struct page_range *ret_gap)
{
    while (at < end) {
        uint64_t from = end, upto = end;
        next_claim(report, at, &from, &upto);
        for (size_t i = 0; i < target->earlier_count; i++)
            next_claim(&target->earlier[i], at, &from, &upto);
        if (from > at) {
            *ret_gap = (struct page_range){at, from};
            return true;
        }
        at = upto;
    }
    return false;
}

// Takes the unclaimed memory around `address` for the arena's, if it is hardly more than what is
// missing.
static int add_memory_of(const struct target *target, const struct runtime_report *report,
                         uint64_t address, uint64_t missing_bytes, struct glibc_regions *regions)
{
    const struct mapping *mapping = mappings_find(target->mappings, address);
    if (!mapping || !is_heap_like(mapping) || mapping->kind == MAPPING_BRK ||
        regions->count >= MAIN_REGIONS_MAX || glibc_regions_find(regions, address, 1))
        return 0;
    struct page_range gap = {0, mapping->start};
    while (gap.end <= address) {
        if (!next_gap(target, report, gap.end, mapping->end, &gap))
            return 0;
    }
    if (gap.start > address || gap.end - gap.start > missing_bytes + MERGED_BYTES_MAX)
        return 0;
    // Where its first chunk lies is not known, so it can be looked into by lists alone.
    struct glibc_region region = {gap.start, 0, gap.end};
    return glibc_regions_add(regions, &region);
}

// Where the brk stops being contiguous the arena goes on in mappings: its top and its lists name
// them.
// Source: sysmalloc() maps a MiB at the least where brk() fails, and the arena is not contiguous
// from then on (NONCONTIGUOUS_BIT).
static int add_outside(const struct target *target, const struct runtime_report *report,
                       const struct glibc_arena *arena, struct glibc_regions *regions)
{
    uint64_t known = glibc_regions_bytes(regions);
    int error = 0;
    if (known < arena->system_bytes)
        error = add_memory_of(target, report, arena->top, arena->system_bytes - known, regions);
    for (size_t i = 0; i < GLIBC_BINS * 2 && !error; i++) {
        known = glibc_regions_bytes(regions);
        if (known >= arena->system_bytes)
            break;
        error = add_memory_of(target, report, arena->bins[i], arena->system_bytes - known, regions);
    }
    return error;
}

int glibc_main_regions(const struct target *target, const struct runtime_report *report,
                       struct glibc_memory *memory, const struct glibc_arena *arena,
                       const struct glibc_par *par, struct glibc_regions *ret_regions,
                       uint64_t *ret_outside_bytes)
{
    struct glibc_regions regions = {0};
    uint64_t start = 0, end = 0, size = 0;
    int error = 0;
    // A main arena without memory: threads came first, or another malloc serves the program.
    if (arena->system_bytes == 0) {
        *ret_regions = regions;
        *ret_outside_bytes = 0;
        return 0;
    }
    if (glibc_brk(target, &start, &end)) {
        bool top_inside = arena->top >= start && arena->top < end;
        if (top_inside && glibc_memory_read(memory, arena->top + 8, &size, sizeof size) == 0) {
            size &= ~(uint64_t)SIZE_FLAGS;
            // Behind top is what the program took with sbrk() itself.
            if (size <= end - arena->top)
                end = arena->top + size;
        }
        // Without malloc_par the start follows from the end, if the heap is in one piece.
        uint64_t contiguous_start = end - arena->system_bytes;
        if (par && par->sbrk_base >= start && par->sbrk_base < end)
            start = par->sbrk_base;
        else if (top_inside && contiguous_start >= start && contiguous_start < end)
            start = contiguous_start;
        struct glibc_region region = {start, (start + 15) & ~(uint64_t)15, end};
        error = glibc_regions_add(&regions, &region);
    }
    if (!error)
        error = add_outside(target, report, arena, &regions);
    if (error) {
        glibc_regions_free(&regions);
        return error;
    }
    uint64_t known = glibc_regions_bytes(&regions);
    *ret_outside_bytes = known < arena->system_bytes ? arena->system_bytes - known : 0;
    *ret_regions = regions;
    return 0;
}

// What the passes of the search share.
struct search {
    const struct target *target;
    struct glibc_memory *memory;
    struct glibc_result *result;
    struct runtime_report *report;
    bool every_page;
    uint64_t gap_max_bytes; // larger gaps are left out
    uint64_t pages;         // looked at
};

static bool search_is_over(const struct search *search)
{
    const struct glibc_par *par = &search->result->state.par;
    // malloc_par says how much there is to find; it may have changed since, but only a little.
    return search->result->mapped_chunks >= par->mmapped_chunks ||
           search->result->mapped_bytes >= par->mmapped_bytes ||
           (search->every_page && search->pages >= SEARCH_PAGES_MAX);
}

// Goes along a gap from block to block.
// Source: sysmalloc_mmap(). Neighbouring blocks share a mapping, since the kernel merges what it
// maps side by side.
static int search_gap(struct search *search, const struct page_range *gap)
{
    struct glibc_memory *memory = search->memory;
    struct glibc_result *result = search->result;
    uint64_t mask = memory->page_bytes - 1, at = (gap->start + mask) & ~mask;
    while (at < gap->end && !search_is_over(search)) {
        if (search->pages++ % 256 == 0 && glibc_memory_is_late(memory))
            return -ETIME;
        uint64_t bytes = 0;
        // An absent page is no error: whatever lies there is no block's first page.
        int error = glibc_mmapped_at(memory, at, gap->end, &bytes);
        if (error == -EPERM || error == -ESRCH || error == -ENOMEM)
            return error;
        bool fits = !error && bytes <= result->state.par.mmapped_bytes - result->mapped_bytes;
        if (!fits) {
            // Blocks lie end to end; a gap that does not go on with one is somebody else's from
            // here.
            if (!search->every_page)
                return 0;
            at += memory->page_bytes;
            continue;
        }
        // The whole block is in use: free() unmaps it.
        error = target_claim(search->target, search->report, at, at + bytes);
        if (error)
            return error;
        result->mapped_bytes += bytes;
        result->mapped_chunks++;
        at += bytes;
    }
    return 0;
}

// A block may go on in the mappings behind it: madvise() on a part of it (huge pages, no dump, no
// fork) makes the kernel split its mapping.
static uint64_t run_end(const struct mappings *mappings, size_t index)
{
    uint64_t end = mappings->items[index].end;
    while (++index < mappings->count && mappings->items[index].start == end &&
           is_heap_like(&mappings->items[index]))
        end = mappings->items[index].end;
    return end;
}

static int search_mappings(struct search *search)
{
    const struct mappings *mappings = search->target->mappings;
    uint64_t at = 0, end = 0;
    for (size_t i = 0; i < mappings->count && !search_is_over(search); i++) {
        const struct mapping *mapping = &mappings->items[i];
        // A block's header is in memory, unless it was swapped out: nothing to find where nothing
        // is.
        if (!is_heap_like(mapping) || (mappings->has_sizes && mapping->rss_kib == 0))
            continue;
        struct page_range gap;
        // A run is gone along once, however many mappings it has; but each may begin with a block.
        if (end < mapping->end)
            end = run_end(mappings, i);
        if (!search->every_page || at < mapping->start)
            at = mapping->start;
        // Where a gap starts decides: one of the next mapping is met there.
        while (next_gap(search->target, search->report, at, end, &gap) &&
               gap.start < mapping->end) {
            int error = 0;
            if (gap.end - gap.start <= search->gap_max_bytes)
                error = search_gap(search, &gap);
            if (error)
                return error;
            at = gap.end;
        }
    }
    return 0;
}

int glibc_claim_mapped(const struct target *target, struct glibc_memory *memory,
                       struct glibc_result *result, struct runtime_report *report)
{
    if (!result->state.has_par)
        return 0;
    struct search search = {.target = target,
                            .memory = memory,
                            .result = result,
                            .report = report,
                            .gap_max_bytes = UINT64_MAX};
    int error = search_mappings(&search);
    // Small gaps first: a large one is mostly some other runtime's heap, and would use up all the
    // looks.
    search.every_page = true;
    search.gap_max_bytes = SMALL_GAP_BYTES;
    if (!error)
        error = search_mappings(&search);
    search.gap_max_bytes = UINT64_MAX;
    if (!error)
        error = search_mappings(&search);
    return error == -ETIME ? 0 : error;
}
