// SPDX-License-Identifier: Apache-2.0
// The beginning of the reservation, and its repair in a forked child. Library world; both run
// alone.
#include <errno.h>
#include <string.h>

#include "base/atomic.h"
#include "base/bits.h"
#include "heap/run.h"

// How readers outside find the ledger: the one variable that the library exports.
__attribute__((visibility("default"))) struct wire_ledger *ebb_ledger;

#define SPACE_MIN_BYTES    (UINT64_C(1) << 24)
#define SPACE_USEFUL_BYTES (UINT64_C(1) << 40)

// Eight times the host's memory: holes cost address space. More is not free: mlockall() makes page
// tables for the records that can be read, 4 MiB of them per TiB.
static size_t useful_bytes(const struct os *os)
{
    size_t memory = os->memory_bytes(os);
    if (memory == 0 || memory > SPACE_MAX_BYTES / 8)
        return SPACE_MAX_BYTES;
    return memory * 8 > SPACE_USEFUL_BYTES ? memory * 8 : SPACE_USEFUL_BYTES;
}

// Three quarters of a limited address space: the rest belongs to stacks, files and libraries.
static size_t most_bytes(const struct os *os)
{
    size_t limit = os->limit_bytes(os);
    size_t useful = useful_bytes(os);
    size_t most = limit - limit / 4;
    return (most < useful ? most : useful) & ~(SPACE_HUGE_BYTES - 1);
}

// Half as much again and again where that is refused: something has taken the rest already, or the
// machine is small.
static int reserve(const struct os *os, size_t *bytes, uintptr_t *base)
{
    int error = -ENOMEM;
    for (size_t wanted = most_bytes(os); wanted >= SPACE_MIN_BYTES;
         wanted = wanted / 2 & ~(SPACE_HUGE_BYTES - 1)) {
        error = os->reserve(os, wanted, SPACE_HUGE_BYTES, base);
        if (!error) {
            *bytes = wanted;
            return 0;
        }
    }
    return error;
}

// The magic comes last: a reader that finds it finds all else in place.
static void describe(struct wire_ledger *ledger, uintptr_t base, size_t bytes)
{
    ledger->version = WIRE_LEDGER_VERSION;
    ledger->ledger_bytes = sizeof *ledger;
    ledger->base = base;
    ledger->bytes = bytes;
    ledger->slot_bytes = WIRE_SLOT_BYTES;
    ledger->page_bytes = (uint32_t)space.page_bytes;
    ledger->record_bytes = RECORD_BYTES;
    ledger->class_count = CLASS_COUNT;
    ledger->policy = WIRE_POLICY_AUTO;
    ledger->return_within_ms = 1000;
    memcpy(ledger->class_bytes, class_block_bytes, sizeof class_block_bytes);
    atomic_store64(&ledger->magic, WIRE_LEDGER_MAGIC);
}

// The ledger's own slot is the first behind the table: it must stand before anything can be taken.
static int lay_out(const struct os *os, uintptr_t base, size_t bytes)
{
    uint32_t slots = (uint32_t)(bytes >> WIRE_SLOT_SHIFT);
    uint32_t first = (uint32_t)bits_ceil_div(slots * RECORD_BYTES, WIRE_SLOT_BYTES);
    struct wire_record *table = (struct wire_record *)base;
    uintptr_t page = (uintptr_t)(table + first) & ~(uintptr_t)(space.page_bytes - 1);
    uintptr_t home = base + (uintptr_t)first * WIRE_SLOT_BYTES;
    int error = os->show(os, base, (size_t)first * WIRE_SLOT_BYTES);
    if (!error)
        error = os->commit(os, page, space.page_bytes);
    if (!error)
        error = os->commit(os, home, WIRE_SLOT_BYTES);
    if (error)
        return error;
    struct wire_ledger *ledger = (struct wire_ledger *)home;
    // Where address space is short it is the small blocks that cannot do without.
    uint32_t middle = slots - slots / 4;
    ledger->areas[SPACE_ORDINARY] = (struct wire_area){first, middle, first + 1, first + 1};
    ledger->areas[SPACE_GUARDED] = (struct wire_area){middle, slots, middle, middle};
    ledger->metadata_bytes = space.page_bytes + WIRE_SLOT_BYTES;
    table[first].run = wire_run_make(WIRE_META, 1);
    describe(ledger, base, bytes);
    space.ledger = ledger;
    space.records_shown[SPACE_ORDINARY] =
        (uint32_t)((page + space.page_bytes - base) / RECORD_BYTES);
    space.records_shown[SPACE_GUARDED] = middle;
    space.meta_at = home + bits_round_up(sizeof *ledger, 64);
    space.meta_left = home + WIRE_SLOT_BYTES - space.meta_at;
    return 0;
}

