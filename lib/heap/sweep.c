// SPDX-License-Identifier: Apache-2.0
// The walk along the table, and how it tells what has stood still. Library world.
#include "heap/sweep.h"

#include "base/atomic.h"
#include "base/bits.h"
#include "heap/records.h"
#include "heap/takeover.h"

// Owners count by plain stores while we look: a value that is a moment old is as good.
#define UNSYNCHRONISED __attribute__((no_sanitize("thread")))

// A stamp of 0 with the present counts: looked through.
#define DONE_MS 0u
// Instead of counts, for spans that are empty and runs that are free.
#define SPARE_CONTENT 2u

void sweep_begin(struct sweep *sweep, uint64_t now_ms)
{
    uint32_t now = (uint32_t)now_ms;
    *sweep = (struct sweep){.now_ms = now ? now : 1, .area = SPACE_ORDINARY};
    atomic_store32(&space.walked_ms, sweep->now_ms);
    if (space.ledger)
        sweep->next = space.ledger->areas[SPACE_ORDINARY].first;
}

static uint64_t make_seen(uint32_t at_ms, uint32_t content)
{
    return (uint64_t)at_ms << 32 | content;
}

// Whatever a malloc or free changes: blocks ever allocated, blocks live, blocks freed by others. Of
// a current span less, since its owner may take and give back the same block for ever: how many are
// live, how far it is carved, what is off. While these stay the pages behind stand still.
UNSYNCHRONISED static uint32_t content_of(const struct wire_record *span)
{
    uint64_t counts = atomic_peek64(&span->counts);
    uint64_t remote = atomic_peek64(&span->remote);
    if (span->state == WIRE_SPAN_CURRENT) {
        uint64_t off = atomic_peek64(&span->off);
        uint64_t carved = atomic_peek16(&span->carved);
        counts = (counts & SPAN_USED_MASK) | carved << 16 | (off ^ off >> 32) << 32;
    }
    return (uint32_t)(counts >> 32 ^ counts) * 31u ^ (uint32_t)(remote >> 47);
}

// How long the record has been as it is. DONE_MS stays; a change begins anew.
UNSYNCHRONISED static bool has_aged(const struct sweep *sweep, struct wire_record *record,
                                    uint32_t content, uint64_t *age_ms)
{
    uint64_t seen = atomic_peek64(&record->seen);
    if (!seen || (uint32_t)seen != content) {
        atomic_poke64(&record->seen, make_seen(sweep->now_ms, content));
        *age_ms = 0;
        return true;
    }
    uint32_t at_ms = (uint32_t)(seen >> 32);
    *age_ms = sweep->now_ms - at_ms;
    return at_ms != DONE_MS || sweep->takes_young;
}

UNSYNCHRONISED static bool look_at_run(struct sweep *sweep, struct wire_record *record,
                                       uint64_t run, struct sweep_item *item)
{
    bool is_lazy = wire_run_kind(run) == WIRE_LAZY;
    item->kind = is_lazy ? SWEEP_LAZY_RUN : SWEEP_RUN;
    item->group = CLASS_GROUP_RUNS;
    item->slots = wire_run_slots(run);
    item->bytes = (uint64_t)item->slots * WIRE_SLOT_BYTES;
    *(is_lazy ? &sweep->lazy_bytes : &sweep->kept_bytes) += item->bytes;
    // A run that was given back or joined has a stamp of 0.
    return has_aged(sweep, record, SPACE_RUN_SEEN, &item->age_ms);
}

// A clean run, of which nothing is kept but records.
UNSYNCHRONISED static bool look_at_clean(const struct sweep *sweep, struct wire_record *record,
                                         uint64_t run, struct sweep_item *item)
{
    item->kind = SWEEP_RECORDS;
    item->group = CLASS_GROUP_RUNS;
    item->slots = wire_run_slots(run);
    item->bytes = (uint64_t)item->slots * RECORD_BYTES;
    return item->slots >= RECORDS_LEAST_SLOTS &&
           has_aged(sweep, record, SPACE_RUN_SEEN, &item->age_ms);
}

