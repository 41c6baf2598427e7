// SPDX-License-Identifier: Apache-2.0
// Reading the counters of Go's runtime, see go_ledger.h. Tool world; no state.
#include "runtime/go/go_ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    SPAN_CLASSES = 2 * GO_SIZE_CLASSES_MAX,
    SPAN_BYTES_MAX = 1024,
    CACHE_BYTES_MAX = 16 << 10,
    DELTA_BYTES_MAX = 4096,
    // consistentHeapStats.stats (runtime/mstats.go) has three.
    DELTA_GENERATIONS = 3,
    PROCESSORS_MAX = 65536,
};

// Scalars of the variables; arrays and slices are read by those who need them.
static bool is_scalar(const struct go_runtime *runtime, enum go_field_id id)
{
    int32_t size = runtime->row.fields[id].size;
    return go_field_names[id].object < GO_OBJECT_VARIABLES && (size == 4 || size == 8);
}

// A variable that was not found leaves zeros; one that cannot be read fails the reading.
static int read_values(const struct go_runtime *runtime, struct go_ledger *ledger)
{
    for (unsigned i = 0; i < GO_FIELD_COUNT; i++) {
        enum go_field_id id = (enum go_field_id)i;
        if (!is_scalar(runtime, id))
            continue;
        int error = go_read_field(runtime, id, &ledger->values[id]);
        if (error && error != -ENOENT)
            return error;
    }
    return 0;
}

// A word of a generation; `id` names the first generation, counted from memstats.
static uint64_t delta_word(const struct go_runtime *runtime, enum go_field_id id, size_t index,
                           const uint8_t *data, size_t len)
{
    const struct go_field *field = &runtime->row.fields[id];
    if (field->size < 8 || index >= (size_t)field->size / 8)
        return 0;
    // Within its generation: the table counts from memstats.
    int64_t offset =
        (int64_t)field->offset - runtime->row.fields[GO_DELTA].offset + (int64_t)index * 8;
    if (offset < 0 || (size_t)offset > len || len - (size_t)offset < 8)
        return 0;
    uint64_t value;
    memcpy(&value, data + offset, sizeof value);
    return value;
}

// Generations are only shards of one sum: which one is current does not matter.
static void delta_add(const struct go_runtime *runtime, struct go_delta *delta, const uint8_t *data,
                      size_t len)
{
    const struct {
        enum go_field_id id;
        uint64_t *value;
    } scalars[] = {
        {GO_DELTA_COMMITTED, &delta->committed},
        {GO_DELTA_RELEASED, &delta->released},
        {GO_DELTA_IN_HEAP, &delta->in_heap},
        {GO_DELTA_IN_STACKS, &delta->in_stacks},
        {GO_DELTA_IN_WORK_BUFS, &delta->in_work_bufs},
        {GO_DELTA_IN_PTR_SCALAR_BITS, &delta->in_ptr_scalar_bits},
        {GO_DELTA_TINY_ALLOC_COUNT, &delta->tiny_allocs},
        {GO_DELTA_LARGE_ALLOC, &delta->large_alloc},
        {GO_DELTA_LARGE_ALLOC_COUNT, &delta->large_alloc_count},
        {GO_DELTA_LARGE_FREE, &delta->large_free},
        {GO_DELTA_LARGE_FREE_COUNT, &delta->large_free_count},
    };
    // A generation's counters may be negative; the sum wraps back to what is meant. Source:
    // consistentHeapStats.unsafeRead (runtime/mstats.go), which adds all three up as well.
    for (size_t i = 0; i < sizeof scalars / sizeof scalars[0]; i++)
        *scalars[i].value += delta_word(runtime, scalars[i].id, 0, data, len);
    for (size_t i = 0; i < GO_SIZE_CLASSES_MAX; i++) {
        delta->small_allocs[i] += delta_word(runtime, GO_DELTA_SMALL_ALLOC_COUNT, i, data, len);
        delta->small_frees[i] += delta_word(runtime, GO_DELTA_SMALL_FREE_COUNT, i, data, len);
    }
}

