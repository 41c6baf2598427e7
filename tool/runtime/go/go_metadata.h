// SPDX-License-Identifier: Apache-2.0
// The mappings that hold Go's own tables: spans, caches, bitmaps, arenas' maps. Tool world.
#ifndef EBB_RUNTIME_GO_GO_METADATA_H
#define EBB_RUNTIME_GO_GO_METADATA_H

#include "runtime/go/go_runtime.h"
#include "runtime/report.h"

struct target;

// Claims them. In a program without cgo nothing else maps anonymous memory: all of it that nobody
// has claimed is Go's. Beside C code only mappings that Go's heap structures point into are. 0 or
// -errno. Call it after the heap was claimed.
int go_metadata_claim(const struct target *target, const struct go_runtime *runtime,
                      struct runtime_report *report);

#endif
