// SPDX-License-Identifier: Apache-2.0
// Arenas (malloc_state) in bytes, see layout.h. Tool world; pure.
#include <errno.h>
#include <string.h>

#include "runtime/glibc/layout.h"

enum {
    BINMAP_BYTES = 16,
    ATTACHED_THREADS_MAX = 1 << 16,
};

// Bytes need not be aligned.
static uint64_t word_at(const uint8_t *data, size_t offset)
{
    uint64_t word;
    memcpy(&word, data + offset, sizeof word);
    return word;
}

size_t glibc_arena_next_offset(enum glibc_arena_kind kind)
{
    return (size_t)kind + GLIBC_BINS_BYTES + BINMAP_BYTES;
}

size_t glibc_arena_size(enum glibc_arena_kind kind)
{
    return glibc_arena_next_offset(kind) + 5 * sizeof(uint64_t);
}

// Field by field: padding holds anything.
bool glibc_arena_is_same(const struct glibc_arena *a, const struct glibc_arena *b)
{
    return a->address == b->address && a->bins_address == b->bins_address && a->flags == b->flags &&
           a->top == b->top && a->next == b->next && a->attached_threads == b->attached_threads &&
           a->system_bytes == b->system_bytes && a->max_system_bytes == b->max_system_bytes &&
           memcmp(a->fastbins, b->fastbins, sizeof a->fastbins) == 0 &&
           memcmp(a->bins, b->bins, sizeof a->bins) == 0;
}

uint64_t glibc_bin_address(const struct glibc_arena *arena, unsigned bin)
{
    // A bin poses as a chunk whose fd and bk it is, so it points 16 bytes before itself.
    return arena->bins_address + (uint64_t)(bin - 1) * 16 - 16;
}

unsigned glibc_bin_of_size(uint64_t bytes)
{
    // Source: smallbin_index() and largebin_index_64() of malloc.c. Steps of 16, 64, 512, 4096 ...
    // bytes.
    if (bytes < 1024)
        return (unsigned)(bytes >> 4);
    if (bytes >> 6 <= 48)
        return 48 + (unsigned)(bytes >> 6);
    if (bytes >> 9 <= 20)
        return 91 + (unsigned)(bytes >> 9);
    if (bytes >> 12 <= 10)
        return 110 + (unsigned)(bytes >> 12);
    if (bytes >> 15 <= 4)
        return 119 + (unsigned)(bytes >> 15);
    if (bytes >> 18 <= 2)
        return 124 + (unsigned)(bytes >> 18);
    return 126;
}

// The counters behind `next` and `next_free`. attached_threads came with 2.23 and was backported by
// some, so it is told by its value: a count of threads is small, memory from the system is not.
static int arena_decode_counters(const uint8_t *words, struct glibc_arena *arena)
{
    uint64_t first = word_at(words, 16), second = word_at(words, 24), third = word_at(words, 32);
    bool has_attached = first < ATTACHED_THREADS_MAX && second <= third;
    if (has_attached) {
        arena->attached_threads = first;
        arena->system_bytes = second;
        arena->max_system_bytes = third;
    } else {
        arena->system_bytes = first;
        arena->max_system_bytes = second;
    }
    if (arena->system_bytes > arena->max_system_bytes || arena->system_bytes % 16 != 0)
        return -EBADMSG;
    // No address space holds more.
    return arena->system_bytes >> 48 ? -EBADMSG : 0;
}

int glibc_arena_decode(enum glibc_arena_kind kind, uint64_t address, const uint8_t *data,
                       size_t len, struct glibc_arena *ret_arena)
{
    if (len < glibc_arena_size(kind) || address % 8 != 0)
        return -EBADMSG;
    struct glibc_arena arena = {.address = address, .bins_address = address + (uint64_t)kind};
    memcpy(&arena.flags, data + 4, sizeof arena.flags);
    // have_fastchunks, where it is, lies between the flags and them.
    if (kind != GLIBC_ARENA_2_43)
        memcpy(arena.fastbins, data + (kind == GLIBC_ARENA_2_27 ? 16 : 8), sizeof arena.fastbins);
    arena.top = word_at(data, (size_t)kind - 16);
    memcpy(arena.bins, data + (size_t)kind, sizeof arena.bins);
    size_t next_offset = glibc_arena_next_offset(kind);
    arena.next = word_at(data, next_offset);
    int error = arena_decode_counters(data + next_offset, &arena);
    if (error)
        return error;
    // Only two flags ever existed: fast chunks (to 2.26), non-contiguous; 4 was arena corruption.
    if (arena.flags > 7 || arena.top == 0 || arena.top % 8 != 0)
        return -EBADMSG;
    // No size is sorted into the last bin: it stays empty.
    uint64_t self = glibc_bin_address(&arena, GLIBC_BINS);
    if (arena.bins[2 * GLIBC_BINS - 2] != self || arena.bins[2 * GLIBC_BINS - 1] != self)
        return -EBADMSG;
    *ret_arena = arena;
    return 0;
}

// A bin whose fd and bk lead to itself.
static bool is_empty_bin(uint64_t address, const uint8_t *data, size_t len, size_t offset)
{
    if (offset + 16 > len)
        return false;
    uint64_t self = address + offset - 16;
    return word_at(data, offset) == self && word_at(data, offset + 8) == self;
}

int glibc_bins_find(uint64_t address, const uint8_t *data, size_t len, size_t *offset,
                    uint64_t *ret_bins_address)
{
    // What follows the last bin must be seen to be none.
    for (size_t at = *offset; at + 32 <= len; at += 8) {
        // The last bin is always empty, and what follows it never looks like one.
        if (!is_empty_bin(address, data, len, at) || is_empty_bin(address, data, len, at + 16))
            continue;
        // There must be room for all the others before it.
        if (at < GLIBC_BINS_BYTES - 16)
            continue;
        *offset = at + 16;
        *ret_bins_address = address + at - (GLIBC_BINS_BYTES - 16);
        return 0;
    }
    return -ENOENT;
}

// An arena that was never used is all zeros up to `next`.
static bool is_zero(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i] != 0)
            return false;
    }
    return true;
}

int glibc_unused_arena_find(uint64_t address, const uint8_t *data, size_t len,
                            uint64_t *ret_address, enum glibc_arena_kind *ret_kind)
{
    static const enum glibc_arena_kind kinds[] = {GLIBC_ARENA_2_27, GLIBC_ARENA_2_17,
                                                  GLIBC_ARENA_2_43};
    for (size_t at = 0; at + 24 <= len; at += 8) {
        uint64_t value = word_at(data, at);
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
            size_t before = glibc_arena_next_offset(kinds[i]);
            // `next` must point at the arena that it ends, if it is of this kind.
            if (at < before || value != address + at - before || word_at(data, at + 8) != 0)
                continue;
            if (word_at(data, at + 16) > 1 || !is_zero(data + at - before, before))
                continue;
            *ret_address = value;
            *ret_kind = kinds[i];
            return 0;
        }
    }
    return -ENOENT;
}
