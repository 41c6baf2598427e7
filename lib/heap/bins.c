// SPDX-License-Identifier: Apache-2.0
// Doubly linked lists of free runs, linked by slot numbers in their records. Library world.
#include "heap/bins.h"

#include "base/bits.h"

#define EXACT 64u // bins of one length each
#define TRIES 32  // runs looked at in a bin of mixed lengths

// Slots 1 to 64 have a bin each; then 65 to 128, 129 to 256 and so on share one.
static unsigned bin_of(uint32_t slots)
{
    return slots <= EXACT ? slots - 1 : EXACT - 1 + bits_highest(slots - 1) - 5;
}

void bins_insert(struct bins *bins, struct wire_record *record)
{
    unsigned bin = bin_of(wire_run_slots(record->run));
    uint32_t slot = space_slot(record);
    record->prev = 0;
    record->next = bins->heads[bin];
    if (record->next)
        space_record(record->next)->prev = slot;
    bins->heads[bin] = slot;
    bins->filled[bin / 64] |= UINT64_C(1) << bin % 64;
}

// The run still carries the length it was inserted with.
void bins_remove(struct bins *bins, struct wire_record *record)
{
    unsigned bin = bin_of(wire_run_slots(record->run));
    if (record->next)
        space_record(record->next)->prev = record->prev;
    if (record->prev)
        space_record(record->prev)->next = record->next;
    else
        bins->heads[bin] = record->next;
    if (!bins->heads[bin])
        bins->filled[bin / 64] &= ~(UINT64_C(1) << bin % 64);
}

// The first filled bin from `bin` on; SPACE_BINS if there is none.
static unsigned next_filled(const struct bins *bins, unsigned bin)
{
    for (unsigned word = bin / 64; word < 2; word++) {
        unsigned from = word == bin / 64 ? bin % 64 : 0;
        uint64_t found = bins->filled[word] & bits_range(from, 63);
        if (found)
            return word * 64 + bits_lowest(found);
    }
    return SPACE_BINS;
}

// The shortest that is long enough, of the first so many in a bin of mixed lengths: what is cut off
// a longer one than needed is missed by the next long block.
static struct wire_record *find_best(const struct bins *bins, unsigned bin, uint32_t slots)
{
    struct wire_record *best = NULL;
    uint32_t slot = bins->heads[bin];
    for (int tries = 0; slot && tries < TRIES; tries++) {
        struct wire_record *record = space_record(slot);
        uint32_t length = wire_run_slots(record->run);
        if (length >= slots && (!best || length < wire_run_slots(best->run)))
            best = record;
        slot = record->next;
    }
    return best;
}

struct wire_record *bins_find(const struct bins *bins, uint32_t slots)
{
    unsigned bin = next_filled(bins, bin_of(slots));
    if (bin >= SPACE_BINS)
        return NULL;
    if (bin < EXACT)
        return space_record(bins->heads[bin]);
    struct wire_record *best = find_best(bins, bin, slots);
    if (!best && (bin = next_filled(bins, bin + 1)) < SPACE_BINS)
        best = find_best(bins, bin, slots);
    return best;
}

// The head of the last filled bin before `end`, or NULL.
static struct wire_record *last_before(const struct bins *bins, unsigned end)
{
    for (unsigned word = 2; word-- > 0;) {
        if (end <= word * 64)
            continue;
        unsigned bits = end - word * 64;
        uint64_t filled = bins->filled[word] & (bits >= 64 ? UINT64_MAX : bits_range(0, bits - 1));
        if (filled)
            return space_record(bins->heads[word * 64 + bits_highest(filled)]);
    }
    return NULL;
}

struct wire_record *bins_find_longest(const struct bins *bins)
{
    return last_before(bins, SPACE_BINS);
}

struct wire_record *bins_next(const struct bins *bins, const struct wire_record *record)
{
    if (record->next)
        return space_record(record->next);
    return last_before(bins, bin_of(wire_run_slots(record->run)));
}
