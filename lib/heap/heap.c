// SPDX-License-Identifier: Apache-2.0
// The heap's operations for any size and any pointer: the slow path behind fast.h. Library world;
// locks as told in heap.h.
#include "heap/heap.h"

#include <string.h>

#include "base/atomic.h"
#include "base/bits.h"
#include "heap/fast.h"
#include "heap/guard.h"
#include "heap/large.h"
#include "heap/lists.h"
#include "heap/misuse.h"
#include "heap/thread.h"

static bool is_fast(const struct wire_record *span)
{
    return atomic_peek64(&span->fast_owner) == (uint64_t)(uintptr_t)heap_of_thread;
}

// Around what the owner does to medium spans without the lock: a helper that has closed them and
// finds the heap busy leaves their first blocks alone (takeover.h). The order against the loads
// that follow is made by the helper's fence; who sees 0 again has to see what was done.
static void set_busy(struct heap *heap, uint32_t is_busy)
{
    atomic_store32(&heap->is_busy, is_busy);
    atomic_keep_order();
}

// The fast path for any class: of the present span's list, without a lock.
static void *pop_class(unsigned size_class)
{
    struct heap *heap = heap_of_thread;
    // The empty heap is constant.
    if (!heap->current[size_class]->free)
        return NULL;
    set_busy(heap, 1);
    struct wire_record *span = heap->current[size_class];
    void *block = span->free ? span_pop_listed(span) : NULL;
    set_busy(heap, 0);
    return block;
}

// The same for a free of the heap's own block: false where that is for the slow path to do.
static bool push_medium(struct wire_record *span, void *pointer)
{
    struct heap *heap = heap_of_thread;
    if (!is_fast(span))
        return false;
    set_busy(heap, 1);
    bool is_pushed = is_fast(span);
    if (is_pushed)
        span_push(span, pointer);
    set_busy(heap, 0);
    return is_pushed;
}

static void *allocate_class(unsigned size_class, bool *is_zero)
{
    void *popped = pop_class(size_class);
    if (popped)
        return popped;
    struct heap *heap = heap_enter();
    if (!heap)
        return NULL;
    void *block = lists_allocate(heap, size_class, is_zero);
    heap_leave(heap);
    return block;
}

// Large blocks need no heap, but a started and repaired space.
static void *allocate_large(size_t bytes, size_t align, bool *is_zero)
{
    struct heap *heap = heap_enter();
    if (!heap)
        return NULL;
    void *block = large_allocate(bytes, align, is_zero);
    heap_leave(heap);
    return block;
}

// NULL where an ordinary block has to do.
static void *allocate_guarded(size_t bytes, size_t align)
{
    struct heap *heap = heap_enter();
    if (!heap)
        return NULL;
    void *block = guard_allocate(bytes, align);
    heap_leave(heap);
    return block;
}

void *heap_allocate(size_t bytes, bool *is_zero)
{
    void *guarded = guard_is_due(bytes) ? allocate_guarded(bytes, 1) : NULL;
    *is_zero = guarded != NULL;
    if (guarded)
        return guarded;
    if (bytes <= CLASS_MEDIUM_MAX)
        return allocate_class(class_of_size(bytes), is_zero);
    return allocate_large(bytes, 1, is_zero);
}

void *heap_allocate_aligned(size_t bytes, size_t align)
{
    bool is_zero;
    void *guarded = guard_is_due(bytes) ? allocate_guarded(bytes, align) : NULL;
    if (guarded)
        return guarded;
    unsigned size_class = class_of_aligned(bytes, align);
    if (size_class < CLASS_COUNT)
        return allocate_class(size_class, &is_zero);
    return allocate_large(bytes, align, &is_zero);
}

// The owner counts by plain stores, so this is a guess; but the count stands still where there is
// no thread. Volatile and not inline: the compiler would move the read to where it is watched.
__attribute__((noinline, no_sanitize("thread"))) static uint32_t
guess_used(const struct wire_record *span)
{
    const volatile uint64_t *counts = &span->counts;
    return (uint32_t)(*counts & SPAN_USED_MASK);
}

static bool is_abandoned(const struct heap *heap)
{
    return heap && atomic_load32(&heap->state) == HEAP_ABANDONED;
}

