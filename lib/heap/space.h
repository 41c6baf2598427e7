// SPDX-License-Identifier: Apache-2.0
// The address space of the heap: one reservation, cut into slots of 64 KiB, given out in runs; and
// the table with one record per slot, at its start. Library world.
//
// `space.lock` guards the bins, the frontiers and the record words of free runs. The words `run`
// form a chain: from an area's first slot on, each run's first slot says how many slots it has, up
// to the frontier. Each change of the chain is one store, so that a child forked in the middle of
// one finds a chain that is whole, and space_repair() makes the bins anew from it.
#ifndef EBB_HEAP_SPACE_H
#define EBB_HEAP_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/lock.h"
#include "heap/class.h"
#include "os/os.h"
#include "wire/ledger.h"

#define RECORD_BYTES    sizeof(struct wire_record)
#define SPACE_BINS      88u
#define SPACE_MAX_BYTES (UINT64_C(1) << 44)

// The low half of a free run's `seen`; the high one is the time since when it has stood still.
#define SPACE_RUN_SEEN 1u

_Static_assert(RECORD_BYTES == 1u << WIRE_RECORD_SHIFT, "the fast path shifts by it");

enum space_area { SPACE_ORDINARY = 0, SPACE_GUARDED = 1 };
// What is in a run's pages: what somebody left; zeros; either, since the kernel may take it any
// time.
enum space_pages { SPACE_DIRTY = 0, SPACE_CLEAN = 1, SPACE_LAZY = 2 };
#define SPACE_SORTS 3

// Free runs of one area and one kind, by length. Bin heads are slots; 0 is none, since slot 0 holds
// the table.
struct bins {
    uint32_t heads[SPACE_BINS];
    uint64_t filled[2]; // a bit per bin with runs in it
};

struct space {
    // Constant once set.
    const struct os *os;
    struct wire_ledger *ledger;
    size_t page_bytes; // of the system: PAGE_BYTES, or a multiple of it up to a slot

    // Guarded by the lock.
    struct lock lock;
    struct bins bins[WIRE_AREAS][SPACE_SORTS];
    uint32_t records_shown[WIRE_AREAS]; // slots up to here have records that can be written
    uint32_t dumped[WIRE_AREAS];        // slots up to here are in a debugger's core: space_dump()
    uint32_t dirty_slots;               // in free runs
    uint32_t guarded_free;              // slots of free runs in the guarded area,
    uint32_t guarded_kept;              // and of those of them that are not clean
    uint32_t seams;                     // in guarded runs: run.h
    uintptr_t meta_at;                  // what is left of the present run for metadata
    size_t meta_left;

    // Atomic.
    uint32_t guarded;              // guarded blocks alive
    uint32_t busy_runs;            // being given back just now
    uint32_t walked_ms;            // when the last walk over the table began; 0: none yet
    uint32_t is_quiet;             // nobody looks for free memory: a slow free shall call
    uint32_t has_no_vectors;       // the kernel cannot purge many ranges at once
    uint32_t has_no_lazy;          // nor lazily
    uint32_t has_no_moves;         // a move was refused once: kept.c
    uint32_t has_no_huge;          // the ordinary area has been told to be without huge pages
    uint32_t expects_reuse;        // the plan gives free runs back lazily: it is told by each look
    uint64_t headroom;             // bytes that may be made resident before memory is short
    uint64_t reused[CLASS_GROUPS]; // bytes that were given back and then used again
};

// -fvisibility=hidden leaves declarations alone: without the word on these the compiler would go
// through a table for their addresses.
extern struct space space __attribute__((visibility("hidden")));

// What every free reads: the reservation. Variables of their own, which save it an instruction.
// Constant once set; 0 before, so that no address lies inside.
extern uintptr_t space_base __attribute__((visibility("hidden")));
extern size_t space_bytes __attribute__((visibility("hidden")));

// Makes the reservation: as much as the system grants, by halves. 0 or -ENOMEM. Once, by one
// thread.
int space_start(const struct os *os);

// Gives everything back, for tests that start again.
void space_stop(void);

static inline struct wire_record *space_record(uint32_t slot)
{
    return (struct wire_record *)(space_base + (size_t)slot * RECORD_BYTES);
}

static inline uint32_t space_slot(const struct wire_record *record)
{
    return (uint32_t)(((uintptr_t)record - space_base) / RECORD_BYTES);
}

// Where the run of this record begins.
static inline uintptr_t space_address(const struct wire_record *record)
{
    return space_base + (uintptr_t)space_slot(record) * WIRE_SLOT_BYTES;
}

