// SPDX-License-Identifier: Apache-2.0
// What a test program says of its own glibc heap: mallinfo2, and the free pages it measures itself
// by going through its chunks. Test code; allocates nothing, so that saying it changes nothing.
#ifndef EBB_TESTS_GLIBC_SELF_H
#define EBB_TESTS_GLIBC_SELF_H

#include <fcntl.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SELF_HEAP_BYTES = 64 << 20, SELF_PAGE = 4096, SELF_HEADER = 48 };

struct self_counts {
    uint64_t free_bytes, kept_bytes, chunks;
};

static inline uint64_t self_resident(int pagemap, uintptr_t start, uintptr_t end)
{
    static uint64_t entries[4096];
    uint64_t bytes = 0;
    for (uintptr_t at = start; at < end;) {
        size_t count = (end - at) / SELF_PAGE < 4096 ? (end - at) / SELF_PAGE : 4096;
        if (pread(pagemap, entries, count * 8, (off_t)(at / SELF_PAGE * 8)) != (ssize_t)(count * 8))
            return bytes;
        for (size_t i = 0; i < count; i++)
            bytes += (entries[i] >> 63) * SELF_PAGE;
        at += count * SELF_PAGE;
    }
    return bytes;
}

// Goes from the chunk of `block` to the end of its heap and counts the free chunks, top included.
static inline void self_count(int pagemap, const void *block, uintptr_t end,
                              struct self_counts *counts)
{
    uintptr_t at = (uintptr_t)block - 16;
    while (at + 16 < end) {
        size_t size = *(size_t *)(at + 8) & ~(size_t)7;
        uintptr_t next = at + size;
        if (size < 32)
            break; // the fencepost of a heap that has a successor
        int is_top = next >= end;
        if (is_top || !(*(size_t *)(next + 8) & 1)) {
            uintptr_t from =
                (at + (is_top ? 32 : SELF_HEADER) + SELF_PAGE - 1) & ~(uintptr_t)(SELF_PAGE - 1);
            uintptr_t upto = next & ~(uintptr_t)(SELF_PAGE - 1);
            counts->free_bytes += size;
            counts->chunks++;
            if (from < upto)
                counts->kept_bytes += self_resident(pagemap, from, upto);
        }
        at = next;
    }
}

// The end of the heap that holds `block`: the brk's, which lies below all mappings, or what the
// heap's header says.
static inline uintptr_t self_heap_end(const void *block)
{
    uintptr_t brk_end = (uintptr_t)sbrk(0);
    if ((uintptr_t)block < brk_end)
        return brk_end;
    uintptr_t heap = (uintptr_t)block & ~(uintptr_t)(SELF_HEAP_BYTES - 1);
    return heap + *(size_t *)(heap + 16);
}

// mallinfo2 came with 2.33; before it there are only ints.
#if __GLIBC_PREREQ(2, 33)
typedef struct mallinfo2 self_info;
static inline self_info self_mallinfo(void)
{
    return mallinfo2();
}
#else
typedef struct {
    size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
} self_info;
static inline self_info self_mallinfo(void)
{
    struct mallinfo old = mallinfo();
    return (self_info){(unsigned)old.arena,   (unsigned)old.ordblks,  (unsigned)old.smblks,
                       (unsigned)old.hblks,   (unsigned)old.hblkhd,   (unsigned)old.usmblks,
                       (unsigned)old.fsmblks, (unsigned)old.uordblks, (unsigned)old.fordblks,
                       (unsigned)old.keepcost};
}
#endif

// Says "ready", then answers each line on stdin with the figures, as name=value; ends with the
// input. `kept` is counted from `blocks`, one early block of each heap.
static inline int self_serve(const void *const *blocks, size_t count)
{
    static char text[1024], line[64];
    int pagemap = open("/proc/self/pagemap", O_RDONLY);
    (void)self_mallinfo();
    if (write(1, "ready\n", 6) != 6)
        return 1;
    while (read(0, line, sizeof line) > 0) {
        self_info info = self_mallinfo();
        struct self_counts counts = {0};
        for (size_t i = 0; i < count; i++)
            self_count(pagemap, blocks[i], self_heap_end(blocks[i]), &counts);
        int len =
            snprintf(text, sizeof text,
                     "arena=%zu ordblks=%zu smblks=%zu hblks=%zu hblkhd=%zu usmblks=%zu "
                     "fsmblks=%zu uordblks=%zu fordblks=%zu keepcost=%zu kept=%zu walked=%zu\n",
                     info.arena, info.ordblks, info.smblks, info.hblks, info.hblkhd, info.usmblks,
                     info.fsmblks, info.uordblks, info.fordblks, info.keepcost,
                     (size_t)counts.kept_bytes, (size_t)counts.free_bytes);
        if (write(1, text, (size_t)len) != len)
            return 1;
    }
    return 0;
}

#endif
