// SPDX-License-Identifier: Apache-2.0
// What could go back to the system, found by looking over the span table. Library world.
//
// The walk takes no lock: it reads the chain of runs while others change it. A word that was
// changed in between leads into the middle of a run, from where it goes on slot by slot; nothing is
// believed that it finds: what gives memory back (space_purge_run, takeover_purge) looks again
// under the lock. One walker at a time: the ages are kept in the records' `seen`.
#ifndef EBB_HEAP_SWEEP_H
#define EBB_HEAP_SWEEP_H

#include "heap/heap.h"

enum sweep_kind {
    SWEEP_RUN,        // a kept free run
    SWEEP_PAGES,      // free blocks in a span, enough of them for a page that is wholly free
    SWEEP_LAZY_RUN,   // lazily freed
    SWEEP_LAZY_PAGES, // pages of a span, lazily freed
    SWEEP_RECORDS,    // a clean run, long enough that its records may go: records.h
};

struct sweep_item {
    enum sweep_kind kind;
    uint32_t slot;
    uint32_t slots;    // of the run
    unsigned group;    // class_group() or CLASS_GROUP_RUNS
    struct heap *heap; // of a span
    uint64_t age_ms;   // since something about it changed, as far as walks have seen
    uint64_t bytes;    // of a run, or its records; of a span's free blocks, or its lazy pages
};

struct sweep {
    uint32_t now_ms;  // never 0
    bool takes_young; // also spans that have been looked through as they are
    enum space_area area;
    uint32_t next;       // slot
    uint64_t kept_bytes; // sums of the walk so far: of what is kept,
    uint64_t lazy_bytes; // of what is lazily freed,
    uint64_t used_bytes; // and of live blocks
    bool pages_pending;  // the record at `next` has lazy pages to tell of as well
};

// Begins a walk. `now_ms` is any clock of milliseconds that does not go back.
void sweep_begin(struct sweep *sweep, uint64_t now_ms);

// The next item, of any age; false at the end. Stamps what has changed since the last walk.
bool sweep_next(struct sweep *sweep, struct sweep_item *item);

// This span was looked through: as long as it stays as it is there is nothing more to find in it.
void sweep_note_done(uint32_t slot);

// This run has been dealt with, or the system would not take it: it is left alone as long as it
// stays as it is.
void sweep_note_run_done(uint32_t slot);

// The empty span that this heap made spare last has been so for `age_ms`.
bool sweep_has_old_spares(const struct sweep *sweep, const struct heap *heap, uint64_t age_ms);

// Closes all spans to plain frees, so that the first one to each takes the slow path.
void sweep_arm(void);

// Whole slots that are in use or were: whether a heap is worth looking at.
uint32_t sweep_slots_used(void);

#endif
