// SPDX-License-Identifier: Apache-2.0
// Where sampled blocks stand, and the queue of those that were freed. Library world; guard.lock
// guards the queue.
#include "heap/guard.h"

#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/bits.h"
#include "base/die.h"
#include "heap/thread.h"

// What is written around a block and looked for when it is freed. Not zero, which is what an
// overflow writes most often, and no text.
#define FILLING 0xb5

// Bytes in front that are filled: a page's worth would cost more than the rest of the malloc.
#define FRONT_BYTES 64u

uint32_t guard_one_in;

// Freed samples, the oldest first, linked by `next`.
static struct {
    struct lock lock;
    uint32_t first; // slots; 0: none
    uint32_t last;
    uint32_t slots; // in all of them
    uint32_t live;  // atomic: samples with the program
} guard;

void guard_fit_heap(struct heap *heap)
{
    class_fill_steps(heap->steps);
    // The last class has no span, ever.
    if (guard_one_in)
        memset(heap->steps, CLASS_COUNT, sizeof heap->steps);
    heap->until_guarded = guard_one_in ? 1 : 0;
}

void guard_set(uint32_t one_in)
{
    guard_one_in = one_in;
    for (struct heap *heap = heaps_first(); heap; heap = heap->next)
        guard_fit_heap(heap);
}

// Knuth's linear congruential numbers (MMIX): distances need to differ, not to be secret.
static uint32_t next_distance(struct heap *heap)
{
    heap->guard_random =
        heap->guard_random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    // From 1 to twice the mean less one, so that nothing periodic is always missed.
    return (uint32_t)((heap->guard_random >> 32) % (2 * (uint64_t)guard_one_in - 1)) + 1;
}

bool guard_count_down(size_t bytes)
{
    if (bytes > GUARD_BYTES_MAX)
        return false;
    if (guard_one_in == 1)
        return true;
    struct heap *heap = heap_of_thread;
    // Before a thread's first allocation, and after its end, there is nothing to count with.
    if (heap == &heap_empty || --heap->until_guarded != 0)
        return false;
    heap->until_guarded = next_distance(heap);
    return true;
}

static bool count_live(void)
{
    if (__atomic_add_fetch(&guard.live, 1, __ATOMIC_RELAXED) <= GUARD_LIVE_MAX)
        return true;
    __atomic_sub_fetch(&guard.live, 1, __ATOMIC_RELAXED);
    return false;
}

static void uncount_live(void)
{
    __atomic_sub_fetch(&guard.live, 1, __ATOMIC_RELAXED);
}

// The bytes around a block that are its page's but not the program's.
struct margins {
    unsigned char *front;
    size_t front_bytes;
    unsigned char *back;
    size_t back_bytes;
};

static struct margins margins_of(const struct wire_record *record)
{
    uintptr_t begin = space_address(record);
    uintptr_t block = (uintptr_t)record->free;
    size_t front = block - begin < FRONT_BYTES ? block - begin : FRONT_BYTES;
    uintptr_t end = block + record->block_bytes;
    return (struct margins){
        .front = (unsigned char *)(block - front),
        .front_bytes = front,
        .back = (unsigned char *)end,
        .back_bytes = begin + record->bytes - end,
    };
}

static void describe_block(struct wire_record *record, size_t page_bytes, uintptr_t block,
                           size_t bytes)
{
    atomic_poke64(&record->fast_owner, 0);
    record->heap = 0;
    record->bytes = page_bytes;
    record->freed_bytes = 0;
    record->block_bytes = (uint32_t)bytes;
    record->free = block;
    struct margins margins = margins_of(record);
    memset(margins.front, FILLING, margins.front_bytes);
    memset(margins.back, FILLING, margins.back_bytes);
}

// As long as the pages are the block's alone, an inaccessible one behind them belongs to the run.
static void *allocate_counted(size_t bytes, size_t align)
{
    // No bytes get an address of their own all the same.
    size_t room = bits_round_up(bytes ? bytes : 1, align);
    size_t page_bytes = bits_round_up(room, space.page_bytes);
    uint32_t slots = (uint32_t)bits_ceil_div(page_bytes + space.page_bytes, WIRE_SLOT_BYTES);
    struct wire_record *record;
    enum space_pages pages;
    if (space_take(SPACE_GUARDED, slots, 1, WIRE_GUARDED, &record, &pages) != 0)
        return NULL;
    uintptr_t begin = space_address(record);
    if (space.os->commit(space.os, begin, page_bytes) != 0) {
        // A part of it may be accessible by now.
        space_give(record, space_close(begin, page_bytes));
        return NULL;
    }
    space_spend(page_bytes);
    uintptr_t block = begin + page_bytes - room;
    describe_block(record, page_bytes, block, bytes);
    return (void *)block;
}

