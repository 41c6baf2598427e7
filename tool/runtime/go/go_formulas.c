// SPDX-License-Identifier: Apache-2.0
// MemStats out of the counters, as each version's readmemstats_m computes it. Tool world; pure.
#include <stdint.h>
#include <string.h>

#include "runtime/go/go_ledger.h"

// 1.19 keeps this distance from the memory limit; later versions the larger of it and some percent.
static const uint64_t LIMIT_HEADROOM_BYTES = 1 << 20;
enum { LIMIT_HEADROOM_PERCENT = 3, LIMIT_HEADROOM_PERCENT_SINCE = 21 };
// A cycle that starts beyond its goal still gets this much room.
static const uint64_t MIN_RUNWAY_BYTES = 64 << 10;

// What the caches would add to gcController.totalAlloc when they are flushed.
static uint64_t cached_bytes(const struct go_runtime *runtime, const struct go_ledger *ledger)
{
    uint64_t bytes = 0;
    for (unsigned i = 1; i < runtime->row.classes->count; i++)
        bytes += (uint64_t)ledger->caches.small_allocs[i] * runtime->row.classes->bytes[i];
    return bytes;
}

// memoryLimitHeapGoal (runtime/mgcpacer.go).
static uint64_t limit_goal(const struct go_runtime *runtime, const struct go_ledger *ledger)
{
    const uint64_t *values = ledger->values;
    uint64_t limit = values[GO_CONTROLLER_MEMORY_LIMIT];
    uint64_t ready = values[GO_CONTROLLER_MAPPED_READY];
    uint64_t alloc = values[GO_CONTROLLER_TOTAL_ALLOC] - values[GO_CONTROLLER_TOTAL_FREE];
    alloc += cached_bytes(runtime, ledger);
    uint64_t marked = values[GO_CONTROLLER_HEAP_MARKED];
    // Whatever is mapped beside the objects has to fit under the limit too.
    uint64_t non_heap = ready - values[GO_CONTROLLER_HEAP_FREE] - alloc;
    uint64_t overage = ready > limit ? ready - limit : 0;
    // Nothing is left for the heap: the pacer then runs one cycle after another.
    if (non_heap + overage >= limit)
        return marked;
    uint64_t goal = limit - (non_heap + overage);
    uint64_t headroom = LIMIT_HEADROOM_BYTES;
    if (runtime->version.minor >= LIMIT_HEADROOM_PERCENT_SINCE &&
        goal / 100 * LIMIT_HEADROOM_PERCENT > headroom)
        headroom = goal / 100 * LIMIT_HEADROOM_PERCENT;
    // Go keeps the headroom from eating the goal up.
    goal = goal < 2 * headroom ? headroom : goal - headroom;
    return goal < marked ? marked : goal;
}

// heapGoalInternal (runtime/mgcpacer.go).
static uint64_t computed_goal(const struct go_runtime *runtime, const struct go_ledger *ledger)
{
    const uint64_t *values = ledger->values;
    uint64_t goal = values[GO_CONTROLLER_GC_PERCENT_HEAP_GOAL];
    // With GOGC off the goal is all ones, so that the limit alone decides.
    uint64_t limited = limit_goal(runtime, ledger);
    if (limited < goal)
        return limited;
    if (goal < values[GO_CONTROLLER_SWEEP_DIST_MIN_TRIGGER])
        goal = values[GO_CONTROLLER_SWEEP_DIST_MIN_TRIGGER];
    // A cycle that is under way may have begun late.
    uint64_t triggered = values[GO_CONTROLLER_TRIGGERED];
    if (triggered != UINT64_MAX && goal < triggered + MIN_RUNWAY_BYTES)
        goal = triggered + MIN_RUNWAY_BYTES;
    return goal;
}

// The goal is a field up to 1.18, and computed when it is asked for since.
static uint64_t next_gc(const struct go_runtime *runtime, const struct go_ledger *ledger)
{
    if (go_has(runtime, GO_CONTROLLER_GC_PERCENT_HEAP_GOAL))
        return computed_goal(runtime, ledger);
    if (go_has(runtime, GO_CONTROLLER_HEAP_GOAL))
        return ledger->values[GO_CONTROLLER_HEAP_GOAL];
    return ledger->values[GO_MEMSTATS_NEXT_GC];
}

// Sizes of the heap: 1.19 keeps them in the pacer, older versions in memstats.
static void compute_heap(const struct go_runtime *runtime, const struct go_ledger *ledger,
                         struct go_memstats *stats)
{
    const uint64_t *values = ledger->values;
    if (go_has(runtime, GO_CONTROLLER_HEAP_IN_USE)) {
        stats->heap_inuse = values[GO_CONTROLLER_HEAP_IN_USE];
        stats->heap_released = values[GO_CONTROLLER_HEAP_RELEASED];
        stats->heap_idle = values[GO_CONTROLLER_HEAP_FREE] + stats->heap_released;
        stats->heap_sys = stats->heap_inuse + stats->heap_idle;
        return;
    }
    stats->heap_sys = values[GO_MEMSTATS_HEAP_SYS];
    stats->heap_inuse = values[GO_MEMSTATS_HEAP_INUSE];
    stats->heap_released = values[GO_MEMSTATS_HEAP_RELEASED];
    stats->heap_idle = go_has(runtime, GO_MEMSTATS_HEAP_IDLE) ? values[GO_MEMSTATS_HEAP_IDLE]
                                                              : stats->heap_sys - stats->heap_inuse;
}

