// SPDX-License-Identifier: Apache-2.0
// Claiming Go's own tables, see go_metadata.h. Tool world; no state.
//
// Everything outside the heap comes from sysAlloc (runtime/mem.go): tables that mheap_ points to,
// with known sizes; and chunks of 256 KiB that persistentalloc cuts up, which form a list.
#include "runtime/go/go_metadata.h"

#include <errno.h>
#include <string.h>

#include "runtime/target.h"

// ThreadSanitizer's Go layout on Linux, 48 bits (compiler-rt/lib/tsan/rtl/tsan_platform.h): shadow
// from 0x200000000000, metadata from 0x300000000000, traces up to 0x620000000000.
static const uint64_t RACE_START = UINT64_C(0x200000000000);
static const uint64_t RACE_END = UINT64_C(0x620000000000);
// Its own heap grows by aligned regions of this size.
static const uint64_t RACE_REGION_BYTES = 1 << 20;

enum {
    STEP_WORDS = 512,
    // So many reads at most, however large the heap is.
    SPAN_SAMPLES = 4096,
    SPAN_BYTES_MAX = 1024,
    PROCESSORS_MAX = 65536,
    CHUNK_BYTES = 256 << 10,
    CHUNKS_MAX = 1 << 16,
    // malloc maps blocks of its own from 128 KiB on: a smaller gap between two tables hides none.
    GAP_BYTES = 64 << 10,
};
static const uint64_t SLICE_ITEMS_MAX = UINT64_C(1) << 28;

struct collection {
    const struct target *target;
    const struct go_runtime *runtime;
    struct go_extents *extents;
};

// Tables are never in files or shared memory.
static const struct mapping *anonymous_at(const struct target *target, uint64_t address)
{
    const struct mapping *mapping = mappings_find(target->mappings, address);
    if (!mapping || mapping->kind != MAPPING_ANONYMOUS || (mapping->flags & MAPPING_SHARED))
        return NULL;
    return mapping;
}

// The page that a word of Go's heap structures points into.
static int collect_pointer(const struct collection *to, uint64_t word)
{
    // Small numbers and odd ones are counters and flags.
    if (word < 4096 || word % 8 != 0 || !anonymous_at(to->target, word))
        return 0;
    return go_extents_add(to->extents, word, 8);
}

// Every word may be a pointer; three in a row may be a slice of words, such as the levels of the
// page summary. Slices come from whole mappings and begin on a page.
static int collect_words(const struct collection *to, const uint64_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int error = collect_pointer(to, words[i]);
        bool is_slice = i + 2 < count && words[i] % 4096 == 0 && words[i + 1] <= words[i + 2] &&
                        words[i + 2] > 0 && words[i + 2] <= SLICE_ITEMS_MAX &&
                        anonymous_at(to->target, words[i]);
        if (!error && is_slice)
            error = go_extents_add(to->extents, words[i], words[i + 2] * 8);
        if (error)
            return error;
    }
    return 0;
}

// What cannot be read is left out: less is claimed then, never too much.
static int collect_object(const struct collection *to, uint64_t start, uint64_t bytes)
{
    uint64_t words[STEP_WORDS + 2];
    for (uint64_t done = 0; done + 8 <= bytes; done += STEP_WORDS * 8) {
        // Two words more, for a slice that begins at the end of a step.
        uint64_t left = bytes - done;
        size_t step = left < sizeof words ? (size_t)left & ~(size_t)7 : sizeof words;
        // Both words beyond the step belong to the next one, too: extents may overlap.
        if (go_memory_read(&to->runtime->memory, start + done, words, step) != 0)
            continue;
        int error = collect_words(to, words, step / 8);
        if (error)
            return error;
    }
    return 0;
}

// How far mheap_ reaches, by its last known field.
static uint64_t heap_struct_bytes(const struct go_runtime *runtime)
{
    uint64_t end = 0;
    for (unsigned i = 0; i < GO_FIELD_COUNT; i++) {
        const struct go_field *field = &runtime->row.fields[i];
        if (go_field_names[i].object != GO_OBJECT_HEAP || field->size <= 0)
            continue;
        uint64_t field_end = (uint64_t)field->offset + (uint64_t)field->size;
        end = field_end > end ? field_end : end;
    }
    return end;
}

// Spans, and the mark bits that they point to. A sample is enough: both are handed out in order,
// and what lies close together is joined.
static int collect_spans(const struct collection *to)
{
    struct go_slice spans;
    if (go_read_slice(to->runtime, GO_HEAP_ALLSPANS, &spans) != 0)
        return 0;
    uint64_t step = spans.len / SPAN_SAMPLES + 1;
    uint64_t span_bytes = (uint64_t)to->runtime->row.fields[GO_SPAN].size;
    for (uint64_t i = 0; i < spans.len; i += step) {
        uint64_t span;
        if (go_memory_u64(&to->runtime->memory, spans.data + i * 8, &span) != 0)
            continue;
        int error = collect_pointer(to, span);
        if (!error && span_bytes <= SPAN_BYTES_MAX)
            error = collect_object(to, span, span_bytes);
        if (error)
            return error;
    }
    return 0;
}

