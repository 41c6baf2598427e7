// SPDX-License-Identifier: Apache-2.0
// One thread, blocks that live for a while: tight pairs, batches, random lifetimes.
//
//   bench_malloc_churn tight|batch|ages|random-small|random-wide [PERCENT]
#include "bench.h"

static void run_tight(long percent)
{
    static const size_t sizes[] = {16, 48, 128, 512, 1024};
    for (int i = 0; i < 5; i++)
        for (long pair = 0; pair < 120000 * percent; pair++) {
            char *block = use(malloc(sizes[i]));
            block[0] = 1;
            free(use(block));
        }
}

static void batch(void **blocks, size_t count, size_t size, int backwards)
{
    for (size_t i = 0; i < count; i++) {
        blocks[i] = use(malloc(size));
        *(size_t *)blocks[i] = i;
    }
    for (size_t i = 0; i < count; i++) {
        void *block = blocks[backwards ? count - 1 - i : i];
        if (*(size_t *)block != (backwards ? count - 1 - i : i))
            fail("a block was overwritten");
        free(block);
    }
}

// The counts are those of glibc's own benchmark of malloc.
static void run_batch(long percent)
{
    static const size_t counts[] = {25, 100, 400, 1600};
    static void *blocks[1600];
    for (size_t size = 16; size <= 1024; size *= 2)
        for (int i = 0; i < 4; i++)
            for (size_t done = 0; done < 10000 * (size_t)percent; done += counts[i])
                batch(blocks, counts[i], size, done / counts[i] & 1);
}

// Each block dies after 1 to 65,536 steps, most of them young; what dies when is in a wheel of
// lists.
static void run_ages(long percent)
{
    enum { WHEEL = 1 << 16 };
    static void *wheel[WHEEL];
    uint64_t random = SEED;
    for (long step = 0; step < 120000 * percent + WHEEL; step++) {
        void **due = &wheel[step % WHEEL];
        while (*due) {
            void **block = *due;
            *due = *block;
            free(block);
        }
        if (step >= 120000 * percent)
            continue;
        void **block = malloc(random_size(&random, 4, 10));
        void **death = &wheel[(size_t)(step + (long)random_size(&random, 0, 16)) % WHEEL];
        *block = *death;
        *death = block;
    }
}

static void replace_random(void **blocks, size_t count, long steps, int is_wide)
{
    uint64_t random = SEED;
    for (long step = 0; step < steps; step++) {
        void **block = &blocks[random_below(&random, count)];
        block_end(*block);
        *block =
            block_make(is_wide ? random_size(&random, 4, 20) : 16 + random_below(&random, 985));
    }
    for (size_t i = 0; i < count; i++)
        block_end(blocks[i]);
}

static void run_random_small(long percent)
{
    static void *blocks[10000];
    replace_random(blocks, 10000, 120000 * percent, 0);
}

static void run_random_wide(long percent)
{
    static void *blocks[1000];
    replace_random(blocks, 1000, 10000 * percent, 1);
}

int main(int argc, char **argv)
{
    static const struct mode modes[] = {{"tight", run_tight},
                                        {"batch", run_batch},
                                        {"ages", run_ages},
                                        {"random-small", run_random_small},
                                        {"random-wide", run_random_wide}};
    return bench_main(argc, argv, modes, sizeof modes / sizeof *modes);
}
