// SPDX-License-Identifier: Apache-2.0
// Blocks mapped one by one, see mmapped.h. Tool world; one thread.
#include <errno.h>

#include "runtime/glibc/mmapped.h"

// Flags in the low bits of a size (IS_MMAPPED) and of an offset (IS_HUGE, 2.43 and later).
enum { SIZE_FLAGS = 7, IS_MMAPPED = 2, HEADER_BYTES = 16, IS_HUGE = 1 };

int glibc_mmapped_at(struct glibc_memory *memory, uint64_t address, uint64_t end,
                     uint64_t *ret_bytes)
{
    uint64_t words[2];
    if (address >= end || end - address < memory->page_bytes)
        return -ENOENT;
    // Straight past the cache: page starts never share a page.
    int error = memory->peek(memory->context, address, words, sizeof words);
    if (error)
        return error;
    uint64_t skipped = words[0] & ~(uint64_t)IS_HUGE, size = words[1] & ~(uint64_t)SIZE_FLAGS;
    // Neither PREV_INUSE nor NON_MAIN_ARENA is ever set on such a block.
    if ((words[1] & SIZE_FLAGS) != IS_MMAPPED || skipped >= memory->page_bytes ||
        size > end - address)
        return -ENOENT;
    uint64_t bytes = skipped + size;
    // Which of the two formulas holds is told by which gives whole pages.
    if (bytes % memory->page_bytes != 0)
        bytes += HEADER_BYTES;
    if (bytes == 0 || bytes % memory->page_bytes != 0 || bytes > end - address)
        return -ENOENT;
    *ret_bytes = bytes;
    return 0;
}

enum { CHOICES_MAX = 100000, BLOCKS_MAX = 64 };

// Goes back to the last block that was taken and leaves it out. False when none is left to go to.
static bool go_back(const struct glibc_block *blocks, uint64_t *chosen, size_t *next,
                    uint64_t *wanted, uint64_t *wanted_bytes)
{
    if (*chosen == 0)
        return false;
    size_t last = 63 - (size_t)__builtin_clzll(*chosen);
    *chosen &= ~(UINT64_C(1) << last);
    *wanted += 1;
    *wanted_bytes += blocks[last].bytes;
    *next = last + 1;
    return true;
}

// Depth first, without recursion: what has been chosen is the path.
uint64_t glibc_mmapped_choose(const struct glibc_block *blocks, size_t count, uint64_t wanted,
                              uint64_t wanted_bytes)
{
    uint64_t chosen = 0;
    size_t next = 0;
    if (count > BLOCKS_MAX)
        return 0;
    for (size_t step = 0; step < CHOICES_MAX; step++) {
        if (wanted == 0 && wanted_bytes == 0)
            return chosen;
        if (wanted == 0 || count - next < wanted) {
            if (!go_back(blocks, &chosen, &next, &wanted, &wanted_bytes))
                return 0;
            continue;
        }
        if (blocks[next].bytes <= wanted_bytes) {
            chosen |= UINT64_C(1) << next;
            wanted--;
            wanted_bytes -= blocks[next].bytes;
        }
        next++;
    }
    return 0;
}
