// SPDX-License-Identifier: Apache-2.0
// Fills a heap with small and large blocks, frees most of them, says what the malloc in charge
// knows of itself, and sleeps. Whichever malloc is preloaded or linked is the one that is seen.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SMALL_COUNT = 200000, LARGE_COUNT = 20, LARGE_BYTES = 4 << 20 };

int mallctl(const char *name, void *old, size_t *old_len, void *new, size_t new_len)
    __attribute__((weak));

static char *small[SMALL_COUNT], *large[LARGE_COUNT];

static void fill(void)
{
    for (int i = 0; i < SMALL_COUNT; i++) {
        size_t bytes = 16 + (size_t)rand() % 1000;
        small[i] = malloc(bytes);
        memset(small[i], 1, bytes);
    }
    for (int i = 0; i < LARGE_COUNT; i++) {
        large[i] = malloc(LARGE_BYTES);
        memset(large[i], 2, LARGE_BYTES);
    }
}

static void drop(void)
{
    for (int i = 0; i < SMALL_COUNT; i++) {
        if (rand() % 100 < 70) {
            free(small[i]);
            small[i] = NULL;
        }
    }
    for (int i = 0; i < LARGE_COUNT; i += 2) {
        free(large[i]);
        large[i] = NULL;
    }
}

// jemalloc's own statistics, one "name value" per line.
static void print_jemalloc(void)
{
    static const char *const names[] = {"stats.allocated", "stats.active", "stats.retained"};
    uint64_t epoch = 1;
    size_t len = sizeof epoch;
    if (!mallctl || mallctl("epoch", &epoch, &len, &epoch, len))
        return;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t value = 0;
        len = sizeof value;
        if (mallctl(names[i], &value, &len, NULL, 0) == 0)
            printf("%s %zu\n", names[i], value);
    }
}

int main(void)
{
    // The buffer of stdout is a block too: let it be there before the figures are taken.
    static char buffer[4096];
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    srand(1);
    fill();
    drop();
    print_jemalloc();
    printf("ready\n");
    fflush(stdout);
    for (;;)
        sleep(1000);
}
