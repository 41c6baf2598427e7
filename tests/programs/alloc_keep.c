// SPDX-License-Identifier: Apache-2.0
// Fills a heap, frees most of it in a pattern that leaves much to give back, and then answers one
// command per line: "digest" of what it still holds, "stats" as its own malloc tells them, "work"
// allocates, writes and frees. Whichever malloc is preloaded or linked is the one that is seen.
// Usage: alloc_keep [MIB [THREADS]]
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK_BYTES = 1000, THREADS_MAX = 16 };

int mallctl(const char *name, void *old, size_t *old_len, void *new, size_t new_len)
    __attribute__((weak));
int MallocExtension_GetNumericProperty(const char *name, size_t *value) __attribute__((weak));

struct part {
    unsigned char **blocks;
    size_t count;
    unsigned seed;
};

static struct part parts[THREADS_MAX];
static unsigned part_count = 1;
// Others stay, asleep, so that their arenas do.
static pthread_barrier_t filled;

// Nine tenths go, all from the front: what stays pins few pages.
static void fill(struct part *part)
{
    for (size_t i = 0; i < part->count; i++) {
        part->blocks[i] = malloc(BLOCK_BYTES);
        memset(part->blocks[i], (int)(part->seed + i) & 255, BLOCK_BYTES);
    }
    for (size_t i = 0; i < part->count / 10 * 9; i++) {
        free(part->blocks[i]);
        part->blocks[i] = NULL;
    }
}

static void *run(void *argument)
{
    fill(argument);
    pthread_barrier_wait(&filled);
    for (;;)
        sleep(1000);
    return NULL;
}

static uint64_t digest(void)
{
    uint64_t hash = 14695981039346656037ULL;
    for (unsigned p = 0; p < part_count; p++)
        for (size_t i = 0; i < parts[p].count; i++)
            for (size_t k = 0; parts[p].blocks[i] && k < BLOCK_BYTES; k++)
                hash = (hash ^ parts[p].blocks[i][k]) * 1099511628211ULL;
    return hash;
}

static void print_jemalloc(void)
{
    static const char *const names[] = {"stats.allocated", "stats.active", "stats.metadata",
                                        "stats.resident", "stats.retained"};
    uint64_t epoch = 1;
    size_t len = sizeof epoch;
    if (mallctl("epoch", &epoch, &len, &epoch, len))
        return;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t value = 0;
        len = sizeof value;
        if (mallctl(names[i], &value, &len, NULL, 0) == 0)
            printf("%s %zu\n", names[i], value);
    }
}

static void print_tcmalloc(void)
{
    static const char *const names[] = {
        "generic.current_allocated_bytes", "generic.heap_size", "tcmalloc.pageheap_free_bytes",
        "tcmalloc.pageheap_unmapped_bytes", "tcmalloc.current_total_thread_cache_bytes"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t value = 0;
        if (MallocExtension_GetNumericProperty(names[i], &value))
            printf("%s %zu\n", names[i], value);
    }
}

// What the program itself knows is live: blocks with what their size classes round them up to.
static void print_stats(void)
{
    size_t usable = 0;
    for (unsigned p = 0; p < part_count; p++) {
        usable += malloc_usable_size(parts[p].blocks);
        for (size_t i = 0; i < parts[p].count; i++)
            usable += malloc_usable_size(parts[p].blocks[i]);
    }
    printf("usable %zu\n", usable);
    if (mallctl)
        print_jemalloc();
    if (MallocExtension_GetNumericProperty)
        print_tcmalloc();
}

// Uses what was given back, and whatever is still there.
static void work(void)
{
    enum { COUNT = 20000 };
    static unsigned char *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = malloc(BLOCK_BYTES + i % 3000);
        memset(blocks[i], 7, BLOCK_BYTES);
    }
    for (size_t i = 0; i < COUNT; i++)
        free(blocks[i]);
}

int main(int argc, char **argv)
{
    size_t mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 100;
    static char output[4096], line[64];
    setvbuf(stdout, output, _IOFBF, sizeof output);
    if (argc > 2 && atoi(argv[2]) > 1 && atoi(argv[2]) <= THREADS_MAX)
        part_count = (unsigned)atoi(argv[2]);
    pthread_barrier_init(&filled, NULL, part_count);
    for (unsigned p = 0; p < part_count; p++) {
        size_t count = (mib << 20) / BLOCK_BYTES / part_count;
        parts[p] = (struct part){calloc(count, sizeof(unsigned char *)), count, p * 31};
    }
    for (unsigned p = 1; p < part_count; p++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, run, &parts[p]))
            return 1;
    }
    fill(&parts[0]);
    pthread_barrier_wait(&filled);
    printf("ready\n");
    fflush(stdout);
    // read(2) and nothing else: the C library's own reading would take memory.
    for (ssize_t len; (len = read(0, line, sizeof line - 1)) > 0;) {
        line[len] = '\0';
        if (strncmp(line, "digest", 6) == 0)
            printf("digest %016llx\n", (unsigned long long)digest());
        else if (strncmp(line, "stats", 5) == 0)
            print_stats();
        else if (strncmp(line, "work", 4) == 0)
            work();
        printf("done\n");
        fflush(stdout);
    }
    return 0;
}
