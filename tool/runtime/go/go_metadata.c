// SPDX-License-Identifier: Apache-2.0
// Claiming Go's own tables, see go_metadata.h. Tool world; no state.
#include "runtime/go/go_metadata.h"

#include <errno.h>
#include <string.h>

#include "runtime/go/go_pages.h"
#include "runtime/target.h"

// ThreadSanitizer's Go layout on Linux, 48 bits (compiler-rt/lib/tsan/rtl/tsan_platform.h): shadow
// from 0x200000000000, metadata from 0x300000000000, traces up to 0x620000000000.
static const uint64_t RACE_START = UINT64_C(0x200000000000);
static const uint64_t RACE_END = UINT64_C(0x620000000000);

enum { STEP_WORDS = 512, SPAN_SAMPLES = 4096, SPAN_BYTES_MAX = 1024, PROCESSORS_MAX = 65536 };

// Claims the mapping that a word of Go's heap structures points into.
static int claim_pointer(const struct target *target, struct runtime_report *report, uint64_t word)
{
    if (word < 4096 || word % 8 != 0)
        return 0;
    const struct mapping *mapping = mappings_find(target->mappings, word);
    if (!mapping || mapping->kind != MAPPING_ANONYMOUS || (mapping->flags & MAPPING_SHARED) ||
        mapping->rss_kib == 0)
        return 0;
    return target_claim(target, report, mapping->start, mapping->end);
}

// Every word of [start, start + bytes) may be a pointer.
static int claim_words(const struct target *target, const struct go_runtime *runtime,
                       struct runtime_report *report, uint64_t start, uint64_t bytes)
{
    uint64_t words[STEP_WORDS];
    for (uint64_t done = 0; done + 8 <= bytes;) {
        size_t step =
            bytes - done < sizeof words ? (size_t)(bytes - done) & ~(size_t)7 : sizeof words;
        if (go_memory_read(&runtime->memory, start + done, words, step) != 0)
            memset(words, 0, sizeof words);
        for (size_t i = 0; i < step / 8; i++) {
            int error = claim_pointer(target, report, words[i]);
            if (error)
                return error;
        }
        done += step;
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

// Spans lie in chunks of their own and point to mark bits; a sample reaches most chunks, since both
// are handed out in order.
static int claim_spans(const struct target *target, const struct go_runtime *runtime,
                       struct runtime_report *report)
{
    struct go_slice spans;
    if (go_read_slice(runtime, GO_HEAP_ALLSPANS, &spans) != 0)
        return 0;
    uint64_t step = spans.len / SPAN_SAMPLES + 1;
    uint64_t span_bytes = (uint64_t)runtime->row.fields[GO_SPAN].size;
    for (uint64_t i = 0; i < spans.len; i += step) {
        uint64_t span;
        if (go_memory_u64(&runtime->memory, spans.data + i * 8, &span) != 0)
            continue;
        int error = claim_pointer(target, report, span);
        if (!error && span_bytes <= SPAN_BYTES_MAX)
            error = claim_words(target, runtime, report, span, span_bytes);
        if (error)
            return error;
    }
    return 0;
}

// The heapArena of each arena: reached from the first-level map, whose places are claimed with
// mheap_.
static int claim_arenas(const struct target *target, const struct go_runtime *runtime,
                        struct runtime_report *report)
{
    uint64_t field = go_field_address(runtime, GO_HEAP_ARENAS), map;
    struct go_slice arenas;
    if (field == 0 || go_memory_u64(&runtime->memory, field, &map) != 0 || map == 0 ||
        go_read_slice(runtime, GO_HEAP_ALL_ARENAS, &arenas) != 0)
        return 0;
    for (uint64_t i = 0; i < arenas.len && i < GO_ARENAS_L2_COUNT; i++) {
        uint64_t index, arena;
        if (go_memory_u64(&runtime->memory, arenas.data + i * 8, &index) != 0 ||
            index >= GO_ARENAS_L2_COUNT ||
            go_memory_u64(&runtime->memory, map + index * 8, &arena) != 0)
            continue;
        int error = claim_pointer(target, report, arena);
        if (error)
            return error;
    }
    return 0;
}

static int claim_caches(const struct target *target, const struct go_runtime *runtime,
                        struct runtime_report *report)
{
    struct go_slice processors;
    if (!go_has(runtime, GO_P_MCACHE) || go_read_slice(runtime, GO_ALLP, &processors) != 0)
        return 0;
    uint64_t offset = (uint64_t)runtime->row.fields[GO_P_MCACHE].offset;
    for (uint64_t i = 0; i < processors.len && i < PROCESSORS_MAX; i++) {
        uint64_t processor, cache;
        if (go_memory_u64(&runtime->memory, processors.data + i * 8, &processor) != 0 ||
            go_memory_u64(&runtime->memory, processor + offset, &cache) != 0)
            continue;
        int error = claim_pointer(target, report, cache);
        if (error)
            return error;
    }
    return 0;
}

static int claim_by_structure(const struct target *target, const struct go_runtime *runtime,
                              struct runtime_report *report)
{
    int error = claim_words(target, runtime, report, runtime->address[GO_OBJECT_HEAP],
                            heap_struct_bytes(runtime));
    if (!error)
        error = claim_spans(target, runtime, report);
    if (!error)
        error = claim_arenas(target, runtime, report);
    if (!error)
        error = claim_caches(target, runtime, report);
    return error;
}

int go_metadata_claim(const struct target *target, const struct go_runtime *runtime,
                      struct runtime_report *report)
{
    if (!runtime->has_cgo)
        return target_claim_rest(target, report, false);
    int error = claim_by_structure(target, runtime, report);
    if (!error && runtime->version.race)
        error = target_claim(target, report, RACE_START, RACE_END);
    return error;
}