void *guard_allocate(size_t bytes, size_t align)
{
    if (align > PAGE_BYTES || !count_live())
        return NULL;
    void *block = allocate_counted(bytes, align < 16 ? 16 : align);
    if (!block)
        uncount_live();
    return block;
}

_Noreturn void guard_die(const struct wire_record *record, const char *what, uintptr_t address,
                         const char *note)
{
    struct line line;
    line_begin_death(&line, what, address, note);
    line_add(&line, "guarded block of ");
    line_add_decimal(&line, record->block_bytes);
    line_add(&line, record->block_bytes == 1 ? " byte)" : " bytes)");
    line_write(&line);
    abort();
}

static bool is_filled(const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != FILLING)
            return false;
    }
    return true;
}

static void check_margins(const struct wire_record *record)
{
    struct margins margins = margins_of(record);
    if (!is_filled(margins.back, margins.back_bytes))
        guard_die(record, "overflow of", (uintptr_t)record->free, "");
    if (!is_filled(margins.front, margins.front_bytes))
        guard_die(record, "underflow of", (uintptr_t)record->free, "");
}

// A small reservation keeps most of its guarded area for live blocks.
static uint32_t quarantine_max(void)
{
    const struct wire_area *area = &space.ledger->areas[SPACE_GUARDED];
    uint32_t most = (area->end - area->first) / 8;
    return most < GUARD_QUARANTINE_MAX ? most : GUARD_QUARANTINE_MAX;
}

// The oldest one where the queue is too long, or NULL.
static struct wire_record *pop_surplus(void)
{
    if (guard.slots <= quarantine_max() || !guard.first)
        return NULL;
    struct wire_record *record = space_record(guard.first);
    guard.first = record->next;
    if (!guard.first)
        guard.last = 0;
    guard.slots -= wire_run_slots(record->run);
    return record;
}

static void append(struct wire_record *record)
{
    uint32_t slot = space_slot(record);
    record->next = 0;
    if (guard.last)
        space_record(guard.last)->next = slot;
    else
        guard.first = slot;
    guard.last = slot;
    guard.slots += wire_run_slots(record->run);
}

static void enqueue(struct wire_record *record)
{
    lock_take(&guard.lock);
    append(record);
    struct wire_record *surplus = pop_surplus();
    lock_release(&guard.lock);
    if (!surplus)
        return;
    surplus->free = 0;
    space_give(surplus, surplus->is_clean ? SPACE_CLEAN : SPACE_DIRTY);
}

void guard_free(struct wire_record *record)
{
    check_margins(record);
    size_t bytes = (size_t)record->bytes;
    uint64_t live = wire_run_make(WIRE_GUARDED, wire_run_slots(record->run));
    uint64_t freed = wire_run_make(WIRE_QUARANTINE, wire_run_slots(live));
    // Of two threads that free it one gets through.
    if (!atomic_replace64(&record->run, &live, freed))
        guard_die(record, "double free of", (uintptr_t)record->free, "");
    atomic_add64(&space.ledger->mallocs, 1);
    atomic_add64(&space.ledger->frees, 1);
    // Where the system refuses it is there still, and what is in it must not become a calloc's.
    record->is_clean = space_close(space_address(record), bytes) == SPACE_CLEAN;
    uncount_live();
    enqueue(record);
}

// The queue anew from the chain, in order of address.
void guard_repair(void)
{
    if (!lock_is_foreign(&guard.lock))
        return;
    const struct wire_area *area = &space.ledger->areas[SPACE_GUARDED];
    guard.first = 0;
    guard.last = 0;
    guard.slots = 0;
    for (uint32_t slot = area->first; slot < area->frontier;) {
        struct wire_record *record = space_record(slot);
        if (wire_run_kind(record->run) == WIRE_QUARANTINE)
            append(record);
        slot += wire_run_slots(record->run);
    }
    lock_reset(&guard.lock);
}

void guard_stop(void)
{
    memset(&guard, 0, sizeof guard);
    guard_one_in = 0;
}
