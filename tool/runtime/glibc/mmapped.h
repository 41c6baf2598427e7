// SPDX-License-Identifier: Apache-2.0
// Blocks that malloc has mapped one by one: found by their headers at page starts. Tool world; one
// thread.
#ifndef EBB_RUNTIME_GLIBC_MMAPPED_H
#define EBB_RUNTIME_GLIBC_MMAPPED_H

#include "runtime/glibc/memory.h"

// Looks at the page start `address` for the header of a mapped block that ends by `end`. 0 with the
// bytes of its mapping; -ENOENT when there is none; -errno of the peek (-ENODATA: no page there, so
// no header). Source: sysmalloc() in malloc.c: prev_size is what an alignment skipped, size carries
// IS_MMAPPED alone and, up to 2.42, counts to the end; from 2.43 on the mapping is 16 bytes longer
// than both.
int glibc_mmapped_at(struct glibc_memory *memory, uint64_t address, uint64_t end,
                     uint64_t *ret_bytes);

// What may be a block: other memory can look like one by chance.
struct glibc_block {
    uint64_t start, bytes;
};

// Those of `blocks` (at most 64) that are `wanted` in number and sum to `wanted_bytes`: bit i of
// the result is block i; 0 when no set is, or none was found in a bounded search. Pure. Cost:
// 100,000 steps at most.
uint64_t glibc_mmapped_choose(const struct glibc_block *blocks, size_t count, uint64_t wanted,
                              uint64_t wanted_bytes);

#endif
