// SPDX-License-Identifier: Apache-2.0
// All that was found of one glibc malloc, and how it becomes a report. Tool world; one thread.
#ifndef EBB_RUNTIME_GLIBC_RESULT_H
#define EBB_RUNTIME_GLIBC_RESULT_H

#include "runtime/glibc/locate.h"
#include "runtime/glibc/survey.h"

struct glibc_result {
    unsigned version;                  // 236 for 2.36, 0 unknown
    struct glibc_state state;          // where it was found
    struct glibc_arena_survey *arenas; // the main arena first
    size_t arena_count, arena_capacity;
    uint64_t unread_arenas;               // of the ring, whose memory could not be found
    uint64_t metadata_bytes;              // heaps' headers and arenas in them
    uint64_t outside_bytes;               // of the main arena, not in the heap: where is not known
    uint64_t mapped_chunks, mapped_bytes; // blocks mapped one by one, as found
};

// Adds ledger, rows, settings and facts to the report; the claims must be in it. 0 or -ENOMEM.
int glibc_report_fill(const struct target *target, const struct glibc_result *result,
                      struct runtime_report *report);

// Adds the settings in force: environment, GLIBC_TUNABLES, malloc_par. 0 or -ENOMEM.
int glibc_report_settings(const struct target *target, const struct glibc_result *result,
                          struct runtime_report *report);

#endif
