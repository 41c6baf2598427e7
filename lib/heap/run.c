// SPDX-License-Identifier: Apache-2.0
// The chain of runs: carved, joined, and the free ones in their bins. Library world; guarded by
// space.lock, all of it.
#include "heap/run.h"

#include "base/atomic.h"
#include "heap/bins.h"

// The one store that changes the chain. What it makes visible was written before.
void run_set(struct wire_record *record, enum wire_kind kind, uint32_t slots)
{
    atomic_store64(&record->run, wire_run_make(kind, slots));
    atomic_keep_order();
}

// For slots that no longer begin or end a run.
static void run_clear(struct wire_record *record)
{
    atomic_store64(&record->run, 0);
}

// Marks a run as free without putting it into a bin; the end first.
static void mark_free(struct wire_record *record, enum space_pages pages, uint32_t slots)
{
    if (slots > 1)
        run_set(record + slots - 1, WIRE_FREE_END, slots);
    run_set(record, run_free_kind(pages), slots);
}

// Each area and each sort has bins of its own: runs of different sorts never join.
static struct bins *bins_of(const struct wire_record *record)
{
    return &space.bins[run_area_of(space_slot(record))][run_pages_of(record)];
}

// `slots` more, or by wrapping fewer, in free runs of the guarded area like this one.
static void count_guarded_free(const struct wire_record *record, uint32_t slots)
{
    atomic_store32(&space.guarded_free, space.guarded_free + slots);
    if (run_pages_of(record) != SPACE_CLEAN)
        atomic_store32(&space.guarded_kept, space.guarded_kept + slots);
}

// The number of kept slots is what a policy will want to bound.
void run_insert(struct wire_record *record)
{
    if (run_pages_of(record) == SPACE_DIRTY)
        space.dirty_slots += wire_run_slots(record->run);
    if (run_area_of(space_slot(record)) == SPACE_GUARDED)
        count_guarded_free(record, wire_run_slots(record->run));
    bins_insert(bins_of(record), record);
}

void run_remove(struct wire_record *record)
{
    if (run_pages_of(record) == SPACE_DIRTY)
        space.dirty_slots -= wire_run_slots(record->run);
    if (run_area_of(space_slot(record)) == SPACE_GUARDED)
        count_guarded_free(record, -wire_run_slots(record->run));
    bins_remove(bins_of(record), record);
}

// What a part of a run, which begins at `part` and has `slots` of its `total`, has of its words;
// the run keeps the rest of them.
static void give_share(struct wire_record *run, struct wire_record *part, uint32_t slots,
                       uint32_t total)
{
    part->bytes = run->bytes * slots / total;
    // As old as the whole.
    part->seen = run->seen;
    if (run_area_of(space_slot(run)) == SPACE_GUARDED) {
        part->recip = (uint32_t)((uint64_t)run->recip * slots / total);
        run->recip -= part->recip;
    }
    run->bytes -= part->bytes;
}

void run_split(struct wire_record *run, uint32_t slots)
{
    enum space_pages pages = run_pages_of(run);
    uint32_t total = wire_run_slots(run->run);
    struct wire_record *behind = run + slots;
    run_remove(run);
    give_share(run, behind, total - slots, total);
    mark_free(behind, pages, total - slots);
    mark_free(run, pages, slots);
    run_insert(behind);
    run_insert(run);
}

// Makes [skipped][slots][rest] of a free run that is in no bin; the outer two become free runs.
struct wire_record *run_carve(struct wire_record *run, uint32_t skipped, uint32_t slots,
                              enum wire_kind kind)
{
    enum space_pages pages = run_pages_of(run);
    uint32_t total = wire_run_slots(run->run);
    uint32_t rest = total - skipped - slots;
    struct wire_record *taken = run + skipped;
    struct wire_record *behind = taken + slots;
    if (rest) {
        give_share(run, behind, rest, total);
        mark_free(behind, pages, rest);
    } else if (total > 1) {
        run_clear(run + total - 1);
    }
    if (skipped)
        give_share(run, taken, slots, skipped + slots);
    run_set(taken, kind, slots);
    taken->seen = 0;
    if (skipped) {
        mark_free(run, pages, skipped);
        run_insert(run);
    }
    if (rest)
        run_insert(behind);
    return taken;
}

