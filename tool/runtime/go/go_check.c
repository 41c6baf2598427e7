// SPDX-License-Identifier: Apache-2.0
// Plausibility of what was found, see go_check.h. Tool world; no state.
#include "runtime/go/go_check.h"

#include <string.h>

enum {
    SPAN_BYTES_MAX = 1024,
    PROCESSORS_MAX = 65536,
    // Spans that are looked at of a list, and Ps.
    SAMPLES = 8,
    RANGES_MAX = 1 << 16,
};
// 2014, before any Go that is read here.
static const uint64_t LAST_GC_MIN_NS = 1400000000000000000u;
static const uint64_t CLOCK_SLACK_NS = 3600u * 1000000000u;
static const uint64_t CYCLES_MAX = 1000000000;
// defaultHeapMinimum (runtime/mgcpacer.go).
static const uint64_t DEFAULT_HEAP_MINIMUM_BYTES = 4 << 20;
// _FixAllocChunk (runtime/malloc.go).
enum { FIXALLOC_CHUNK_BYTES = 16 << 10 };

// A field that the version does not have fits everything.
static bool field_at_most(const struct go_runtime *runtime, const struct go_ledger *ledger,
                          enum go_field_id id, uint64_t limit)
{
    return !go_has(runtime, id) || ledger->values[id] <= limit;
}

// The marks of the last collection agree with each other and with the clock.
static bool collections_fit(const struct go_ledger *ledger, const struct go_limits *limits)
{
    uint64_t last = ledger->values[GO_MEMSTATS_LAST_GC_UNIX];
    uint64_t cycles = ledger->values[GO_MEMSTATS_NUMGC];
    if (last != 0 && (last < LAST_GC_MIN_NS || last > limits->now_unix_ns + CLOCK_SLACK_NS))
        return false;
    // Both are written by gcMarkTermination (runtime/mgc.go), one right after the other.
    if ((last == 0) != (cycles == 0) || cycles > CYCLES_MAX)
        return false;
    if (ledger->values[GO_MEMSTATS_NUMFORCEDGC] > cycles)
        return false;
    double fraction;
    memcpy(&fraction, &ledger->values[GO_MEMSTATS_GC_CPU_FRACTION], sizeof fraction);
    // An integer read as a double is tiny.
    return fraction >= 0 && fraction <= 1 && (fraction == 0 || fraction > 1e-12);
}

// fixalloc (runtime/mfixalloc.go) takes memory for spans and caches in chunks, which 1.18 rounded
// down to whole elements.
static bool is_whole_chunks(const struct go_runtime *runtime, enum go_field_id element,
                            uint64_t bytes)
{
    uint64_t element_bytes = (uint64_t)runtime->row.fields[element].size;
    if (bytes == 0)
        return false;
    if (element_bytes == 0 || element_bytes > FIXALLOC_CHUNK_BYTES)
        return true;
    uint64_t chunk = FIXALLOC_CHUNK_BYTES;
    if (runtime->version.minor >= 18)
        chunk = FIXALLOC_CHUNK_BYTES / element_bytes * element_bytes;
    return bytes % chunk == 0;
}

// No table of Go's is larger than the whole address space, and some are never empty.
static bool sizes_fit(const struct go_runtime *runtime, const struct go_ledger *ledger,
                      const struct go_limits *limits)
{
    static const enum go_field_id sizes[] = {
        GO_MEMSTATS_STACKS_SYS,    GO_MEMSTATS_MSPAN_SYS,    GO_MEMSTATS_MCACHE_SYS,
        GO_MEMSTATS_BUCKHASH_SYS,  GO_MEMSTATS_GC_SYS,       GO_MEMSTATS_OTHER_SYS,
        GO_MEMSTATS_HEAP_SYS,      GO_MEMSTATS_HEAP_INUSE,   GO_MEMSTATS_HEAP_IDLE,
        GO_MEMSTATS_HEAP_RELEASED, GO_MEMSTATS_STACKS_INUSE,
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (!field_at_most(runtime, ledger, sizes[i], limits->vm_size_bytes))
            return false;
    }
    const uint64_t *values = ledger->values;
    return is_whole_chunks(runtime, GO_SPAN, values[GO_MEMSTATS_MSPAN_SYS]) &&
           is_whole_chunks(runtime, GO_CACHE, values[GO_MEMSTATS_MCACHE_SYS]) &&
           values[GO_MEMSTATS_OTHER_SYS] > 0 && values[GO_MEMSTATS_GC_SYS] > 0;
}

