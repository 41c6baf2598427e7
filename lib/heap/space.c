// SPDX-License-Identifier: Apache-2.0
// Runs of slots taken from the bins or from the frontier, and given back; the table that tells of
// them. Library world; space.lock guards all but what space_start() sets once.
#include "heap/space.h"

#include <errno.h>
#include <string.h>

#include "base/atomic.h"
#include "base/bits.h"
#include "heap/bins.h"
#include "heap/run.h"

#define COMMIT_SLOTS        64u  // memory is taken from the system by 4 MiB
#define COMMIT_RECORD_SLOTS 512u // and records by 64 KiB
#define CACHE_LINE_BYTES    64u

// The heap is the one thing that is global by nature. Everything in it is zero until space_start().
struct space space;
uintptr_t space_base;
size_t space_bytes;

// Records up to `end` become writable. 0 or -ENOMEM.
static int commit_records(enum space_area area, uint32_t end)
{
    uint32_t shown = space.records_shown[area];
    if (end <= shown)
        return 0;
    uint32_t limit = space.ledger->areas[area].end;
    uint32_t wanted = (uint32_t)bits_round_up(end, COMMIT_RECORD_SLOTS);
    if (wanted > limit)
        wanted = limit;
    size_t bytes = (wanted - shown) * RECORD_BYTES;
    // In a small reservation the areas' records may meet in the middle of a large page.
    uintptr_t mask = ~(uintptr_t)(space.page_bytes - 1);
    uintptr_t begin = (uintptr_t)space_record(shown) & mask;
    uintptr_t last = ((uintptr_t)space_record(wanted) + ~mask) & mask;
    int error = space.os->commit(space.os, begin, last - begin);
    if (error)
        return error;
    space.records_shown[area] = wanted;
    space.ledger->metadata_bytes += bytes;
    return 0;
}

// Ordinary slots up to `end` become memory, by steps; by what is needed where a step is refused.
static int commit_slots(uint32_t end)
{
    struct wire_area *area = &space.ledger->areas[SPACE_ORDINARY];
    if (end <= area->committed)
        return 0;
    uintptr_t start = space_base + (uintptr_t)area->committed * WIRE_SLOT_BYTES;
    uint32_t wanted = (uint32_t)bits_round_up(end, COMMIT_SLOTS);
    if (wanted > area->end)
        wanted = area->end;
    size_t bytes = (size_t)(wanted - area->committed) * WIRE_SLOT_BYTES;
    int error = space.os->commit(space.os, start, bytes);
    if (error && wanted > end) {
        wanted = end;
        bytes = (size_t)(wanted - area->committed) * WIRE_SLOT_BYTES;
        error = space.os->commit(space.os, start, bytes);
    }
    if (!error)
        area->committed = wanted;
    return error;
}

// Moves the frontier to `end`: 0 or -ENOMEM, with nothing changed that counts.
static int reach(enum space_area area, uint32_t end)
{
    if (end > space.ledger->areas[area].end)
        return -ENOMEM;
    // One record more: the one behind the frontier is looked at when its neighbour is freed.
    uint32_t records = end < space.ledger->areas[area].end ? end + 1 : end;
    int error = commit_records(area, records);
    if (!error && end > space.dumped[area])
        space_dump(space.os, area, end);
    return error || area == SPACE_GUARDED ? error : commit_slots(end);
}

// The next slot at a multiple of `align_slots` in memory: the base itself may be aligned to less.
static uint32_t align_slot(uint32_t slot, uint32_t align_slots)
{
    size_t base_slot = space_base >> WIRE_SLOT_SHIFT;
    return (uint32_t)(bits_round_up(base_slot + slot, align_slots) - base_slot);
}

// What is taken was given back before, all of it or pages inside that an earlier span had returned.
static void note_taken(struct wire_record *taken, enum space_area area, enum space_pages pages)
{
    size_t bytes = pages == SPACE_DIRTY ? (size_t)taken->bytes
                                        : (size_t)wire_run_slots(taken->run) * WIRE_SLOT_BYTES;
    taken->bytes = 0;
    if (bytes && area == SPACE_ORDINARY)
        space_note_reuse(CLASS_GROUP_RUNS, bytes);
}

