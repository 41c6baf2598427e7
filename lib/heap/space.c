// SPDX-License-Identifier: Apache-2.0
// Runs of slots: taken from bins or from the frontier, given back and joined. Library world;
// space.lock guards all but what space_start() sets once.
#include "heap/space.h"

#include <errno.h>
#include <string.h>

#include "base/atomic.h"
#include "base/bits.h"
#include "heap/bins.h"

#define COMMIT_SLOTS        64u  // memory is taken from the system by 4 MiB
#define COMMIT_RECORD_SLOTS 512u // and records by 64 KiB
#define CACHE_LINE_BYTES    64u
#define KEPT_TRIES          8   // kept guarded runs whose surroundings are looked at
#define BITE_SLOTS          64u // what a purge takes at least where there is as much: a millisecond

// The heap is the one thing that is global by nature. Everything in it is zero until space_start().
struct space space;
uintptr_t space_base;
size_t space_bytes;

// The sorts of free runs are kinds in the chain, so that a reader tells them apart.
static enum wire_kind free_kind(enum space_pages pages)
{
    static const enum wire_kind kinds[SPACE_SORTS] = {WIRE_DIRTY, WIRE_CLEAN, WIRE_LAZY};
    return kinds[pages];
}

// The guarded area is the upper part: one comparison tells.
static enum space_area area_of(uint32_t slot)
{
    return slot >= space.ledger->areas[SPACE_GUARDED].first ? SPACE_GUARDED : SPACE_ORDINARY;
}

// The next slot at a multiple of `align_slots` in memory: the base itself may be aligned to less.
static uint32_t align_slot(uint32_t slot, uint32_t align_slots)
{
    size_t base_slot = space_base >> WIRE_SLOT_SHIFT;
    return (uint32_t)(bits_round_up(base_slot + slot, align_slots) - base_slot);
}

static bool is_free(uint64_t run)
{
    enum wire_kind kind = wire_run_kind(run);
    return kind == WIRE_DIRTY || kind == WIRE_CLEAN || kind == WIRE_LAZY;
}

static enum space_pages pages_of(const struct wire_record *record)
{
    enum wire_kind kind = wire_run_kind(record->run);
    return kind == WIRE_DIRTY ? SPACE_DIRTY : kind == WIRE_LAZY ? SPACE_LAZY : SPACE_CLEAN;
}

// The one store that changes the chain. What it makes visible was written before.
static void set_run(struct wire_record *record, enum wire_kind kind, uint32_t slots)
{
    atomic_store64(&record->run, wire_run_make(kind, slots));
    atomic_keep_order();
}

// For slots that no longer begin or end a run.
static void clear_run(struct wire_record *record)
{
    atomic_store64(&record->run, 0);
}

// Marks a run as free without putting it into a bin; the end first.
static void mark_free(struct wire_record *record, enum space_pages pages, uint32_t slots)
{
    if (slots > 1)
        set_run(record + slots - 1, WIRE_FREE_END, slots);
    set_run(record, free_kind(pages), slots);
}

// Each area and each sort has bins of its own: runs of different sorts never join.
static struct bins *bins_of(const struct wire_record *record)
{
    return &space.bins[area_of(space_slot(record))][pages_of(record)];
}

// `slots` more, or by wrapping fewer, in free runs of the guarded area like this one.
static void count_guarded_free(const struct wire_record *record, uint32_t slots)
{
    atomic_store32(&space.guarded_free, space.guarded_free + slots);
    if (pages_of(record) != SPACE_CLEAN)
        atomic_store32(&space.guarded_kept, space.guarded_kept + slots);
}

// The number of kept slots is what a policy will want to bound.
static void insert_free(struct wire_record *record)
{
    if (pages_of(record) == SPACE_DIRTY)
        space.dirty_slots += wire_run_slots(record->run);
    if (area_of(space_slot(record)) == SPACE_GUARDED)
        count_guarded_free(record, wire_run_slots(record->run));
    bins_insert(bins_of(record), record);
}

static void remove_free(struct wire_record *record)
{
    if (pages_of(record) == SPACE_DIRTY)
        space.dirty_slots -= wire_run_slots(record->run);
    if (area_of(space_slot(record)) == SPACE_GUARDED)
        count_guarded_free(record, -wire_run_slots(record->run));
    bins_remove(bins_of(record), record);
}

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
    return error || area == SPACE_GUARDED ? error : commit_slots(end);
}

