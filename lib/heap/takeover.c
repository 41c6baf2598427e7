// SPDX-License-Identifier: Apache-2.0
// The five steps of takeover.h. Library world; under the heap's lock, or alone with a heap that has
// no thread.
#include "heap/takeover.h"

#include <errno.h>

#include "base/atomic.h"
#include "base/bits.h"
#include "heap/hold.h"
#include "heap/lists.h"
#include "heap/thread.h"

#define NO_SPAN ((struct wire_record *)(uintptr_t)&heap_no_span)

// What one batch may purge in one call: without a helper this stands on a program's stack, which
// may have 16 KiB in all.
#define RANGES_MAX 160u

// Between closing and opening.
struct batch {
    struct heap *heap;
    struct wire_record *spans[TAKEOVER_SPANS];
    struct span_pages pages[TAKEOVER_SPANS];
    unsigned count;
    bool has_owner; // who may be in its fast path
};

// A heap without a thread is claimed, any other one locked. 0; −ESRCH where neither makes sense;
// −EAGAIN where somebody is about to fork, unless the caller `waits`.
static int hold_heap(struct heap *heap, bool waits, bool *has_owner)
{
    *has_owner = false;
    if (!heaps_help(waits))
        return -EAGAIN;
    if (heap_claim(heap))
        return 0;
    *has_owner = heap != heap_of_thread;
    if (!*has_owner) {
        hold_own(heap);
        return 0;
    }
    if (hold_other(heap))
        return 0;
    heaps_help_end();
    return -ESRCH;
}

// As hold_heap() got it: by holding it against its owner, as the owner, or by a claim.
static void let_heap_go(struct heap *heap, bool has_owner)
{
    if (has_owner)
        hold_other_end(heap);
    else if (heap == heap_of_thread)
        hold_own_end(heap);
    else
        heap_disown(heap);
    heaps_help_end();
}

// Still what the caller saw without the lock.
static bool is_ours(const struct heap *heap, const struct wire_record *span)
{
    enum wire_kind kind = wire_run_kind(atomic_load64(&span->run));
    if (kind != WIRE_SMALL && kind != WIRE_MEDIUM)
        return false;
    if (atomic_load64(&span->heap) != (uint64_t)(uintptr_t)heap)
        return false;
    return span->state == WIRE_SPAN_PARTIAL || span->state == WIRE_SPAN_CURRENT;
}

static void close_span(struct heap *heap, struct wire_record *span)
{
    if (span->state == WIRE_SPAN_CURRENT)
        atomic_store64((uint64_t *)&heap->current[span->size_class], (uint64_t)(uintptr_t)NO_SPAN);
    atomic_store64(&span->fast_owner, 0);
}

static void open_span(struct heap *heap, struct wire_record *span)
{
    if (span->state == WIRE_SPAN_CURRENT)
        atomic_store64((uint64_t *)&heap->current[span->size_class], (uint64_t)(uintptr_t)span);
    span_open(span, heap);
}

static void close_batch(struct batch *batch, const struct takeover *takeover)
{
    for (unsigned i = 0; i < takeover->count; i++) {
        struct wire_record *span = space_record(takeover->slots[i]);
        if (!is_ours(batch->heap, span))
            continue;
        close_span(batch->heap, span);
        batch->spans[batch->count++] = span;
    }
}

static void open_batch(const struct batch *batch)
{
    for (unsigned i = 0; i < batch->count; i++)
        open_span(batch->heap, batch->spans[i]);
}

static enum span_hold hold_of(const struct batch *batch, const struct wire_record *span)
{
    if (!batch->has_owner)
        return SPAN_ALONE;
    bool is_popped = span->state == WIRE_SPAN_CURRENT;
    // The owner of medium spans tells when it is in the middle.
    if (!span_is_small(span) && !atomic_load32(&batch->heap->is_busy))
        is_popped = false;
    return is_popped ? SPAN_POPPED : SPAN_CLOSED;
}

// Takes the free pages of spans from `*next` on off their lists, as many as fit into the ranges.
static unsigned collect(struct batch *batch, unsigned *next, struct os_range *ranges)
{
    unsigned filled = 0;
    for (; *next < batch->count && filled + SPAN_RANGES_MAX <= RANGES_MAX; ++*next) {
        struct wire_record *span = batch->spans[*next];
        struct span_pages *pages = &batch->pages[*next];
        span_collect_free_pages(span, hold_of(batch, span), pages);
        filled += span_list_ranges(span, pages, ranges + filled);
    }
    return filled;
}

