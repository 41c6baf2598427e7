// SPDX-License-Identifier: Apache-2.0
// Size classes: which block a request gets, and in spans of which shape. Library world; constant.
//
// Small: steps of 16 bytes to 128, then eight per doubling to 1 KiB, four to 4 KiB, five to 8 KiB:
// a waste of at most 12.5 % (25 % above 1 KiB); 1 KiB and a page with a header, which is what
// buffers and databases ask for, fit in closely. There is no class between 3 and 4 KiB: of such
// blocks that live on, each would hold two pages rather than one. Medium: whole pages, four per
// doubling, in spans of several slots, so that a free one can be purged by itself. Between 4 and 8
// KiB blocks are not whole pages: of those that live on, each touches as many pages either way, and
// a page with a header, which is what databases ask for, costs half.
#ifndef EBB_HEAP_CLASS_H
#define EBB_HEAP_CLASS_H

#include <stddef.h>
#include <stdint.h>

#include "wire/ledger.h"

// Eight per doubling rather than four cost spans, one per class and thread; but a span costs only
// the pages that are used in it, while rounding costs with each block.
#define CLASS_SMALL_MAX  8192u   // the largest block in a span of one slot
#define CLASS_MEDIUM_MAX 262144u // the largest in a span at all
#define CLASS_COUNT      63u
#define CLASS_SMALL      45u // the first so many are small
#define CLASS_STEPS      (CLASS_SMALL_MAX / 16 + 1)
#define PAGE_BYTES       4096u

// Memory that goes back and comes again is watched per group: pages in spans by block size, from
// 1 KiB on by factors of four; free runs in a group of their own.
#define CLASS_GROUPS     8u
#define CLASS_GROUP_RUNS 7u

static inline unsigned class_group(uint32_t block_bytes)
{
    unsigned group = 0;
    for (uint32_t limit = 1024; block_bytes > limit && group < CLASS_GROUP_RUNS - 1; limit *= 4)
        group++;
    return group;
}

extern const uint32_t class_block_bytes[CLASS_COUNT];

// Fills the map from (size + 15) / 16 to class, which each heap carries beside its lists.
void class_fill_steps(uint8_t steps[CLASS_STEPS]);

// The smallest class with blocks of at least `size` ≤ CLASS_MEDIUM_MAX bytes.
unsigned class_of_size(size_t size);

// The smallest such class whose blocks all stand at multiples of `align`, a power of two ≤ 64 KiB;
// CLASS_COUNT where there is none.
unsigned class_of_aligned(size_t size, size_t align);

// Slots in a span of this class, and blocks in it.
uint32_t class_slots(unsigned size_class);
uint32_t class_capacity(unsigned size_class);

// For an offset below 64 KiB: offset × recip, cut to 32 bits, is below recip exactly where the
// block size divides the offset. (Lemire, Kaser, Kurz: Faster remainder by direct computation,
// 2019.)
uint32_t class_reciprocal(unsigned size_class);

#endif
