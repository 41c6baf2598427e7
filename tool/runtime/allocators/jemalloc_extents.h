// SPDX-License-Identifier: Apache-2.0
// jemalloc's extents, read from outside without symbols: which memory is its own and in which
// state. Tool world.
//
// jemalloc keeps a radix tree from page to extent (`arena_emap_global`, in .bss). Its root is found
// by trying every pointer in .bss as a child of the root: right is the one through which pages lead
// to extents that name those very pages. So nothing is guessed, and a stripped library is as good
// as one with symbols. Sources: include/jemalloc/internal/{rtree,edata,emap,base}.h of 5.3.0; read
// so from 5.3 on, refused before.
#ifndef EBB_RUNTIME_ALLOCATORS_JEMALLOC_EXTENTS_H
#define EBB_RUNTIME_ALLOCATORS_JEMALLOC_EXTENTS_H

#include "image/image.h"
#include "runtime/target.h"

// Claims jemalloc's memory and adds its parts (in use, slack, kept, metadata) and figures. 0;
// -ENOENT when the tree was not found; -EBADMSG when what was found is not sound; -EAGAIN when the
// target changed too much while it was read; -ETIME; -ENOMEM; -EPERM. A picture of a target that
// changes somewhat is marked as approximate, with the error in the parts. On failure the report
// holds no claims and parts of this reader. Cost: about 1 µs per extent; up to three times that,
// and a read for each entry that changes, while the target is busy.
int jemalloc_extents_read(const struct target *target, const struct image *image,
                          struct runtime_report *report);

#endif
