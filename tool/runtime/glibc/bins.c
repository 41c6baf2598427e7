// SPDX-License-Identifier: Apache-2.0
// Walking an arena's free lists, see free.h. Tool world; one thread.
//
// The target runs on and may be hostile. A chunk counts only when it lies in the arena's own
// memory, its size fits there and in its bin, and its back link names the chunk that led here: no
// list that stands still can then loop, and the arena's size bounds one that does not.
#include <errno.h>

#include "runtime/glibc/free.h"

enum {
    SIZE_FLAGS = 7,
    CLOCK_CHECK_CHUNKS = 64,
    // Behind prev_size, size, fd, bk come the two links of large chunks: all of it stays.
    FREE_HEADER_BYTES = 48,
    UNSORTED_BIN = 1,
};

// The head of malloc_chunk; prev_size belongs to the chunk before while that is in use.
struct free_chunk {
    uint64_t prev_size, size, forward, back;
};

static uint64_t chunk_bytes(const struct free_chunk *chunk)
{
    return chunk->size & ~(uint64_t)SIZE_FLAGS;
}

// Reads the chunk and checks that it can be one of this arena. 0, -EBADMSG, -errno of the peek.
static int chunk_read(const struct glibc_walk *walk, uint64_t address, struct free_chunk *chunk)
{
    if (address % GLIBC_CHUNK_HEADER_BYTES != 0)
        return -EBADMSG;
    const struct glibc_region *region =
        glibc_regions_find(walk->regions, address, GLIBC_CHUNK_MIN_BYTES);
    if (!region)
        return -EBADMSG;
    int error = glibc_memory_read(walk->memory, address, chunk, sizeof *chunk);
    if (error)
        return error;
    // Sizes are multiples of 16, and what is free has room for its links.
    uint64_t bytes = chunk_bytes(chunk);
    if (bytes < GLIBC_CHUNK_MIN_BYTES || bytes % GLIBC_CHUNK_HEADER_BYTES != 0)
        return -EBADMSG;
    return bytes <= region->end - address ? 0 : -EBADMSG;
}

// Looks at the clock now and then.
static int walk_check(const struct glibc_walk *walk, uint64_t chunks)
{
    if (chunks % CLOCK_CHECK_CHUNKS != 0)
        return 0;
    if (glibc_memory_is_late(walk->memory))
        return -ETIME;
    return walk->give_up_ns && glibc_now_ns() > walk->give_up_ns ? -E2BIG : 0;
}

// One direction along one bin. `*stop` is the chunk at which the other direction must end: it was
// counted already.
static int bin_walk(const struct glibc_walk *walk, unsigned bin, bool backward, uint64_t *stop,
                    struct glibc_tally *tally)
{
    const struct glibc_arena *arena = walk->arena;
    uint64_t head = glibc_bin_address(arena, bin);
    uint64_t address = arena->bins[(bin - 1) * 2 + (backward ? 1 : 0)];
    uint64_t previous = head, end = backward ? *stop : head;
    // A head that was never set: malloc has not run.
    while (address != head && address != end && address != 0) {
        struct free_chunk chunk;
        int error = walk_check(walk, tally->chunks);
        if (!error)
            error = chunk_read(walk, address, &chunk);
        if (error)
            return error;
        // At rest each chunk names the one that led here, which rules out every loop.
        uint64_t came_from = backward ? chunk.forward : chunk.back;
        uint64_t bytes = chunk_bytes(&chunk);
        bool in_place = bin == UNSORTED_BIN || glibc_bin_of_size(bytes) == bin;
        if (came_from != previous || !in_place || tally->bytes + bytes > arena->system_bytes)
            return -EBADMSG;
        error = glibc_tally_add(tally, walk->memory, address, bytes, FREE_HEADER_BYTES);
        if (error)
            return error;
        // Where a broken list was left: walking back ends there, so that nothing counts twice.
        if (!backward)
            *stop = address;
        previous = address;
        address = backward ? chunk.back : chunk.forward;
    }
    return 0;
}

