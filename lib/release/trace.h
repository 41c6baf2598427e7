// SPDX-License-Identifier: Apache-2.0
// The line that EBB_CONF=trace:purge prints, in the manner of Go's gctrace. Library world; pure but
// for trace_write().
//
//   purge 12 @56.573s 340->12 MiB kept, 0->0 MiB lazy, 328 MiB returned, 83968 pages, 24.1 ms,
//   short
#ifndef EBB_RELEASE_TRACE_H
#define EBB_RELEASE_TRACE_H

#include <stdint.h>

#include "base/die.h"
#include "wire/ledger.h"

// One purge: all that the engine gave back in one look.
struct trace_purge {
    uint64_t number;         // since the start, from 1
    uint64_t at_ns;          // since the heap was started
    uint64_t kept_before;    // bytes of free pages that were kept, as far as the look saw them
    uint64_t kept_after;     //
    uint64_t lazy_before;    // bytes given back lazily
    uint64_t lazy_after;     //
    uint64_t returned_bytes; // given back at once in this purge
    uint64_t pages;          // in all calls of this purge
    uint64_t took_ns;        // processor time of the helper, or of who did it
    enum wire_pressure pressure;
};

// The line without its newline, in `*line`.
void trace_format(const struct trace_purge *purge, struct line *line);

// To stderr, by one write(2).
void trace_write(const struct trace_purge *purge);

#endif
