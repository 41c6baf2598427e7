// SPDX-License-Identifier: Apache-2.0
// Fills a heap with blocks of all sorts, frees some, and says exactly what it holds: "used BYTES",
// "blocks N", "at ADDRESS" of a block, and "freed START END" for each region that has no block any
// more. Then one command per line: "again" allocates and frees a little, "move" goes on doing so in
// a thread; "fork" makes a child that rests, "child PID"; "stats" prints the account as libebb
// itself tells it, "NAME VALUE".
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "../../include/ebb/ebb.h"

// Only where libebb is preloaded or linked.
#pragma weak ebb_get_stats

enum { SMALL = 20000, LARGE = 48, LARGE_BYTES = 512 << 10, GUARDED_BYTES = 3 << 20 };

static char *small[SMALL], *large[LARGE], *guarded[4], *medium[400];
static size_t used_bytes, blocks;

static char *make(size_t bytes)
{
    char *block = malloc(bytes);
    if (!block)
        abort();
    memset(block, 0x5a, bytes);
    used_bytes += malloc_usable_size(block);
    blocks++;
    return block;
}

static void drop(char *block)
{
    used_bytes -= malloc_usable_size(block);
    blocks--;
    free(block);
}

// Whole regions: pages of them hold nothing else.
static void drop_large(void)
{
    for (int i = 0; i < LARGE; i++) {
        printf("freed %p %p\n", (void *)large[i], (void *)(large[i] + LARGE_BYTES));
        drop(large[i]);
    }
}

static void fill(void)
{
    for (int i = 0; i < SMALL; i++)
        small[i] = make((size_t)(i % 700) + 1);
    for (int i = 0; i < 400; i++)
        medium[i] = make((size_t)(i % 60 + 1) * 4096);
    for (int i = 0; i < LARGE; i++)
        large[i] = make(LARGE_BYTES);
    for (int i = 0; i < 4; i++)
        guarded[i] = make(GUARDED_BYTES);
    // Holes: three of four small blocks, every other medium one.
    for (int i = 0; i < SMALL; i++)
        if (i % 4)
            drop(small[i]);
    for (int i = 0; i < 400; i += 2)
        drop(medium[i]);
    drop(guarded[1]);
}

static void *churn(void *context)
{
    char *kept[512] = {0};
    (void)context;
    for (unsigned i = 1;; i++) {
        unsigned place = i * 2654435761u >> 23;
        free(kept[place]);
        kept[place] = malloc((size_t)(place * 977 % 90000) + 1);
        if (kept[place])
            kept[place][0] = 1;
    }
    return NULL;
}

static void tell_stats(void)
{
    struct ebb_stats stats;
    if (!ebb_get_stats || ebb_get_stats(&stats, sizeof stats) != 0)
        return;
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"Sys", stats.sys},
        {"HeapSys", stats.heap_sys},
        {"HeapAlloc", stats.heap_alloc},
        {"HeapInuse", stats.heap_inuse},
        {"HeapIdle", stats.heap_idle},
        {"HeapReleased", stats.heap_released},
        {"HeapLazy", stats.heap_lazy},
        {"HeapObjects", stats.heap_objects},
        {"StackSys", stats.stack_sys},
        {"MSpanSys", stats.mspan_sys},
        {"Mallocs", stats.mallocs},
        {"Frees", stats.frees},
        {"Purges", stats.purges},
        {"PurgedBytes", stats.purged_bytes},
        {"ReusedBytes", stats.reused_bytes},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        printf("%s %llu\n", rows[i].name, (unsigned long long)rows[i].value);
}

// Ends with its parent.
static void start_child(void)
{
    pid_t child = fork();
    if (child < 0)
        abort();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    printf("child %d\n", (int)child);
}

int main(void)
{
    char line[64];
    pthread_t thread;
    // So that stdio has what it needs before anything is counted.
    setvbuf(stdout, NULL, _IOLBF, 4096);
    printf("begin\n");
    fill();
    drop_large();
    printf("used %zu\nblocks %zu\nat %p\nready\n", used_bytes, blocks, (void *)small[0]);
    while (fgets(line, sizeof line, stdin)) {
        if (strcmp(line, "again\n") == 0)
            for (int i = 0; i < 2000; i++)
                free(make((size_t)i * 60 + 1));
        if (strcmp(line, "stats\n") == 0)
            tell_stats();
        if (strcmp(line, "fork\n") == 0)
            start_child();
        if (strcmp(line, "move\n") == 0 && pthread_create(&thread, NULL, churn, NULL) != 0)
            abort();
        printf("done\n");
    }
    return 0;
}
