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

// Makes [skipped][slots][rest] of a free run that is in no bin; the outer two become free runs.
struct wire_record *run_carve(struct wire_record *run, uint32_t skipped, uint32_t slots,
                              enum wire_kind kind)
{
    enum space_pages pages = run_pages_of(run);
    uint32_t total = wire_run_slots(run->run);
    uint32_t rest = total - skipped - slots;
    uint64_t returned = run->bytes;
    uint64_t seen = run->seen;
    struct wire_record *taken = run + skipped;
    struct wire_record *behind = taken + slots;
    if (rest)
        mark_free(behind, pages, rest);
    else if (total > 1)
        run_clear(run + total - 1);
    run_set(taken, kind, slots);
    taken->bytes = returned * slots / total;
    taken->seen = 0;
    if (skipped) {
        mark_free(run, pages, skipped);
        run->bytes = returned * skipped / total;
        run_insert(run);
    }
    if (rest) {
        // As old as the whole.
        behind->seen = seen;
        behind->bytes = returned * rest / total;
        run_insert(behind);
    }
    return taken;
}

// The free run of this sort that ends just before `record`, or NULL.
static struct wire_record *free_before(struct wire_record *record, enum space_pages pages)
{
    uint32_t slot = space_slot(record);
    if (slot == space.ledger->areas[run_area_of(slot)].first)
        return NULL;
    struct wire_record *head = record - 1;
    uint64_t run = atomic_peek64(&head->run);
    if (wire_run_kind(run) == WIRE_FREE_END) {
        head = record - wire_run_slots(run);
        run = atomic_peek64(&head->run);
    } else if (run_is_free(run) && wire_run_slots(run) != 1) {
        return NULL;
    }
    return wire_run_kind(run) == run_free_kind(pages) ? head : NULL;
}

// The same for the run that begins where this one ends; the frontier ends the search.
static struct wire_record *free_behind(struct wire_record *record, enum space_pages pages)
{
    uint32_t slot = space_slot(record);
    uint32_t next = slot + wire_run_slots(record->run);
    if (next >= space.ledger->areas[run_area_of(slot)].frontier)
        return NULL;
    struct wire_record *behind = space_record(next);
    return wire_run_kind(atomic_peek64(&behind->run)) == run_free_kind(pages) ? behind : NULL;
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
void run_give(struct wire_record *record, enum space_pages pages)
{
    uint32_t slots = wire_run_slots(record->run);
    struct wire_record *before = free_before(record, pages);
    struct wire_record *behind = free_behind(record, pages);
    struct wire_record *head = before ? before : record;
    uint64_t returned = record->bytes;
    if (behind) {
        run_remove(behind);
        slots += wire_run_slots(behind->run);
        returned += behind->bytes;
    }
    if (before) {
        run_remove(before);
        slots += wire_run_slots(before->run);
        returned += before->bytes;
    }
    uint64_t seen = joined_stamp(before, record, behind, slots);
    mark_free(head, pages, slots);
    head->seen = seen;
    head->bytes = returned;
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

// Joins `record` and the first `more` slots of the free run behind it.
void run_absorb(struct wire_record *record, struct wire_record *behind, uint32_t more)
{
    enum space_pages pages = run_pages_of(behind);
    uint32_t total = wire_run_slots(behind->run);
    run_remove(behind);
    behind[more < total ? more : 0].bytes = behind->bytes * (total - more) / total;
    // As old as the whole.
    if (more < total)
        behind[more].seen = behind->seen;
    if (more < total)
        mark_free(behind + more, pages, total - more);
    else if (total > 1)
        run_clear(behind + total - 1);
    run_set(record, wire_run_kind(record->run), wire_run_slots(record->run) + more);
    run_clear(behind);
    if (more < total)
        run_insert(behind + more);
}
