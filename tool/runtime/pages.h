// SPDX-License-Identifier: Apache-2.0
// A small cache of a target's pages, for walks that follow many pointers into the same tables. Tool
// world; its owner guards it.
#ifndef EBB_RUNTIME_PAGES_H
#define EBB_RUNTIME_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proc/pagemap.h"

struct process;

enum { PAGES_SLOTS = 512, PAGES_SIZE = 4096 };

struct pages {
    struct process *process;
    uint64_t *tags;          // page address + 1 of each slot, 0 empty
    uint8_t *data;           // PAGES_SLOTS pages
    uint64_t deadline_ns;    // 0: none
    uint64_t reads, lookups; // pages read, copies handed out
};

// `budget_ms` 0: no limit. 0 or -ENOMEM. pages_free() frees it, also after a failure.
int pages_init(struct pages *pages, struct process *process, unsigned budget_ms);
void pages_free(struct pages *pages);

// Copies up to PAGES_SIZE bytes. As process_peek(), and -ETIME when the budget has run out.
int pages_read(struct pages *pages, uint64_t address, void *ret_data, size_t len);
// Past the cache, for what is read once: as process_peek_each(), and -ETIME. A few hundred at most
// in one call.
int pages_read_each(struct pages *pages, uint64_t address, uint64_t stride, size_t count,
                    size_t len, void *ret_data, bool *ret_present);
int pages_read_u64(struct pages *pages, uint64_t address, uint64_t *ret_value);

// A list of address ranges that grows at its end.
struct ranges {
    struct page_range *items;
    size_t count, capacity;
};

// Adds [start, end), joined to the last one where they touch. 0 or -ENOMEM.
int ranges_add(struct ranges *ranges, uint64_t start, uint64_t end);
// Puts them in order and joins those that touch or overlap: before they are counted or claimed.
void ranges_sort(struct ranges *ranges);
// Resident bytes of all of them. 0 or as pagemap_count().
int ranges_resident(struct process *process, const struct ranges *ranges, uint64_t *ret_bytes);
uint64_t ranges_bytes(const struct ranges *ranges);
void ranges_free(struct ranges *ranges);

#endif
