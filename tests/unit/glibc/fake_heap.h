// SPDX-License-Identifier: Apache-2.0
// A made-up arena and heap for the tests of the glibc reader. Test code; each test has its own.
//
// Memory is three stretches: one with the arena (as in libc's data), one with chunks (as in the
// brk), one free for the test. Whatever lies outside is not mapped.
#ifndef EBB_UNIT_GLIBC_FAKE_HEAP_H
#define EBB_UNIT_GLIBC_FAKE_HEAP_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/glibc/survey.h"

enum { FAKE_DATA_BYTES = 16384, FAKE_HEAP_BYTES = 1 << 20, FAKE_STRETCHES = 3 };

#define FAKE_DATA  UINT64_C(0x7f0000000000)
#define FAKE_HEAP  UINT64_C(0x550000000000)
#define FAKE_OTHER UINT64_C(0x7e0000000000)
// Not at the start of the data, nor at a page's.
#define FAKE_ARENA (FAKE_DATA + 4096 - 512)

struct fake_stretch {
    uint64_t start;
    size_t len;
    uint8_t *data;
};

struct fake_heap {
    struct glibc_memory memory;
    struct fake_stretch stretches[FAKE_STRETCHES];
    enum glibc_arena_kind kind;
    struct glibc_regions regions;
    uint64_t top;                      // where the next chunk will be
    uint64_t absent_start, absent_end; // pages that are not in memory
    unsigned peeks;
};

static inline uint8_t *fake_at(struct fake_heap *heap, uint64_t address, size_t len)
{
    for (size_t i = 0; i < FAKE_STRETCHES; i++) {
        struct fake_stretch *stretch = &heap->stretches[i];
        if (address >= stretch->start && address - stretch->start <= stretch->len &&
            len <= stretch->len - (address - stretch->start))
            return stretch->data + (address - stretch->start);
    }
    return NULL;
}

static inline int fake_peek(void *context, uint64_t address, void *data, size_t len)
{
    struct fake_heap *heap = context;
    const uint8_t *from = fake_at(heap, address, len);
    heap->peeks++;
    if (!from)
        return -EFAULT;
    if (address < heap->absent_end && address + len > heap->absent_start)
        return -ENODATA;
    memcpy(data, from, len);
    return 0;
}

static inline int fake_count(void *context, const struct page_range *ranges, size_t count,
                             uint64_t *bytes)
{
    (void)context;
    for (size_t i = 0; i < count; i++) {
        // The contract of pagemap_count().
        if (ranges[i].start >= ranges[i].end || (i > 0 && ranges[i].start < ranges[i - 1].end))
            return -EINVAL;
        *bytes += ranges[i].end - ranges[i].start;
    }
    return 0;
}

static inline void fake_put(struct fake_heap *heap, uint64_t address, uint64_t word)
{
    uint8_t *at = fake_at(heap, address, sizeof word);
    if (at)
        memcpy(at, &word, sizeof word);
}

static inline uint64_t fake_get(struct fake_heap *heap, uint64_t address)
{
    uint64_t word = 0;
    const uint8_t *at = fake_at(heap, address, sizeof word);
    if (at)
        memcpy(&word, at, sizeof word);
    return word;
}

static inline uint64_t fake_bin(const struct fake_heap *heap, unsigned bin)
{
    return FAKE_ARENA + (uint64_t)heap->kind + (uint64_t)(bin - 1) * 16 - 16;
}

// An arena with empty bins, whose heap is all top.
static inline void fake_open(struct fake_heap *heap, enum glibc_arena_kind kind)
{
    static const uint64_t starts[FAKE_STRETCHES] = {FAKE_DATA, FAKE_HEAP, FAKE_OTHER};
    static const size_t lens[FAKE_STRETCHES] = {FAKE_DATA_BYTES, FAKE_HEAP_BYTES, 65536};
    *heap = (struct fake_heap){.kind = kind};
    for (size_t i = 0; i < FAKE_STRETCHES; i++)
        heap->stretches[i] = (struct fake_stretch){starts[i], lens[i], calloc(1, lens[i])};
    heap->memory = (struct glibc_memory){
        .peek = fake_peek, .count_resident = fake_count, .context = heap, .page_bytes = 4096};
    glibc_memory_open(&heap->memory);
    for (unsigned bin = 1; bin <= GLIBC_BINS; bin++) {
        fake_put(heap, fake_bin(heap, bin) + 16, fake_bin(heap, bin));
        fake_put(heap, fake_bin(heap, bin) + 24, fake_bin(heap, bin));
    }
    uint64_t next = FAKE_ARENA + glibc_arena_next_offset(kind);
    fake_put(heap, next, FAKE_ARENA);
    fake_put(heap, next + 16, 1);
    fake_put(heap, next + 24, FAKE_HEAP_BYTES);
    fake_put(heap, next + 32, FAKE_HEAP_BYTES);
    struct glibc_region region = {FAKE_HEAP, FAKE_HEAP, FAKE_HEAP + FAKE_HEAP_BYTES};
    glibc_regions_add(&heap->regions, &region);
    heap->top = FAKE_HEAP;
}

static inline void fake_close(struct fake_heap *heap)
{
    for (size_t i = 0; i < FAKE_STRETCHES; i++)
        free(heap->stretches[i].data);
    glibc_regions_free(&heap->regions);
    glibc_memory_close(&heap->memory);
}

// Adds a chunk in use.
static inline uint64_t fake_chunk(struct fake_heap *heap, uint64_t size)
{
    uint64_t address = heap->top;
    fake_put(heap, address + 8, size | 1);
    heap->top += size;
    return address;
}

// Marks it free and puts it at the front of a bin.
static inline void fake_free(struct fake_heap *heap, uint64_t chunk, unsigned bin)
{
    uint64_t size = fake_get(heap, chunk + 8) & ~UINT64_C(7), head = fake_bin(heap, bin);
    uint64_t first = fake_get(heap, head + 16);
    fake_put(heap, chunk + size, size);
    fake_put(heap, chunk + size + 8, fake_get(heap, chunk + size + 8) & ~UINT64_C(1));
    fake_put(heap, chunk + 16, first);
    fake_put(heap, chunk + 24, head);
    fake_put(heap, head + 16, chunk);
    fake_put(heap, first + 24, chunk);
}

// Puts it at the front of its fastbin.
static inline void fake_free_fast(struct fake_heap *heap, uint64_t chunk, bool mangle)
{
    uint64_t size = fake_get(heap, chunk + 8) & ~UINT64_C(7);
    uint64_t slot = FAKE_ARENA + (heap->kind == GLIBC_ARENA_2_27 ? 16 : 8) + (size / 16 - 2) * 8;
    uint64_t next = fake_get(heap, slot);
    fake_put(heap, chunk + 16, mangle ? next ^ ((chunk + 16) >> 12) : next);
    fake_put(heap, slot, chunk);
}

// Closes the heap with its top chunk and reads the arena.
static inline int fake_seal(struct fake_heap *heap, struct glibc_arena *arena)
{
    fake_put(heap, heap->top + 8, (FAKE_HEAP + FAKE_HEAP_BYTES - heap->top) | 1);
    fake_put(heap, FAKE_ARENA + (uint64_t)heap->kind - 16, heap->top);
    glibc_memory_forget(&heap->memory);
    return glibc_arena_read(&heap->memory, heap->kind, FAKE_ARENA, arena);
}

#endif
