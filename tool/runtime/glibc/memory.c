// SPDX-License-Identifier: Apache-2.0
// The page cache over a target's memory, see memory.h. Tool world; one thread.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/glibc/memory.h"

// Direct-mapped; a megabyte suits the caches of processors and the limit on own memory.
enum { CACHE_PAGES = 256 };

// The pages are not zeroed: most processes need a few of them, and a megabyte of zeros would be a
// good part of what a survey of a small one costs.
int glibc_memory_open(struct glibc_memory *memory)
{
    memory->cached = calloc(CACHE_PAGES, sizeof *memory->cached);
    memory->cache = malloc((size_t)CACHE_PAGES * GLIBC_PAGE_BYTES);
    if (memory->cached && memory->cache)
        return 0;
    glibc_memory_close(memory);
    return -ENOMEM;
}

void glibc_memory_close(struct glibc_memory *memory)
{
    free(memory->cached);
    free(memory->cache);
    memory->cached = NULL;
    memory->cache = NULL;
}

void glibc_memory_forget(struct glibc_memory *memory)
{
    memset(memory->cached, 0, CACHE_PAGES * sizeof *memory->cached);
}

// The cached copy of the page at `address`, fetched if need be.
static int cache_page(struct glibc_memory *memory, uint64_t address, const uint8_t **ret_data)
{
    size_t slot = (address / GLIBC_PAGE_BYTES) & (CACHE_PAGES - 1);
    uint8_t *data = memory->cache + slot * GLIBC_PAGE_BYTES;
    // Page 0 is never mapped, so that its address can mean "empty".
    if (address == 0)
        return -EFAULT;
    if (memory->cached[slot] != address) {
        // Empty until the copy is whole.
        memory->cached[slot] = 0;
        int error = memory->peek(memory->context, address, data, GLIBC_PAGE_BYTES);
        if (error)
            return error;
        memory->cached[slot] = address;
    }
    *ret_data = data;
    return 0;
}

// The longest structure that is read at once is an arena, half a page.
int glibc_memory_read(struct glibc_memory *memory, uint64_t address, void *ret_data, size_t len)
{
    // Nothing is given out before all of it was read.
    uint8_t copy[GLIBC_PAGE_BYTES];
    size_t done = 0;
    if (len > sizeof copy || address + len < address)
        return -EFAULT;
    while (done < len) {
        // A structure may lie across a page border, and the second page may be absent.
        uint64_t at = address + done;
        size_t offset = at % GLIBC_PAGE_BYTES;
        size_t piece =
            GLIBC_PAGE_BYTES - offset < len - done ? GLIBC_PAGE_BYTES - offset : len - done;
        const uint8_t *page;
        int error = cache_page(memory, at - offset, &page);
        if (error)
            return error;
        memcpy(copy + done, page + offset, piece);
        done += piece;
    }
    memcpy(ret_data, copy, len);
    return 0;
}

uint64_t glibc_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

// A large heap of small chunks takes longer than anybody waits: what is known by then is told.
bool glibc_memory_is_late(const struct glibc_memory *memory)
{
    return memory->deadline_ns != 0 && glibc_now_ns() > memory->deadline_ns;
}