// The owner counts on meanwhile: what is read once is believed.
UNSYNCHRONISED static uint64_t live_blocks(const struct wire_record *span)
{
    const struct wire_record now = {.counts = atomic_peek64(&span->counts),
                                    .remote = atomic_peek64(&span->remote),
                                    .state = span->state};
    return wire_live_blocks(&now);
}

// Fewer free blocks than these hardly leave a page that is wholly free.
static uint32_t least_free_blocks(const struct wire_record *span)
{
    uint32_t page_bytes = (uint32_t)space.page_bytes;
    return span->block_bytes >= page_bytes ? 1 : page_bytes / span->block_bytes;
}

// Free blocks on the lists, and what a span of recycled memory has behind its last block.
UNSYNCHRONISED static uint64_t free_bytes(const struct wire_record *span)
{
    uint64_t off = span_is_small(span) ? (uint64_t)bits_count(span->off) * PAGE_BYTES
                                       : (uint64_t)bits_count(span->off) * span->block_bytes;
    uint64_t live = live_blocks(span);
    uint64_t carved = atomic_peek16(&span->carved);
    uint64_t listed = carved > live ? (carved - live) * span->block_bytes : 0;
    uint64_t behind = span->is_clean ? 0 : (span->capacity - carved) * span->block_bytes;
    listed = listed > off ? listed - off : 0;
    return listed + behind;
}

UNSYNCHRONISED static bool look_at_span(struct sweep *sweep, struct wire_record *span,
                                        struct sweep_item *item)
{
    // A span that is just being made or given back may be anything.
    if (!span->block_bytes || span->size_class >= CLASS_COUNT)
        return false;
    item->kind = SWEEP_PAGES;
    item->group = class_group(span->block_bytes);
    item->heap = (struct heap *)(uintptr_t)atomic_load64(&span->heap);
    sweep->used_bytes += live_blocks(span) * span->block_bytes;
    if (span->state == WIRE_SPAN_SPARE) {
        sweep->kept_bytes += WIRE_SLOT_BYTES;
        (void)has_aged(sweep, span, SPARE_CONTENT, &item->age_ms);
        return false;
    }
    if (span->state != WIRE_SPAN_PARTIAL && span->state != WIRE_SPAN_CURRENT)
        return false;
    item->bytes = free_bytes(span);
    sweep->kept_bytes += item->bytes;
    if (!has_aged(sweep, span, content_of(span), &item->age_ms))
        return false;
    return item->heap && item->bytes >= (uint64_t)least_free_blocks(span) * span->block_bytes;
}

UNSYNCHRONISED static bool look_at_lazy_pages(struct sweep *sweep, const struct wire_record *span,
                                              struct sweep_item *item)
{
    uint64_t unit = span_is_small(span) ? PAGE_BYTES : span->block_bytes;
    item->kind = SWEEP_LAZY_PAGES;
    item->bytes = bits_count(span->lazy & span->off) * unit;
    sweep->lazy_bytes += item->bytes;
    return item->bytes > 0;
}

// One record; true where it is an item. `*slots` is how far the walk goes on.
static bool look_at(struct sweep *sweep, struct wire_record *record, struct sweep_item *item,
                    uint32_t *slots)
{
    uint64_t run = atomic_load64(&record->run);
    *item = (struct sweep_item){.slot = space_slot(record), .slots = wire_run_slots(run)};
    *slots = 1;
    switch (wire_run_kind(run)) {
    case WIRE_DIRTY:
    case WIRE_LAZY:
        *slots = wire_run_slots(run);
        return look_at_run(sweep, record, run, item);
    case WIRE_SMALL:
    case WIRE_MEDIUM:
        if (sweep->pages_pending) {
            sweep->pages_pending = false;
            *slots = wire_run_slots(run);
            return look_at_lazy_pages(sweep, record, item);
        }
        // Once more, for what was given back lazily.
        sweep->pages_pending = true;
        *slots = 0;
        return look_at_span(sweep, record, item);
    case WIRE_LARGE:
    case WIRE_GUARDED:
        sweep->used_bytes += record->bytes;
        *slots = wire_run_slots(run);
        return false;
    case WIRE_CLEAN:
        *slots = wire_run_slots(run);
        return look_at_clean(sweep, record, run, item);
    case WIRE_BUSY:
    case WIRE_META:
    case WIRE_QUARANTINE:
        *slots = wire_run_slots(run);
        return false;
    default:
        return false;
    }
}

