// SPDX-License-Identifier: Apache-2.0
// CPython's pymalloc, read from outside without symbols: its arenas and what their pools hold. Tool
// world; no state.
//
// The array of arena objects is found through a pointer in the interpreter's writable data and
// believed when its elements name aligned pools inside anonymous memory; each pool names its arena
// back. Sources: Objects/obmalloc.c of 2.7 to 3.13: arenas of 256 KiB with 4 KiB pools up to 3.9,
// of 1 MiB with 16 KiB pools from 3.10 on; objects aligned to 8 bytes up to 3.6, to 16 from 3.7 on.
#ifndef EBB_RUNTIME_MANAGED_CPYTHON_ARENAS_H
#define EBB_RUNTIME_MANAGED_CPYTHON_ARENAS_H

#include "image/image.h"
#include "runtime/target.h"

struct pymalloc_shape {
    uint64_t arena_bytes, pool_bytes;
};

// The shape for a version; false for one that is not known (2.6 and older, free-threaded builds).
bool pymalloc_shape_of(unsigned major, unsigned minor, struct pymalloc_shape *ret_shape);

// One arena object, decoded. Pure.
struct pymalloc_arena {
    uint64_t address;      // 0: not in use
    uint64_t pool_address; // first pool that was never carved off
    unsigned free_pools, total_pools;
};
enum { PYMALLOC_ARENA_OBJECT_BYTES = 48 };
// False when the bytes cannot be an arena object of this shape.
bool pymalloc_arena_decode(const uint64_t words[6], const struct pymalloc_shape *shape,
                           struct pymalloc_arena *ret_arena);

// The header of a pool that holds blocks. Pure; false when the words cannot be one.
struct pymalloc_pool {
    uint32_t blocks; // in use
    uint64_t block_bytes;
    uint32_t arena_index;
};
bool pymalloc_pool_decode(const uint64_t words[6], const struct pymalloc_shape *shape,
                          struct pymalloc_pool *ret_pool);

// Claims the arenas and adds parts and figures. 0; -ENOENT when there are none; -EBADMSG; -ETIME;
// -ENOMEM; -EPERM. On failure the report holds no claims and parts of this reader. Cost: one peek
// per pool, dozens at once.
int pymalloc_read(const struct target *target, const struct image *image,
                  const struct pymalloc_shape *shape, struct runtime_report *report);

#endif
