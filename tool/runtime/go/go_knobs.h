// SPDX-License-Identifier: Apache-2.0
// The settings of a Go runtime as they are in force, and where each was read. Tool world.
#ifndef EBB_RUNTIME_GO_GO_KNOBS_H
#define EBB_RUNTIME_GO_GO_KNOBS_H

#include "runtime/go/go_ledger.h"
#include "runtime/report.h"

struct target;
struct image;

// Finds a variable of GODEBUG without symbols or offsets: an entry of runtime.dbgvars holds the
// name's pointer and length, and then the variable's address. 0 and the entry's run-time address;
// -ENOENT; -errno. Cost: a pass over the image's constants.
int go_knob_find(const struct target *target, const struct image *image, const char *name,
                 uint64_t *ret_entry);

// What an entry leads to: the run-time address of an int32. -ENOENT when it is no entry of this
// name; -errno.
int go_knob_of_entry(const struct target *target, const struct image *image, const char *name,
                     uint64_t entry, uint64_t *ret_address);

// Adds GODEBUG's madvdontneed and harddecommit, GOGC and GOMEMLIMIT to the report, and the facts
// that follow. `ledger` may be NULL when it could not be read: the environment then has to do. 0 or
// -ENOMEM.
int go_knobs_report(const struct target *target, const struct image *image,
                    const struct go_runtime *runtime, const struct go_ledger *ledger,
                    struct runtime_report *report);

#endif
