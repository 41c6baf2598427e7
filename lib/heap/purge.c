// SPDX-License-Identifier: Apache-2.0
// How free runs and pages go back to the system, and what may become resident. Library world; runs
// are changed under space.lock, the system is called without it.
#include "base/atomic.h"
#include "heap/bins.h"
#include "heap/run.h"

#define BITE_SLOTS 64u // what a purge takes at least where there is as much: a millisecond

// Pages that were not resident are about to be. Where memory is short, as much goes back first of
// what is kept; the lock is open.
void space_spend(size_t bytes)
{
    uint64_t left = atomic_peek64(&space.headroom);
    if (__builtin_expect(left == UINT64_MAX, 1))
        return;
    if (left < bytes)
        left += space_purge(bytes);
    atomic_store64(&space.headroom, left < bytes ? 0 : left - bytes);
}

void space_set_headroom(uint64_t bytes)
{
    atomic_store64(&space.headroom, bytes);
}

void space_note_purge(size_t bytes, bool is_lazy)
{
    atomic_add64(&space.ledger->purges, 1);
    atomic_add64(&space.ledger->purged_bytes, bytes);
    if (is_lazy)
        atomic_add64(&space.ledger->purged_lazily, bytes);
}

void space_note_reuse(unsigned group, size_t bytes)
{
    atomic_add64(&space.ledger->reused_bytes, bytes);
    atomic_add64(&space.reused[group], bytes);
}

// One range, lazily if that is asked and can be had. Returns its bytes or 0.
static size_t purge_range(const struct os_range *range, bool *is_lazy)
{
    const struct os *os = space.os;
    if (*is_lazy && os->purge_lazily(os, range->address, range->bytes) == 0)
        return range->bytes;
    if (os->purge_now(os, range->address, range->bytes) != 0)
        return 0;
    // Refused lazily and granted at once: so it will be from now on.
    if (*is_lazy)
        atomic_store32(&space.has_no_lazy, 1);
    *is_lazy = false;
    return range->bytes;
}

size_t space_purge_ranges(const struct os_range *ranges, size_t count, bool *is_lazy)
{
    size_t gone = 0;
    size_t next = 0;
    bool is_vector = count > 1 && !atomic_peek32(&space.has_no_vectors);
    if (*is_lazy && atomic_peek32(&space.has_no_lazy))
        *is_lazy = false;
    if (is_vector) {
        long result = space.os->purge_ranges(space.os, ranges, count, *is_lazy);
        // What came of a call that stopped half-way is counted by whole ranges.
        while (result > 0 && next < count && (size_t)result >= ranges[next].bytes) {
            result -= (long)ranges[next].bytes;
            gone += ranges[next++].bytes;
        }
    }
    bool is_first = is_vector && next == 0;
    for (; next < count; next++) {
        size_t bytes = purge_range(&ranges[next], is_lazy);
        // Refused as a vector and granted alone.
        if (is_first && bytes)
            atomic_store32(&space.has_no_vectors, 1);
        is_first = false;
        gone += bytes;
    }
    if (gone)
        space_note_purge(gone, *is_lazy);
    return gone;
}

void space_hide_end(const struct wire_record *record)
{
    uintptr_t end = space_address(record) + (size_t)wire_run_slots(record->run) * WIRE_SLOT_BYTES;
    (void)space.os->hide(space.os, end - space.page_bytes, space.page_bytes);
}

// A huge page may reach beyond the frontier, where no run tells of it: once, what was never used
// goes back. Under the lock, for nobody uses it as long as the frontier stands; the call is a
// single one of at most a huge page.
static void purge_behind_frontier(const struct wire_area *area)
{
    lock_take(&space.lock);
    uintptr_t frontier = space_base + (uintptr_t)area->frontier * WIRE_SLOT_BYTES;
    uintptr_t end = space_base + (uintptr_t)area->end * WIRE_SLOT_BYTES;
    uintptr_t huge_end = (frontier + SPACE_HUGE_BYTES - 1) & ~(SPACE_HUGE_BYTES - 1);
    if (huge_end > end)
        huge_end = end;
    if (huge_end > frontier)
        (void)space.os->purge_now(space.os, frontier, huge_end - frontier);
    lock_release(&space.lock);
}

