// SPDX-License-Identifier: Apache-2.0
// The heap that the memory benches fill: blocks of 16 B to 64 KiB, log-uniform by requested size,
// and one in a thousand of 1 to 4 MiB; or small ones of 16 to 512 B. Every byte is written. What
// remembers the blocks comes from mmap, so that it can be told from the heap.
#ifndef BENCH_MALLOC_FILL_H
#define BENCH_MALLOC_FILL_H

#include "bench.h"

#include <sys/mman.h>

#define KEPT_PERCENT 10

// What one thread holds. Guarded by the program's barriers: one thread at a time works on it.
struct owner {
    void **blocks;
    size_t count, room;
    size_t bytes; // requested, of all blocks
    uint64_t random;
    int is_small;
};

static inline size_t size_mixed(uint64_t *random)
{
    if (random_below(random, 1000) == 0)
        return (1u << 20) + random_below(random, 3u << 20);
    return random_size(random, 4, 16);
}

// Room for `bytes` of the smallest blocks; only pages that are written take memory.
static inline void owner_start(struct owner *owner, size_t bytes, int is_small, int number)
{
    owner->room = bytes / 16 + 1;
    owner->blocks = mmap(NULL, owner->room * sizeof *owner->blocks, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (owner->blocks == MAP_FAILED)
        fail("no room for the list of blocks");
    owner->random = SEED + (uint64_t)number * 7919;
    owner->is_small = is_small;
}

static inline void owner_fill(struct owner *owner, size_t bytes)
{
    for (; owner->bytes < bytes; owner->count++) {
        size_t size =
            owner->is_small ? random_size(&owner->random, 4, 9) : size_mixed(&owner->random);
        void *block = malloc(size);
        if (!block || owner->count == owner->room)
            fail("malloc failed");
        memset(block, 0x5a, size);
        block_mark(block, size);
        owner->blocks[owner->count] = block;
        owner->bytes += size;
    }
}

static inline void owner_shuffle(struct owner *owner)
{
    for (size_t i = owner->count; i > 1; i--) {
        size_t other = random_below(&owner->random, i);
        void *block = owner->blocks[i - 1];
        owner->blocks[i - 1] = owner->blocks[other];
        owner->blocks[other] = block;
    }
}

// Frees the last block of the list.
static inline void owner_free_last(struct owner *owner)
{
    void *block = owner->blocks[--owner->count];
    owner->bytes -= block_check(block);
    free(block);
}

static inline void owner_free_to(struct owner *owner, size_t count)
{
    while (owner->count > count)
        owner_free_last(owner);
}

// Gives back the list's pages beyond its last block; returns the bytes that it still takes.
static inline size_t owner_trim_list(struct owner *owner)
{
    size_t used = owner->count * sizeof *owner->blocks;
    used = (used + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    size_t whole = owner->room * sizeof *owner->blocks;
    if (used < whole)
        madvise((char *)owner->blocks + used, whole - used, MADV_DONTNEED);
    return used;
}

static inline void owner_check(const struct owner *owner)
{
    for (size_t i = 0; i < owner->count; i++)
        (void)block_check(owner->blocks[i]);
}

#endif