#define DUMPED_SLOTS 4096u // 256 MiB

// Slots and their records; of these whole pages.
static void dump_slots(const struct os *os, uint32_t first, uint32_t end, bool is_dumped)
{
    const uintptr_t base = space.ledger->base;
    const uintptr_t mask = ~(uintptr_t)(space.page_bytes - 1);
    uintptr_t record = (base + first * RECORD_BYTES) & mask;
    uintptr_t behind = (base + end * RECORD_BYTES) & mask;
    // A page that belongs to both sides is in.
    record += is_dumped ? 0 : space.page_bytes;
    if (behind > record)
        (void)os->dump(os, record, behind - record, is_dumped);
    (void)os->dump(os, base + (uintptr_t)first * WIRE_SLOT_BYTES,
                   (size_t)(end - first) * WIRE_SLOT_BYTES, is_dumped);
}

void space_dump(const struct os *os, enum space_area area, uint32_t end)
{
    const struct wire_area *limits = &space.ledger->areas[area];
    uint32_t before = space.dumped[area];
    uint32_t grown = end - limits->first;
    // So much again as there is, so that it is done seldom.
    grown += grown > DUMPED_SLOTS ? grown : DUMPED_SLOTS;
    bool is_all = grown > limits->end - limits->first;
    space.dumped[area] = is_all ? limits->end : limits->first + grown;
    if (before)
        dump_slots(os, before, space.dumped[area], true);
    else if (!is_all)
        dump_slots(os, space.dumped[area], limits->end, false);
}

int space_start(const struct os *os)
{
    uintptr_t base;
    size_t bytes;
    size_t page_bytes = os->page_bytes(os);
    // A page may not reach over the end of a slot.
    if (!bits_is_power_of_two(page_bytes) || page_bytes % PAGE_BYTES ||
        page_bytes > WIRE_SLOT_BYTES)
        return -EINVAL;
    int error = reserve(os, &bytes, &base);
    if (error)
        return error;
    space.page_bytes = page_bytes;
    error = lay_out(os, base, bytes);
    if (error) {
        os->unreserve(os, base, bytes);
        return error;
    }
    space.os = os;
    space_dump(os, SPACE_ORDINARY, space.ledger->areas[SPACE_ORDINARY].first);
    space_dump(os, SPACE_GUARDED, space.ledger->areas[SPACE_GUARDED].first);
    space.is_quiet = 1;
    space.headroom = UINT64_MAX;
    space_base = base;
    space_bytes = bytes;
    // A reader outside has no lock: what it finds by this pointer was written before.
    __atomic_store_n(&ebb_ledger, space.ledger, __ATOMIC_RELEASE);
    return 0;
}

void space_stop(void)
{
    if (space_bytes)
        space.os->unreserve(space.os, space_base, space_bytes);
    memset(&space, 0, sizeof space);
    space_base = 0;
    space_bytes = 0;
    ebb_ledger = NULL;
}

// Inner slots of a run may hold what the interrupted operation was about to clear.
static void clear_inside(struct wire_record *record, uint32_t slots)
{
    for (uint32_t slot = 1; slot < slots; slot++) {
        // Reading alone leaves the record's page untouched.
        if (record[slot].run)
            record[slot].run = 0;
    }
}

// Puts one run of the chain back where it belongs. Spans in use stay as they are.
static void repair_run(struct wire_record *record)
{
    uint32_t slots = wire_run_slots(record->run);
    enum wire_kind kind = wire_run_kind(record->run);
    if (kind == WIRE_MEDIUM || kind == WIRE_SMALL)
        return;
    clear_inside(record, slots);
    if (run_area_of(space_slot(record)) == SPACE_GUARDED)
        space.seams += record->recip;
    // Somebody was about to purge it: the pages may be there or not.
    if (kind == WIRE_BUSY)
        record->run = wire_run_make(WIRE_DIRTY, slots);
    if (!run_is_free(record->run))
        return;
    if (slots > 1)
        record[slots - 1].run = wire_run_make(WIRE_FREE_END, slots);
    run_insert(record);
}

void space_repair(void)
{
    if (!lock_is_foreign(&space.lock) && !space.busy_runs)
        return;
    space.busy_runs = 0;
    memset(space.bins, 0, sizeof space.bins);
    space.dirty_slots = 0;
    space.guarded_free = 0;
    space.guarded_kept = 0;
    space.seams = 0;
    for (int area = 0; area < WIRE_AREAS; area++) {
        const struct wire_area *limits = &space.ledger->areas[area];
        uint32_t slot = limits->first;
        while (slot < limits->frontier && wire_run_slots(space_record(slot)->run)) {
            struct wire_record *record = space_record(slot);
            slot += wire_run_slots(record->run);
            repair_run(record);
        }
    }
    lock_reset(&space.lock);
}
