// SPDX-License-Identifier: Apache-2.0
// Eight threads that free and allocate without a pause, so that no two looks at the heap see the
// same. What is live stays about the same all the time; it is printed once, before "ready". Test
// world; each thread has its own blocks.
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 8, BLOCKS = 6000 };

static atomic_size_t live_bytes;
static atomic_int full_count;

// Most blocks lie in slabs; one in 16 is an extent of its own, whose neighbours split and join.
static size_t draw_bytes(unsigned *seed)
{
    unsigned draw = (unsigned)rand_r(seed);
    return draw % 16 ? 16 + draw / 16 % 2000 : 16384 + draw / 16 % 98304;
}

static char *new_block(unsigned *seed)
{
    size_t bytes = draw_bytes(seed);
    char *block = malloc(bytes);
    memset(block, 1, bytes);
    return block;
}

// Apart from the thread's function, which returns something to its compiler.
static _Noreturn void exchange(char **blocks, unsigned seed)
{
    for (;;) {
        int i = rand_r(&seed) % BLOCKS;
        free(blocks[i]);
        blocks[i] = new_block(&seed);
    }
}

static void *churn(void *argument)
{
    unsigned seed = (unsigned)(uintptr_t)argument;
    char **blocks = calloc(BLOCKS, sizeof *blocks);
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = new_block(&seed);
        atomic_fetch_add(&live_bytes, malloc_usable_size(blocks[i]));
    }
    atomic_fetch_add(&full_count, 1);
    exchange(blocks, seed);
}

int main(void)
{
    static char buffer[4096];
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    for (uintptr_t i = 1; i <= THREADS; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, churn, (void *)i))
            return 1;
    }
    while (atomic_load(&full_count) < THREADS)
        usleep(10000);
    printf("live %zu\nready\n", atomic_load(&live_bytes));
    fflush(stdout);
    for (;;)
        pause();
}
