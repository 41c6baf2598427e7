// SPDX-License-Identifier: Apache-2.0
// Fuzz target: a ledger of libebb's and its records, made of arbitrary bytes. Test code; no state.
//
// The input is the ledger's head, then records from the first slot behind the table on. What its
// head must say to be looked at any further is put in, in one of two runs.
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/libebb/ledger.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes);

enum { SLOTS = 1024, MIDDLE = 768, FIRST = 2 };

static const uint64_t base = UINT64_C(0x7f0000000000);

struct memory {
    struct wire_record records[SLOTS];
    struct wire_ledger ledger;
};

static uint64_t home(void)
{
    return base + (uint64_t)FIRST * WIRE_SLOT_BYTES;
}

static int fuzz_read(void *context, uint64_t address, void *ret_data, size_t len)
{
    struct memory *memory = context;
    if (address >= home() && address - home() + len <= sizeof memory->ledger)
        memcpy(ret_data, (uint8_t *)&memory->ledger + (address - home()), len);
    else if (address >= base && address - base + len <= sizeof memory->records)
        memcpy(ret_data, (uint8_t *)memory->records + (address - base), len);
    else
        return -EFAULT;
    return 0;
}

// All of it lies inside of the reservation, and nowhere twice.
static void check_places(const struct wire_ledger *ledger, const struct libebb_places *places)
{
    const struct ranges *const lists[] = {&places->small,    &places->medium,  &places->large,
                                          &places->tails,    &places->kept,    &places->lazy,
                                          &places->returned, &places->metadata};
    uint64_t bytes = 0;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        uint64_t at = ledger->base;
        for (size_t k = 0; k < lists[i]->count; k++) {
            const struct page_range *range = &lists[i]->items[k];
            if (range->start < at || range->end <= range->start || range->start % PAGES_SIZE ||
                range->end % PAGES_SIZE || range->end > ledger->base + ledger->bytes)
                abort();
            at = range->end;
            bytes += range->end - range->start;
        }
    }
    if (bytes > ledger->bytes)
        abort();
}

static void walk(struct memory *memory)
{
    const struct libebb_memory reader = {fuzz_read, memory};
    struct libebb_refusal refusal;
    struct wire_ledger ledger;
    struct libebb_sums sums;
    struct libebb_places places;
    if (libebb_ledger_read(&reader, home(), &ledger, &refusal) != 0 ||
        libebb_walk(&reader, &ledger, &sums, &places) != 0)
        return;
    check_places(&ledger, &places);
    if (sums.small_used + sums.medium_used + sums.large_used > ledger.bytes)
        abort();
    libebb_places_free(&places);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes)
{
    static struct memory memory;
    memory = (struct memory){0};
    size_t head = length_bytes < sizeof memory.ledger ? length_bytes : sizeof memory.ledger;
    memcpy(&memory.ledger, data, head);
    size_t rest = length_bytes - head, room = (SLOTS - FIRST) * sizeof(struct wire_record);
    if (rest > 0)
        memcpy(&memory.records[FIRST], data + head, rest < room ? rest : room);
    walk(&memory);
    struct wire_ledger *ledger = &memory.ledger;
    *ledger = (struct wire_ledger){
        .magic = WIRE_LEDGER_MAGIC,
        .version = WIRE_LEDGER_VERSION,
        .ledger_bytes = sizeof *ledger,
        .base = base,
        .bytes = (uint64_t)SLOTS * WIRE_SLOT_BYTES,
        .slot_bytes = WIRE_SLOT_BYTES,
        .page_bytes = PAGES_SIZE,
        .record_bytes = sizeof(struct wire_record),
        .class_count = 4,
        .areas = {{FIRST, MIDDLE, 0, MIDDLE}, {MIDDLE, SLOTS, MIDDLE, MIDDLE}},
        .class_bytes = {16, 48, PAGES_SIZE, 5 * PAGES_SIZE},
    };
    // As far as there are records.
    uint32_t frontier = FIRST + (uint32_t)(rest / sizeof(struct wire_record));
    ledger->areas[0].frontier = frontier < MIDDLE ? frontier : MIDDLE;
    ledger->areas[1].frontier = frontier > MIDDLE ? (frontier < SLOTS ? frontier : SLOTS) : MIDDLE;
    walk(&memory);
    return 0;
}
