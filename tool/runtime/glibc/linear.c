// SPDX-License-Identifier: Apache-2.0
// Going through a heap from chunk to chunk, see free.h. Tool world; one thread.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/glibc/free.h"

enum {
    PREV_IN_USE = 1,
    SIZE_FLAGS = 7,
    WINDOW_BYTES = 256 << 10,
    FREE_HEADER_BYTES = 48,
    FAST_CHUNK_MAX_BYTES = GLIBC_CHUNK_MIN_BYTES + (GLIBC_FASTBINS - 1) * GLIBC_CHUNK_HEADER_BYTES,
};

// A stretch of the heap read at once. Large where chunks are small; shrinks to a page where they
// are far apart or where a neighbouring page is not in memory.
struct window {
    struct glibc_memory *memory;
    uint64_t start, len;
    uint64_t span;      // what to try next
    uint64_t read_upto; // where the last read ended, to see whether reads follow each other
    uint8_t *data;
};

// Moves the window so that it begins at the page of `address`. 0 or -errno.
static int window_move(struct window *window, uint64_t address, uint64_t end)
{
    // Reads that follow each other grow; a jump says that chunks are large here.
    uint64_t start = address & ~(uint64_t)(GLIBC_PAGE_BYTES - 1);
    bool follows = start >= window->read_upto && start - window->read_upto <= window->span / 2;
    if (follows && window->span < WINDOW_BYTES)
        window->span *= 2;
    else if (!follows && window->span > GLIBC_PAGE_BYTES)
        window->span /= 2;
    // A header may lie across the border, so one page more than the end.
    uint64_t limit = ((end + GLIBC_PAGE_BYTES - 1) & ~(uint64_t)(GLIBC_PAGE_BYTES - 1)) - start;
    uint64_t len = window->span < limit ? window->span : limit;
    int error = -ENODATA;
    window->len = 0;
    if (len > GLIBC_PAGE_BYTES)
        error = window->memory->peek(window->memory->context, start, window->data, len);
    // Some page of it is not in memory; the one that is asked for must be.
    if (error) {
        window->span = len = GLIBC_PAGE_BYTES;
        error = window->memory->peek(window->memory->context, start, window->data, len);
    }
    if (error)
        return error;
    window->start = start;
    window->len = len;
    window->read_upto = start + len;
    return 0;
}

// Reads prev_size and size of the chunk at `address`, a multiple of 16, so that they share a page.
static int window_header(struct window *window, uint64_t address, uint64_t end,
                         uint64_t ret_words[2])
{
    if (address - window->start >= window->len) {
        int error = window_move(window, address, end);
        if (error)
            return error;
    }
    memcpy(ret_words, window->data + (address - window->start), 2 * sizeof *ret_words);
    return 0;
}

// The end of a heap that has a successor: a chunk of nothing but a header, then one of size 0.
// Source: sysmalloc() writes it where a heap cannot grow and another one follows.
static bool is_fencepost(uint64_t size, uint64_t left_bytes)
{
    return size <= GLIBC_CHUNK_HEADER_BYTES && left_bytes <= 2 * GLIBC_CHUNK_MIN_BYTES;
}

// Notes what may be a fastbin's link in a small chunk. The word may lie in the next window: then it
// is left out.
static int note_link(const struct window *window, const struct glibc_walk *walk, uint64_t address,
                     uint64_t bytes)
{
    uint64_t at = address + GLIBC_CHUNK_HEADER_BYTES - window->start, link;
    if (!walk->links || bytes > FAST_CHUNK_MAX_BYTES || at + sizeof link > window->len)
        return 0;
    memcpy(&link, window->data + at, sizeof link);
    uint64_t next = glibc_fast_next(walk, address, link);
    if (next % GLIBC_CHUNK_HEADER_BYTES != 0 ||
        !glibc_regions_find(walk->regions, next, GLIBC_CHUNK_MIN_BYTES))
        return 0;
    return glibc_links_add(walk->links, address, next);
}

static int region_walk(struct window *window, const struct glibc_walk *walk,
                       const struct glibc_region *region, uint64_t end, struct glibc_tally *tally,
                       uint64_t *stop)
{
    // `before` is the chunk that led here: free or not is known only now.
    uint64_t address = region->first_chunk, before = 0, before_bytes = 0;
    while (address + GLIBC_CHUNK_HEADER_BYTES <= end) {
        uint64_t words[2];
        uint64_t window_before = window->start;
        int error = window_header(window, address, end, words);
        if (error)
            return error;
        // One look at the clock per window.
        if (window->start != window_before && glibc_memory_is_late(walk->memory))
            return -ETIME;
        // Whether a chunk is free is written in its successor, and so is its size.
        bool is_free = before && !(words[1] & PREV_IN_USE);
        bool is_confirmed = words[0] == before_bytes;
        if (is_free && !is_confirmed && !walk->is_moving)
            return -EBADMSG;
        if (is_free && is_confirmed)
            error = glibc_tally_add(tally, walk->memory, before, before_bytes, FREE_HEADER_BYTES);
        if (error)
            return error;
        *stop = address;
        before = address;
        before_bytes = words[1] & ~(uint64_t)SIZE_FLAGS;
        if (is_fencepost(before_bytes, end - address))
            return 0;
        if (before_bytes < GLIBC_CHUNK_MIN_BYTES || before_bytes % GLIBC_CHUNK_HEADER_BYTES != 0 ||
            before_bytes > region->end - address)
            return -EBADMSG;
        // Only chunks that count as in use can be in a fastbin, but to check is dearer than to
        // note.
        error = note_link(window, walk, address, before_bytes);
        if (error)
            return error;
        address += before_bytes;
    }
    // The chunk before top is never free: it would have become a part of it.
    *stop = address;
    return address == end ? 0 : -EBADMSG;
}

int glibc_region_walk(const struct glibc_walk *walk, const struct glibc_region *region,
                      uint64_t end, struct glibc_tally *tally, uint64_t *ret_stop)
{
    *ret_stop = region->first_chunk;
    if (region->first_chunk == 0 || region->first_chunk % GLIBC_CHUNK_HEADER_BYTES != 0)
        return -EBADMSG;
    struct window window = {.memory = walk->memory, .span = GLIBC_PAGE_BYTES};
    // Not on the stack: a quarter of a megabyte.
    window.data = malloc(WINDOW_BYTES);
    if (!window.data)
        return -ENOMEM;
    int error = region_walk(&window, walk, region, end, tally, ret_stop);
    free(window.data);
    return error;
}
