// SPDX-License-Identifier: Apache-2.0
// A growing set of address ranges, merged before it is used. Tool world; pure.
#ifndef EBB_RUNTIME_GO_GO_EXTENTS_H
#define EBB_RUNTIME_GO_GO_EXTENTS_H

#include <stddef.h>
#include <stdint.h>

#include "proc/pagemap.h"

struct go_extents {
    struct page_range *items;
    size_t count, capacity;
};

enum { GO_EXTENTS_MAX = 1 << 20 };

// Adds [start, start + bytes), widened to whole pages of 4 KiB. What would wrap around, or is one
// too many, is left out. 0 or -ENOMEM.
int go_extents_add(struct go_extents *extents, uint64_t start, uint64_t bytes);

// Sorts, and joins what overlaps or lies at most `gap_bytes` apart.
void go_extents_merge(struct go_extents *extents, uint64_t gap_bytes);

void go_extents_free(struct go_extents *extents);

#endif
