// SPDX-License-Identifier: Apache-2.0
// One walk along the chain of runs. Library world; reads other threads' counters as they are.
#include "heap/count.h"

#include "base/atomic.h"
#include "base/bits.h"
#include "heap/heap.h"

// Other threads' counters change below us, which is the point: a reading is of a moment.
#define UNSYNCHRONISED __attribute__((no_sanitize("thread")))

UNSYNCHRONISED static void count_span(struct count *count, const struct wire_record *span)
{
    uint64_t run = (uint64_t)wire_run_slots(span->run) * WIRE_SLOT_BYTES;
    if (span->state == WIRE_SPAN_SPARE || span->state == WIRE_SPAN_UNUSED) {
        count->kept += run;
        return;
    }
    uint64_t live = wire_live_blocks(span);
    uint64_t mallocs = span->counts >> SPAN_COUNT_SHIFT;
    uint64_t unit = span_is_small(span) ? PAGE_BYTES : span->block_bytes;
    count->live_blocks += live;
    count->in_use += live * span->block_bytes;
    count->free_in_spans += run - live * span->block_bytes;
    count->off_in_spans += span_off_bytes(span);
    count->lazy += bits_count(span->lazy & span->off) * unit;
    count->mallocs += mallocs;
    count->frees += mallocs - live;
}

// One block, live as long as its run is.
static void count_large(struct count *count, const struct wire_record *record)
{
    count->in_use += record->bytes;
    count->live_blocks++;
    count->mallocs++;
    if (wire_run_kind(record->run) == WIRE_GUARDED) {
        count->guarded += record->bytes;
        count->guarded_blocks++;
    }
}

// Each kind of run in its own column; libebb's own are counted by the ledger.
static void count_run(struct count *count, const struct wire_record *record)
{
    uint64_t bytes = (uint64_t)wire_run_slots(record->run) * WIRE_SLOT_BYTES;
    switch (wire_run_kind(record->run)) {
    case WIRE_SMALL:
    case WIRE_MEDIUM:
        count_span(count, record);
        break;
    case WIRE_LARGE:
    case WIRE_GUARDED:
        count_large(count, record);
        break;
    case WIRE_DIRTY:
    case WIRE_BUSY:
        count->kept += bytes;
        count->free_runs++;
        break;
    case WIRE_LAZY:
        count->lazy += bytes;
        __attribute__((fallthrough));
    case WIRE_CLEAN:
        count->returned += bytes;
        count->free_runs++;
        break;
    default:
        break;
    }
}

void count_heap(struct count *count)
{
    struct count sum = {0};
    struct heap *heap = heap_enter();
    if (!heap) {
        *count = sum;
        return;
    }
    heap_leave(heap);
    lock_take(&space.lock);
    for (int area = 0; area < WIRE_AREAS; area++) {
        const struct wire_area *limits = &space.ledger->areas[area];
        uint32_t slot = limits->first;
        while (slot < limits->frontier) {
            const struct wire_record *record = space_record(slot);
            count_run(&sum, record);
            slot += wire_run_slots(record->run);
        }
    }
    sum.metadata = space.ledger->metadata_bytes;
    sum.mallocs += atomic_peek64(&space.ledger->mallocs);
    sum.frees += atomic_peek64(&space.ledger->frees);
    lock_release(&space.lock);
    *count = sum;
}
