// SPDX-License-Identifier: Apache-2.0
// Go's page bitmaps, see go_pages.h. Tool world; no state.
#include "runtime/go/go_pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/go/go_extents.h"

enum {
    RANGES_MAX = 1 << 16,
    ARENAS_MAX = 1 << 20,
    BATCH_RANGES = 1024,
    // 4 TiB of arenas: more is a table that was misread.
    ARENA_LOOKUPS_MAX = 1 << 16
};

// Bit n of the array is page n, on every little-endian machine.
static bool bit_is_set(const uint64_t *bits, unsigned page)
{
    return bits[page / 64] >> (page % 64) & 1;
}

// Go leaves a page marked as scavenged while it is allocated: allocation decides.
static enum go_page_state page_state(const struct go_chunk *chunk, unsigned page)
{
    if (bit_is_set(chunk->allocated, page))
        return GO_PAGES_ALLOCATED;
    return bit_is_set(chunk->scavenged, page) ? GO_PAGES_RETURNED : GO_PAGES_KEPT;
}

// Runs rather than pages: a chunk mostly has a handful of them.
unsigned go_chunk_run(const struct go_chunk *chunk, unsigned page, enum go_page_state *ret_state)
{
    enum go_page_state state = page_state(chunk, page);
    unsigned end = page + 1;
    while (end < GO_CHUNK_PAGES && page_state(chunk, end) == state)
        end++;
    *ret_state = state;
    return end - page;
}

