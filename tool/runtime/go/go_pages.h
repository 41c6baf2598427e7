// SPDX-License-Identifier: Apache-2.0
// Go's page allocator (1.14 on): which pages of the heap are free, and which of those were given
// back. Tool world.
//
// runtime/mpagealloc.go: two bitmaps of 512 pages for every 4 MiB chunk: allocated, and scavenged
// (given back to the system). A free page that is not scavenged is kept.
#ifndef EBB_RUNTIME_GO_GO_PAGES_H
#define EBB_RUNTIME_GO_GO_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "proc/mappings.h"
#include "proc/pagemap.h"
#include "runtime/go/go_runtime.h"

enum go_page_state { GO_PAGES_ALLOCATED, GO_PAGES_KEPT, GO_PAGES_RETURNED, GO_PAGE_STATES };

struct go_chunk {
    uint64_t allocated[GO_CHUNK_PAGES / 64];
    uint64_t scavenged[GO_CHUNK_PAGES / 64];
};

// Length of the run of pages in one state that begins at `page` (< GO_CHUNK_PAGES). Pure.
unsigned go_chunk_run(const struct go_chunk *chunk, unsigned page, enum go_page_state *ret_state);

// The heap's address ranges, ascending. malloc'ed, free() it. Versions before 1.14: whole
// arenas; 1.11, which has no list of them, is asked for each of `mappings` (NULL: none). 0; -ENOENT
// when this version keeps no such list; -EBADMSG; as process_peek().
int go_heap_ranges(const struct go_runtime *runtime, const struct mappings *mappings,
                   struct page_range **ret_ranges, size_t *ret_count);

struct go_page_totals {
    uint64_t bytes[GO_PAGE_STATES];    // by the bitmaps
    uint64_t resident[GO_PAGE_STATES]; // of those, in memory; not measured for GO_PAGES_ALLOCATED
    uint64_t unread_bytes;             // chunks whose bitmaps could not be read
};

// Walks the bitmaps of the ranges and measures what is resident of free pages.
// 0; -ENOENT before 1.14; -ETIME; as pagemap_count().
// Cost: 128 bytes read per 4 MiB, and pagemap over the free pages.
int go_pages_measure(const struct go_runtime *runtime, struct process *process,
                     const struct page_range *ranges, size_t count, uint64_t deadline_ns,
                     struct go_page_totals *ret_totals);

#endif
