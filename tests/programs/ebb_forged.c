// SPDX-License-Identifier: Apache-2.0
// A program that says it has libebb, and a ledger that is wrong in the way that its argument names:
// what the reader must refuse. It holds 64 MiB of malloc's all the while.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../wire/ledger.h"

enum { SLOTS = 1 << 20, FIRST = SLOTS * 128 / WIRE_SLOT_BYTES };

// As libebb has them.
__attribute__((used)) static const char banner[] = "libebb, version 9.9.9";
struct wire_ledger *volatile ebb_ledger;

static char *base;

static struct wire_record *record(uint32_t slot)
{
    return (struct wire_record *)base + slot;
}

static struct wire_ledger *make(void)
{
    size_t bytes = (size_t)SLOTS * WIRE_SLOT_BYTES;
    base = mmap(NULL, bytes + WIRE_SLOT_BYTES, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        abort();
    base += (size_t)(-(uintptr_t)base % WIRE_SLOT_BYTES);
    struct wire_ledger *ledger = (struct wire_ledger *)(base + (size_t)FIRST * WIRE_SLOT_BYTES);
    *ledger = (struct wire_ledger){
        .magic = WIRE_LEDGER_MAGIC,
        .version = WIRE_LEDGER_VERSION,
        .ledger_bytes = sizeof *ledger,
        .base = (uint64_t)(uintptr_t)base,
        .bytes = bytes,
        .slot_bytes = WIRE_SLOT_BYTES,
        .page_bytes = 4096,
        .record_bytes = sizeof(struct wire_record),
        .class_count = 1,
        .areas = {{FIRST, SLOTS / 2, FIRST + 1, SLOTS / 2}, {SLOTS / 2, SLOTS, SLOTS / 2, 0}},
        .policy = 77,
        .class_bytes = {16},
    };
    record(FIRST)->run = wire_run_make(WIRE_META, 1);
    return ledger;
}

// As many runs as there are slots, each with a record in memory: what costs a reader most.
static void fill(struct wire_ledger *ledger)
{
    for (uint32_t slot = FIRST; slot < SLOTS / 2; slot++) {
        *record(slot) = (struct wire_record){.run = wire_run_make(WIRE_SMALL, 1),
                                             .block_bytes = 16,
                                             .capacity = 4096,
                                             .carved = 4096,
                                             .off = 0xaaaa,
                                             .state = WIRE_SPAN_FULL,
                                             .counts = 7};
    }
    ledger->areas[0].frontier = SLOTS / 2;
}

static void spoil(struct wire_ledger *ledger, const char *how)
{
    if (strcmp(how, "version") == 0)
        ledger->version = 4242;
    else if (strcmp(how, "magic") == 0)
        ledger->magic = 0;
    else if (strcmp(how, "lengths") == 0)
        ledger->record_bytes = 64;
    else if (strcmp(how, "outside") == 0)
        ledger->base = 0;
    else if (strcmp(how, "areas") == 0)
        ledger->areas[1].end = UINT32_MAX;
    else if (strcmp(how, "loop") == 0)
        ledger->areas[0].frontier = FIRST + 9;
    else if (strcmp(how, "many") == 0)
        fill(ledger);
    else if (strcmp(how, "nowhere") == 0)
        ebb_ledger = (struct wire_ledger *)(uintptr_t)0x10;
    else if (strcmp(how, "sound") != 0)
        abort();
}

int main(int count, char **arguments)
{
    size_t bytes = 64 << 20;
    char *kept = malloc(bytes);
    if (count != 2 || !kept)
        return 2;
    memset(kept, 1, bytes);
    struct wire_ledger *ledger = make();
    ebb_ledger = ledger;
    spoil(ledger, arguments[1]);
    printf("ready\n");
    fflush(stdout);
    pause();
    return kept[1] - 1;
}
