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
    SEARCH_FOUND_MAX = 64,
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
    uint64_t gap_min_bytes, gap_max_bytes; // other gaps are left out
    uint64_t pages;                        // looked at
    // Of the passes over every page: what looks like a block, to be chosen from. Where it is more
    // than fits, whatever comes first is believed.
    bool believes;
    struct glibc_block found[SEARCH_FOUND_MAX];
    size_t found_count;
    uint64_t found_bytes;
};

// malloc_par says how much there is to find; it may have changed since, but only a little.
static uint64_t missing_chunks(const struct glibc_result *result)
{
    uint64_t all = result->state.par.mmapped_chunks, seen = result->mapped_chunks;
    return all > seen ? all - seen : 0;
}

static uint64_t missing_bytes(const struct glibc_result *result)
{
    uint64_t all = result->state.par.mmapped_bytes, seen = result->mapped_bytes;
    return all > seen ? all - seen : 0;
}

static bool search_is_over(const struct search *search)
{
    uint64_t chunks = missing_chunks(search->result), bytes = missing_bytes(search->result);
    if (chunks == 0 || bytes == 0)
        return true;
    // Exactly what is missing, and nothing else that looks like it.
    bool is_whole = search->found_count == chunks && search->found_bytes == bytes;
    return search->every_page && (search->pages >= SEARCH_PAGES_MAX || is_whole);
}

// The whole block is in use: free() unmaps it.
static int search_claim(struct search *search, uint64_t at, uint64_t bytes)
{
    int error = target_claim(search->target, search->report, at, at + bytes);
    if (error)
        return error;
    search->result->mapped_bytes += bytes;
    search->result->mapped_chunks++;
    return 0;
}

// Those that sum to what is missing; where none do, because the program went on meanwhile, one
// after the other as long as they fit.
static int search_choose(struct search *search)
{
    uint64_t chosen =
        glibc_mmapped_choose(search->found, search->found_count, missing_chunks(search->result),
                             missing_bytes(search->result));
    size_t count = search->found_count;
    search->found_count = 0;
    for (size_t i = 0; i < count && missing_chunks(search->result) > 0; i++) {
        const struct glibc_block *block = &search->found[i];
        bool fits = block->bytes <= missing_bytes(search->result);
        if (chosen ? !(chosen >> i & 1) : !fits)
            continue;
        int error = search_claim(search, block->start, block->bytes);
        if (error)
            return error;
    }
    return 0;
}

// A block, or what looks like one.
static int search_add(struct search *search, uint64_t at, uint64_t bytes)
{
    if (!search->every_page || search->believes)
        return search_claim(search, at, bytes);
    search->found[search->found_count++] = (struct glibc_block){at, bytes};
    search->found_bytes += bytes;
    search->believes = search->found_count == SEARCH_FOUND_MAX;
    return search->believes ? search_choose(search) : 0;
}

// Goes along a gap from block to block.
// Source: sysmalloc_mmap(). Neighbouring blocks share a mapping, since the kernel merges what it
// maps side by side.
static int search_gap(struct search *search, const struct page_range *gap)
{
    struct glibc_memory *memory = search->memory;
    uint64_t mask = memory->page_bytes - 1, at = (gap->start + mask) & ~mask;
    while (at < gap->end && !search_is_over(search)) {
        if (search->pages++ % 256 == 0 && glibc_memory_is_late(memory))
            return -ETIME;
        uint64_t bytes = 0;
        // An absent page is no error: whatever lies there is no block's first page.
        int error = glibc_mmapped_at(memory, at, gap->end, &bytes);
        if (error == -EPERM || error == -ESRCH || error == -ENOMEM)
            return error;
        bool fits = !error && bytes <= missing_bytes(search->result);
        if (!fits) {
            // Blocks lie end to end; a gap that does not go on with one is somebody else's from
            // here.
            if (!search->every_page)
                return 0;
            at += memory->page_bytes;
            continue;
        }
        error = search_add(search, at, bytes);
        if (error)
            return error;
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
            if (gap.end - gap.start >= search->gap_min_bytes &&
                gap.end - gap.start <= search->gap_max_bytes)
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
    search.gap_min_bytes = SMALL_GAP_BYTES + 1;
    search.gap_max_bytes = UINT64_MAX;
    if (!error)
        error = search_mappings(&search);
    // What was found until time was up counts as well.
    if (!error || error == -ETIME)
        error = search_choose(&search);
    return error;
}
