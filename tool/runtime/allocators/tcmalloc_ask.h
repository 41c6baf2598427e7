// SPDX-License-Identifier: Apache-2.0
// tcmalloc's own statistics, by calls in the target. Tool world; no state.
#ifndef EBB_RUNTIME_ALLOCATORS_TCMALLOC_ASK_H
#define EBB_RUNTIME_ALLOCATORS_TCMALLOC_ASK_H

#include "image/image.h"
#include "runtime/target.h"

// Asks gperftools' tcmalloc for its properties: figures under their names, and parts. An opaque_ask
// (runtime/opaque.h). Google's has no such function and is -ENOENT.
// Source: src/tcmalloc.cc of gperftools 2.10, TCMallocImplementation::GetNumericProperty(), where
// current_allocated_bytes is heap_size less everything that is free.
int tcmalloc_ask(const struct target *target, const struct image *image,
                 struct runtime_report *report);

#endif