// 1.16 on. Three pieces rather than one: a reader inside the target may rotate them between two
// readings.
static int read_delta(const struct go_runtime *runtime, struct go_delta *delta)
{
    uint64_t address = go_field_address(runtime, GO_DELTA);
    size_t size = (size_t)runtime->row.fields[GO_DELTA].size;
    if (address == 0)
        return 0;
    uint8_t data[DELTA_BYTES_MAX];
    // A layout from debug information may say anything.
    if (size > sizeof data)
        return -EBADMSG;
    for (unsigned i = 0; i < DELTA_GENERATIONS; i++) {
        int error = go_memory_read(&runtime->memory, address + (uint64_t)i * size, data, size);
        if (error)
            return error;
        delta_add(runtime, delta, data, size);
    }
    return 0;
}

// mcentral.nmalloc (runtime/mcentral.go). Up to 1.15 allocations of small objects are counted where
// spans are handed out, by span class.
static int read_central(const struct go_runtime *runtime, struct go_ledger *ledger)
{
    uint64_t address = go_field_address(runtime, GO_HEAP_CENTRAL);
    if (address == 0 || !go_has(runtime, GO_CENTRAL_NMALLOC) || !go_has(runtime, GO_CENTRAL))
        return 0;
    uint64_t stride = (uint64_t)runtime->row.fields[GO_CENTRAL].size;
    uint64_t offset = (uint64_t)runtime->row.fields[GO_CENTRAL_NMALLOC].offset;
    for (unsigned i = 0; i < 2u * runtime->row.classes->count; i++) {
        uint64_t count;
        int error = go_memory_u64(&runtime->memory, address + i * stride + offset, &count);
        if (error)
            return error;
        // Two span classes for each size: with pointers in it and without.
        ledger->central_mallocs[i / 2] += count;
    }
    address = go_field_address(runtime, GO_HEAP_SMALL_FREE_COUNT);
    size_t size = (size_t)runtime->row.fields[GO_HEAP_SMALL_FREE_COUNT].size;
    if (address == 0 || size > sizeof ledger->heap_small_frees)
        return 0;
    return go_memory_read(&runtime->memory, address, ledger->heap_small_frees, size);
}

// What one span in a cache changes. From 1.19 on a span's new objects are counted when it leaves
// the cache; before, all of its free slots are counted when it enters and the unused ones are taken
// back.
static int cache_add_span(const struct go_runtime *runtime, struct go_caches *caches,
                          uint64_t address, unsigned size_class)
{
    uint8_t span[SPAN_BYTES_MAX];
    size_t size = (size_t)runtime->row.fields[GO_SPAN].size;
    if (size > sizeof span)
        return -EBADMSG;
    int error = go_memory_read(&runtime->memory, address, span, size);
    if (error)
        return error;
    uint64_t elements = go_take_field(runtime, GO_SPAN_NELEMS, span, size);
    uint64_t used = go_take_field(runtime, GO_SPAN_ALLOC_COUNT, span, size);
    uint64_t before = go_take_field(runtime, GO_SPAN_ALLOC_COUNT_BEFORE_CACHE, span, size);
    uint64_t element_bytes = go_take_field(runtime, GO_SPAN_ELEMSIZE, span, size);
    // No span has more objects than bytes, and the largest span of a size class has ten pages: more
    // was read while the span changed hands.
    if (used > elements || elements > GO_PAGE_BYTES * 16)
        return -EBADMSG;
    // mcache.refill and releaseAll (runtime/mcache.go).
    if (go_has(runtime, GO_SPAN_ALLOC_COUNT_BEFORE_CACHE))
        caches->small_allocs[size_class] += (int64_t)used - (int64_t)before;
    else
        caches->small_allocs[size_class] -= (int64_t)(elements - used);
    // Bounded, as the element's size is the target's word.
    caches->free_bytes += (elements - used) * (element_bytes & 0xffffff);
    return 0;
}

// Words of an array inside the copy of a cache.
static uint64_t cache_word(const struct go_runtime *runtime, enum go_field_id id, size_t index,
                           const uint8_t *cache, size_t len)
{
    const struct go_field *field = &runtime->row.fields[id];
    if (field->size < 8 || index >= (size_t)field->size / 8)
        return 0;
    size_t offset = (size_t)field->offset + index * 8;
    uint64_t value = 0;
    if (offset <= len && len - offset >= 8)
        memcpy(&value, cache + offset, sizeof value);
    return value;
}

