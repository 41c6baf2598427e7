// SPDX-License-Identifier: Apache-2.0
// Giving back free pages in the spans of a thread that runs, sleeps or has stopped, without its
// knowledge and at no cost to its fast path. Library world; any thread may be the helper.
//
// The owner's fast path reads `current` and `fast_owner` and then works on that span's list by
// plain stores. So, under heap.lock:
//
//   1. close   `current` of the class becomes "no span", `fast_owner` becomes 0
//   2. fence   every thread goes through a memory barrier: what the owner begins from now on sees
//              the span closed and waits for the lock
//   3. relink  free pages' blocks come off the list; the pages' bits say so
//   4. purge   these pages, of all closed spans, in one call
//   5. fence   and open again
//
// An owner may have been stopped, by the scheduler or by a signal, in the middle of the one fast
// path that it began before 2., and may end it at any time, even after 5. These rules make that
// harmless:
//   - a malloc in flight holds the list's first block and its link: in a current span the first two
//     blocks stay where they are, and their pages stay (SPAN_POPPED). Where there is one only, a
//     list may be put in front of it, once: then the span is left alone until its owner has counted
//     something, and so has ended what was in flight;
//   - a free in flight leads from its block to the block that was first: that one may be off now,
//     which span_heal() finds before the span is allocated from again. What the cut loses is free
//     memory, until the span is empty;
//   - `counts` is the owner's: it is not written here. What is taken from the remote list stays in
//     its count.
// Medium spans' first two blocks are large: their owner says by `is_busy` that it is in the middle,
// and they are left alone then.
#ifndef EBB_HEAP_TAKEOVER_H
#define EBB_HEAP_TAKEOVER_H

#include "heap/heap.h"

// Spans that are closed together; bounds the time that an owner may have to wait.
#define TAKEOVER_SPANS 32u
#define TAKEOVER_BYTES (UINT64_C(4) << 20) // and of these so much is enough

struct takeover {
    struct heap *heap;
    uint32_t slots[TAKEOVER_SPANS];
    unsigned count;
    uint64_t bytes;            // free in them, for who puts them together
    bool is_lazy;              // out: false where that was refused and done at once
    bool is_refused;           // out: the system would not take some of it (locked memory)
    bool is_late;              // out: nothing was done, since somebody is about to fork
    size_t gone[CLASS_GROUPS]; // out: the bytes, by group of block sizes
};

// Purges the free pages of these spans, as far as they are partial or current spans of this heap
// when its lock is had. Returns the bytes given back; 0 without any where threads cannot be fenced.
// The caller holds no lock. The owner's slow path waits meanwhile: some 100 µs.
size_t takeover_purge(struct takeover *takeover);

// Makes lazily freed pages of a span go at once. Returns the bytes.
size_t takeover_return_lazy(uint32_t slot);

// Takes in what others have freed to full spans of this heap, by holds of some 100 µs.
void takeover_drain(struct heap *heap);

// Gives a heap's empty spans to the space.
void takeover_drop_spares(struct heap *heap);

// Closes these spans of the heap to plain frees, so that the next one to each takes the slow path.
// A free in flight is one free. The caller holds no lock of the program's.
void takeover_close(const struct takeover *takeover);

#endif
