// SPDX-License-Identifier: Apache-2.0
// A heap's spans: current, partial, full, spare, and its inbox. Library world; all under heap.lock.
//
//   run → current → partial → current …               exhausted, its turn again
//                   partial → full → partial          its turn with no block free, one freed
//                            partial → spare or run    the last block freed
//
// A span that is still linked in an inbox is never given back: it goes when the inbox is drained.
#ifndef EBB_HEAP_LISTS_H
#define EBB_HEAP_LISTS_H

#include "heap/heap.h"

// A heap with more spans than this, but for empty ones, waits for its thread's successor, and gives
// up its current spans; one with fewer is the next thread's, whoever that is, as it stands.
#define LISTS_FEW 32u

// A block of this class for the heap's owner; NULL without memory.
void *lists_allocate(struct heap *heap, unsigned size_class, bool *is_zero);

// The owner frees a checked block on the slow path.
void lists_free(struct heap *heap, struct wire_record *span, void *block);

// A partial span has no live block left: it becomes spare or goes back.
void lists_drop_if_empty(struct heap *heap, struct wire_record *span);

// Takes in what others have freed.
void lists_drain_inbox(struct heap *heap);

// The same as far as a helper may, while the owner runs: full spans only. They stay closed. Some at
// a time: false where there are more.
bool lists_drain_full(struct heap *heap);

// A partial span goes to the end of its list: others are allocated from before it.
void lists_wait_last(struct heap *heap, struct wire_record *span);

// Spare spans become kept runs, which others can take and a purge can find. `is_old`: as runs they
// have stood still for as long as they did as spans.
void lists_drop_spares(struct heap *heap, bool is_old);

// Any thread: tells the span's heap that it has remote frees.
void lists_enqueue(struct wire_record *span);

// For a heap whose thread has gone: no current spans but empty ones and, where it has few spans,
// small ones; no spare ones any more. Returns how many spans it has but for the empty ones.
uint32_t lists_settle(struct heap *heap);

#endif