void run_unite(struct wire_record *record, uint32_t slots, enum wire_kind kind)
{
    struct wire_record *end = record + slots;
    struct wire_record *inner = record + wire_run_slots(record->run);
    uint32_t seams = record->recip;
    if (run_is_free(record->run)) {
        run_remove(record);
        record->seen = 0;
    }
    for (struct wire_record *run = inner; run < end; run += wire_run_slots(run->run)) {
        run_remove(run);
        seams += run->recip;
    }
    run_set(record, kind, slots);
    if (run_area_of(space_slot(record)) == SPACE_GUARDED)
        record->recip = seams;
    // Only now: until the store above, the chain went through these.
    if (inner > record + 1)
        run_clear(inner - 1);
    while (inner < end) {
        uint32_t length = wire_run_slots(inner->run);
        run_clear(inner);
        run_clear(inner + length - 1);
        inner += length;
    }
}

struct wire_record *run_free_before(const struct wire_record *record)
{
    uint32_t slot = space_slot(record);
    if (slot == space.ledger->areas[run_area_of(slot)].first)
        return NULL;
    uint32_t back = 1;
    uint64_t run = atomic_peek64(&record[-1].run);
    if (wire_run_kind(run) == WIRE_FREE_END)
        back = wire_run_slots(run);
    else if (wire_run_slots(run) != 1)
        return NULL;
    struct wire_record *head = space_record(slot - back);
    return run_is_free(atomic_peek64(&head->run)) ? head : NULL;
}

struct wire_record *run_free_behind(const struct wire_record *record)
{
    uint32_t slot = space_slot(record);
    uint32_t next = slot + wire_run_slots(record->run);
    if (next >= space.ledger->areas[run_area_of(slot)].frontier)
        return NULL;
    struct wire_record *behind = space_record(next);
    return run_is_free(atomic_peek64(&behind->run)) ? behind : NULL;
}

// A neighbour of the same sort, or NULL.
static struct wire_record *of_sort(struct wire_record *run, enum space_pages pages)
{
    return run && run_pages_of(run) == pages ? run : NULL;
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

// What is reserved space again is one mapping. In the ordinary area there are none to count.
static uint32_t take_seams(struct wire_record *record, enum space_pages pages)
{
    if (run_area_of(space_slot(record)) == SPACE_ORDINARY)
        return 0;
    uint32_t seams = record->recip;
    record->recip = 0;
    if (pages != SPACE_CLEAN)
        return seams;
    atomic_add32(&space.seams, -seams);
    return 0;
}

// Joins with both neighbours. The new chain is written first, ends before heads, and only then are
// the words inside cleared: a reader, or a child, sees the old chain or the new one.
void run_give(struct wire_record *record, enum space_pages pages)
{
    uint32_t slots = wire_run_slots(record->run);
    struct wire_record *before = of_sort(run_free_before(record), pages);
    struct wire_record *behind = of_sort(run_free_behind(record), pages);
    struct wire_record *head = before ? before : record;
    uint64_t returned = record->bytes;
    uint32_t seams = take_seams(record, pages);
    if (behind) {
        run_remove(behind);
        slots += wire_run_slots(behind->run);
        returned += behind->bytes;
        seams += take_seams(behind, pages);
    }
    if (before) {
        run_remove(before);
        slots += wire_run_slots(before->run);
        returned += before->bytes;
        seams += take_seams(before, pages);
    }
    uint64_t seen = joined_stamp(before, record, behind, slots);
    mark_free(head, pages, slots);
    head->seen = seen;
    head->bytes = returned;
    if (seams)
        head->recip = seams;
    // Only now: until the store above, the chain went through these.
    if (behind && behind != head + slots - 1)
        run_clear(behind);
    if (before) {
        if (record != head + slots - 1)
            run_clear(record);
        if (record - 1 != before)
            run_clear(record - 1);
    }
    run_insert(head);
}

struct wire_record *run_take_busy(struct wire_record *run, uint32_t slots)
{
    run_remove(run);
    atomic_add32(&space.busy_runs, 1);
    return run_carve(run, 0, slots, WIRE_BUSY);
}

void run_give_busy(struct wire_record *run, enum space_pages pages)
{
    space_give(run, pages);
    atomic_add32(&space.busy_runs, (uint32_t)-1);
}