// A counter may be read while another one that it is compared with moves on, and this check is not
// repeated; go_check_ledger() is.
static bool roughly_equal(uint64_t a, uint64_t b)
{
    uint64_t larger = a > b ? a : b, smaller = a > b ? b : a;
    return larger - smaller <= (64u << 20) + larger / 4;
}

// heap_sys = heap_inuse + heap_idle, up to 1.15.
static bool old_heap_fits(const struct go_runtime *runtime, const struct go_ledger *ledger)
{
    if (!go_has(runtime, GO_MEMSTATS_HEAP_INUSE))
        return true;
    uint64_t sys = ledger->values[GO_MEMSTATS_HEAP_SYS];
    uint64_t inuse = ledger->values[GO_MEMSTATS_HEAP_INUSE];
    uint64_t released = ledger->values[GO_MEMSTATS_HEAP_RELEASED];
    if (sys == 0 || inuse == 0 || (sys | inuse | released) % 4096 != 0 ||
        inuse % GO_PAGE_BYTES != 0)
        return false;
    if (!go_has(runtime, GO_MEMSTATS_HEAP_IDLE))
        return true;
    return roughly_equal(sys, inuse + ledger->values[GO_MEMSTATS_HEAP_IDLE]);
}

// The shards' sums. A program that has barely started has counted no small object yet: its
// caches have.
static bool delta_fits(const struct go_runtime *runtime, const struct go_delta *delta,
                       const struct go_limits *limits)
{
    if (!go_has(runtime, GO_DELTA))
        return true;
    uint64_t used = delta->in_heap + delta->in_stacks + delta->in_work_bufs;
    if (delta->committed > limits->vm_size_bytes || delta->released > limits->vm_size_bytes ||
        used > limits->vm_size_bytes || delta->in_heap == 0)
        return false;
    // Spans are whole pages, and stacks come in powers of two from 2 KiB on.
    if (delta->in_heap % GO_PAGE_BYTES != 0 || delta->in_stacks % 2048 != 0)
        return false;
    if (used > delta->committed && !roughly_equal(used, delta->committed))
        return false;
    for (unsigned i = 0; i < GO_SIZE_CLASSES_MAX; i++) {
        // Frees cannot outnumber allocations but by what the caches hold.
        if (delta->small_frees[i] > delta->small_allocs[i] + (1u << 24))
            return false;
    }
    return delta->large_free <= delta->large_alloc &&
           delta->large_free_count <= delta->large_alloc_count;
}

// Reads the scalars of one variable; 0 on success.
static int read_object(const struct go_runtime *runtime, enum go_object object,
                       struct go_ledger *ledger)
{
    struct go_runtime only = *runtime;
    memset(only.address, 0, sizeof only.address);
    only.address[object] = runtime->address[object];
    return go_ledger_read_once(&only, ledger);
}

// Values, then what they say of each other.
static bool check_memstats(const struct go_runtime *runtime, const struct go_limits *limits)
{
    struct go_ledger ledger;
    return read_object(runtime, GO_OBJECT_MEMSTATS, &ledger) == 0 &&
           collections_fit(&ledger, limits) && sizes_fit(runtime, &ledger, limits) &&
           old_heap_fits(runtime, &ledger) && delta_fits(runtime, &ledger.delta, limits);
}

// GOGC; -1 is off.
static bool percent_fits(uint64_t word)
{
    int32_t percent = (int32_t)(uint32_t)word;
    return percent >= -1 && percent <= 100000000;
}

// setGCPercent (runtime/mgcpacer.go) derives the one from the other, off or not, so that the pair
// tells the pacer from any other words: a goal of all ones alone looks like a collector that is
// off. One copy of both, since a program may turn the knob at any time.
static bool minimum_fits(const struct go_runtime *runtime)
{
    uint8_t words[32];
    size_t size = (size_t)runtime->row.fields[GO_CONTROLLER_HEAP_MINIMUM].offset + 8;
    if (!go_has(runtime, GO_CONTROLLER_HEAP_MINIMUM) || size > sizeof words ||
        go_memory_read(&runtime->memory, runtime->address[GO_OBJECT_CONTROLLER], words, size) != 0)
        return false;
    uint64_t percent = go_take_field(runtime, GO_CONTROLLER_GC_PERCENT, words, size);
    uint64_t minimum = go_take_field(runtime, GO_CONTROLLER_HEAP_MINIMUM, words, size);
    uint64_t extended = (uint64_t)(int64_t)(int32_t)(uint32_t)percent;
    // Zeros fit each other anywhere. From 1.19 on there is more around them to tell by; before that
    // a GOGC of 0, which only serves debugging, is not believed.
    if (percent == 0 && !go_has(runtime, GO_CONTROLLER_HEAP_IN_USE))
        return false;
    return percent_fits(percent) && minimum == DEFAULT_HEAP_MINIMUM_BYTES * extended / 100;
}