// Nobody else will look into the inbox of a heap without a thread: so do it when it pays.
static __attribute__((noinline)) void
help_abandoned(struct heap *heap, const struct wire_record *span, uint32_t remote_count)
{
    if (remote_count < guess_used(span) || !heap_claim(heap))
        return;
    lists_drain_inbox(heap);
    // What got empty is for others to take.
    lists_drop_spares(heap, false);
    heap_disown(heap);
}

static __attribute__((noinline)) void tell_heap(struct heap *heap, struct wire_record *span,
                                                uint32_t remote_count)
{
    lists_enqueue(span);
    if (is_abandoned(heap))
        help_abandoned(heap, span, remote_count);
}

// Another heap's block: visible to its owner, and to whoever counts, at once. From then on the span
// may be another's, or gone: whose it was is asked before. What is seldom is out of line.
static inline __attribute__((always_inline)) void
push_remote(struct heap *heap, struct wire_record *span, void *pointer)
{
    uint32_t count;
    if (__builtin_expect(span_push_remote(span, pointer, &count), 0))
        tell_heap(heap, span, count);
    else if (__builtin_expect(is_abandoned(heap), 0))
        help_abandoned(heap, span, count);
}

static struct heap *heap_of_span(const struct wire_record *span)
{
    return (struct heap *)(uintptr_t)atomic_load64(&span->heap);
}

static __attribute__((noinline)) void free_remote(struct wire_record *span, void *pointer)
{
    push_remote(heap_of_span(span), span, pointer);
}

static bool is_own(const struct wire_record *span)
{
    return heap_of_span(span) == heap_of_thread;
}

// The owner's own block, in a span that the fast path does not serve: full, or with purged pages.
static void free_local(struct wire_record *span, void *pointer)
{
    struct heap *heap = heap_enter();
    // Entering may have found that this is a child, and that the heap is lost.
    if (heap && is_own(span))
        lists_free(heap, span, pointer);
    else
        free_remote(span, pointer);
    if (heap)
        heap_leave(heap);
}

// A run of its own goes back to the space, which in a child may have to be repaired first.
static void free_run(struct wire_record *record)
{
    heaps_notice_fork();
    if (guard_is_sample(record))
        guard_free(record);
    else
        large_free(record);
}

// The record of the slot; NULL for what is not in the space.
static inline struct wire_record *record_of(const void *pointer)
{
    uintptr_t offset = (uintptr_t)pointer - space_base;
    return offset < space_bytes ? space_record((uint32_t)(offset >> WIRE_SLOT_SHIFT)) : NULL;
}

// The span in which a live block begins here; NULL for all else, be it right or wrong. Nearly all
// blocks that come this way pass this look: misuse.c is for the others.
static inline __attribute__((always_inline)) struct wire_record *
live_span(struct wire_record *record, const void *pointer)
{
    uint64_t run = atomic_load64(&record->run);
    // Small, medium or a medium one's tail: three kinds in a row.
    if (wire_run_kind(run) - WIRE_SMALL > WIRE_TAIL - WIRE_SMALL)
        return NULL;
    uint32_t tail = space_tail(run);
    struct wire_record *span = record - tail;
    uint32_t in_span = tail << WIRE_SLOT_SHIFT | (uint16_t)(uintptr_t)pointer;
    bool is_live = atomic_load64(&span->heap) && atomic_peek64(&span->off) == 0;
    // Read once: below a second free the span may go, and its record be wiped (records.h).
    uint32_t block_bytes = atomic_peek32(&span->block_bytes);
    is_live = is_live && block_bytes && span_has_live(span, block_bytes, in_span, pointer);
    return is_live ? span : NULL;
}

// The same for a small block, most of those that others free: only a span has a heap, only a small
// one a reciprocal. One multiplication by that tells whether the block size divides the offset, and
// how often.
static inline __attribute__((always_inline)) bool is_live_small(const struct wire_record *record,
                                                                const void *pointer)
{
    const struct block *block = pointer;
    uint32_t recip = atomic_peek32(&record->recip);
    uint64_t product = (uint64_t)(uint16_t)(uintptr_t)pointer * recip;
    return atomic_peek64(&record->off) == 0 && (uint32_t)product < recip &&
           product >> 32 < atomic_peek16(&record->carved) && block->tag != span_tag(record, block);
}