void space_forbid_huge(void)
{
    if (atomic_peek32(&space.has_no_huge) || atomic_swap32(&space.has_no_huge, 1))
        return;
    // Also what is not memory yet, so that it joins what is in one mapping.
    const struct wire_area *area = &space.ledger->areas[SPACE_ORDINARY];
    (void)space.os->forbid_huge(space.os, space_base + (uintptr_t)area->first * WIRE_SLOT_BYTES,
                                (size_t)(area->end - area->first) * WIRE_SLOT_BYTES);
    purge_behind_frontier(area);
}

// A process above its limit of address space may map nothing, not even in place of what it has:
// there the pages go back all the same, and only their charge stays.
enum space_pages space_close(uintptr_t address, size_t bytes)
{
    const struct os *os = space.os;
    if (os->decommit(os, address, bytes) == 0)
        return SPACE_CLEAN;
    bool is_empty = os->purge_now(os, address, bytes) == 0;
    bool is_hidden = os->hide(os, address, bytes) == 0;
    return is_empty && is_hidden ? SPACE_CLEAN : SPACE_DIRTY;
}

// Guarded slots that are returned become inaccessible.
static size_t close_range(const struct os_range *range)
{
    if (space_close(range->address, range->bytes) != SPACE_CLEAN)
        return 0;
    space_note_purge(range->bytes, false);
    return range->bytes;
}

// Purges a busy run and makes it a free one again. Returns its bytes or 0.
static size_t purge_busy(struct wire_record *run, enum space_pages before, bool is_lazy)
{
    size_t bytes = (size_t)wire_run_slots(run->run) * WIRE_SLOT_BYTES;
    struct os_range range = {space_address(run), bytes};
    bool is_guarded = run_area_of(space_slot(run)) == SPACE_GUARDED;
    is_lazy &= !atomic_peek32(&space.has_no_lazy);
    bool closes = !is_lazy && is_guarded;
    size_t gone = closes ? close_range(&range) : space_purge_ranges(&range, 1, &is_lazy);
    // At once where it was to be lazily: that is not all that clean ones here have to be.
    if (gone && !closes && !is_lazy && is_guarded)
        gone = close_range(&range);
    if (is_lazy && is_guarded)
        space_hide_end(run);
    run_give_busy(run, !gone ? before : is_lazy ? SPACE_LAZY : SPACE_CLEAN);
    return gone;
}

size_t space_purge_run(uint32_t slot, uint32_t slots, bool is_lazy)
{
    struct wire_record *run = space_record(slot);
    lock_take(&space.lock);
    enum wire_kind kind = wire_run_kind(run->run);
    if (kind != WIRE_DIRTY && (kind != WIRE_LAZY || is_lazy)) {
        lock_release(&space.lock);
        return 0;
    }
    enum space_pages before = run_pages_of(run);
    if (slots > wire_run_slots(run->run))
        slots = wire_run_slots(run->run);
    run = run_take_busy(run, slots);
    lock_release(&space.lock);
    return purge_busy(run, before, is_lazy);
}

// Purges so many slots of the longest run of a sort. Returns the bytes, 0 where there is none or
// the system refuses.
static size_t purge_part(enum space_area area, enum space_pages sort, size_t slots)
{
    lock_take(&space.lock);
    struct wire_record *run = bins_find_longest(&space.bins[area][sort]);
    if (run)
        run = run_take_busy(run, slots < wire_run_slots(run->run) ? (uint32_t)slots
                                                                  : wire_run_slots(run->run));
    lock_release(&space.lock);
    return run ? purge_busy(run, sort, false) : 0;
}

// So much of what is kept, or a bite.
static size_t purge_longest(size_t bytes)
{
    size_t slots = bytes / WIRE_SLOT_BYTES + 1;
    if (slots < BITE_SLOTS)
        slots = BITE_SLOTS;
    size_t gone = purge_part(SPACE_GUARDED, SPACE_DIRTY, slots);
    return gone ? gone : purge_part(SPACE_ORDINARY, SPACE_DIRTY, slots);
}

size_t space_purge(size_t bytes)
{
    size_t gone = 0;
    while (gone < bytes) {
        size_t purged = purge_longest(bytes - gone);
        if (!purged)
            break;
        gone += purged;
    }
    return gone;
}

bool space_uncharge(void)
{
    size_t gone = 0;
    size_t part;
    while ((part = purge_part(SPACE_GUARDED, SPACE_DIRTY, SIZE_MAX)) > 0 ||
           (part = purge_part(SPACE_GUARDED, SPACE_LAZY, SIZE_MAX)) > 0)
        gone += part;
    return gone > 0;
}
