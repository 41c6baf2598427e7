// SPDX-License-Identifier: Apache-2.0
// A plain glibc heap of one thread: small, fastbin-sized and large blocks, half of them freed; the
// program takes some of the brk itself, or keeps it from growing, if told so.
// glibc_plain [sbrk|blocked]: then serves its figures on stdin.
#include <sys/mman.h>

#include "glibc_self.h"

enum { LARGE = 2000, SMALL = 10, TAKEN_EVERY = 500 };

// The lowest block above `address`: the first of what malloc took behind it.
static const void *lowest_above(void *const *blocks, int count, const void *address)
{
    const void *lowest = NULL;
    for (int i = 0; i < count; i++) {
        int above = (uintptr_t)blocks[i] > (uintptr_t)address;
        if (above && (!lowest || (uintptr_t)blocks[i] < (uintptr_t)lowest))
            lowest = blocks[i];
    }
    return lowest;
}

// A page in the way of the brk: malloc goes on in mappings, and its heap is no longer in one piece.
static int block_brk(void)
{
    uintptr_t page = ((uintptr_t)sbrk(0) + (2 << 20)) & ~(uintptr_t)(SELF_PAGE - 1);
    return mmap((void *)page, SELF_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                0) == MAP_FAILED;
}

int main(int argc, char **argv)
{
    static void *blocks[LARGE * (SMALL + 1)];
    static const void *starts[1 + LARGE / TAKEN_EVERY];
    const void *taken[LARGE / TAKEN_EVERY];
    int takes = argc > 1 && strcmp(argv[1], "sbrk") == 0;
    int block_count = 0, start_count = 1;
    starts[0] = malloc(24);
    if (argc > 1 && strcmp(argv[1], "blocked") == 0 && block_brk())
        return 1;
    for (int i = 0; i < LARGE; i++) {
        blocks[block_count] = malloc(8000 + (size_t)i * 7);
        memset(blocks[block_count++], 1, 8000);
        for (int k = 0; k < SMALL; k++)
            blocks[block_count++] = malloc(24 + (size_t)k * 40);
        // What the program takes itself parts the heap: malloc leaves a gap and counts it as its
        // own.
        if (takes && i % TAKEN_EVERY == TAKEN_EVERY / 2)
            taken[start_count++ - 1] = sbrk(12345 & ~15);
    }
    for (int i = 1; i < start_count; i++)
        starts[i] = lowest_above(blocks, block_count, taken[i - 1]);
    for (int i = 0; i < block_count; i += 3 - i % 2)
        free(blocks[i]);
    return self_serve(starts, (size_t)start_count);
}
