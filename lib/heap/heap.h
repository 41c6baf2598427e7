// SPDX-License-Identifier: Apache-2.0
// Thread heaps: which span a thread allocates from, how it gets the next, and whose a freed block
// is. Library world.
//
// A thread owns one heap. Its fast path (fast.h) touches the heap's `current` spans and, by plain
// stores, spans whose `fast_owner` is the heap. All else about a heap is guarded by heap.lock, as
// hold.h tells: the owner has it on each slow path; others may take it to help where they need not
// touch what the fast path touches. A heap outlives its thread: the next one takes it over as it
// is.
//
// The words of this folder:
//
//   slot     64 KiB of address space with one record in the table
//   run      slots that follow each other and are one thing: a span, a large block, free space
//   span     a run cut into blocks of one size class
//   block    what the program gets; it begins at a multiple of its size in the span
//   carved   blocks that were handed out or linked once; behind them the span is untouched
//   current  the span per class that a heap allocates from
//   remote   freed by a thread that does not own the span's heap
//   inbox    the spans of a heap that have remote frees which it has not taken in
//   off      free, and taken off the list because the page may have been purged
//
// What a helper may do under heap.lock while the owner runs: look at everything; take spans that
// are full, whose lists the owner's fast path does not touch. Current and partial spans only after
// closing them, as takeover.h tells.
//
// Lock order: heap.lock, then the lock of one heap that no thread owns, then space.lock.
#ifndef EBB_HEAP_HEAP_H
#define EBB_HEAP_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/lock.h"
#include "heap/class.h"
#include "heap/space.h"
#include "heap/span.h"

#define CACHE_LINE 64

enum heap_state {
    HEAP_ABANDONED = 0, // no thread; whoever sets OWNED has it
    HEAP_OWNED = 1,
    HEAP_LOST = 2, // in a forked child: its thread was in a slow path, so it is never touched again
};

struct heap {
    // Read by the fast path; written by the owner, or under the lock while there is none.
    struct wire_record *current[CLASS_COUNT + 1]; // the last never has a span: see guard.h
    uint8_t steps[CLASS_STEPS];

    // The owner's: allocations until one is guarded, and where the next distance comes from.
    uint32_t until_guarded;
    uint64_t guard_random;

    struct lock lock;
    // Guarded by the lock.
    uint32_t partial[CLASS_COUNT]; // lists of spans with free blocks, by slot; 0: empty
    uint32_t last[CLASS_COUNT];    // their ends
    uint32_t spare;                // empty small spans, linked by `next`
    uint32_t spare_count;
    uint32_t spans; // in all its classes, but for spare ones
    uint64_t random;
    // Allocations from the current spans when last counted, and frees on the slow path since then.
    uint64_t mallocs;
    uint32_t slow_frees;

    // Atomic; the owner's, on each slow path.
    uint32_t is_held; // see hold.h
    uint32_t is_busy; // about to pop or push a medium block without the lock

    // Atomic; written by whoever frees. In a line of its own, as is what they only read.
    _Alignas(CACHE_LINE) uint32_t inbox; // spans with remote frees, linked by `queue_next`

    // Atomic, and seldom written.
    _Alignas(CACHE_LINE) uint32_t state; // enum heap_state
    uint32_t is_wanted;                  // by somebody else than its owner: see hold.h
    uint64_t place;    // of the thread that left it, if the next there shall have it: thread.c
    struct heap *next; // all heaps, newest first; constant once linked
};

// All heaps and the one-time start.
struct heaps {
    struct lock start_lock;
    uint32_t is_started; // atomic
    uint32_t abandoned;  // atomic: heaps to be had; a hint
    uint32_t forks;      // how often this process came out of a fork, as far as it has noticed
    uint64_t first;      // atomic: struct heap *
    uint64_t steal_next; // atomic: struct heap *: where the last search for spans has ended
    uint32_t *canary;    // 1, and 0 in a child that has not been repaired
    bool has_key;        // none where the program has them all: heaps then stay their threads'
    unsigned key;        // pthread key whose destructor abandons a thread's heap
    uint32_t threads;    // atomic: threads that have a heap
    // Atomic: called by the last of these when it has ended; NULL: nobody wants to know.
    void (*note_last)(void);

    // A helper has it while it is at work on a heap, and a fork: see thread.h.
    struct lock help_lock;
    uint32_t forking; // atomic: threads that are about to fork
};

extern struct heaps heaps __attribute__((visibility("hidden")));

// What threads start with: no spans, so that the first allocation falls to the slow path.
extern const struct heap heap_empty __attribute__((visibility("hidden")));
extern const struct wire_record heap_no_span __attribute__((visibility("hidden")));

// The calling thread's heap; &heap_empty before its first allocation and after its end.
extern _Thread_local struct heap *heap_of_thread
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

// For all below: thread-safe; 0, NULL or false on failure, which is always want of memory. A
// pointer that is not a live block ends the process with a line that says what it is.

// Memory for any size ≤ PTRDIFF_MAX. `*is_zero` is set if it is known to read as zeros.
void *heap_allocate(size_t bytes, bool *is_zero);

// At a multiple of `align`, a power of two.
void *heap_allocate_aligned(size_t bytes, size_t align);

// Any pointer that was given out, and NULL.
void heap_free(void *pointer);

// The bytes that may be used behind a live block's address.
size_t heap_usable_bytes(const void *pointer);

// A live block, not NULL, gets `bytes` > 0: in place or by a move. The old block stays on failure.
void *heap_resize(void *pointer, size_t bytes);

// The same by a move, for a block that is known to be live and to have `usable` bytes. Where there
// is no memory it gets smaller in its place.
void *heap_move(void *pointer, size_t usable, size_t bytes);

// The fast path has freed the last block of a span, at this address.
void heap_note_empty(void *pointer);

// For tests: everything anew on another system. No other thread may use the heap.
int heap_start_on(const struct os *os);
void heap_stop(void);

// The caller's heap with its lock taken, started and repaired as needed; NULL without memory.
struct heap *heap_enter(void);
void heap_leave(struct heap *heap);

#endif
