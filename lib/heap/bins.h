// SPDX-License-Identifier: Apache-2.0
// Free runs by length: exact up to 64 slots, then by doubling. Library world; guarded by the
// space's lock, as everything in here.
//
// Of the runs of one length the one freed last is taken: its pages are the likeliest to be in a
// cache. Of long ones the shortest that fits.
#ifndef EBB_HEAP_BINS_H
#define EBB_HEAP_BINS_H

#include "heap/space.h"

void bins_insert(struct bins *bins, struct wire_record *record);
void bins_remove(struct bins *bins, struct wire_record *record);

// A run of at least `slots`, not removed; NULL if there is none. O(1) but for runs beyond 64 slots,
// of which a bounded number is looked at before a longer doubling is taken.
struct wire_record *bins_find(const struct bins *bins, uint32_t slots);

// The first run of the longest sort; NULL if all bins are empty.
struct wire_record *bins_find_longest(const struct bins *bins);

// The run after this one on the way from the longest sort to the shortest; NULL at the end.
struct wire_record *bins_next(const struct bins *bins, const struct wire_record *record);

#endif
