// SPDX-License-Identifier: Apache-2.0
// Sums over the span table: what mallinfo and friends tell. Library world.
#ifndef EBB_HEAP_COUNT_H
#define EBB_HEAP_COUNT_H

#include <stddef.h>
#include <stdint.h>

// All in bytes but for the numbers. in_use + free_in_spans + kept = the runs that are memory, but
// for the ends of large blocks' last slots; off_in_spans of these have gone back.
struct count {
    uint64_t in_use;        // blocks with the program, by block size
    uint64_t free_in_spans; // free, or never handed out, in spans but for spare ones
    uint64_t off_in_spans;  // of these: in pages that were purged
    uint64_t kept;          // free runs and spare spans
    uint64_t returned;      // free runs that are no memory any more, or not yet
    uint64_t lazy;          // of what is off or returned: given back lazily
    uint64_t guarded;       // of in use: guarded blocks
    uint64_t metadata;
    uint64_t live_blocks;
    uint64_t guarded_blocks;
    uint64_t free_runs;
    uint64_t mallocs;
    uint64_t frees;
};

// Exact where no other thread allocates meanwhile. Holds the space's lock: O(runs).
void count_heap(struct count *count);

#endif