// The pacer's figures (1.17 on); from 1.19 on it keeps the sizes of the heap, in whole pages.
static bool check_controller(const struct go_runtime *runtime, const struct go_limits *limits)
{
    struct go_ledger ledger;
    // The cheap and sharp one first: most candidates of a vote are wrong.
    if (!minimum_fits(runtime) || read_object(runtime, GO_OBJECT_CONTROLLER, &ledger) != 0)
        return false;
    const uint64_t *values = ledger.values;
    static const enum go_field_id sizes[] = {
        GO_CONTROLLER_HEAP_IN_USE, GO_CONTROLLER_HEAP_FREE,   GO_CONTROLLER_HEAP_RELEASED,
        GO_CONTROLLER_HEAP_LIVE,   GO_CONTROLLER_HEAP_MARKED, GO_CONTROLLER_MAPPED_READY,
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (!field_at_most(runtime, &ledger, sizes[i], limits->vm_size_bytes))
            return false;
    }
    if (!go_has(runtime, GO_CONTROLLER_HEAP_IN_USE))
        return values[GO_CONTROLLER_HEAP_GOAL] > 0;
    // Every one of them is added to in whole pages (runtime/mheap.go), so that any odd word tells.
    uint64_t pages = values[GO_CONTROLLER_HEAP_IN_USE] | values[GO_CONTROLLER_HEAP_FREE] |
                     values[GO_CONTROLLER_HEAP_RELEASED];
    return values[GO_CONTROLLER_HEAP_IN_USE] > 0 && pages % GO_PAGE_BYTES == 0 &&
           (int64_t)values[GO_CONTROLLER_MEMORY_LIMIT] > 0 &&
           values[GO_CONTROLLER_TOTAL_FREE] <= values[GO_CONTROLLER_TOTAL_ALLOC] &&
           values[GO_CONTROLLER_MAPPED_READY] > values[GO_CONTROLLER_HEAP_IN_USE];
}

// A span's pages lie in memory that is mapped, and it holds no more objects than it has room for.
static bool span_fits(const struct go_runtime *runtime, uint64_t address,
                      const struct go_limits *limits)
{
    uint8_t span[SPAN_BYTES_MAX];
    size_t size = (size_t)runtime->row.fields[GO_SPAN].size;
    if (address % 8 != 0 || size > sizeof span ||
        go_memory_read(&runtime->memory, address, span, size) != 0)
        return false;
    uint64_t start = go_take_field(runtime, GO_SPAN_START_ADDR, span, size);
    uint64_t pages = go_take_field(runtime, GO_SPAN_NPAGES, span, size);
    uint64_t elements = go_take_field(runtime, GO_SPAN_NELEMS, span, size);
    uint64_t used = go_take_field(runtime, GO_SPAN_ALLOC_COUNT, span, size);
    uint64_t state = go_take_field(runtime, GO_SPAN_STATE, span, size) & 0xff;
    // A dead span's fields are what its last life left in them.
    if (state == 0 || state > 3)
        return state == 0;
    // A stack's span counts no objects.
    return start % GO_PAGE_BYTES == 0 && pages <= limits->vm_size_bytes / GO_PAGE_BYTES &&
           (state != 1 || used <= elements) && limits->is_mapped(limits->context, start);
}

// A sample over the whole list: the first spans of a wrong list may well look right.
static bool spans_fit(const struct go_runtime *runtime, const struct go_limits *limits)
{
    struct go_slice spans;
    if (go_read_slice(runtime, GO_HEAP_ALLSPANS, &spans) != 0 || spans.len == 0 ||
        spans.capacity > UINT32_MAX || !limits->is_mapped(limits->context, spans.data))
        return false;
    for (uint64_t i = 0; i < SAMPLES; i++) {
        uint64_t index = spans.len / SAMPLES * i, span;
        if (go_memory_u64(&runtime->memory, spans.data + index * 8, &span) != 0 ||
            !span_fits(runtime, span, limits))
            return false;
    }
    return true;
}