// Medium blocks come here each time; most are as easy as small ones.
static __attribute__((noinline)) void free_own(struct wire_record *span, void *pointer)
{
    if (span_is_small(span) || !push_medium(span, pointer))
        free_local(span, pointer);
    else if (span_used(span) == 0)
        heap_note_empty(pointer);
}

// A run of its own, a block in a span with purged pages, or misuse.
static __attribute__((noinline)) void free_other(void *pointer)
{
    struct wire_record *record = misuse_check(pointer, "free");
    enum wire_kind kind = wire_run_kind(atomic_peek64(&record->run));
    if (kind == WIRE_LARGE || kind == WIRE_GUARDED)
        free_run(record);
    else if (is_own(record))
        free_own(record, pointer);
    else
        free_remote(record, pointer);
}

void heap_free(void *pointer)
{
    if (!pointer)
        return;
    struct wire_record *span = record_of(pointer);
    if (span) {
        struct heap *heap = heap_of_span(span);
        if (heap && heap != heap_of_thread && is_live_small(span, pointer)) {
            push_remote(heap, span, pointer);
            return;
        }
        span = live_span(span, pointer);
    }
    if (!span)
        free_other(pointer);
    else if (is_own(span))
        free_own(span, pointer);
    else
        free_remote(span, pointer);
}

void heap_note_empty(void *pointer)
{
    struct wire_record *span = space_record_at((uintptr_t)pointer);
    struct heap *heap = heap_enter();
    if (!heap)
        return;
    // Another thread may have brought it a free in between, and the drain may have dropped it.
    if (is_own(span))
        lists_drop_if_empty(heap, span);
    heap_leave(heap);
}

static size_t usable_bytes(const struct wire_record *record)
{
    enum wire_kind kind = wire_run_kind(record->run);
    bool is_large = kind == WIRE_LARGE || kind == WIRE_GUARDED;
    if (guard_is_sample(record))
        return record->block_bytes;
    return is_large ? (size_t)record->bytes : record->block_bytes;
}

size_t heap_usable_bytes(const void *pointer)
{
    struct wire_record *record = record_of(pointer);
    const struct wire_record *span = record ? live_span(record, pointer) : NULL;
    if (span)
        return atomic_peek32(&span->block_bytes);
    return usable_bytes(misuse_check(pointer, "size query"));
}

// As malloc, copy and free do it.
static void *move_block(void *pointer, size_t old_bytes, size_t bytes)
{
    bool is_zero;
    void *moved = heap_pop_fast(bytes);
    if (!moved)
        moved = heap_allocate(bytes, &is_zero);
    if (!moved)
        return NULL;
    memcpy(moved, pointer, old_bytes < bytes ? old_bytes : bytes);
    enum heap_push pushed = heap_push_fast(pointer);
    if (pushed == HEAP_NOT_PUSHED)
        heap_free(pointer);
    else if (pushed == HEAP_PUSHED_LAST)
        heap_note_empty(pointer);
    return moved;
}

void *heap_move(void *pointer, size_t usable, size_t bytes)
{
    void *moved = move_block(pointer, usable, bytes);
    // To get smaller never fails.
    return moved || bytes > usable ? moved : pointer;
}

// The same.
static __attribute__((noinline)) void *resize_other(void *pointer, size_t bytes)
{
    struct wire_record *record = misuse_check(pointer, "realloc");
    enum wire_kind kind = wire_run_kind(record->run);
    size_t usable = usable_bytes(record);
    if (guard_is_sample(record)) {
        // Its end moves with its size: there is no growing or shrinking in place.
        if (bytes == usable)
            return pointer;
    } else if ((kind == WIRE_LARGE || kind == WIRE_GUARDED) && bytes > CLASS_MEDIUM_MAX) {
        heaps_notice_fork();
        void *resized = large_resize(record, bytes);
        if (resized)
            return resized;
    } else if (heap_fits(usable, bytes)) {
        return pointer;
    }
    return heap_move(pointer, usable, bytes);
}

void *heap_resize(void *pointer, size_t bytes)
{
    struct wire_record *record = record_of(pointer);
    const struct wire_record *span = record ? live_span(record, pointer) : NULL;
    if (!span)
        return resize_other(pointer, bytes);
    if (heap_fits(span->block_bytes, bytes))
        return pointer;
    return heap_move(pointer, span->block_bytes, bytes);
}