// The first `slots` at the alignment of a free run, which is long enough for any: the surplus goes
// back at once, in front and behind.
static struct wire_record *take_part(struct wire_record *run, uint32_t slots, uint32_t align_slots,
                                     enum wire_kind kind)
{
    enum space_pages pages = run_pages_of(run);
    run_remove(run);
    uint32_t start = space_slot(run);
    uint32_t skipped = align_slot(start, align_slots) - start;
    struct wire_record *taken = run_carve(run, skipped, slots, kind);
    note_taken(taken, run_area_of(start), pages);
    return taken;
}

static struct wire_record *take_from_bins(enum space_area area, uint32_t slots,
                                          uint32_t align_slots, enum wire_kind kind,
                                          enum space_pages *pages)
{
    // Kept pages first: they cost no fault. Then those that the kernel may not have taken yet.
    static const enum space_pages sorts[SPACE_SORTS] = {SPACE_DIRTY, SPACE_LAZY, SPACE_CLEAN};
    for (int i = 0; i < SPACE_SORTS; i++) {
        enum space_pages sort = sorts[i];
        // What is kept of guarded blocks has no guards: kept_take().
        if (area == SPACE_GUARDED && sort != SPACE_CLEAN)
            continue;
        struct wire_record *run = bins_find(&space.bins[area][sort], slots + align_slots - 1);
        if (!run)
            continue;
        *pages = sort;
        return take_part(run, slots, align_slots, kind);
    }
    return NULL;
}

int run_extend(enum space_area which, uint32_t slots)
{
    struct wire_area *area = &space.ledger->areas[which];
    if (slots > area->end - area->frontier)
        return -ENOMEM;
    int error = reach(which, area->frontier + slots);
    if (error)
        return error;
    struct wire_record *added = space_record(area->frontier);
    added->bytes = 0;
    run_set(added, WIRE_CLEAN, slots);
    atomic_store32(&area->frontier, area->frontier + slots);
    run_give(added, SPACE_CLEAN);
    return 0;
}

// Takes slots that were never used; what the alignment skips becomes free.
static int take_from_frontier(enum space_area which, uint32_t slots, uint32_t align_slots,
                              enum wire_kind kind, struct wire_record **record)
{
    struct wire_area *area = &space.ledger->areas[which];
    uint32_t start = align_slot(area->frontier, align_slots);
    if (start >= area->end || slots > area->end - start)
        return -ENOMEM;
    int error = reach(which, start + slots);
    uint32_t skipped = start - area->frontier;
    if (!error && skipped)
        error = run_extend(which, skipped);
    if (error)
        return error;
    *record = space_record(start);
    run_set(*record, kind, slots);
    atomic_store32(&area->frontier, start + slots);
    return 0;
}

static int take(enum space_area area, uint32_t slots, uint32_t align_slots, enum wire_kind kind,
                struct wire_record **record, enum space_pages *pages)
{
    int error = 0;
    lock_take(&space.lock);
    struct wire_record *taken = take_from_bins(area, slots, align_slots, kind, pages);
    if (!taken)
        error = take_from_frontier(area, slots, align_slots, kind, &taken);
    lock_release(&space.lock);
    if (!error)
        *record = taken;
    return error;
}

int space_take(enum space_area area, uint32_t slots, uint32_t align_slots, enum wire_kind kind,
               struct wire_record **record, enum space_pages *pages)
{
    enum space_pages found = SPACE_CLEAN;
    int error = take(area, slots, align_slots, kind, record, &found);
    // A limit of data (RLIMIT_DATA), or a system that does not overcommit, counts what is kept.
    if (error && space_uncharge())
        error = take(area, slots, align_slots, kind, record, &found);
    if (error)
        return error;
    // Of guarded slots the caller knows what will be new in them.
    if (found != SPACE_DIRTY && area == SPACE_ORDINARY)
        space_spend((size_t)slots * WIRE_SLOT_BYTES);
    *pages = found;
    return 0;
}

