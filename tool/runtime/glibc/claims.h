// SPDX-License-Identifier: Apache-2.0
// Where a target's glibc keeps its memory, by mapping: the main arena's stretches and mapped
// blocks. Tool world.
#ifndef EBB_RUNTIME_GLIBC_CLAIMS_H
#define EBB_RUNTIME_GLIBC_CLAIMS_H

#include "runtime/glibc/result.h"

// The stretches of the main arena: the brk from its first chunk to the end of its top chunk, and,
// where the arena could not grow there, mappings that its lists lead to. `*ret_outside_bytes` is
// what of its memory lies in none. 0 or -ENOMEM, -errno of the peek.
int glibc_main_regions(const struct target *target, const struct runtime_report *report,
                       struct glibc_memory *memory, const struct glibc_arena *arena,
                       const struct glibc_par *par, struct glibc_regions *ret_regions,
                       uint64_t *ret_outside_bytes);

// Claims the blocks that malloc has mapped one by one, until they sum to what malloc_par says:
// first those at the start of unclaimed anonymous memory and those that follow them, then, if some
// are missing, at every page. 0 or -ENOMEM, -EPERM, -ESRCH.
int glibc_claim_mapped(const struct target *target, struct glibc_memory *memory,
                       struct glibc_result *result, struct runtime_report *report);

#endif
