// SPDX-License-Identifier: Apache-2.0
// Blocks that are large, that grow, or that must be zero.
//
//   bench_malloc_blocks large|grow-double|grow-step|calloc [PERCENT]
#include "bench.h"

// 5 to 25 MiB, a word written on each page, eight of them live.
static void run_large(long percent)
{
    enum { LIVE = 8 };
    void *blocks[LIVE] = {NULL};
    uint64_t random = SEED;
    for (long step = 0; step < 6 * percent; step++) {
        void **block = &blocks[random_below(&random, LIVE)];
        block_end(*block);
        *block = block_make((5u << 20) + random_below(&random, 20u << 20));
    }
    for (int i = 0; i < LIVE; i++)
        block_end(blocks[i]);
}

struct vector {
    uint64_t *items;
    size_t count, room;
};

static void vector_push(struct vector *vector, size_t room)
{
    if (vector->count == vector->room) {
        vector->room = room;
        vector->items = realloc(vector->items, room * sizeof *vector->items);
        if (!vector->items)
            fail("realloc failed");
    }
    vector->items[vector->count] = vector->count;
    vector->count++;
}

static void vector_end(struct vector *vector)
{
    for (size_t i = 0; i < vector->count; i += 101)
        if (vector->items[i] != i)
            fail("a vector lost items");
    free(vector->items);
    *vector = (struct vector){NULL, 0, 0};
}

// Sixteen vectors grow by doubling, in turns, to up to 512 Ki items.
static void run_grow_double(long percent)
{
    enum { VECTORS = 16 };
    struct vector vectors[VECTORS] = {{NULL, 0, 0}};
    uint64_t random = SEED;
    for (long round = 0; round < 150 * percent; round++) {
        struct vector *vector = &vectors[random_below(&random, VECTORS)];
        for (size_t left = random_size(&random, 4, 16); left > 0; left--)
            vector_push(vector, vector->room ? 2 * vector->room : 4);
        if (vector->count > 500000 || random_below(&random, 16) == 0)
            vector_end(vector);
    }
    for (int i = 0; i < VECTORS; i++)
        vector_end(&vectors[i]);
}

// 256 vectors grow by an item at a time, in turns, and end somewhere below 4,000 items.
static void run_grow_step(long percent)
{
    enum { VECTORS = 256 };
    static struct vector vectors[VECTORS];
    uint64_t random = SEED;
    for (long step = 0; step < 60000 * percent; step++) {
        struct vector *vector = &vectors[random_below(&random, VECTORS)];
        vector_push(vector, vector->room + 1);
        if (random_below(&random, 1000) == 0 || vector->count == 4000)
            vector_end(vector);
    }
    for (int i = 0; i < VECTORS; i++)
        vector_end(&vectors[i]);
}

static void zero_check(const char *block, size_t size)
{
    for (size_t at = 0; at < size; at += 64)
        if (block[at])
            fail("calloc gave a block that is not zero");
    if (block[size - 1])
        fail("calloc gave a block that is not zero");
}

// 16 B to 64 KiB, a thousand live; every block comes back dirty.
static void run_calloc(long percent)
{
    enum { LIVE = 1000 };
    static char *blocks[LIVE];
    uint64_t random = SEED;
    for (long step = 0; step < 5000 * percent; step++) {
        char **block = &blocks[random_below(&random, LIVE)];
        free(*block);
        size_t size = random_size(&random, 4, 16);
        *block = calloc(1, size);
        if (!*block)
            fail("calloc failed");
        zero_check(*block, size);
        memset(*block, 255, size);
    }
    for (int i = 0; i < LIVE; i++)
        free(blocks[i]);
}

int main(int argc, char **argv)
{
    static const struct mode modes[] = {{"large", run_large},
                                        {"grow-double", run_grow_double},
                                        {"grow-step", run_grow_step},
                                        {"calloc", run_calloc}};
    return bench_main(argc, argv, modes, sizeof modes / sizeof *modes);
}
