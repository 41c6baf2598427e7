// SPDX-License-Identifier: Apache-2.0
// Blocks above the largest class: runs of slots of their own. Library world; no state but the
// space.
//
// From LARGE_GUARDED_MIN on a block stands in the guarded area, its last slot ending in at least
// one inaccessible page. Freed, its run is kept, a quarter more of them than the living have, 24 to
// 192 MiB in all, or up to a GiB where the plan expects them to be used again soon: to make pages
// resident costs ten times a free and a malloc. What goes back becomes inaccessible.
//
// There is an inaccessible page before a guarded block as well: its neighbour's, or, for the first
// of the area, the end of what the ordinary area has not reached. In clean slots a guard is what
// was never committed, so it costs no call of its own; in kept ones it is one.
#ifndef EBB_HEAP_LARGE_H
#define EBB_HEAP_LARGE_H

#include <stdbool.h>
#include <stddef.h>

#include "heap/space.h"

#define LARGE_GUARDED_MIN (UINT64_C(1) << 20)

// For all: any thread; the heap is started and, in a forked child, repaired. A free of the same
// block by two threads at once ends the process.

// NULL without memory. `align` is a power of two. `*is_zero` tells whether the block reads as
// zeros.
void *large_allocate(size_t size, size_t align, bool *is_zero);

// The record of a live block.
void large_free(struct wire_record *record);

// In place or by moving pages; NULL if neither can be done (the caller then copies).
void *large_resize(struct wire_record *record, size_t size);

#endif
