// SPDX-License-Identifier: Apache-2.0
// What Go's counters say of each other, see go_check_ledger() in go_check.h. Tool world; no state.
//
// Most of it is what readmemstats_m (runtime/mstats.go) itself throws upon with the world stopped.
// Here the target runs on, so sums may be off by what moved between two reads; the caller tries
// again before it refuses.
#include <string.h>

#include "runtime/go/go_check.h"

// pause_ns and pause_end of memstats, one entry per collection, stand between pause_total_ns and
// numgc in every version.
enum { PAUSES = 256, PAUSE_WORDS = 1 + 2 * PAUSES };
// A block of the tiny allocator (mallocgc, runtime/malloc.go): 16 bytes, so at most 16 objects.
enum { TINY_CLASS = 2, TINY_OBJECTS_MAX = 16 };
static const uint64_t TINY_SLACK = 1 << 16;
// Beyond what this says of a sum nothing may move between two reads.
static const uint64_t SLACK_BYTES = 64 << 10;
enum { SLACK_PART = 64 };
// How far the address space may have grown since its size was read.
static const uint64_t GROWTH_BYTES = 64 << 20;

// Counters are read one after the other while the program may run on: the allowance grows with the
// sum, since a larger heap moves more in the same time.
static uint64_t slack_of(uint64_t bytes)
{
    return SLACK_BYTES + bytes / SLACK_PART;
}

// Equal but for what an allocation in between may have moved.
static bool nearly_equal(uint64_t a, uint64_t b)
{
    uint64_t larger = a > b ? a : b, smaller = a > b ? b : a;
    return larger - smaller <= slack_of(larger);
}

// A part that was read later may have overtaken its whole by as much as moves in between.
static bool at_most(uint64_t part, uint64_t whole)
{
    return part <= whole || nearly_equal(part, whole);
}

// Pages of the heap that are not given back, as the shards count them.
static uint64_t retained_bytes(const struct go_delta *delta)
{
    return delta->committed - delta->in_stacks - delta->in_work_bufs - delta->in_ptr_scalar_bits;
}

// 1.16 to 1.18: memstats against the shards.
static const char *check_shards_of_memstats(const struct go_ledger *ledger)
{
    const uint64_t *values = ledger->values;
    uint64_t released = values[GO_MEMSTATS_HEAP_RELEASED];
    if (!nearly_equal(values[GO_MEMSTATS_HEAP_INUSE], ledger->delta.in_heap))
        return "heap_inuse is not what the shards sum up to";
    if (!nearly_equal(released, ledger->delta.released))
        return "heap_released is not what the shards sum up to";
    if (!nearly_equal(values[GO_MEMSTATS_HEAP_SYS] - released, retained_bytes(&ledger->delta)))
        return "heap_sys is not what the shards sum up to";
    return NULL;
}

// Objects by size class in bytes, without what the caches hold back: the pacer is told of them at
// the same moments. This also proves the size classes.
static bool objects_fit(const struct go_runtime *runtime, const struct go_ledger *ledger)
{
    const struct go_delta *delta = &ledger->delta;
    uint64_t allocated = delta->large_alloc, freed = delta->large_free;
    for (unsigned i = 1; i < runtime->row.classes->count; i++) {
        allocated += delta->small_allocs[i] * runtime->row.classes->bytes[i];
        freed += delta->small_frees[i] * runtime->row.classes->bytes[i];
    }
    return nearly_equal(ledger->values[GO_CONTROLLER_TOTAL_ALLOC], allocated) &&
           nearly_equal(ledger->values[GO_CONTROLLER_TOTAL_FREE], freed);
}

// 1.19 on: the pacer against the shards, and its sum of all memory against memstats.
static const char *check_shards_of_controller(const struct go_runtime *runtime,
                                              const struct go_ledger *ledger,
                                              const struct go_memstats *stats)
{
    const uint64_t *values = ledger->values;
    // The pacer counts with atomics of its own; a wrong base cannot agree in all of these.
    uint64_t in_use = values[GO_CONTROLLER_HEAP_IN_USE];
    if (!nearly_equal(in_use, ledger->delta.in_heap))
        return "heapInUse is not what the shards sum up to";
    if (!nearly_equal(values[GO_CONTROLLER_HEAP_RELEASED], ledger->delta.released))
        return "heapReleased is not what the shards sum up to";
    if (!nearly_equal(in_use + values[GO_CONTROLLER_HEAP_FREE], retained_bytes(&ledger->delta)))
        return "heapFree is not what the shards sum up to";
    if (!objects_fit(runtime, ledger))
        return "totalAlloc and totalFree are not what the shards sum up to";
    if (!nearly_equal(values[GO_CONTROLLER_MAPPED_READY], stats->sys - stats->heap_released))
        return "mappedReady is not Sys - HeapReleased";
    return NULL;
}