bool sweep_next(struct sweep *sweep, struct sweep_item *item)
{
    if (!space.ledger)
        return false;
    for (;;) {
        const struct wire_area *area = &space.ledger->areas[sweep->area];
        if (sweep->next >= atomic_load32(&area->frontier)) {
            if (sweep->area == SPACE_GUARDED)
                return false;
            sweep->area = SPACE_GUARDED;
            sweep->next = space.ledger->areas[SPACE_GUARDED].first;
            continue;
        }
        uint32_t slots;
        bool was_pending = sweep->pages_pending;
        bool is_item = look_at(sweep, space_record(sweep->next), item, &slots);
        uint32_t left = atomic_load32(&area->frontier) - sweep->next;
        // Whatever the record says: the walk goes on, and to the frontier at most.
        if (slots == 0 && (was_pending || !sweep->pages_pending))
            slots = 1;
        if (slots)
            sweep->pages_pending = false;
        sweep->next += slots < left ? slots : left;
        if (is_item)
            return true;
    }
}

UNSYNCHRONISED void sweep_note_done(uint32_t slot)
{
    struct wire_record *span = space_record(slot);
    uint32_t content = content_of(span);
    // What has changed since the walk has stamped it is not done.
    if ((uint32_t)atomic_peek64(&span->seen) == content)
        atomic_poke64(&span->seen, make_seen(DONE_MS, content));
}

UNSYNCHRONISED void sweep_note_run_done(uint32_t slot)
{
    atomic_poke64(&space_record(slot)->seen, make_seen(DONE_MS, SPACE_RUN_SEEN));
}

bool sweep_has_old_spares(const struct sweep *sweep, const struct heap *heap, uint64_t age_ms)
{
    uint32_t slot = atomic_peek32(&heap->spare);
    if (!slot)
        return false;
    uint64_t seen = atomic_peek64(&space_record(slot)->seen);
    return sweep->takes_young ||
           ((uint32_t)seen == SPARE_CONTENT && sweep->now_ms - (uint32_t)(seen >> 32) >= age_ms);
}

// Heaps' spans lie side by side in the table: so many heaps are gathered for at a time.
#define ARM_HEAPS 8u

static void close_all(struct takeover *batch)
{
    takeover_close(batch);
    batch->count = 0;
}

static void arm_span(struct takeover batches[ARM_HEAPS], const struct wire_record *span)
{
    struct heap *heap = (struct heap *)(uintptr_t)atomic_peek64(&span->fast_owner);
    struct takeover *batch = NULL;
    // Full in between.
    if (!heap)
        return;
    for (unsigned i = 0; i < ARM_HEAPS && !batch; i++) {
        if (!batches[i].count || batches[i].heap == heap)
            batch = &batches[i];
    }
    if (!batch)
        batch = &batches[space_slot(span) % ARM_HEAPS];
    if (batch->count == TAKEOVER_SPANS || batch->heap != heap)
        close_all(batch);
    batch->heap = heap;
    batch->slots[batch->count++] = space_slot(span);
}

void sweep_arm(void)
{
    struct takeover batches[ARM_HEAPS] = {{.count = 0}};
    const struct wire_area *area = &space.ledger->areas[SPACE_ORDINARY];
    for (uint32_t slot = area->first; slot < atomic_load32(&area->frontier); slot++) {
        const struct wire_record *record = space_record(slot);
        enum wire_kind kind = wire_run_kind(atomic_load64(&record->run));
        if ((kind == WIRE_SMALL || kind == WIRE_MEDIUM) && atomic_peek64(&record->fast_owner))
            arm_span(batches, record);
    }
    for (unsigned i = 0; i < ARM_HEAPS; i++)
        close_all(&batches[i]);
}

uint32_t sweep_slots_used(void)
{
    if (!space.ledger)
        return 0;
    uint32_t used = 0;
    for (int area = 0; area < WIRE_AREAS; area++) {
        const struct wire_area *limits = &space.ledger->areas[area];
        used += atomic_load32(&limits->frontier) - limits->first;
    }
    return used;
}