// The map of arenas and each arena's own record.
static int collect_arenas(const struct collection *to)
{
    const struct go_runtime *runtime = to->runtime;
    uint64_t field = go_field_address(runtime, GO_HEAP_ARENAS), map;
    struct go_slice arenas;
    if (field == 0 || go_memory_u64(&runtime->memory, field, &map) != 0 || map == 0 ||
        go_read_slice(runtime, GO_HEAP_ALL_ARENAS, &arenas) != 0)
        return 0;
    // 32 MiB of address space, of which a page or two are in memory.
    int error = go_extents_add(to->extents, map, (uint64_t)GO_ARENAS_L2_COUNT * 8);
    uint64_t arena_bytes = (uint64_t)runtime->row.fields[GO_ARENA].size;
    for (uint64_t i = 0; i < arenas.len && i < GO_ARENAS_L2_COUNT && !error; i++) {
        uint64_t index, arena;
        if (go_memory_u64(&runtime->memory, arenas.data + i * 8, &index) != 0 ||
            index >= GO_ARENAS_L2_COUNT ||
            go_memory_u64(&runtime->memory, map + index * 8, &arena) != 0 || arena == 0)
            continue;
        error = go_extents_add(to->extents, arena, arena_bytes);
    }
    return error;
}

// The second level of the page bitmaps.
static int collect_chunks(const struct collection *to)
{
    const struct go_runtime *runtime = to->runtime;
    uint64_t field = go_field_address(runtime, GO_HEAP_CHUNKS);
    uint64_t table_bytes = (uint64_t)runtime->row.fields[GO_CHUNK].size * GO_CHUNKS_L2_COUNT;
    uint64_t bytes = field ? (uint64_t)runtime->row.fields[GO_HEAP_CHUNKS].size : 0;
    uint64_t tables[STEP_WORDS];
    for (uint64_t done = 0; done + sizeof tables <= bytes; done += sizeof tables) {
        if (go_memory_read(&runtime->memory, field + done, tables, sizeof tables) != 0)
            continue;
        for (size_t i = 0; i < STEP_WORDS; i++) {
            int error = tables[i] ? go_extents_add(to->extents, tables[i], table_bytes) : 0;
            if (error)
                return error;
        }
    }
    return 0;
}

// Caches are cut from the persistent chunks, but a P may be the only one to know.
static int collect_caches(const struct collection *to)
{
    const struct go_runtime *runtime = to->runtime;
    struct go_slice processors;
    // Less is claimed without them, and nothing wrong.
    if (!go_has(runtime, GO_P_MCACHE) || go_read_slice(runtime, GO_ALLP, &processors) != 0)
        return 0;
    uint64_t offset = (uint64_t)runtime->row.fields[GO_P_MCACHE].offset;
    for (uint64_t i = 0; i < processors.len && i < PROCESSORS_MAX; i++) {
        uint64_t processor, cache;
        if (go_memory_u64(&runtime->memory, processors.data + i * 8, &processor) != 0 ||
            go_memory_u64(&runtime->memory, processor + offset, &cache) != 0)
            continue;
        int error = collect_pointer(to, cache);
        if (error)
            return error;
    }
    return 0;
}

// Follows the list of persistentalloc's chunks from `head`: each begins with the address of the one
// before. It is the list only when a span lies in one of the chunks. Returns its length, 0 if it is
// not.
static size_t chunk_list_length(const struct collection *to, uint64_t head, uint64_t span)
{
    size_t length = 0;
    bool holds_span = false;
    for (uint64_t chunk = head; chunk != 0; length++) {
        // A list that leads back ends here as well.
        if (length >= CHUNKS_MAX || chunk % 4096 != 0 || !anonymous_at(to->target, chunk))
            return 0;
        holds_span |= span >= chunk && span - chunk < CHUNK_BYTES;
        if (go_memory_u64(&to->runtime->memory, chunk, &chunk) != 0)
            return 0;
    }
    return holds_span ? length : 0;
}

// The length was counted before: a list that grows meanwhile does not run away.
static int collect_chunk_list(const struct collection *to, uint64_t head, size_t length)
{
    int error = 0;
    for (uint64_t chunk = head; length > 0 && !error; length--) {
        error = go_extents_add(to->extents, chunk, CHUNK_BYTES);
        if (go_memory_u64(&to->runtime->memory, chunk, &chunk) != 0)
            break;
    }
    return error;
}

