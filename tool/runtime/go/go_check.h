// SPDX-License-Identifier: Apache-2.0
// Whether what was found in a target can be Go's counters at all. Tool world; reads through
// go_memory only.
//
// A guess that is off by one field reads like real figures. Every variable is therefore held
// against what Go keeps invariant; one that fails is refused, never repaired.
#ifndef EBB_RUNTIME_GO_GO_CHECK_H
#define EBB_RUNTIME_GO_GO_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/go/go_ledger.h"

struct go_limits {
    uint64_t vm_size_bytes; // the target's address space
    uint64_t now_unix_ns;
    // Is the address in a readable mapping of the target?
    bool (*is_mapped)(const void *context, uint64_t address);
    const void *context;
};

// Checks one variable by itself, at runtime->address[object]. False when its memory cannot be read.
bool go_check_object(const struct go_runtime *runtime, enum go_object object,
                     const struct go_limits *limits);

// Checks the variables against each other. NULL when all is well, else what is wrong, as static
// text.
const char *go_check_ledger(const struct go_runtime *runtime, const struct go_ledger *ledger,
                            const struct go_limits *limits);

#endif