// The heap's sizes and objects, by whatever second account the version keeps of them.
static const char *check_shards(const struct go_runtime *runtime, const struct go_ledger *ledger,
                                const struct go_memstats *stats)
{
    const uint64_t *values = ledger->values;
    // Up to 1.15 memstats has both parts of the heap, and there are no shards.
    if (go_has(runtime, GO_MEMSTATS_HEAP_IDLE) &&
        !nearly_equal(values[GO_MEMSTATS_HEAP_SYS],
                      values[GO_MEMSTATS_HEAP_INUSE] + values[GO_MEMSTATS_HEAP_IDLE]))
        return "heap_sys is not the sum of its parts";
    if (!go_has(runtime, GO_DELTA))
        return NULL;
    return go_has(runtime, GO_CONTROLLER_MAPPED_READY)
               ? check_shards_of_controller(runtime, ledger, stats)
               : check_shards_of_memstats(ledger);
}

// A goal out of reach is how each version turns the collector off, and none is below what the last
// collection found alive (gcSetTriggerRatio; gcControllerState.commit, runtime/mgcpacer.go).
static const char *check_goal(const struct go_runtime *runtime, const struct go_ledger *ledger)
{
    static const struct {
        enum go_field_id percent, goal;
    } pairs[] = {
        {GO_GCPERCENT, GO_MEMSTATS_NEXT_GC},
        {GO_CONTROLLER_GC_PERCENT, GO_CONTROLLER_HEAP_GOAL},
        {GO_CONTROLLER_GC_PERCENT, GO_CONTROLLER_GC_PERCENT_HEAP_GOAL},
    };
    const uint64_t *values = ledger->values;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (!go_field_address(runtime, pairs[i].goal))
            continue;
        uint64_t goal = values[pairs[i].goal];
        bool is_off = (int32_t)(uint32_t)values[pairs[i].percent] < 0;
        // A stripped image tells gcpercent of 1.16 and older by nothing else.
        if (go_field_address(runtime, pairs[i].percent) && is_off != (goal == UINT64_MAX))
            return "the collector's goal does not fit GOGC";
        // 1.16 and older have no heapMarked in the table: 0 then.
        if (goal == 0 || goal < values[GO_CONTROLLER_HEAP_MARKED])
            return "the collector's goal is below what is alive";
    }
    // The floor of the goal since 1.19.
    if (go_field_address(runtime, GO_CONTROLLER_GC_PERCENT_HEAP_GOAL) &&
        values[GO_CONTROLLER_GC_PERCENT_HEAP_GOAL] < values[GO_CONTROLLER_HEAP_MINIMUM])
        return "the collector's goal is below its minimum";
    return NULL;
}

// gcMarkTermination (runtime/mgc.go) notes the end of each collection in last_gc_unix and in a
// ring, by number: the same time in both, and pauses that sum up to the total until the ring is
// full.
static bool pauses_fit(const struct go_ledger *ledger, const uint64_t words[PAUSE_WORDS])
{
    const uint64_t *pauses = words + 1, *ends = words + 1 + PAUSES;
    uint64_t cycles = ledger->values[GO_MEMSTATS_NUMGC], sum = 0;
    // Nothing has been paused for yet.
    if (cycles == 0)
        return words[0] == 0 && ledger->values[GO_MEMSTATS_GC_CPU_FRACTION] == 0;
    for (unsigned i = 0; i < PAUSES; i++) {
        if (__builtin_add_overflow(sum, pauses[i], &sum))
            return false;
    }
    return ends[(cycles - 1) % PAUSES] == ledger->values[GO_MEMSTATS_LAST_GC_UNIX] &&
           (cycles <= PAUSES ? words[0] == sum : words[0] >= sum);
}