// The address ranges of the heap (1.14 on): ascending, whole chunks, mapped.
static bool ranges_fit(const struct go_runtime *runtime, const struct go_limits *limits)
{
    if (!go_has(runtime, GO_HEAP_IN_USE_RANGES))
        return true;
    struct go_slice ranges;
    if (go_read_slice(runtime, GO_HEAP_IN_USE_RANGES, &ranges) != 0 || ranges.len == 0 ||
        ranges.len > RANGES_MAX)
        return false;
    // pageAlloc.grow (runtime/mpagealloc.go) adds whole chunks only.
    for (uint64_t i = 0; i < ranges.len && i < SAMPLES; i++) {
        uint64_t range[2];
        if (go_memory_read(&runtime->memory, ranges.data + i * sizeof range, range, sizeof range) !=
            0)
            return false;
        if (range[0] >= range[1] || range[0] % GO_CHUNK_BYTES != 0 ||
            range[1] - range[0] > limits->vm_size_bytes ||
            !limits->is_mapped(limits->context, range[0]))
            return false;
    }
    return true;
}

// mheap_ is mostly pointers and a few sums, so its lists are followed.
static bool check_heap(const struct go_runtime *runtime, const struct go_limits *limits)
{
    uint64_t spans, caches;
    if (go_read_field(runtime, GO_HEAP_SPAN_INUSE, &spans) != 0 ||
        go_read_field(runtime, GO_HEAP_CACHE_INUSE, &caches) != 0)
        return false;
    // fixalloc counts whole elements.
    uint64_t span_bytes = (uint64_t)runtime->row.fields[GO_SPAN].size;
    uint64_t cache_bytes = (uint64_t)runtime->row.fields[GO_CACHE].size;
    if (spans == 0 || caches == 0 || spans > limits->vm_size_bytes ||
        caches > limits->vm_size_bytes || (span_bytes && spans % span_bytes != 0) ||
        (cache_bytes && caches % cache_bytes != 0))
        return false;
    return spans_fit(runtime, limits) && ranges_fit(runtime, limits);
}

// Every P has a cache, whose places all hold spans.
static bool processor_fits(const struct go_runtime *runtime, uint64_t processor,
                           const struct go_limits *limits)
{
    uint64_t cache, span;
    if (processor % 8 != 0 || !limits->is_mapped(limits->context, processor) ||
        go_memory_u64(&runtime->memory,
                      processor + (uint64_t)runtime->row.fields[GO_P_MCACHE].offset, &cache) != 0)
        return false;
    // The cache of a P that is being destroyed (p.destroy, runtime/proc.go).
    if (cache == 0)
        return true;
    // allocmcache (runtime/mcache.go) fills every place with emptymspan at first: none is ever nil.
    uint64_t places = cache + (uint64_t)runtime->row.fields[GO_CACHE_ALLOC].offset;
    for (unsigned i = 0; i < 2u * runtime->row.classes->count; i++) {
        if (go_memory_u64(&runtime->memory, places + i * 8u, &span) != 0 || span % 8 != 0 ||
            !limits->is_mapped(limits->context, span))
            return false;
    }
    return true;
}

// A slice of processors is only believed when each leads to a cache full of spans.
static bool check_allp(const struct go_runtime *runtime, const struct go_limits *limits)
{
    struct go_slice processors;
    if (!go_has(runtime, GO_P_MCACHE) || !go_has(runtime, GO_CACHE_ALLOC) ||
        go_read_slice(runtime, GO_ALLP, &processors) != 0 || processors.len == 0 ||
        processors.capacity > PROCESSORS_MAX)
        return false;
    for (uint64_t i = 0; i < processors.len && i < SAMPLES; i++) {
        uint64_t processor;
        if (go_memory_u64(&runtime->memory, processors.data + i * 8, &processor) != 0 ||
            !processor_fits(runtime, processor, limits))
            return false;
    }
    return true;
}

// One way to check for each variable; types have no address.
bool go_check_object(const struct go_runtime *runtime, enum go_object object,
                     const struct go_limits *limits)
{
    uint64_t value;
    switch (object) {
    case GO_OBJECT_MEMSTATS:
        return check_memstats(runtime, limits);
    case GO_OBJECT_CONTROLLER:
        return check_controller(runtime, limits);
    case GO_OBJECT_HEAP:
        return check_heap(runtime, limits);
    case GO_OBJECT_ALLP:
        return check_allp(runtime, limits);
    // Single words, with little to tell them by: they come from symbols only.
    case GO_OBJECT_GCPERCENT:
        return go_read_field(runtime, GO_GCPERCENT, &value) == 0 && percent_fits(value);
    case GO_OBJECT_DEBUG:
        return go_read_field(runtime, GO_DEBUG_GCTRACE, &value) == 0 && value < 1000000;
    default:
        return false;
    }
}
