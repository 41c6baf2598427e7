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

#endif
