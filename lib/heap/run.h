// SPDX-License-Identifier: Apache-2.0
// What the space is made of: runs of slots in a chain, of which the free ones stand in bins too.
// Library world; for the space's own files. The caller holds space.lock.
//
// Every change of the chain is one store, the words behind it written before: a reader without the
// lock, or a forked child, finds the old chain or the new one.
//
// In the guarded area the word `recip` counts a run's seams: the mappings that it is made of, as
// far as moves have made more of them; when runs are cut or joined they are shared out or added up.
#ifndef EBB_HEAP_RUN_H
#define EBB_HEAP_RUN_H

#include "heap/space.h"

// The sorts of free runs are kinds in the chain, so that a reader tells them apart.
static inline enum wire_kind run_free_kind(enum space_pages pages)
{
    static const enum wire_kind kinds[SPACE_SORTS] = {WIRE_DIRTY, WIRE_CLEAN, WIRE_LAZY};
    return kinds[pages];
}

// The guarded area is the upper part: one comparison tells.
static inline enum space_area run_area_of(uint32_t slot)
{
    return slot >= space.ledger->areas[SPACE_GUARDED].first ? SPACE_GUARDED : SPACE_ORDINARY;
}

static inline bool run_is_free(uint64_t run)
{
    enum wire_kind kind = wire_run_kind(run);
    return kind == WIRE_DIRTY || kind == WIRE_CLEAN || kind == WIRE_LAZY;
}

static inline enum space_pages run_pages_of(const struct wire_record *record)
{
    enum wire_kind kind = wire_run_kind(record->run);
    return kind == WIRE_DIRTY ? SPACE_DIRTY : kind == WIRE_LAZY ? SPACE_LAZY : SPACE_CLEAN;
}

// Makes `record` begin a run; nothing is joined, no bin is touched.
void run_set(struct wire_record *record, enum wire_kind kind, uint32_t slots);

// Puts a free run into its bin, or takes it out, and counts.
void run_insert(struct wire_record *record);
void run_remove(struct wire_record *record);

// Makes [skipped][slots][rest] of a free run that is in no bin; the outer two become free runs.
// Returns the middle one, of `kind`.
struct wire_record *run_carve(struct wire_record *run, uint32_t skipped, uint32_t slots,
                              enum wire_kind kind);

// Makes a run free and joins it with neighbours of the same sort.
void run_give(struct wire_record *record, enum space_pages pages);

// The free run, of any sort, that ends just before this run, or begins where it ends; or NULL.
struct wire_record *run_free_before(const struct wire_record *record);
struct wire_record *run_free_behind(const struct wire_record *record);

// Cuts a free run into two of its sort, the first of so many slots.
void run_split(struct wire_record *run, uint32_t slots);

// Makes one run in use of `record`, in use or free, and of the free runs of any sorts behind it.
// They end where that run does.
void run_unite(struct wire_record *record, uint32_t slots, enum wire_kind kind);

// Moves the frontier on by so many slots, which become a clean run. 0 or -ENOMEM.
int run_extend(enum space_area which, uint32_t slots);

// Takes a free run, or its first slots, out of the bins as a busy one: nobody joins it, so its
// pages are the caller's without the lock, and system calls for them come without it: others
// allocate meanwhile. A child forked then finds it kept.
struct wire_record *run_take_busy(struct wire_record *run, uint32_t slots);

// Makes a busy run a free one again. The caller does not hold the lock.
void run_give_busy(struct wire_record *run, enum space_pages pages);

#endif