// For qsort.
static int compare_ranges(const void *a, const void *b)
{
    const struct page_range *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

// Overlapping ranges would be counted twice: the list is read from a foreign memory.
static int sort_ranges(struct page_range *ranges, size_t count)
{
    if (count > 0)
        qsort(ranges, count, sizeof *ranges, compare_ranges);
    // An empty range is no less a sign of damage than one that overlaps.
    for (size_t i = 0; i < count; i++) {
        if (ranges[i].start >= ranges[i].end || (i > 0 && ranges[i].start < ranges[i - 1].end))
            return -EBADMSG;
    }
    return 0;
}

// The page allocator's own list.
static int ranges_in_use(const struct go_runtime *runtime, struct page_range *ranges,
                         const struct go_slice *slice)
{
    size_t stride = (size_t)runtime->row.fields[GO_RANGE].size;
    uint8_t range[64];
    if (stride == 0 || stride > sizeof range)
        return -EBADMSG;
    // One by one: the list is short.
    for (size_t i = 0; i < slice->len; i++) {
        int error = go_memory_read(&runtime->memory, slice->data + i * stride, range, stride);
        if (error)
            return error;
        ranges[i].start = go_take_field(runtime, GO_RANGE_BASE, range, stride);
        ranges[i].end = go_take_field(runtime, GO_RANGE_LIMIT, range, stride);
        // addrRanges (runtime/mranges.go) hold what the page allocator was given: whole pages.
        if (ranges[i].start % GO_PAGE_BYTES != 0 || ranges[i].end % GO_PAGE_BYTES != 0)
            return -EBADMSG;
    }
    return 0;
}

// Whole arenas, by their indexes.
static int ranges_of_arenas(const struct go_runtime *runtime, struct page_range *ranges,
                            const struct go_slice *slice)
{
    for (size_t i = 0; i < slice->len; i++) {
        uint64_t index;
        int error = go_memory_u64(&runtime->memory, slice->data + i * 8, &index);
        if (error)
            return error;
        if (index > UINT64_MAX / GO_ARENA_BYTES)
            return -EBADMSG;
        // arenaBase (runtime/mheap.go).
        ranges[i].start = index * GO_ARENA_BYTES + go_table_arena_base(runtime->machine);
        ranges[i].end = ranges[i].start + GO_ARENA_BYTES;
    }
    return 0;
}

// The ranges of a list in the target.
static int ranges_of_list(const struct go_runtime *runtime, struct go_extents *ranges)
{
    // Which list there is depends on the version; both end as ranges of addresses.
    struct go_slice slice;
    bool by_pages = go_has(runtime, GO_HEAP_IN_USE_RANGES);
    int error =
        go_read_slice(runtime, by_pages ? GO_HEAP_IN_USE_RANGES : GO_HEAP_ALL_ARENAS, &slice);
    if (error)
        return error;
    if (slice.len > (by_pages ? RANGES_MAX : ARENAS_MAX))
        return -EBADMSG;
    ranges->items = calloc(slice.len ? (size_t)slice.len : 1, sizeof *ranges->items);
    if (!ranges->items)
        return -ENOMEM;
    ranges->count = (size_t)slice.len;
    return by_pages ? ranges_in_use(runtime, ranges->items, &slice)
                    : ranges_of_arenas(runtime, ranges->items, &slice);
}

// The arenas that the map of arenas has in one mapping.
static int ranges_in_mapping(const struct go_runtime *runtime, uint64_t map,
                             const struct mapping *mapping, unsigned *lookups,
                             struct go_extents *ranges)
{
    // By address and not by index: a mapping may begin in the middle of an arena.
    uint64_t base = go_table_arena_base(runtime->machine);
    for (uint64_t at = mapping->start - mapping->start % GO_ARENA_BYTES; at < mapping->end;
         at += GO_ARENA_BYTES) {
        // Below the base the difference wraps, and is beyond the map.
        uint64_t index = (at - base) / GO_ARENA_BYTES, arena;
        // A map from addresses: what lies beyond it, or where it has nothing, is not Go's.
        if (index >= GO_ARENAS_L2_COUNT || ++*lookups > ARENA_LOOKUPS_MAX)
            return 0;
        if (go_memory_u64(&runtime->memory, map + index * 8, &arena) != 0 || arena == 0)
            continue;
        int error = go_extents_add(ranges, at, GO_ARENA_BYTES);
        if (error)
            return error;
    }
    return 0;
}

// 1.11 knows its arenas only by the map from addresses.
static int ranges_of_map(const struct go_runtime *runtime, const struct mappings *mappings,
                         struct go_extents *ranges)
{
    uint64_t field = go_field_address(runtime, GO_HEAP_ARENAS), map;
    if (field == 0 || !mappings)
        return -ENOENT;
    int error = go_memory_u64(&runtime->memory, field, &map);
    unsigned lookups = 0;
    for (size_t i = 0; i < mappings->count && !error; i++) {
        const struct mapping *mapping = &mappings->items[i];
        // Reserved arenas are not in memory, and of no interest.
        if (mapping->kind == MAPPING_ANONYMOUS && mapping->rss_kib > 0)
            error = ranges_in_mapping(runtime, map, mapping, &lookups, ranges);
    }
    go_extents_merge(ranges, 0);
    return error;
}

// Checked as a whole, since every later step relies on the order.
int go_heap_ranges(const struct go_runtime *runtime, const struct mappings *mappings,
                   struct page_range **ret_ranges, size_t *ret_count)
{
    // A list that cannot be trusted leaves nothing: half a heap would look like a small one.
    struct go_extents ranges = {0};
    int error = ranges_of_list(runtime, &ranges);
    if (error == -ENOENT)
        error = ranges_of_map(runtime, mappings, &ranges);
    if (!error)
        error = sort_ranges(ranges.items, ranges.count);
    if (error) {
        go_extents_free(&ranges);
        return error;
    }
    *ret_ranges = ranges.items;
    *ret_count = ranges.count;
    return 0;
}

// Runs of one state, collected until there are enough for one call of pagemap_count().
struct batch {
    struct page_range ranges[BATCH_RANGES];
    size_t count;
};

struct walk {
    const struct go_runtime *runtime;
    struct process *process;
    struct go_page_totals *totals;
    struct go_window *chunks;
    uint64_t page_bytes; // of the kernel: 4 KiB to 64 KiB, so more or less than one of Go
    struct batch batches[GO_PAGE_STATES];
};

// One call for many runs; near ones share a walk of the kernel.
static int batch_flush(struct walk *walk, enum go_page_state state)
{
    struct batch *batch = &walk->batches[state];
    struct page_counts counts = {0};
    int error =
        batch->count ? pagemap_count(walk->process, batch->ranges, batch->count, &counts) : 0;
    if (!error)
        // Present in memory; what is swapped out is not counted, as in Rss.
        walk->totals->resident[state] += counts.present_bytes;
    batch->count = 0;
    return error;
}

// Neighbouring runs of two chunks become one.
static int batch_add(struct walk *walk, enum go_page_state state, uint64_t start, uint64_t end)
{
    walk->totals->bytes[state] += end - start;
    // Spans in use are counted by the ledger; looking at their pages would only cost time.
    if (state == GO_PAGES_ALLOCATED)
        return 0;
    struct batch *batch = &walk->batches[state];
    // The kernel's pages may be larger than Go's: only those that are free as a whole count.
    start = (start + walk->page_bytes - 1) & ~(walk->page_bytes - 1);
    end &= ~(walk->page_bytes - 1);
    if (start >= end)
        return 0;
    // Runs come in ascending order, so that only the last one can touch.
    if (batch->count > 0 && batch->ranges[batch->count - 1].end == start) {
        batch->ranges[batch->count - 1].end = end;
        return 0;
    }
    if (batch->count == BATCH_RANGES) {
        int error = batch_flush(walk, state);
        if (error)
            return error;
    }
    batch->ranges[batch->count++] = (struct page_range){start, end};
    return 0;
}

// Reads the bitmaps of the chunk at `address`.
static int chunk_read(struct walk *walk, uint64_t address, struct go_chunk *ret_chunk)
{
    const struct go_runtime *runtime = walk->runtime;
    uint64_t index = (address - go_table_arena_base(runtime->machine)) / GO_CHUNK_BYTES;
    // chunkIdx.l1 and l2 (runtime/mpagealloc.go).
    uint64_t first = index / GO_CHUNKS_L2_COUNT, second = index % GO_CHUNKS_L2_COUNT;
    if ((first + 1) * 8 > (uint64_t)runtime->row.fields[GO_HEAP_CHUNKS].size)
        return -EBADMSG;
    uint64_t table;
    int error = go_memory_u64(&runtime->memory,
                              go_field_address(runtime, GO_HEAP_CHUNKS) + first * 8, &table);
    if (error)
        return error;
    // A range in use has its chunks: without them the list is not what it seemed.
    if (table == 0)
        return -EBADMSG;
    uint64_t chunk = table + second * (uint64_t)runtime->row.fields[GO_CHUNK].size;
    error = go_window_read(walk->chunks,
                           chunk + (uint64_t)runtime->row.fields[GO_CHUNK_ALLOC_BITS].offset,
                           ret_chunk->allocated, sizeof ret_chunk->allocated);
    if (error)
        return error;
    return go_window_read(walk->chunks,
                          chunk + (uint64_t)runtime->row.fields[GO_CHUNK_SCAVENGED_BITS].offset,
                          ret_chunk->scavenged, sizeof ret_chunk->scavenged);
}

// The part of a chunk that lies in [start, end).
static int chunk_walk(struct walk *walk, uint64_t start, uint64_t end)
{
    // On the stack: two bitmaps of 512 bits.
    struct go_chunk chunk;
    uint64_t base = start - start % GO_CHUNK_BYTES;
    // The target may have grown or been swapped out since: the rest still counts.
    if (chunk_read(walk, base, &chunk) != 0) {
        walk->totals->unread_bytes += end - start;
        return 0;
    }
    unsigned page = (unsigned)((start - base) / GO_PAGE_BYTES);
    unsigned last = (unsigned)((end - base) / GO_PAGE_BYTES);
    while (page < last) {
        enum go_page_state state;
        unsigned run = go_chunk_run(&chunk, page, &state);
        if (run > last - page)
            run = last - page;
        uint64_t from = base + (uint64_t)page * GO_PAGE_BYTES;
        int error = batch_add(walk, state, from, from + (uint64_t)run * GO_PAGE_BYTES);
        if (error)
            return error;
        page += run;
    }
    return 0;
}

// The clock is looked at once per chunk.
static int ranges_walk(struct walk *walk, const struct page_range *ranges, size_t count,
                       uint64_t deadline_ns)
{
    for (size_t i = 0; i < count; i++) {
        // Chunk by chunk, since bitmaps are kept by chunk; runs are joined again when they are
        // counted.
        for (uint64_t at = ranges[i].start; at < ranges[i].end;) {
            uint64_t next = at - at % GO_CHUNK_BYTES + GO_CHUNK_BYTES;
            uint64_t end = next < ranges[i].end ? next : ranges[i].end;
            int error = go_deadline_passed(deadline_ns) ? -ETIME : chunk_walk(walk, at, end);
            if (error)
                return error;
            at = end;
        }
    }
    int error = batch_flush(walk, GO_PAGES_KEPT);
    return error ? error : batch_flush(walk, GO_PAGES_RETURNED);
}

// The batches are too large for the stack.
int go_pages_measure(const struct go_runtime *runtime, struct process *process,
                     const struct page_range *ranges, size_t count, uint64_t deadline_ns,
                     struct go_page_totals *ret_totals)
{
    // 1.13 and older keep free spans in trees instead: nothing is measured there.
    if (!go_has(runtime, GO_HEAP_CHUNKS) || !go_has(runtime, GO_CHUNK) ||
        !go_has(runtime, GO_CHUNK_SCAVENGED_BITS))
        return -ENOENT;
    long page_bytes = sysconf(_SC_PAGESIZE);
    struct walk *walk = calloc(1, sizeof *walk);
    struct go_page_totals totals = {0};
    struct go_window *chunks = go_window_new(&runtime->memory, UINT64_MAX);
    int error = -ENOMEM;
    if (walk && chunks) {
        walk->runtime = runtime;
        walk->process = process;
        walk->totals = &totals;
        walk->chunks = chunks;
        walk->page_bytes = page_bytes > 0 ? (uint64_t)page_bytes : 4096;
        error = ranges_walk(walk, ranges, count, deadline_ns);
    }
    // Both may be NULL.
    free(walk);
    free(chunks);
    if (!error)
        *ret_totals = totals;
    return error;
}
