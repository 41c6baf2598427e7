// SPDX-License-Identifier: Apache-2.0
// The public API, as include/ebb/ebb.h promises it. Library world.
#include "ebb/ebb.h"

#include <errno.h>
#include <string.h>

#include "heap/count.h"
#include "release/engine.h"
#include "shim/shim.h"

EXPORT const char *ebb_version(void)
{
    return EBB_VERSION;
}

// All at once, whatever the policy says: who calls it knows of a quiet moment.
EXPORT size_t ebb_purge(void)
{
    return engine_purge();
}

// The public names are the ledger's.
_Static_assert((int)EBB_POLICY_AUTO == (int)WIRE_POLICY_AUTO &&
                   (int)EBB_POLICY_FREE == (int)WIRE_POLICY_FREE &&
                   (int)EBB_POLICY_DONTNEED == (int)WIRE_POLICY_DONTNEED &&
                   (int)EBB_POLICY_KEEP == (int)WIRE_POLICY_KEEP,
               "one is cast to the other");

// Starts the heap where nothing has been allocated yet, so that there is a ledger.
static bool start_heap(void)
{
    struct heap *heap = heap_enter();
    if (heap)
        heap_leave(heap);
    return heap != NULL;
}

// From now on, and for what is kept already: the next look takes it by the new one.
EXPORT int ebb_set_policy(enum ebb_policy policy)
{
    return start_heap() ? engine_set_policy((enum wire_policy)policy) : -EINVAL;
}

// From the ledger, since it may have been changed from outside.
EXPORT enum ebb_policy ebb_get_policy(void)
{
    bool is_started = start_heap();
    return is_started ? (enum ebb_policy)atomic_peek32(&space.ledger->policy) : EBB_POLICY_AUTO;
}

EXPORT int ebb_set_return_within(unsigned milliseconds)
{
    return start_heap() ? engine_set_return_within(milliseconds) : -EINVAL;
}

// A goal and not a wall: no allocation fails for it. 0 is none.
EXPORT void ebb_set_limit(size_t bytes)
{
    if (start_heap())
        engine_set_limit(bytes);
}

// Go's names: runtime.MemStats. What is off in spans is idle and released, as whole spans are.
static void fill_stats(struct ebb_stats *stats, const struct count *count)
{
    // Sums are made of the same count: they fit each other even while other threads go on.
    uint64_t in_spans = count->in_use + count->free_in_spans;
    stats->heap_alloc = count->in_use;
    stats->heap_inuse = in_spans - count->off_in_spans;
    stats->heap_idle = count->kept + count->returned + count->off_in_spans;
    stats->heap_released = count->returned + count->off_in_spans;
    stats->heap_lazy = count->lazy;
    stats->heap_sys = stats->heap_inuse + stats->heap_idle;
    stats->heap_objects = count->live_blocks;
    stats->mspan_sys = count->metadata;
    stats->sys = stats->heap_sys + stats->mspan_sys;
    stats->mallocs = count->mallocs;
    stats->frees = count->frees;
    stats->purges = atomic_peek64(&space.ledger->purges);
    stats->purged_bytes = atomic_peek64(&space.ledger->purged_bytes);
    stats->reused_bytes = atomic_peek64(&space.ledger->reused_bytes);
}

EXPORT int ebb_get_stats(struct ebb_stats *stats, size_t size)
{
    struct count count;
    struct ebb_stats filled = {0};
    if (!stats || !size)
        return -EINVAL;
    count_heap(&count);
    if (space.ledger)
        fill_stats(&filled, &count);
    // What a newer caller has room for and this version does not know reads as 0.
    memset(stats, 0, size);
    memcpy(stats, &filled, size < sizeof filled ? size : sizeof filled);
    return 0;
}
