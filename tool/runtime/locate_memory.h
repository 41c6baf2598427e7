// SPDX-License-Identifier: Apache-2.0
// What earlier surveys found in files, for who surveys again and again: searching the read-only
// data of a process's images is most of what a survey of a small process costs. Tool world; one
// thread uses a memory.
//
// A file is known by device, inode, size and the time of its last change (ctime, which no program
// sets): one that was written to or replaced is searched anew.
#ifndef EBB_RUNTIME_LOCATE_MEMORY_H
#define EBB_RUNTIME_LOCATE_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

struct image;
struct locate_memory;

// 0 and a memory of a fixed size (some 200 KiB) that locate_memory_close() frees; -ENOMEM.
int locate_memory_open(struct locate_memory **ret_memory);
void locate_memory_close(struct locate_memory *memory);

// The marks (enum locate_mark) that the file has; false where it is not known. Cost: an fstat.
bool locate_memory_get(struct locate_memory *memory, const struct image *image,
                       uint32_t *ret_marks);
// Keeps them; what was not asked for longest makes room.
void locate_memory_put(struct locate_memory *memory, const struct image *image, uint32_t marks);

// The same for a version that a reader searched its runtime's file for. NULL: not known; "": there
// is none. It stands until the next put. Too long a one is not kept. `memory` may be NULL.
const char *locate_memory_get_version(struct locate_memory *memory, const struct image *image);
void locate_memory_put_version(struct locate_memory *memory, const struct image *image,
                               const char *version);

#endif
