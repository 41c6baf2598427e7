// SPDX-License-Identifier: Apache-2.0
// Finds the variables of a Go runtime in its target and proves that they are what they seem. Tool
// world.
#ifndef EBB_RUNTIME_GO_GO_LOCATE_H
#define EBB_RUNTIME_GO_GO_LOCATE_H

#include <stdint.h>

#include "runtime/go/go_check.h"
#include "runtime/go/go_runtime.h"

struct target;
struct image;

// Fills in row, addresses and found_by of a runtime whose memory, machine and version are set.
//
// In this order: the symbol table with the version's row of offsets; for stripped images, code and
// the same row; last the image's own debug information. What the two last ones find is kept by
// build id (go_cache.h). What fails the checks of go_check.h is not used, kept or not. 0; with
// *ret_reason (static text) -ENOENT when nothing passed, -ETIME when the deadline came first.
int go_locate(const struct target *target, const struct image *image,
              const struct go_limits *limits, uint64_t deadline_ns, struct go_runtime *runtime,
              const char **ret_reason);

// As the last step of go_locate(): checks all that was found, drops optional variables that fail.
// NULL when the ledger can be trusted, else the reason as static text.
const char *go_locate_verify(struct go_runtime *runtime, const struct go_limits *limits);

#endif
