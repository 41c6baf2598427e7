// SPDX-License-Identifier: Apache-2.0
// Which memory is Go's, and how it splits into the account's rows. Tool world.
#ifndef EBB_RUNTIME_GO_GO_ACCOUNT_H
#define EBB_RUNTIME_GO_GO_ACCOUNT_H

#include <stdint.h>

#include "runtime/go/go_ledger.h"
#include "runtime/go/go_pages.h"
#include "runtime/report.h"

struct target;

// Resident bytes of Go's heap that are not lazily freed, and what the ledger says of it.
struct go_heap_split {
    uint64_t in_use, slack, kept, stacks, work_bufs; // resident, they sum to `resident` or less
    uint64_t repopulated;                            // in returned ranges, and in memory again
    // Bytes of the ledger that are not resident and were taken off by guess: how far in_use, slack
    // and the part of kept that was not measured may be off together.
    uint64_t error;
};

// What was measured of the heap's ranges.
struct go_heap_measure {
    uint64_t resident, lazy;            // by smaps; lazy pages are not in `resident`
    const struct go_page_totals *pages; // NULL before 1.14
    uint64_t untouched;                 // large objects that are not in memory, as far as known
};

// Pure.
void go_heap_split(const struct go_memstats *stats, const struct go_heap_measure *measure,
                   struct go_heap_split *ret_split);

// Claims Go's heap and metadata and adds the parts of both. 0 or -errno.
int go_account_report(const struct target *target, const struct go_runtime *runtime,
                      const struct go_memstats *stats, uint64_t deadline_ns,
                      struct runtime_report *report);

// For a runtime whose ledger is refused: claims what is Go's by its addresses, as memory that is
// held.
int go_account_report_opaque(const struct target *target, const struct go_runtime *runtime,
                             struct runtime_report *report);

#endif
