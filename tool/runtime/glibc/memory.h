// SPDX-License-Identifier: Apache-2.0
// How the glibc reader sees a target's memory: an abstract peek behind a page cache. Tool world;
// one thread.
//
// Free lists are chains of small reads all over the heap, several of which often fall on one page;
// the cache makes neighbours cost nothing. The reader behind it can be a process or, in tests, a
// made-up heap.
#ifndef EBB_RUNTIME_GLIBC_MEMORY_H
#define EBB_RUNTIME_GLIBC_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proc/pagemap.h"

enum { GLIBC_PAGE_BYTES = 4096 };

struct glibc_memory {
    // As process_peek(): 0 or -errno, never faults a page in.
    int (*peek)(void *context, uint64_t address, void *ret_data, size_t len);
    // As pagemap_count() over ascending ranges: resident bytes. 0 or -errno.
    int (*count_resident)(void *context, const struct page_range *ranges, size_t count,
                          uint64_t *ret_bytes);
    void *context;
    uint64_t deadline_ns; // CLOCK_MONOTONIC; 0: none
    uint64_t page_bytes;  // of the target's kernel
    uint64_t *cached;     // the addresses of the pages in the cache; 0: empty
    uint8_t *cache;       // GLIBC_PAGE_BYTES for each of them
};

// Makes the cache (1 MiB). 0 or -ENOMEM. The callbacks and the context are the caller's to set.
int glibc_memory_open(struct glibc_memory *memory);
void glibc_memory_close(struct glibc_memory *memory);
// Forgets cached pages, before memory is read a second time.
void glibc_memory_forget(struct glibc_memory *memory);

// Copies `len` bytes (at most a page) through the cache. 0 or -errno as the peek.
int glibc_memory_read(struct glibc_memory *memory, uint64_t address, void *ret_data, size_t len);

uint64_t glibc_now_ns(void); // CLOCK_MONOTONIC

// True when the deadline has passed.
bool glibc_memory_is_late(const struct glibc_memory *memory);

#endif
