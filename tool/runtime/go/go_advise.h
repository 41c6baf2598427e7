// SPDX-License-Identifier: Apache-2.0
// The advice that a Go runtime returns memory with: runtime.adviseUnused of 1.21 and later. Tool
// world; no state.
//
// madvdontneed=1 wins over it. Else the runtime calls madvise() with it, MADV_FREE at its start,
// and changes it itself to MADV_DONTNEED when the kernel refuses that. From 1.26 on it is what
// `ebb tune` writes, so a reader has to look at it too. Source: sysUnusedOS() in
// runtime/mem_linux.go.
#ifndef EBB_RUNTIME_GO_GO_ADVISE_H
#define EBB_RUNTIME_GO_GO_ADVISE_H

#include <stdint.h>

struct image;
struct target;

// Values that it can have; the last where the kernel has no madvise() at all.
enum { GO_ADVISE_FREE = 8, GO_ADVISE_DONTNEED = 4, GO_ADVISE_UNSUPPORTED = 0 };
enum { GO_MINOR_KNOWS_ZERO = 26 };

// Finds it by its symbol, or as the one word that sysUnusedOS() mentions besides `knob`
// (madvdontneed's run-time address) and that the file initialises with MADV_FREE. 0 with its
// run-time address; -ENOENT; -errno. Cost: a pass over the table of functions.
int go_advise_find(const struct target *target, const struct image *image, uint64_t knob,
                   uint64_t *ret_address);

#endif
