// SPDX-License-Identifier: Apache-2.0
// mimalloc's memory by its segments' tables, see mimalloc_segments.h. Tool world; no state.
#include "runtime/allocators/mimalloc_segments.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "runtime/pages.h"

enum { TRIES_MAX = 4, SEGMENTS_MAX = 1 << 20, SEGMENT_KINDS = 2 };

static const uint64_t segment_align = 32ULL << 20, slice_unit = 64ULL << 10;

// What one walk gathers.
struct walk {
    const struct target *target;
    struct pages *pages;
    // Segments; pages of several blocks, of one; free slices; headers with their tables.
    struct ranges all, blocks, singles, kept, tables;
    uint64_t used_bytes; // in pages of several blocks
    uint64_t block_count, segment_count, abandoned_count;
    uint64_t key;          // of the first segment that was sound
    uint64_t unsure_bytes; // segments that did not stand still
};

// The bytes are a copy, and need not be aligned.
static uint64_t word_at(const uint8_t *bytes, size_t offset)
{
    uint64_t word;
    memcpy(&word, bytes + offset, sizeof word);
    return word;
}

// Offsets of mi_segment_t: cookie 216, segment_slices 224, segment_info_slices 232, kind 240,
// slice_entries 248, thread_id 256. A cookie is (segment ^ key), by _mi_ptr_cookie().
bool mimalloc_segment_decode(const uint8_t header[MIMALLOC_HEADER_BYTES], uint64_t address,
                             struct mimalloc_segment *ret_segment)
{
    const struct mimalloc_segment segment = {
        .slices = word_at(header, 224),
        .info_slices = word_at(header, 232),
        .entries = word_at(header, 248),
        .key = word_at(header, 216) ^ address,
        .is_abandoned = word_at(header, 256) == 0,
    };
    uint32_t kind = (uint32_t)word_at(header, 240);
    // Pages in use are counted in every segment; a huge one has but one.
    uint64_t used = word_at(header, 208);
    const uint64_t slices_max = (1ULL << 47) / slice_unit;
    if (kind >= SEGMENT_KINDS || segment.slices == 0 || segment.slices > slices_max ||
        segment.entries != number_least(segment.slices, MIMALLOC_SLICES) ||
        segment.info_slices == 0 || segment.info_slices >= segment.slices || used > segment.entries)
        return false;
    // Only a huge one, which is made for a single block, has another size.
    if (kind == 0 && segment.slices != MIMALLOC_SLICES)
        return false;
    *ret_segment = segment;
    return true;
}

// Offsets of mi_page_t: slice_count 0, slice_offset 4, capacity 10, reserved 12, used 24,
// xblock_size 28.
bool mimalloc_span_decode(const uint8_t slice[MIMALLOC_SLICE_BYTES], struct mimalloc_span *ret_span)
{
    uint64_t first = word_at(slice, 0), flags = word_at(slice, 8), sizes = word_at(slice, 24);
    const struct mimalloc_span span = {
        .slices = (uint32_t)first,
        .block_bytes = sizes >> 32,
        .used = (uint32_t)sizes,
        .reserved = (uint16_t)(flags >> 32),
    };
    // Slices within a span say how far back its first one is: their offset is not 0.
    uint32_t offset = (uint32_t)(first >> 32), capacity = (uint16_t)(flags >> 16);
    if (span.slices == 0 || offset != 0)
        return false;
    // What an earlier page has left in a free span's counts means nothing.
    if (span.block_bytes == 0) {
        *ret_span = span;
        return true;
    }
    if (capacity > span.reserved || span.used > capacity)
        return false;
    // A huge block's size does not fit into 32 bits: a page of one block is as large as its slices.
    if (span.reserved > 1 && (uint64_t)span.reserved * span.block_bytes > span.slices * slice_unit)
        return false;
    *ret_span = span;
    return true;
}

// Files a span under what it is. One block that fills a page is in use as far as it is resident;
// of many, the count tells.
static int add_span(struct walk *walk, const struct mimalloc_span *span, uint64_t start)
{
    // A page whose blocks are all free waits for its next use: as free as no page at all.
    uint64_t end = start + span->slices * slice_unit;
    if (span->block_bytes == 0 || span->used == 0)
        return ranges_add(&walk->kept, start, end);
    walk->block_count += span->used;
    if (span->reserved == 1)
        return ranges_add(&walk->singles, start, end);
    walk->used_bytes += span->used * span->block_bytes;
    return ranges_add(&walk->blocks, start, end);
}