// How many slots before this one the record in charge stands, by the slot's word: 0, but inside a
// medium span. Without a branch: which slot of one it is cannot be guessed.
static inline uint32_t space_tail(uint64_t run)
{
    return wire_run_slots(run) & (0 - (uint32_t)(wire_run_kind(run) == WIRE_TAIL));
}

// The record that is in charge of an address inside the reservation: of the run's first slot for
// medium spans, of the very slot for all others.
static inline struct wire_record *space_record_at(uintptr_t address)
{
    struct wire_record *record =
        space_record((uint32_t)((address - space_base) >> WIRE_SLOT_SHIFT));
    return record - space_tail(atomic_peek64(&record->run));
}

// Takes a run of `slots` at a multiple of `align_slots`, and marks it as `kind`. Ordinary runs are
// memory; guarded ones are still reserved space, and clean. 0 or -ENOMEM. `*pages` tells whether
// ordinary memory reads as zeros.
int space_take(enum space_area area, uint32_t slots, uint32_t align_slots, enum wire_kind kind,
               struct wire_record **record, enum space_pages *pages);

// Gives a run back; `pages` says what is in it now, and record->bytes how much of that was purged
// before. Neighbours of the same sort become one run.
void space_give(struct wire_record *record, enum space_pages pages);

// Cuts a run that is in use to its first `slots`; the rest becomes a run in use of the same kind,
// to be given back by the caller, who gets its record.
struct wire_record *space_cut(struct wire_record *record, uint32_t slots);

// Lets a run in use grow to `slots` in place. 0, or -ENOMEM where what follows is not free.
// `*pages`: what the run now has behind its old end.
int space_grow(struct wire_record *record, uint32_t slots, enum space_pages *pages);

// Purges kept free runs, the longest first, until at least `bytes` are gone or none is left; not
// much more of them. Returns the bytes.
size_t space_purge(size_t bytes);

// Gives back all that is kept of guarded blocks, lazily freed or not, and with it what the system
// charges for it: more may be granted then. False where there was nothing.
bool space_uncharge(void);

// Purges up to `slots` slots of the kept (or, to return what was lazy, the lazily freed) run that
// begins at `slot`; 0 where no such run begins there any more, or the system refuses. Others may
// take from the rest meanwhile. Returns the bytes.
size_t space_purge_run(uint32_t slot, uint32_t slots, bool is_lazy);

// Purges ranges of pages that nobody uses: many at once where the kernel can, and at once where it
// refuses to do it lazily, which `*is_lazy` then says. Returns the bytes; what the system refuses
// altogether (locked memory) stays as it is.
size_t space_purge_ranges(const struct os_range *ranges, size_t count, bool *is_lazy);

// Guarded pages that nobody uses become inaccessible and go back: SPACE_CLEAN. SPACE_DIRTY where
// the system refuses one of these: they hold anything then, and may be accessible.
enum space_pages space_close(uintptr_t address, size_t bytes);

// The last page of a kept guarded run, in use or busy, becomes inaccessible: it was cut there, and
// the next block may stand right behind it.
void space_hide_end(const struct wire_record *record);

#define SPACE_HUGE_BYTES (UINT64_C(2) << 20) // a huge page: what areas are aligned to

// Before the first purge of pages between others that are used: no huge page shall bring them back.
// Once, for all of the ordinary area.
void space_forbid_huge(void);

// From now on so many bytes may become resident; after them each step first gives back as much of
// what is kept. UINT64_MAX: no bound.
void space_set_headroom(uint64_t bytes);

// So many bytes are about to become resident: where memory is short, as much goes back first.
void space_spend(size_t bytes);

// Bytes that had been given back are in use again.
void space_note_reuse(unsigned group, size_t bytes);

// Memory for libebb itself, zeroed, aligned to a cache line, never given back; NULL without memory.
void *space_take_meta(size_t bytes);

// The same: one page of the system's, by itself. It leaves the small things that come before and
// after it together.
void *space_take_meta_page(void);

// In a forked child, alone: resets the lock where another thread held it and rebuilds what it
// guards.
void space_repair(void);

// Leaves what is far behind slot `end` of an area, and its records, out of the cores of debuggers.
// At the start, and when the area has grown there. The lock is held, or not needed.
void space_dump(const struct os *os, enum space_area area, uint32_t end);

// For what was given back in one call: adds to the counters of the ledger.
void space_note_purge(size_t bytes, bool is_lazy);

#endif
