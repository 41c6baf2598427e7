// SPDX-License-Identifier: Apache-2.0
// What a reclaim saw and did, and its words for the report. Tool world.
#ifndef EBB_LEVER_RECLAIM_TALLY_H
#define EBB_LEVER_RECLAIM_TALLY_H

#include "lever/lever.h"
#include "lever/reclaim/pages.h"

struct tally {
    struct page_counts_by_fate fates;
    struct page_results results;
    uint64_t live_huge_pages;  // huge pages whose mapping was split and put together again
    uint64_t split_huge_pages; // those that stayed split
    // Of whole mappings, from smaps.
    uint64_t locked_bytes;    // lazily freed in locked mappings
    uint64_t undrained_bytes; // lazily freed, not yet known to be so
    uint64_t huge_bytes;      // left in coarse mode
    uint64_t refused_bytes;
};

// Adds a row for each kind of page that was left alone, and warnings. `has_acted`: the results
// count. 0 or -ENOMEM.
int tally_report(const struct tally *tally, struct process *process, uint64_t page_bytes,
                 bool has_acted, struct lever_report *report);

#endif