// NumGC, LastGC and PauseTotalNs by the record of collections.
static const char *check_pauses(const struct go_runtime *runtime, const struct go_ledger *ledger)
{
    uint64_t words[PAUSE_WORDS], address = go_field_address(runtime, GO_MEMSTATS_PAUSE_TOTAL_NS);
    const struct go_field *fields = runtime->row.fields;
    // A version to come may lay this out differently; a page in swap cannot be looked at.
    if (address == 0 ||
        fields[GO_MEMSTATS_NUMGC].offset - fields[GO_MEMSTATS_PAUSE_TOTAL_NS].offset !=
            (int32_t)sizeof words ||
        go_memory_read(&runtime->memory, address, words, sizeof words) != 0)
        return NULL;
    return pauses_fit(ledger, words) ? NULL : "the record of collections does not fit their number";
}

// More tiny objects than their blocks have room for are no count of them.
static bool tiny_fit(const struct go_runtime *runtime, const struct go_ledger *ledger)
{
    const struct go_delta *delta = &ledger->delta;
    uint64_t tiny =
        ledger->caches.tiny_allocs + delta->tiny_allocs + ledger->values[GO_MEMSTATS_TINYALLOCS];
    uint64_t blocks = go_has(runtime, GO_DELTA) ? delta->small_allocs[TINY_CLASS]
                                                : ledger->central_mallocs[TINY_CLASS];
    // Without the caches most of the blocks may be unknown.
    if (ledger->caches.count == 0)
        return true;
    blocks += (uint64_t)ledger->caches.small_allocs[TINY_CLASS];
    return tiny / TINY_OBJECTS_MAX <= blocks + TINY_SLACK;
}

// mheap_ against what it leads to: every span that is in use was once noted in allspans
// (recordspan, runtime/mheap.go), and every P has a cache.
static const char *check_elements(const struct go_runtime *runtime, const struct go_ledger *ledger,
                                  const struct go_memstats *stats)
{
    struct go_slice spans;
    uint64_t span_bytes = (uint64_t)runtime->row.fields[GO_SPAN].size;
    uint64_t cache_bytes = (uint64_t)runtime->row.fields[GO_CACHE].size;
    if (stats->mspan_inuse > stats->mspan_sys || stats->mcache_inuse > stats->mcache_sys)
        return "more spans are in use than there is memory for";
    if (span_bytes > 0 && go_read_slice(runtime, GO_HEAP_ALLSPANS, &spans) == 0 &&
        stats->mspan_inuse / span_bytes > spans.len)
        return "more spans are in use than there are";
    if (stats->mcache_inuse < ledger->caches.count * cache_bytes)
        return "fewer caches are in use than there are";
    return NULL;
}

// Sums within the process and within each other.
static const char *check_sums(const struct go_memstats *stats, const struct go_limits *limits)
{
    // The size of the address space was read earlier.
    if (stats->sys > limits->vm_size_bytes + GROWTH_BYTES)
        return "Sys is larger than the address space";
    // Objects lie in spans in use.
    if (!at_most(stats->heap_alloc, stats->heap_inuse))
        return "HeapAlloc is larger than HeapInuse";
    if (!at_most(stats->heap_released, stats->heap_idle))
        return "HeapReleased is larger than HeapIdle";
    if (stats->frees > stats->mallocs || stats->heap_alloc > stats->total_alloc)
        return "frees outnumber allocations";
    return NULL;
}

// What cannot be seen from one variable alone: the sums across them.
const char *go_check_ledger(const struct go_runtime *runtime, const struct go_ledger *ledger,
                            const struct go_limits *limits)
{
    struct go_memstats stats;
    go_ledger_compute(runtime, ledger, &stats);
    const char *wrong = check_shards(runtime, ledger, &stats);
    if (!wrong)
        wrong = check_sums(&stats, limits);
    if (!wrong)
        wrong = check_elements(runtime, ledger, &stats);
    if (!wrong)
        wrong = check_goal(runtime, ledger);
    if (!wrong)
        wrong = check_pauses(runtime, ledger);
    if (!wrong && !tiny_fit(runtime, ledger))
        wrong = "tiny objects outnumber the room for them";
    return wrong;
}
