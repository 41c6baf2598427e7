// SPDX-License-Identifier: Apache-2.0
// The rare halves of holding a heap. Library world.
#include "heap/hold.h"

// Somebody has it, or is about to: theirs is the lock, so wait for that.
void hold_own_lock(struct heap *heap)
{
    atomic_store32(&heap->is_held, 0);
    lock_wake(&heap->is_held);
    lock_take(&heap->lock);
}

void hold_own_release(struct heap *heap)
{
    lock_release(&heap->lock);
}

bool hold_other(struct heap *heap)
{
    lock_take(&heap->lock);
    if (atomic_load32(&heap->state) != HEAP_OWNED) {
        lock_release(&heap->lock);
        return false;
    }
    atomic_store32(&heap->is_wanted, 1);
    if (space.os->fence_threads(space.os) != 0) {
        hold_other_end(heap);
        return false;
    }
    while (atomic_load32(&heap->is_held) != 0)
        lock_sleep_while(&heap->is_held, 1);
    return true;
}

void hold_other_end(struct heap *heap)
{
    atomic_store32(&heap->is_wanted, 0);
    lock_release(&heap->lock);
}