// A copy of the whole cache, so that its fields belong to one moment.
static int read_cache(const struct go_runtime *runtime, struct go_caches *caches, uint64_t address)
{
    uint8_t cache[CACHE_BYTES_MAX];
    size_t size = (size_t)runtime->row.fields[GO_CACHE].size;
    if (size > sizeof cache)
        return -EBADMSG;
    int error = go_memory_read(&runtime->memory, address, cache, size);
    if (error)
        return error;
    caches->count++;
    for (unsigned i = 0; i < 2u * runtime->row.classes->count; i++) {
        uint64_t span = cache_word(runtime, GO_CACHE_ALLOC, i, cache, size);
        // An empty place holds &runtime.emptymspan, which is inside the image.
        if (span == 0 || (span >= runtime->image_low && span < runtime->image_high))
            continue;
        // A span that changes hands is counted as missed, and makes the figure approximate.
        if (cache_add_span(runtime, caches, span, i / 2) != 0)
            caches->unread_spans++;
    }
    caches->tiny_allocs += cache_word(runtime, GO_CACHE_TINY_ALLOCS, 0, cache, size);
    caches->large_free += cache_word(runtime, GO_CACHE_LARGE_FREE, 0, cache, size);
    caches->large_free_count += cache_word(runtime, GO_CACHE_LARGE_FREE_COUNT, 0, cache, size);
    for (unsigned i = 0; i < runtime->row.classes->count; i++)
        caches->small_frees[i] += cache_word(runtime, GO_CACHE_SMALL_FREE_COUNT, i, cache, size);
    return 0;
}

// ReadMemStats empties the caches of allp, and of nobody else (flushallmcaches, runtime/mstats.go):
// what Ps beyond GOMAXPROCS keep was given back when they were destroyed.
static int read_caches(const struct go_runtime *runtime, struct go_caches *caches)
{
    struct go_slice processors;
    int error = go_read_slice(runtime, GO_ALLP, &processors);
    if (error == -ENOENT || !go_has(runtime, GO_P_MCACHE) || !go_has(runtime, GO_CACHE_ALLOC) ||
        !go_has(runtime, GO_SPAN_NELEMS))
        return 0;
    if (error)
        return error;
    // No machine has as many processors.
    if (processors.len > PROCESSORS_MAX)
        return -EBADMSG;
    uint64_t offset = (uint64_t)runtime->row.fields[GO_P_MCACHE].offset;
    for (uint64_t i = 0; i < processors.len; i++) {
        uint64_t processor, cache = 0;
        error = go_memory_u64(&runtime->memory, processors.data + i * 8, &processor);
        if (!error && processor != 0)
            error = go_memory_u64(&runtime->memory, processor + offset, &cache);
        if (!error && cache != 0)
            error = read_cache(runtime, caches, cache);
        if (error)
            return error;
    }
    return 0;
}

// Counters first, caches last: what moves from a cache to a counter in between is missed, not
// doubled.
int go_ledger_read_once(const struct go_runtime *runtime, struct go_ledger *ret_ledger)
{
    memset(ret_ledger, 0, sizeof *ret_ledger);
    int error = read_values(runtime, ret_ledger);
    if (!error)
        error = read_delta(runtime, &ret_ledger->delta);
    if (!error)
        error = read_central(runtime, ret_ledger);
    if (!error)
        error = read_caches(runtime, &ret_ledger->caches);
    return error;
}

// Two readings that agree are as good as a stopped world.
int go_ledger_read(const struct go_runtime *runtime, unsigned tries, struct go_ledger *ret_ledger,
                   bool *ret_steady)
{
    // Two at a time are enough: each reading is compared with the one before.
    struct go_ledger *ledgers = calloc(2, sizeof *ledgers);
    if (!ledgers)
        return -ENOMEM;
    int error = go_ledger_read_once(runtime, &ledgers[0]);
    bool steady = false;
    unsigned last = 0;
    for (unsigned i = 1; i < tries && !error && !steady; i++) {
        unsigned next = 1 - last;
        error = go_ledger_read_once(runtime, &ledgers[next]);
        steady = !error && memcmp(&ledgers[0], &ledgers[1], sizeof ledgers[0]) == 0;
        last = next;
    }
    if (!error) {
        *ret_ledger = ledgers[last];
        *ret_steady = steady;
    }
    free(ledgers);
    return error;
}
