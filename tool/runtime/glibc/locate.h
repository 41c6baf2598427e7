// SPDX-License-Identifier: Apache-2.0
// Where glibc is in a target, which version, and where its malloc keeps its state. Tool world; one
// thread.
#ifndef EBB_RUNTIME_GLIBC_LOCATE_H
#define EBB_RUNTIME_GLIBC_LOCATE_H

#include "runtime/glibc/arenas.h"
#include "runtime/target.h"

// The image with glibc's malloc: libc.so.6, or a static program. NULL: no glibc.
const struct image *glibc_image(const struct target *target);

// Reads the version from the image's banner ("stable release version 2.36"). "" and 0 when it is
// not there.
unsigned glibc_version(const struct image *image, char *ret_version, size_t size);

struct glibc_state {
    uint64_t bins_address; // 0: malloc has not run
    enum glibc_arena_kind kind;
    bool has_par;
    struct glibc_par par;
};

// Finds the main arena and malloc_par in the image's writable data. `version` 0: unknown. 0;
// -ENOENT when there is no arena; -errno of the peek. malloc_par is left out where none or more
// than one place could be it. Cost: reads the image's data twice, at most 64 MiB.
int glibc_locate(const struct target *target, struct glibc_memory *memory,
                 const struct image *image, unsigned version, struct glibc_state *ret_state);

// The brk mapping, in all its parts. False without one, and nothing set.
bool glibc_brk(const struct target *target, uint64_t *ret_start, uint64_t *ret_end);

#endif
