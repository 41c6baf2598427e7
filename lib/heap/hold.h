// SPDX-License-Identifier: Apache-2.0
// Who holds a heap. Its owner holds it on each slow path, by two plain stores and a load: no locked
// operation. Whoever else wants it pays for both. Library world.
//
//   owner     is_held = 1; then, unless is_wanted, it has the heap;   at the end is_held = 0
//   another   lock; is_wanted = 1; a barrier in all threads; waits until is_held is 0
//
// The barrier falls into the owner's program somewhere. Before its load of `is_wanted`: the owner
// sees it set, and waits for the lock. After: its store of `is_held` is seen by who waits. (Dice,
// Huang, Yang: Asymmetric Dekker synchronization, 2001.)
//
// heap_claim() is the way to a heap that no thread owns; there the lock does by itself.
#ifndef EBB_HEAP_HOLD_H
#define EBB_HEAP_HOLD_H

#include "base/atomic.h"
#include "heap/heap.h"

// The owner, which then has the lock in place of the word, or lets go of it.
void hold_own_lock(struct heap *heap);
void hold_own_release(struct heap *heap);

// Anyone else, for a heap in state HEAP_OWNED: false where it has no thread any more, or where the
// system cannot fence threads.
bool hold_other(struct heap *heap);
void hold_other_end(struct heap *heap);

// By the thread whose heap it is. Not twice.
static inline void hold_own(struct heap *heap)
{
    __atomic_store_n(&heap->is_held, 1, __ATOMIC_RELAXED);
    atomic_keep_order();
    if (__builtin_expect(atomic_load32(&heap->is_wanted) != 0, 0))
        hold_own_lock(heap);
}

static inline void hold_own_end(struct heap *heap)
{
    if (__builtin_expect(atomic_peek32(&heap->is_held) == 0, 0)) {
        hold_own_release(heap);
        return;
    }
    atomic_store32(&heap->is_held, 0);
    atomic_keep_order();
    if (__builtin_expect(atomic_peek32(&heap->is_wanted) != 0, 0))
        lock_wake(&heap->is_held);
}

#endif
