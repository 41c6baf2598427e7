// SPDX-License-Identifier: Apache-2.0
// What one arena holds: its free chunks counted, by the cheaper of two walks and within the budget.
// Tool world; one thread.
#ifndef EBB_RUNTIME_GLIBC_SURVEY_H
#define EBB_RUNTIME_GLIBC_SURVEY_H

#include "runtime/glibc/free.h"

struct glibc_arena_survey {
    uint64_t address, attached_threads;
    uint64_t system_bytes;
    uint64_t top_bytes;
    uint64_t free_chunks, free_bytes; // top included, fastbins not
    uint64_t fast_chunks, fast_bytes;
    uint64_t whole_bytes;    // whole pages inside free chunks and top
    uint64_t resident_bytes; // of which in memory
    uint64_t free_error_bytes, resident_error_bytes;
    bool approximate; // it moved, a list did not hold together, or the time ran out
    bool is_late;     // the time ran out
    bool is_absent;   // free chunks' headers are not in memory (swapped out)
};

// Surveys the arena at `address`. `first` is its snapshot, from which `regions` were made. The
// lists are walked first; when they cost more fetches than going through the heap in order, that is
// done instead. An arena that changes meanwhile is surveyed again, three times at most. 0 with what
// could be found, the errors said; -EPERM, -ESRCH, -ENOMEM.
int glibc_arena_survey(struct glibc_memory *memory, enum glibc_arena_kind kind,
                       const struct glibc_arena *first, const struct glibc_regions *regions,
                       struct glibc_arena_survey *ret_survey);

#endif
