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
    bool only_huge; // of a table with sizes, only mappings that have huge pages

    // What came of it.
    struct tally tally;
    struct sweep sweep; // its counts of calls and their times
    uint64_t page_bytes;
    uint64_t total_bytes, done_bytes; // of the candidates: lazily freed, or mapped without sizes
};

// May pages of this mapping be lazily freed, and can the kernel take them? smaps says so; maps,
// which has no sizes, only that it is private memory without a file.
bool walk_is_candidate(const struct mapping *mapping, bool has_sizes);

// Walks the candidates among `mappings`. Huge pages are taken where it has sizes only, since the
// sum tells whether they are free; else they are counted as unsure. 0; -EINTR when the options'
// is_stopped said so: what was done is counted; -ESRCH, -ESTALE; -ENOMEM; -errno of
// process_madvise() or the files. Cost: 30 ms for each GiB to look, 130 ms to take. Memory: 4 MiB,
// whatever the size of the target.
int walk_mappings(struct walk *walk, const struct mappings *mappings);

// Adds what a second walk over the huge pages of the same target came to: they were unsure before.
void walk_join(struct walk *walk, const struct walk *second);

#endif