int glibc_bins_walk(const struct glibc_walk *walk, unsigned first, unsigned last,
                    struct glibc_tally *tally)
{
    int result = 0;
    // Large sizes first: should the time run out, what is left out is small.
    for (unsigned bin = last; bin >= first && bin > 0; bin--) {
        uint64_t last_seen = 0;
        int error = bin_walk(walk, bin, false, &last_seen, tally);
        if (error == -ETIME || error == -E2BIG)
            return error;
        if (!error)
            continue;
        result = error;
        // The list breaks off: what hangs on its other end is still worth counting.
        error = bin_walk(walk, bin, true, &last_seen, tally);
        if (error == -ETIME || error == -E2BIG)
            return error;
    }
    return result;
}

// Source: PROTECT_PTR() of malloc.c: the link is xor-ed with its own address, shifted by a page.
uint64_t glibc_fast_next(const struct glibc_walk *walk, uint64_t address, uint64_t link)
{
    // Since 2.32 the link is protected by the place it lies at.
    return walk->is_mangled ? link ^ ((address + GLIBC_CHUNK_HEADER_BYTES) >> 12) : link;
}

// Whether `link` can be what it seems: the end, or another chunk of the same size.
static bool link_is_sound(const struct glibc_walk *walk, uint64_t link, uint64_t size)
{
    struct free_chunk next;
    return link == 0 || (chunk_read(walk, link, &next) == 0 && chunk_bytes(&next) == size);
}

bool glibc_links_are_mangled(const struct glibc_walk *walk)
{
    for (unsigned index = 0; index < GLIBC_FASTBINS; index++) {
        uint64_t head = walk->arena->fastbins[index];
        struct free_chunk chunk;
        if (head == 0 || chunk_read(walk, head, &chunk) != 0)
            continue;
        // At low addresses a protected link may still lie in the arena, but hardly on a chunk of
        // this size.
        struct glibc_walk mangled = *walk;
        mangled.is_mangled = true;
        uint64_t size = chunk_bytes(&chunk);
        uint64_t next = glibc_fast_next(&mangled, head, chunk.forward);
        bool bare_is_sound = link_is_sound(walk, chunk.forward, size);
        if (bare_is_sound != link_is_sound(walk, next, size))
            return !bare_is_sound;
    }
    return true;
}

// One step along a fastbin: from the links that were collected, or from the target's memory.
static int fast_step(const struct glibc_walk *walk, uint64_t expected_bytes, uint64_t *address)
{
    // Collected links were checked for their region when they were noted.
    if (walk->links && glibc_links_find(walk->links, *address, address))
        return 0;
    struct free_chunk chunk;
    int error = chunk_read(walk, *address, &chunk);
    if (error)
        return error;
    // Each fastbin holds one size; anything else is not one of its chunks, or not any more.
    if (chunk_bytes(&chunk) != expected_bytes)
        return -EBADMSG;
    *address = glibc_fast_next(walk, *address, chunk.forward);
    return 0;
}

static int fastbin_walk(const struct glibc_walk *walk, unsigned index, struct glibc_tally *tally)
{
    uint64_t expected = GLIBC_CHUNK_MIN_BYTES + (uint64_t)index * GLIBC_CHUNK_HEADER_BYTES;
    uint64_t address = walk->arena->fastbins[index];
    while (address != 0) {
        uint64_t here = address;
        int error = walk_check(walk, tally->chunks);
        // More than the arena has: the chain bites its tail.
        if (!error && tally->bytes + expected > walk->arena->system_bytes)
            error = -EBADMSG;
        if (!error)
            error = fast_step(walk, expected, &address);
        if (!error)
            error = glibc_tally_add(tally, walk->memory, here, expected, GLIBC_CHUNK_MIN_BYTES);
        if (error)
            return error;
    }
    return 0;
}

int glibc_fastbins_walk(const struct glibc_walk *walk, struct glibc_tally *tally)
{
    int result = 0;
    // One broken chain does not spoil the others.
    for (unsigned index = 0; index < GLIBC_FASTBINS; index++) {
        int error = fastbin_walk(walk, index, tally);
        if (error == -ETIME || error == -E2BIG)
            return error;
        if (error)
            result = error;
    }
    return result;
}
