// SPDX-License-Identifier: Apache-2.0
// The memory that holds Go's own tables: spans, caches, bitmaps, arenas' maps. Tool world.
#ifndef EBB_RUNTIME_GO_GO_METADATA_H
#define EBB_RUNTIME_GO_GO_METADATA_H

#include "runtime/go/go_extents.h"
#include "runtime/go/go_runtime.h"
#include "runtime/report.h"

struct target;

// Claims it. In a program without cgo nothing else maps anonymous memory: all of it that nobody has
// claimed is Go's. Beside C code the kernel joins Go's mappings with those of malloc, so there only
// what Go's heap structures are known to reach is claimed.
// 0 or -errno. Call it after the heap was claimed.
int go_metadata_claim(const struct target *target, const struct go_runtime *runtime,
                      struct runtime_report *report);

// Claims what the race detector maps: shadow, traces and its own heap. 0 or -errno.
int go_metadata_claim_race(const struct target *target, struct runtime_report *report);

// Collects the extents of Go's tables by structure, for the claim beside C code and for tests.
// 0 or -ENOMEM.
int go_metadata_collect(const struct target *target, const struct go_runtime *runtime,
                        struct go_extents *extents);

#endif