// What has been purged is allocated from last.
static void note_purged(struct batch *batch, unsigned first, unsigned end, bool is_lazy,
                        bool is_all, size_t gone[CLASS_GROUPS])
{
    for (unsigned i = first; i < end; i++) {
        struct wire_record *span = batch->spans[i];
        size_t unit = span_is_small(span) ? PAGE_BYTES : span->block_bytes;
        batch->pages[i].is_all = true;
        if (!is_all)
            span_note_refused(span, &batch->pages[i], is_lazy);
        gone[class_group(span->block_bytes)] +=
            bits_count(batch->pages[i].off) * unit + batch->pages[i].tail_bytes;
        span_note_purged(span, &batch->pages[i], is_lazy);
        if (batch->pages[i].off && span->state == WIRE_SPAN_PARTIAL)
            lists_wait_last(batch->heap, span);
    }
}

static size_t purge_batch(struct batch *batch, struct takeover *takeover)
{
    const bool is_lazy = takeover->is_lazy;
    struct os_range ranges[RANGES_MAX];
    size_t gone = 0;
    unsigned next = 0;
    if (batch->count)
        space_forbid_huge();
    while (next < batch->count) {
        unsigned first = next;
        bool went_lazily = is_lazy;
        unsigned count = collect(batch, &next, ranges);
        size_t bytes = count ? space_purge_ranges(ranges, count, &went_lazily) : 0;
        bool is_all = bytes == os_ranges_bytes(ranges, count);
        if (count)
            note_purged(batch, first, next, went_lazily, is_all, takeover->gone);
        takeover->is_lazy &= went_lazily;
        takeover->is_refused |= !is_all;
        gone += bytes;
    }
    return gone;
}

// True if no owner can begin a fast path on a closed span any more.
static bool fence(const struct batch *batch)
{
    return !batch->has_owner || space.os->fence_threads(space.os) == 0;
}

size_t takeover_purge(struct takeover *takeover)
{
    struct batch batch = {.heap = takeover->heap, .count = 0};
    size_t gone = 0;
    int error = hold_heap(takeover->heap, false, &batch.has_owner);
    takeover->is_late = error == -EAGAIN;
    if (error)
        return 0;
    close_batch(&batch, takeover);
    if (fence(&batch)) {
        gone = purge_batch(&batch, takeover);
        // What was written to the lists is seen before the spans are seen open.
        (void)fence(&batch);
    }
    open_batch(&batch);
    let_heap_go(takeover->heap, batch.has_owner);
    return gone;
}

// The bits of `off` that were given back lazily, as pages to be purged again.
size_t takeover_return_lazy(uint32_t slot)
{
    struct wire_record *span = space_record(slot);
    struct heap *heap = (struct heap *)(uintptr_t)atomic_load64(&span->heap);
    struct os_range ranges[SPAN_RANGES_MAX];
    bool is_lazy = false;
    bool has_owner;
    size_t gone = 0;
    if (!heap || hold_heap(heap, false, &has_owner) != 0)
        return 0;
    // Pages that are off are the lock's: they come back on the owner's slow path only.
    if (is_ours(heap, span)) {
        struct span_pages pages = {.off = span->off & span->lazy};
        unsigned count = span_list_ranges(span, &pages, ranges);
        gone = count ? space_purge_ranges(ranges, count, &is_lazy) : 0;
        if (gone)
            span->lazy = 0;
    }
    let_heap_go(heap, has_owner);
    return gone;
}

void takeover_drain(struct heap *heap)
{
    bool is_done = false;
    while (!is_done && atomic_load32(&heap->inbox)) {
        bool has_owner;
        if (hold_heap(heap, false, &has_owner) != 0)
            return;
        is_done = lists_drain_full(heap);
        let_heap_go(heap, has_owner);
    }
}

void takeover_drop_spares(struct heap *heap)
{
    bool has_owner;
    if (hold_heap(heap, false, &has_owner) != 0)
        return;
    lists_drop_spares(heap, true);
    let_heap_go(heap, has_owner);
}

void takeover_close(const struct takeover *takeover)
{
    struct heap *heap = takeover->heap;
    bool has_owner;
    if (!takeover->count || hold_heap(heap, true, &has_owner) != 0)
        return;
    for (unsigned i = 0; i < takeover->count; i++) {
        struct wire_record *span = space_record(takeover->slots[i]);
        if (is_ours(heap, span))
            atomic_store64(&span->fast_owner, 0);
    }
    let_heap_go(heap, has_owner);
}
