// SPDX-License-Identifier: Apache-2.0
// One loop of malloc and free: what bench/lib-tight measures on libebb and its peers.
//
//   bench_lib_tight tight|batch|random SIZE PAIRS     prints nanoseconds per pair
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEPT 1000

// The compiler must believe that the block is used.
static void *use(void *block)
{
    __asm__ volatile("" : "+r"(block) : : "memory");
    return block;
}

static void run_tight(size_t size, long pairs)
{
    for (long i = 0; i < pairs; i++)
        free(use(malloc(size)));
}

static void run_batch(size_t size, long pairs)
{
    static void *blocks[KEPT];
    for (long done = 0; done < pairs; done += KEPT) {
        for (int i = 0; i < KEPT; i++)
            blocks[i] = use(malloc(size));
        for (int i = 0; i < KEPT; i++)
            free(blocks[i]);
    }
}

// A random one of a thousand goes, a block of a random size up to `size` comes.
static void run_random(size_t size, long pairs)
{
    static void *blocks[KEPT];
    uint64_t random = 88172645463325252u;
    for (long i = 0; i < pairs; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        void **block = &blocks[(uint32_t)random % KEPT];
        free(*block);
        *block = use(malloc(1 + (random >> 32) % size));
    }
    for (int i = 0; i < KEPT; i++)
        free(blocks[i]);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    size_t size = strtoul(argv[2], NULL, 10);
    long pairs = atol(argv[3]);
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    if (strcmp(argv[1], "tight") == 0)
        run_tight(size, pairs);
    else if (strcmp(argv[1], "batch") == 0)
        run_batch(size, pairs);
    else
        run_random(size, pairs);
    clock_gettime(CLOCK_MONOTONIC, &end);
    double ns = (double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec);
    printf("%.3f\n", ns / (double)pairs);
    return 0;
}
