// SPDX-License-Identifier: Apache-2.0
// One pass over a target's lazily freed memory: look at a window, take what may be taken, look
// again. Tool world; one thread.
#ifndef EBB_LEVER_RECLAIM_WALK_H
#define EBB_LEVER_RECLAIM_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "lever/reclaim/reclaim.h"
#include "lever/reclaim/sweep.h"
#include "lever/reclaim/tally.h"
#include "proc/mappings.h"

struct walk {
    // What it goes by.
    const struct reclaim *reclaim;
    struct process *process;
    bool is_acting; // false: only looks and counts

    // What came of it.
    struct tally tally;
    struct sweep sweep; // its counts of calls and their times
    uint64_t page_bytes;
    uint64_t total_bytes, done_bytes; // lazily freed bytes of the mappings: all, and seen so far
};

// May pages of this mapping be lazily freed, and can the kernel take them? smaps says so.
bool walk_is_candidate(const struct mapping *mapping);

// Walks the candidates among `mappings`. 0; -EINTR when the options' is_stopped said so: what was
// done is counted; -ESRCH, -ESTALE; -ENOMEM; -errno of process_madvise() or the files. Cost: 30 ms
// for each GiB to look, 130 ms to take. Memory: 4 MiB, whatever the size of the target.
int walk_mappings(struct walk *walk, const struct mappings *mappings);

#endif