// Objects, from counters of allocations and frees by size class, and what the caches hold back.
static void compute_objects(const struct go_runtime *runtime, const struct go_ledger *ledger,
                            struct go_memstats *stats)
{
    const struct go_delta *delta = &ledger->delta;
    const struct go_caches *caches = &ledger->caches;
    const uint64_t *values = ledger->values;
    // 1.16 moved the counters from mheap_ and its centrals into heapStats (runtime/mstats.go).
    bool sharded = go_has(runtime, GO_DELTA);
    uint64_t alloc_bytes = sharded ? delta->large_alloc : values[GO_HEAP_LARGE_ALLOC];
    uint64_t free_bytes = sharded ? delta->large_free : values[GO_HEAP_LARGE_FREE];
    uint64_t allocs = sharded ? delta->large_alloc_count : values[GO_HEAP_LARGE_ALLOC_COUNT];
    uint64_t frees = sharded ? delta->large_free_count : values[GO_HEAP_LARGE_FREE_COUNT];
    free_bytes += caches->large_free;
    frees += caches->large_free_count;
    for (unsigned i = 1; i < runtime->row.classes->count; i++) {
        uint64_t bytes = runtime->row.classes->bytes[i];
        uint64_t class_allocs = sharded ? delta->small_allocs[i] : ledger->central_mallocs[i];
        uint64_t class_frees = sharded ? delta->small_frees[i] : ledger->heap_small_frees[i];
        class_allocs += (uint64_t)caches->small_allocs[i];
        class_frees += caches->small_frees[i];
        allocs += class_allocs;
        frees += class_frees;
        alloc_bytes += class_allocs * bytes;
        free_bytes += class_frees * bytes;
    }
    // Tiny objects are never freed one by one: Go counts each as freed, too, so that Mallocs -
    // Frees is the number of blocks.
    uint64_t tiny = caches->tiny_allocs + values[GO_MEMSTATS_TINYALLOCS] + delta->tiny_allocs;
    stats->total_alloc = alloc_bytes;
    stats->heap_alloc = alloc_bytes - free_bytes;
    stats->heap_objects = allocs - frees;
    stats->mallocs = allocs + tiny;
    stats->frees = frees + tiny;
}

// What Go took from the system, by purpose. Stacks and work buffers lie in pages of the heap,
// and are
// counted apart from it.
static void compute_system(const struct go_runtime *runtime, const struct go_ledger *ledger,
                           struct go_memstats *stats)
{
    const uint64_t *values = ledger->values;
    bool sharded = go_has(runtime, GO_DELTA);
    // stacks_inuse of 1.16-1.18 is only written by ReadMemStats.
    stats->stack_inuse = sharded ? ledger->delta.in_stacks : values[GO_MEMSTATS_STACKS_INUSE];
    stats->stack_sys = stats->stack_inuse + values[GO_MEMSTATS_STACKS_SYS];
    stats->mspan_inuse = values[GO_HEAP_SPAN_INUSE];
    stats->mspan_sys = values[GO_MEMSTATS_MSPAN_SYS];
    stats->mcache_inuse = values[GO_HEAP_CACHE_INUSE];
    stats->mcache_sys = values[GO_MEMSTATS_MCACHE_SYS];
    stats->buckhash_sys = values[GO_MEMSTATS_BUCKHASH_SYS];
    // gcMiscSys leaves these out, since they come from pages of the heap.
    stats->work_bufs = ledger->delta.in_work_bufs + ledger->delta.in_ptr_scalar_bits;
    stats->gc_sys = values[GO_MEMSTATS_GC_SYS] + stats->work_bufs;
    stats->other_sys = values[GO_MEMSTATS_OTHER_SYS];
    stats->sys = stats->heap_sys + stats->stack_sys + stats->mspan_sys + stats->mcache_sys +
                 stats->buckhash_sys + stats->gc_sys + stats->other_sys;
}

// In the order of readmemstats_m, so that the two can be laid side by side.
void go_ledger_compute(const struct go_runtime *runtime, const struct go_ledger *ledger,
                       struct go_memstats *ret_stats)
{
    memset(ret_stats, 0, sizeof *ret_stats);
    const uint64_t *values = ledger->values;
    compute_heap(runtime, ledger, ret_stats);
    compute_objects(runtime, ledger, ret_stats);
    compute_system(runtime, ledger, ret_stats);
    ret_stats->next_gc = next_gc(runtime, ledger);
    ret_stats->last_gc = values[GO_MEMSTATS_LAST_GC_UNIX];
    ret_stats->num_gc = values[GO_MEMSTATS_NUMGC];
    ret_stats->num_forced_gc = values[GO_MEMSTATS_NUMFORCEDGC];
    ret_stats->pause_total_ns = values[GO_MEMSTATS_PAUSE_TOTAL_NS];
    memcpy(&ret_stats->gc_cpu_fraction, &values[GO_MEMSTATS_GC_CPU_FRACTION],
           sizeof ret_stats->gc_cpu_fraction);
}
