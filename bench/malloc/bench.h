// SPDX-License-Identifier: Apache-2.0
// What the programs of the malloc suite share: random numbers and sizes from a fixed seed, marks in
// blocks that tell when two of them overlap, modes. They know nothing of any malloc.
#ifndef BENCH_MALLOC_BENCH_H
#define BENCH_MALLOC_BENCH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED       88172645463325252u
#define PAGE_BYTES 4096

// A way to run a program; `percent` of the standard amount of work.
struct mode {
    const char *name;
    void (*run)(long percent);
};

// xorshift64: a few instructions, so that it is the malloc that is measured.
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static inline size_t random_below(uint64_t *state, size_t bound)
{
    return (size_t)((random_next(state) >> 32) * bound >> 32);
}

// Sizes from 2^low to 2^high, every octave as likely: 2^(i / 64) steps inside an octave.
static inline size_t random_size(uint64_t *state, unsigned low, unsigned high)
{
    static const uint16_t step[64] = {
        1024, 1035, 1046, 1058, 1069, 1081, 1093, 1105, 1117, 1129, 1141, 1154, 1166,
        1179, 1192, 1205, 1218, 1231, 1244, 1258, 1272, 1286, 1300, 1314, 1328, 1342,
        1357, 1372, 1387, 1402, 1417, 1433, 1448, 1464, 1480, 1496, 1512, 1529, 1545,
        1562, 1579, 1596, 1614, 1632, 1649, 1667, 1685, 1704, 1722, 1741, 1760, 1779,
        1799, 1818, 1838, 1858, 1878, 1899, 1920, 1940, 1962, 1983, 2005, 2026};
    uint64_t random = random_next(state);
    unsigned octave = low + (unsigned)((random >> 40) % (high - low));
    // The bits below a step, or sizes would come in 64 per octave only.
    size_t size = ((size_t)step[random >> 58] << octave >> 10);
    return size + ((random >> 16 & 255) << octave >> 15);
}

// The compiler must believe that a block is used.
static inline void *use(void *block)
{
    __asm__ volatile("" : "+r"(block) : : "memory");
    return block;
}

static inline void fail(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    abort();
}

// Writes a mark at both ends, and a byte on each page between. Needs 16 bytes.
static inline void block_mark(void *block, size_t size)
{
    char *bytes = block;
    for (size_t at = PAGE_BYTES; at < size; at += PAGE_BYTES)
        bytes[at] = 1;
    memcpy(bytes, &size, sizeof size);
    uint64_t end = (uint64_t)(uintptr_t)block ^ size;
    memcpy(bytes + size - sizeof end, &end, sizeof end);
}

// Returns the size that was marked.
static inline size_t block_check(const void *block)
{
    const char *bytes = block;
    size_t size;
    uint64_t end;
    memcpy(&size, bytes, sizeof size);
    memcpy(&end, bytes + size - sizeof end, sizeof end);
    if (end != ((uint64_t)(uintptr_t)block ^ size))
        fail("a block was overwritten");
    return size;
}

static inline void *block_make(size_t size)
{
    void *block = malloc(size);
    if (!block)
        fail("malloc failed");
    block_mark(block, size);
    return block;
}

static inline void block_end(void *block)
{
    if (block)
        (void)block_check(block);
    free(block);
}

static inline pthread_t thread_start(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, argument) != 0)
        fail("pthread_create failed");
    return thread;
}

// PROGRAM MODE [PERCENT]
static inline int bench_main(int argc, char **argv, const struct mode *modes, size_t count)
{
    for (size_t i = 0; i < count && argc >= 2; i++)
        if (strcmp(argv[1], modes[i].name) == 0) {
            modes[i].run(argc > 2 ? atol(argv[2]) : 100);
            return 0;
        }
    fprintf(stderr, "usage: %s MODE [PERCENT]\n", argv[0]);
    return 2;
}

#endif
