// SPDX-License-Identifier: Apache-2.0
// mimalloc's segments, read from outside without symbols: which memory is its own and what lies in
// it. Tool world; the walk is its own state.
//
// A segment is aligned to 32 MiB and begins with a table of its slices of 64 KiB, which tile it
// without a gap: a table that does is believed, and all of a process share the key that is in their
// cookies. So every thread's segments are found, and abandoned ones, by looking at the aligned
// addresses. No function of mimalloc's tells as much without being given one to call back.
// Source: include/mimalloc-types.h and src/segment.c of 2.0.9, mi_segment_t and mi_page_t in a
// build without MI_SECURE; other versions have other structures and are refused.
#ifndef EBB_RUNTIME_ALLOCATORS_MIMALLOC_SEGMENTS_H
#define EBB_RUNTIME_ALLOCATORS_MIMALLOC_SEGMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/target.h"

enum {
    MIMALLOC_HEADER_BYTES = 264, // before the table of slices
    MIMALLOC_SLICE_BYTES = 80,
    MIMALLOC_SLICES = 512, // entries of a table, and slices of an ordinary segment
};

// A segment's header, as far as it is needed.
struct mimalloc_segment {
    uint64_t slices;      // of 64 KiB; a huge segment has as many as its block needs
    uint64_t info_slices; // at its beginning: header and table
    uint64_t entries;     // of the table
    uint64_t key;         // the same in all segments of a process
    bool is_abandoned;    // its thread has ended
};

// A run of slices: a page of blocks of one size, or free.
struct mimalloc_span {
    uint64_t slices;
    uint64_t block_bytes; // 0: free
    uint32_t used, reserved;
};

// Take them apart. False when it cannot be one: the numbers contradict each other. Pure.
bool mimalloc_segment_decode(const uint8_t header[MIMALLOC_HEADER_BYTES], uint64_t address,
                             struct mimalloc_segment *ret_segment);
bool mimalloc_span_decode(const uint8_t slice[MIMALLOC_SLICE_BYTES],
                          struct mimalloc_span *ret_span);

// Claims the segments and adds their parts (in use, slack, kept, metadata) and figures. 0; -ENOENT
// when there is none; -EAGAIN when the target changed too much while it was read; -ETIME; -ENOMEM;
// -EPERM. On failure the report holds no claims and parts of this reader. Cost: a read for each
// 32 MiB of mapped memory, and about 41 KiB more for each segment.
int mimalloc_segments_read(const struct target *target, struct runtime_report *report);

#endif