// Looks for the list's head among the words of the image's data in one mapping.
static int collect_persistent_in(const struct collection *to, uint64_t start, uint64_t end,
                                 uint64_t span)
{
    uint64_t words[STEP_WORDS];
    uint64_t best = 0;
    size_t best_length = 0;
    for (uint64_t at = start; at + sizeof words <= end; at += sizeof words) {
        if (process_peek(to->target->process, at, words, sizeof words) != 0)
            continue;
        for (size_t i = 0; i < STEP_WORDS; i++) {
            // persistentalloc takes its chunks from sysAlloc, on a page border.
            if (words[i] == 0 || words[i] % 4096 != 0)
                continue;
            // Several words may point into the list; its head has the most before it.
            size_t length = chunk_list_length(to, words[i], span);
            if (length > best_length) {
                best = words[i];
                best_length = length;
            }
        }
    }
    return collect_chunk_list(to, best, best_length);
}

// The head is a variable without a type that could be checked; the list that hangs on it can
// be.
static int collect_persistent(const struct collection *to)
{
    const struct go_runtime *runtime = to->runtime;
    const struct mappings *mappings = to->target->mappings;
    struct go_slice spans;
    uint64_t span;
    if (go_read_slice(runtime, GO_HEAP_ALLSPANS, &spans) != 0 || spans.len == 0 ||
        go_memory_u64(&runtime->memory, spans.data, &span) != 0)
        return 0;
    for (size_t i = mappings_lower_bound(mappings, runtime->image_low); i < mappings->count; i++) {
        const struct mapping *mapping = &mappings->items[i];
        if (mapping->start >= runtime->image_high)
            break;
        if (!(mapping->flags & MAPPING_WRITE))
            continue;
        uint64_t end = mapping->end < runtime->image_high ? mapping->end : runtime->image_high;
        int error = collect_persistent_in(to, mapping->start, (end + 4095) & ~UINT64_C(4095), span);
        if (error)
            return error;
    }
    return 0;
}

// From the most certain to the least; all of it is merged in the end.
int go_metadata_collect(const struct target *target, const struct go_runtime *runtime,
                        struct go_extents *extents)
{
    const struct collection to = {target, runtime, extents};
    int error = collect_object(&to, runtime->address[GO_OBJECT_HEAP], heap_struct_bytes(runtime));
    if (!error)
        error = collect_spans(&to);
    if (!error)
        error = collect_arenas(&to);
    if (!error)
        error = collect_chunks(&to);
    if (!error)
        error = collect_caches(&to);
    if (!error)
        error = collect_persistent(&to);
    if (!error)
        go_extents_merge(extents, GAP_BYTES);
    return error;
}

// Claims the anonymous mappings' parts of one extent. target_claim() leaves out what others have
// claimed before.
static int claim_extent(const struct target *target, struct runtime_report *report,
                        const struct page_range *extent)
{
    const struct mappings *mappings = target->mappings;
    for (size_t i = mappings_lower_bound(mappings, extent->start); i < mappings->count; i++) {
        const struct mapping *mapping = &mappings->items[i];
        if (mapping->start >= extent->end)
            break;
        // Only what is in memory has to be claimed; files and shared memory are the kernel's to
        // tell.
        if (mapping->rss_kib == 0 || mapping->kind != MAPPING_ANONYMOUS ||
            (mapping->flags & MAPPING_SHARED))
            continue;
        uint64_t start = mapping->start > extent->start ? mapping->start : extent->start;
        uint64_t end = mapping->end < extent->end ? mapping->end : extent->end;
        int error = target_claim(target, report, start, end);
        if (error)
            return error;
    }
    return 0;
}

// Merged extents still cross mappings of others: each mapping is looked at again.
int go_metadata_claim(const struct target *target, const struct go_runtime *runtime,
                      struct runtime_report *report)
{
    // No C code, no other malloc: what is anonymous is Go's, and need not be searched for.
    if (!runtime->has_cgo)
        return target_claim_rest(target, report, false);
    struct go_extents extents = {0};
    int error = go_metadata_collect(target, runtime, &extents);
    for (size_t i = 0; i < extents.count && !error; i++)
        error = claim_extent(target, report, &extents.items[i]);
    go_extents_free(&extents);
    return error;
}

// Its addresses are fixed by the sanitizer's layout, and no allocator asks for them.
int go_metadata_claim_race(const struct target *target, struct runtime_report *report)
{
    const struct page_range shadow = {RACE_START, RACE_END};
    int error = claim_extent(target, report, &shadow);
    for (size_t i = 0; i < target->mappings->count && !error; i++) {
        const struct mapping *mapping = &target->mappings->items[i];
        // Regions of the sanitizer's internal allocator lie above its shadow.
        if (mapping->start % RACE_REGION_BYTES == 0 && mapping->end % RACE_REGION_BYTES == 0 &&
            mapping->start > RACE_END) {
            const struct page_range region = {mapping->start, mapping->end};
            error = claim_extent(target, report, &region);
        }
    }
    return error;
}
