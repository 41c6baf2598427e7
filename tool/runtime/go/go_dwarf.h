// SPDX-License-Identifier: Apache-2.0
// Addresses and offsets from an image's own debug information, for versions that the table lacks.
// Tool world.
//
// libdw is not made for hostile files and may need much memory, so it runs in a child with limits
// of memory, time and wall clock; the child hands back one fixed-size record or nothing.
#ifndef EBB_RUNTIME_GO_GO_DWARF_H
#define EBB_RUNTIME_GO_GO_DWARF_H

#include "runtime/go/go_runtime.h"

struct target;
struct image;

// What the walk finds, and what the cache keeps: a plain record without pointers.
struct go_layout {
    struct go_field fields[GO_FIELD_COUNT];
    uint64_t address[GO_OBJECT_VARIABLES]; // as linked
};

// Fills in addresses and offsets from the cache or the debug information. Size classes come from
// the nearest version that the table knows. 0; -ENOENT none; -ETIME; -EBADMSG.
int go_dwarf_locate(const struct target *target, const struct image *image,
                    struct go_runtime *runtime);

// The walk itself, in this process. 0; -ENOENT; -EBADMSG.
int go_dwarf_walk(int fd, struct go_layout *ret_layout);

#endif