// Copies a table. What was never touched is not in memory, and zero.
static int read_table(struct pages *pages, uint64_t address, uint8_t *ret_table, size_t bytes)
{
    // By pages of the cache, each of which is there or not.
    for (size_t done = 0; done < bytes;) {
        size_t part = PAGES_SIZE - (size_t)((address + done) % PAGES_SIZE);
        part = part < bytes - done ? part : bytes - done;
        int error = pages_read(pages, address + done, ret_table + done, part);
        if (error == -ENODATA)
            memset(ret_table + done, 0, part);
        else if (error)
            return error;
        done += part;
    }
    return 0;
}

// One pass over a table; with `walk` NULL it is only checked. 0; -EBADMSG when it does not tile the
// segment; -ENOMEM.
static int walk_table(const uint8_t *table, uint64_t address,
                      const struct mimalloc_segment *segment, struct walk *walk)
{
    uint64_t index = 0;
    while (index < segment->entries) {
        struct mimalloc_span span;
        if (!mimalloc_span_decode(table + index * MIMALLOC_SLICE_BYTES, &span) ||
            span.slices > segment->slices - index)
            return -EBADMSG;
        // The first is the table's own.
        bool is_table = index == 0;
        if (is_table && span.slices != segment->info_slices)
            return -EBADMSG;
        uint64_t start = address + index * slice_unit;
        int error = 0;
        if (walk && is_table)
            error = ranges_add(&walk->tables, start, start + span.slices * slice_unit);
        else if (walk)
            error = add_span(walk, &span, start);
        if (error)
            return error;
        index += span.slices;
    }
    // A huge page goes on behind the table's end, but not behind the segment's.
    return index == segment->slices ? 0 : -EBADMSG;
}

// A copy is checked before it is believed, so that both passes see the same bytes.
static int walk_copy(struct walk *walk, uint64_t address, const struct mimalloc_segment *segment,
                     uint8_t *table, bool *ret_is_sound)
{
    uint64_t end = address + segment->slices * slice_unit;
    int error = read_table(walk->pages, address + MIMALLOC_HEADER_BYTES, table,
                           segment->entries * MIMALLOC_SLICE_BYTES);
    if (!error)
        error = walk_table(table, address, segment, NULL);
    if (error == -EBADMSG) {
        // Nobody else's memory has this key in this place: it was caught in between.
        if (walk->segment_count > 0)
            walk->unsure_bytes += end - address;
        *ret_is_sound = false;
        return 0;
    }
    // From here on only memory can run out.
    *ret_is_sound = true;
    if (!error)
        error = walk_table(table, address, segment, walk);
    return error ? error : ranges_add(&walk->all, address, end);
}

// The copy takes 40 KiB, which is much for a stack under a limit.
static int walk_segment(struct walk *walk, uint64_t address, const struct mimalloc_segment *segment,
                        bool *ret_is_sound)
{
    uint8_t *table = malloc((size_t)MIMALLOC_SLICES * MIMALLOC_SLICE_BYTES);
    if (!table)
        return -ENOMEM;
    int error = walk_copy(walk, address, segment, table, ret_is_sound);
    free(table);
    return error;
}

// What is no segment is nothing to tell: most aligned addresses are somebody else's.
static int read_segment(struct walk *walk, uint64_t address)
{
    uint8_t header[MIMALLOC_HEADER_BYTES];
    struct mimalloc_segment segment;
    int error = pages_read(walk->pages, address, header, sizeof header);
    // Absent, or something else's memory.
    if (error == -ENODATA || error == -EFAULT)
        return 0;
    if (error)
        return error;
    if (!mimalloc_segment_decode(header, address, &segment) ||
        (walk->segment_count > 0 && segment.key != walk->key))
        return 0;
    bool is_sound;
    error = walk_segment(walk, address, &segment, &is_sound);
    if (error || !is_sound)
        return error;
    // From the second segment on the key tells mimalloc's memory from anybody else's.
    walk->key = segment.key;
    walk->segment_count++;
    walk->abandoned_count += segment.is_abandoned;
    return 0;
}

// Where a segment begins: its header is never decommitted.
static bool may_hold_segments(const struct mapping *mapping)
{
    const uint16_t wanted = MAPPING_READ | MAPPING_WRITE;
    return mapping->kind == MAPPING_ANONYMOUS && (mapping->flags & wanted) == wanted &&
           !(mapping->flags & MAPPING_SHARED);
}

// Segments that were reserved together lie in one mapping, one behind the other.
static int walk_mappings(struct walk *walk)
{
    const struct mappings *mappings = walk->target->mappings;
    // Terabytes of reserved address space are no reason to look for ever.
    uint64_t looked = 0;
    for (size_t i = 0; i < mappings->count; i++) {
        const struct mapping *mapping = &mappings->items[i];
        if (!may_hold_segments(mapping))
            continue;
        uint64_t address = (mapping->start + segment_align - 1) & ~(segment_align - 1);
        for (; address < mapping->end && looked < SEGMENTS_MAX; address += segment_align) {
            int error = read_segment(walk, address);
            if (error)
                return error;
            looked++;
        }
    }
    return 0;
}

