// SPDX-License-Identifier: Apache-2.0
// jemalloc's own statistics, by calls in the target. Tool world; no state.
#ifndef EBB_RUNTIME_ALLOCATORS_JEMALLOC_ASK_H
#define EBB_RUNTIME_ALLOCATORS_JEMALLOC_ASK_H

#include "image/image.h"
#include "runtime/target.h"

// Asks the jemalloc in `image` for its statistics: figures "mallctl allocated" and so on, and parts
// where memory was claimed and no extents were read. An opaque_ask (runtime/opaque.h). -ENOENT also
// where it was built without statistics. Writes its "epoch", which brings the statistics up to
// date. Sources: jemalloc(3), "stats.*"; arenas_i() of src/ctl.c for the index of all arenas, which
// is 4096 from 5.0 on and the number of arenas before.
int jemalloc_ask(const struct target *target, const struct image *image,
                 struct runtime_report *report);

#endif