void space_give(struct wire_record *record, enum space_pages pages)
{
    lock_take(&space.lock);
    run_give(record, pages);
    lock_release(&space.lock);
}

struct wire_record *space_cut(struct wire_record *record, uint32_t slots)
{
    lock_take(&space.lock);
    enum wire_kind kind = wire_run_kind(record->run);
    struct wire_record *rest = record + slots;
    rest->bytes = 0;
    rest->seen = 0;
    // Which of the two has the seams does not matter, as long as none is lost.
    rest->recip = 0;
    run_set(rest, kind, wire_run_slots(record->run) - slots);
    run_set(record, kind, slots);
    lock_release(&space.lock);
    return rest;
}

// Only at the frontier or into a free neighbour: nobody else is moved.
static int grow_locked(struct wire_record *record, uint32_t slots, enum space_pages *pages)
{
    uint32_t slot = space_slot(record);
    uint32_t present = wire_run_slots(record->run);
    enum space_area which = run_area_of(slot);
    struct wire_area *area = &space.ledger->areas[which];
    if (slots > area->end - slot)
        return -ENOMEM;
    if (slot + present == area->frontier) {
        int error = run_extend(which, slots - present);
        if (error)
            return error;
    }
    struct wire_record *behind = record + present;
    uint64_t run = atomic_peek64(&behind->run);
    if (!run_is_free(run) || wire_run_slots(run) < slots - present)
        return -ENOMEM;
    *pages = run_pages_of(behind);
    if (wire_run_slots(run) > slots - present)
        run_split(behind, slots - present);
    run_unite(record, slots, wire_run_kind(record->run));
    return 0;
}

int space_grow(struct wire_record *record, uint32_t slots, enum space_pages *pages)
{
    lock_take(&space.lock);
    int error = grow_locked(record, slots, pages);
    lock_release(&space.lock);
    return error;
}

// A run for what libebb itself needs; it stays for ever.
static int take_meta_run(size_t bytes)
{
    struct wire_record *record;
    enum space_pages pages;
    uint32_t slots = (uint32_t)bits_ceil_div(bytes, WIRE_SLOT_BYTES);
    int error = space_take(SPACE_ORDINARY, slots, 1, WIRE_META, &record, &pages);
    if (error)
        return error;
    size_t taken = (size_t)slots * WIRE_SLOT_BYTES;
    uintptr_t address = space_address(record);
    if (pages == SPACE_DIRTY)
        memset((void *)address, 0, taken);
    lock_take(&space.lock);
    space.meta_at = address;
    space.meta_left = taken;
    space.ledger->metadata_bytes += taken;
    lock_release(&space.lock);
    return 0;
}

// From the beginning of what is left of the present run, or from its end; NULL where that is used
// up.
static void *cut_meta(size_t bytes, bool from_end)
{
    void *found = NULL;
    lock_take(&space.lock);
    if (space.meta_left >= bytes) {
        space.meta_left -= bytes;
        found = (void *)(space.meta_at + (from_end ? space.meta_left : 0));
        space.meta_at += from_end ? 0 : bytes;
    }
    lock_release(&space.lock);
    return found;
}

static void *take_meta(size_t bytes, bool from_end)
{
    for (;;) {
        void *found = cut_meta(bytes, from_end);
        if (found)
            return found;
        // Two threads may both come here; the rest of one run is then left over, once.
        if (take_meta_run(bytes) != 0)
            return NULL;
    }
}

void *space_take_meta(size_t bytes)
{
    return take_meta(bits_round_up(bytes, CACHE_LINE_BYTES), false);
}

// A run ends where a slot does, and only whole pages are taken from there.
void *space_take_meta_page(void)
{
    return take_meta(space.page_bytes, true);
}
