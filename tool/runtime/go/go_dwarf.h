// SPDX-License-Identifier: Apache-2.0
// Addresses and offsets from an image's own debug information, for versions that the table lacks.
// Tool world.
//
// libdw is not made for hostile files and may need much memory, so it runs in a child with limits
// of memory, time and wall clock; the child hands back one fixed-size record or nothing.
#ifndef EBB_RUNTIME_GO_GO_DWARF_H
#define EBB_RUNTIME_GO_GO_DWARF_H

#include "runtime/go/go_runtime.h"

struct image;

// What the walk finds, and what the cache keeps: a plain record without pointers.
struct go_layout {
    struct go_field fields[GO_FIELD_COUNT];
    uint64_t address[GO_OBJECT_VARIABLES]; // as linked; 0: not found
    uint64_t knob_entry; // as linked, like the addresses; of images that were searched by code
    uint64_t marks;      // GO_LAYOUT_*, of images that were searched by code
};
enum { GO_LAYOUT_CGO = 1, GO_LAYOUT_RACE = 2 };

// True when every offset and size is within bounds and the variables that matter are there.
bool go_layout_is_sane(const struct go_layout *layout);

// Fills in addresses and offsets of a runtime from the cache (go_cache.h) or the debug information.
// Size classes come from the nearest version that the table knows, if their number fits.
// 0; -ENOENT without debug information; -ETIME; -EBADMSG; -errno.
// Cost: about 100 ms for the first time, more for very large files, at most `wall_ms`.
int go_dwarf_locate(const struct image *image, unsigned wall_ms, struct go_runtime *runtime);

// The walk in a child process. `fd` is an ELF file. 0; as above.
int go_dwarf_walk_apart(int fd, unsigned wall_ms, struct go_layout *ret_layout);

// The walk itself, in this process. 0; -ENOENT.
int go_dwarf_walk(int fd, struct go_layout *ret_layout);

#endif