// Makes [skipped][slots][rest] of a free run that is in no bin; the outer two become free runs.
static struct wire_record *carve_run(struct wire_record *run, uint32_t skipped, uint32_t slots,
                                     enum wire_kind kind)
{
    enum space_pages pages = pages_of(run);
    uint32_t total = wire_run_slots(run->run);
    uint32_t rest = total - skipped - slots;
    uint64_t returned = run->bytes;
    uint64_t seen = run->seen;
    struct wire_record *taken = run + skipped;
    struct wire_record *behind = taken + slots;
    if (rest)
        mark_free(behind, pages, rest);
    else if (total > 1)
        clear_run(run + total - 1);
    set_run(taken, kind, slots);
    taken->bytes = returned * slots / total;
    taken->seen = 0;
    if (skipped) {
        mark_free(run, pages, skipped);
        run->bytes = returned * skipped / total;
        insert_free(run);
    }
    if (rest) {
        // As old as the whole.
        behind->seen = seen;
        behind->bytes = returned * rest / total;
        insert_free(behind);
    }
    return taken;
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
    enum space_pages pages = pages_of(run);
    remove_free(run);
    uint32_t start = space_slot(run);
    uint32_t skipped = align_slot(start, align_slots) - start;
    struct wire_record *taken = carve_run(run, skipped, slots, kind);
    note_taken(taken, area_of(start), pages);
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
        // What is kept of guarded blocks has no guards: space_take_kept().
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

// The free run of this sort that ends just before `record`, or NULL.
static struct wire_record *free_before(struct wire_record *record, enum space_pages pages)
{
    uint32_t slot = space_slot(record);
    if (slot == space.ledger->areas[area_of(slot)].first)
        return NULL;
    struct wire_record *head = record - 1;
    uint64_t run = atomic_peek64(&head->run);
    if (wire_run_kind(run) == WIRE_FREE_END) {
        head = record - wire_run_slots(run);
        run = atomic_peek64(&head->run);
    } else if (is_free(run) && wire_run_slots(run) != 1) {
        return NULL;
    }
    return wire_run_kind(run) == free_kind(pages) ? head : NULL;
}

// The same for the run that begins where this one ends; the frontier ends the search.
static struct wire_record *free_behind(struct wire_record *record, enum space_pages pages)
{
    uint32_t slot = space_slot(record);
    uint32_t next = slot + wire_run_slots(record->run);
    if (next >= space.ledger->areas[area_of(slot)].frontier)
        return NULL;
    struct wire_record *behind = space_record(next);
    return wire_run_kind(atomic_peek64(&behind->run)) == free_kind(pages) ? behind : NULL;
}

// How long a part of a new free run has stood still, times its length. What has just been freed, or
// was not seen by a walk yet, is new; so is what the system would not take.
static uint64_t weighted_age(const struct wire_record *part, uint32_t now_ms)
{
    bool is_seen = part && (uint32_t)part->seen == SPACE_RUN_SEEN;
    uint32_t at_ms = is_seen ? (uint32_t)(part->seen >> 32) : 0;
    return at_ms ? (uint64_t)(now_ms - at_ms) * wire_run_slots(part->run) : 0;
}

// A joined run is as old as its parts are on average: a block that comes and goes at the end of a
// long run does not keep all of it young, and a run of which most comes and goes does not grow old.
static uint64_t joined_stamp(const struct wire_record *before, const struct wire_record *record,
                             const struct wire_record *behind, uint32_t slots)
{
    uint32_t now_ms = atomic_peek32(&space.walked_ms);
    uint64_t age_ms = (weighted_age(before, now_ms) + weighted_age(record, now_ms) +
                       weighted_age(behind, now_ms)) /
                      slots;
    uint32_t at_ms = now_ms - (uint32_t)age_ms;
    return at_ms ? (uint64_t)at_ms << 32 | SPACE_RUN_SEEN : 0;
}

// Joins with both neighbours. The new chain is written first, ends before heads, and only then are
// the words inside cleared: a reader, or a child, sees the old chain or the new one.
static void give_locked(struct wire_record *record, enum space_pages pages)
{
    uint32_t slots = wire_run_slots(record->run);
    struct wire_record *before = free_before(record, pages);
    struct wire_record *behind = free_behind(record, pages);
    struct wire_record *head = before ? before : record;
    uint64_t returned = record->bytes;
    if (behind) {
        remove_free(behind);
        slots += wire_run_slots(behind->run);
        returned += behind->bytes;
    }
    if (before) {
        remove_free(before);
        slots += wire_run_slots(before->run);
        returned += before->bytes;
    }
    uint64_t seen = joined_stamp(before, record, behind, slots);
    mark_free(head, pages, slots);
    head->seen = seen;
    head->bytes = returned;
    // Only now: until the store above, the chain went through these.
    if (behind && behind != head + slots - 1)
        clear_run(behind);
    if (before) {
        if (record != head + slots - 1)
            clear_run(record);
        if (record - 1 != before)
            clear_run(record - 1);
    }
    insert_free(head);
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
    if (error)
        return error;
    uint32_t skipped = start - area->frontier;
    struct wire_record *before = space_record(area->frontier);
    *record = space_record(start);
    set_run(*record, kind, slots);
    if (skipped) {
        before->bytes = 0;
        set_run(before, kind, skipped);
    }
    atomic_store32(&area->frontier, start + slots);
    // Joined with what is free before it.
    if (skipped)
        give_locked(before, SPACE_CLEAN);
    return 0;
}

// Pages that were not resident are about to be. Where memory is short, as much goes back first of
// what is kept; the lock is open.
static void spend(size_t bytes)
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

int space_take(enum space_area area, uint32_t slots, uint32_t align_slots, enum wire_kind kind,
               struct wire_record **record, enum space_pages *pages)
{
    int error = 0;
    enum space_pages found = SPACE_CLEAN;
    lock_take(&space.lock);
    struct wire_record *taken = take_from_bins(area, slots, align_slots, kind, &found);
    if (!taken)
        error = take_from_frontier(area, slots, align_slots, kind, &taken);
    lock_release(&space.lock);
    if (error)
        return error;
    if (found != SPACE_DIRTY)
        spend((size_t)slots * WIRE_SLOT_BYTES);
    *record = taken;
    *pages = found;
    return 0;
}

void space_give(struct wire_record *record, enum space_pages pages)
{
    lock_take(&space.lock);
    give_locked(record, pages);
    lock_release(&space.lock);
}

struct wire_record *space_cut(struct wire_record *record, uint32_t slots)
{
    lock_take(&space.lock);
    enum wire_kind kind = wire_run_kind(record->run);
    struct wire_record *rest = record + slots;
    rest->bytes = 0;
    rest->seen = 0;
    set_run(rest, kind, wire_run_slots(record->run) - slots);
    set_run(record, kind, slots);
    lock_release(&space.lock);
    return rest;
}

// Joins `record` and the first `more` slots of the free run behind it.
static void absorb(struct wire_record *record, struct wire_record *behind, uint32_t more)
{
    enum space_pages pages = pages_of(behind);
    uint32_t total = wire_run_slots(behind->run);
    remove_free(behind);
    behind[more < total ? more : 0].bytes = behind->bytes * (total - more) / total;
    if (more < total)
        mark_free(behind + more, pages, total - more);
    else if (total > 1)
        clear_run(behind + total - 1);
    set_run(record, wire_run_kind(record->run), wire_run_slots(record->run) + more);
    clear_run(behind);
    if (more < total)
        insert_free(behind + more);
}

// Only at the frontier or into a free neighbour: nobody else is moved.
static int grow_locked(struct wire_record *record, uint32_t slots, enum space_pages *pages)
{
    uint32_t slot = space_slot(record);
    uint32_t present = wire_run_slots(record->run);
    enum space_area which = area_of(slot);
    struct wire_area *area = &space.ledger->areas[which];
    if (slots > area->end - slot)
        return -ENOMEM;
    if (slot + present == area->frontier) {
        int error = reach(which, slot + slots);
        if (error)
            return error;
        set_run(record, wire_run_kind(record->run), slots);
        atomic_store32(&area->frontier, slot + slots);
        *pages = SPACE_CLEAN;
        return 0;
    }
    struct wire_record *behind = record + present;
    uint64_t run = atomic_peek64(&behind->run);
    if (!is_free(run) || wire_run_slots(run) < slots - present)
        return -ENOMEM;
    *pages = pages_of(behind);
    absorb(record, behind, slots - present);
    return 0;
}

// A kept run that is too short by itself, made longer by what is free behind it.
static struct wire_record *take_and_grow(uint32_t slots, enum wire_kind kind)
{
    struct wire_record *run = bins_find_longest(&space.bins[SPACE_GUARDED][SPACE_DIRTY]);
    enum space_pages pages;
    for (int tries = 0; run && tries < KEPT_TRIES; tries++) {
        uint32_t present = wire_run_slots(run->run);
        struct wire_record *next = bins_next(&space.bins[SPACE_GUARDED][SPACE_DIRTY], run);
        if (present >= slots / 2) {
            remove_free(run);
            run = carve_run(run, 0, present, kind);
            if (grow_locked(run, slots, &pages) == 0)
                return run;
            give_locked(run, SPACE_DIRTY);
        }
        run = next;
    }
    return NULL;
}

int space_take_kept(uint32_t slots, uint32_t align_slots, enum wire_kind kind,
                    struct wire_record **record)
{
    struct wire_record *taken = NULL;
    lock_take(&space.lock);
    struct bins *bins = space.bins[SPACE_GUARDED];
    struct wire_record *run = bins_find(&bins[SPACE_DIRTY], slots + align_slots - 1);
    if (!run)
        run = bins_find(&bins[SPACE_LAZY], slots + align_slots - 1);
    if (run)
        taken = take_part(run, slots, align_slots, kind);
    else if (align_slots == 1)
        taken = take_and_grow(slots, kind);
    lock_release(&space.lock);
    if (!taken)
        return -ENOMEM;
    *record = taken;
    return 0;
}

int space_grow(struct wire_record *record, uint32_t slots, enum space_pages *pages)
{
    lock_take(&space.lock);
    int error = grow_locked(record, slots, pages);
    lock_release(&space.lock);
    return error;
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

void space_forbid_huge(void)
{
    if (atomic_peek32(&space.has_no_huge) || atomic_swap32(&space.has_no_huge, 1))
        return;
    // Also what is not memory yet, so that it joins what is in one mapping.
    const struct wire_area *area = &space.ledger->areas[SPACE_ORDINARY];
    (void)space.os->forbid_huge(space.os, space_base + (uintptr_t)area->first * WIRE_SLOT_BYTES,
                                (size_t)(area->end - area->first) * WIRE_SLOT_BYTES);
}

// Takes a free run, or its first slots, out of the bins as a busy one: nobody joins it, so its
// pages are the caller's without the lock. The system call comes without the lock: others allocate
// meanwhile.
static struct wire_record *take_busy(struct wire_record *run, uint32_t slots)
{
    remove_free(run);
    atomic_add32(&space.busy_runs, 1);
    return carve_run(run, 0, slots, WIRE_BUSY);
}

// Guarded slots that are returned become inaccessible.
static size_t close_range(const struct os_range *range)
{
    if (space.os->decommit(space.os, range->address, range->bytes) != 0)
        return 0;
    space_note_purge(range->bytes, false);
    return range->bytes;
}

// Purges a busy run and makes it a free one again. Returns its bytes or 0.
static size_t purge_busy(struct wire_record *run, enum space_pages before, bool is_lazy)
{
    size_t bytes = (size_t)wire_run_slots(run->run) * WIRE_SLOT_BYTES;
    struct os_range range = {space_address(run), bytes};
    bool is_guarded = area_of(space_slot(run)) == SPACE_GUARDED;
    is_lazy &= !atomic_peek32(&space.has_no_lazy);
    bool closes = !is_lazy && is_guarded;
    size_t gone = closes ? close_range(&range) : space_purge_ranges(&range, 1, &is_lazy);
    // At once where it was to be lazily: that is not all that clean ones here have to be.
    if (gone && !closes && !is_lazy && is_guarded)
        gone = close_range(&range);
    space_give(run, !gone ? before : is_lazy ? SPACE_LAZY : SPACE_CLEAN);
    atomic_add32(&space.busy_runs, (uint32_t)-1);
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
    enum space_pages before = pages_of(run);
    if (slots > wire_run_slots(run->run))
        slots = wire_run_slots(run->run);
    run = take_busy(run, slots);
    lock_release(&space.lock);
    return purge_busy(run, before, is_lazy);
}

// Purges so much of the longest kept run, or a bite. Returns the bytes, 0 where there is none or
// the system refuses.
static size_t purge_longest(size_t bytes)
{
    size_t slots = bytes / WIRE_SLOT_BYTES + 1;
    if (slots < BITE_SLOTS)
        slots = BITE_SLOTS;
    lock_take(&space.lock);
    struct wire_record *run = bins_find_longest(&space.bins[SPACE_GUARDED][SPACE_DIRTY]);
    if (!run)
        run = bins_find_longest(&space.bins[SPACE_ORDINARY][SPACE_DIRTY]);
    if (run)
        run = take_busy(run, slots < wire_run_slots(run->run) ? (uint32_t)slots
                                                              : wire_run_slots(run->run));
    lock_release(&space.lock);
    return run ? purge_busy(run, SPACE_DIRTY, false) : 0;
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

// NULL where the present run is used up.
static void *cut_meta(size_t bytes)
{
    void *found = NULL;
    lock_take(&space.lock);
    if (space.meta_left >= bytes) {
        found = (void *)space.meta_at;
        space.meta_at += bytes;
        space.meta_left -= bytes;
    }
    lock_release(&space.lock);
    return found;
}

void *space_take_meta(size_t bytes)
{
    size_t rounded = bits_round_up(bytes, CACHE_LINE_BYTES);
    for (;;) {
        void *found = cut_meta(rounded);
        if (found)
            return found;
        // Two threads may both come here; the rest of one run is then left over, once.
        if (take_meta_run(rounded) != 0)
            return NULL;
    }
}