// Back to the beginning, also of the lists.
static void walk_forget(struct walk *walk)
{
    struct ranges *const lists[] = {&walk->all, &walk->blocks, &walk->singles, &walk->kept,
                                    &walk->tables};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        ranges_free(lists[i]);
    *walk = (struct walk){.target = walk->target, .pages = walk->pages};
}

// A busy target is walked again; the last walk counts unless nothing in it is sure.
static int walk_best(struct walk *walk)
{
    int error = 0;
    for (int i = 0; i < TRIES_MAX; i++) {
        walk_forget(walk);
        // Pages of the last walk would only show the same picture again.
        memset(walk->pages->tags, 0, PAGES_SLOTS * sizeof *walk->pages->tags);
        error = walk_mappings(walk);
        if (error || walk->unsure_bytes == 0)
            break;
    }
    if (error)
        return error;
    if (walk->segment_count == 0)
        return -ENOENT;
    // More that changes than stands still is no account.
    return walk->unsure_bytes > ranges_bytes(&walk->all) ? -EAGAIN : 0;
}

// In memory, of each list.
struct resident {
    uint64_t blocks, singles, kept, tables;
};

// No table tells what is resident: blocks that were never touched are not.
static int measure(struct walk *walk, struct resident *ret_resident)
{
    struct ranges *const lists[] = {&walk->blocks, &walk->singles, &walk->kept, &walk->tables};
    uint64_t *const bytes[] = {&ret_resident->blocks, &ret_resident->singles, &ret_resident->kept,
                               &ret_resident->tables};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        ranges_sort(lists[i]);
        int error = ranges_resident(walk->target->process, lists[i], bytes[i]);
        if (error)
            return error;
    }
    return 0;
}

// Rows from what is resident of each list, and from the count of blocks.
static int add_parts(const struct walk *walk, const struct resident *resident,
                     struct runtime_report *report)
{
    uint64_t lazy = 0, unsure = walk->unsure_bytes;
    for (size_t i = 0; i < report->claim_count; i++)
        lazy += report->claims[i].lazy_bytes;
    // Blocks that were never touched make the count exceed what is resident.
    uint64_t used = number_least(walk->used_bytes, resident->blocks);
    uint64_t untouched = walk->used_bytes - used;
    // Free spans are what it gives back lazily; the account takes them off by itself.
    uint64_t kept = resident->kept > lazy ? resident->kept - lazy : 0;
    int error = report_add_part(report, ROW_IN_USE, used + resident->singles, unsure + untouched,
                                "used blocks of pages, large blocks x pagemap");
    if (!error)
        error = report_add_part(report, ROW_SLACK, resident->blocks - used, unsure + untouched,
                                "free blocks of pages in use x pagemap");
    if (!error)
        error = report_add_part(report, ROW_KEPT, kept, unsure, "free slices x pagemap");
    if (!error)
        error = report_add_part(report, ROW_METADATA, resident->tables, 0,
                                "segments' headers x pagemap");
    return error;
}

// mimalloc has no names for these that users know.
static int add_figures(const struct walk *walk, const struct resident *resident,
                       struct runtime_report *report)
{
    int error = report_add_bytes(report, "used", walk->used_bytes + resident->singles);
    if (!error)
        error = report_add_count(report, "blocks", walk->block_count);
    if (!error)
        error = report_add_count(report, "segments", walk->segment_count);
    return error ? error : report_add_count(report, "abandoned segments", walk->abandoned_count);
}

// Segments come by ascending address, as claims must.
static int fill_report(struct walk *walk, struct runtime_report *report)
{
    struct resident resident = {0};
    ranges_sort(&walk->all);
    int error = measure(walk, &resident);
    for (size_t i = 0; i < walk->all.count && !error; i++)
        error =
            target_claim(walk->target, report, walk->all.items[i].start, walk->all.items[i].end);
    if (!error)
        error = add_parts(walk, &resident, report);
    if (!error)
        error = add_figures(walk, &resident, report);
    report->approximate |= walk->unsure_bytes > 0;
    return error;
}

int mimalloc_segments_read(const struct target *target, struct runtime_report *report)
{
    // The budget is the cache's: whatever is read goes through it.
    struct pages pages;
    struct walk walk = {.target = target, .pages = &pages};
    int error = pages_init(&pages, target->process, target->budget_ms);
    if (!error)
        error = walk_best(&walk);
    if (!error)
        error = fill_report(&walk, report);
    // A half claim would be worse than none: the caller falls back to the whole.
    if (error)
        report->claim_count = report->part_count = 0;
    walk_forget(&walk);
    pages_free(&pages);
    return error;
}
