// SPDX-License-Identifier: Apache-2.0
// Two heaps in one program: the system's malloc and libebb's behind the prefix foo_. "good", or
// what is wrong. With an argument: only the two heaps, since ebb_*() may be another libebb's.
#include <ebb/ebb.h>
#include <ebb/prefix.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT 2000
#define BYTES 5000

static char *mine[COUNT];
static char *theirs[COUNT];

static int fail(const char *what)
{
    printf("wrong: %s\n", what);
    return 1;
}

static size_t system_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static size_t own_bytes(void)
{
    struct mallinfo2 info = foo_mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void *fill(void *unused)
{
    (void)unused;
    for (int i = 0; i < COUNT; i++) {
        mine[i] = foo_malloc(BYTES);
        memset(mine[i], 1, BYTES);
        if (i % 2 == 0)
            mine[i] = foo_realloc(mine[i], 2 * BYTES);
    }
    return NULL;
}

// Each heap counts its own blocks, to at least what was asked of it, and none of the other's.
static int try_heaps(void)
{
    size_t system = system_bytes();
    size_t own = own_bytes();
    pthread_t thread;
    pthread_create(&thread, NULL, fill, NULL);
    pthread_join(thread, NULL);
    if (own_bytes() < own + COUNT * BYTES)
        return fail("libebb does not count its blocks");
    if (system_bytes() > system + COUNT * BYTES / 2)
        return fail("the system counts libebb's blocks");
    own = own_bytes();
    for (int i = 0; i < COUNT; i++)
        theirs[i] = malloc(BYTES);
    char *copy = strdup("the system's");
    if (own_bytes() != own)
        return fail("libebb counts the system's blocks");
    free(copy);
    for (int i = 0; i < COUNT; i++) {
        foo_free(mine[i]);
        free(theirs[i]);
    }
    return 0;
}

// What malloc_stats() writes to stderr.
static const char *stats_text(void)
{
    static char text[2048];
    int ends[2];
    int saved = dup(STDERR_FILENO);
    if (pipe(ends) != 0 || saved < 0 || dup2(ends[1], STDERR_FILENO) < 0)
        return "";
    foo_malloc_stats();
    (void)dup2(saved, STDERR_FILENO);
    ssize_t got = read(ends[0], text, sizeof text - 1);
    close(saved);
    close(ends[0]);
    close(ends[1]);
    text[got > 0 ? got : 0] = '\0';
    return text;
}

static size_t number_behind(const char *text, const char *name)
{
    const char *found = strstr(text, name);
    return found ? strtoull(found + strlen(name), NULL, 10) : SIZE_MAX;
}

// Four ways of asking, one answer; of a block of 2 MiB, too, which glibc's words put elsewhere.
static int try_telling(void)
{
    static char xml[2048];
    char *small = foo_malloc(BYTES);
    char *large = foo_malloc(2 << 20);
    FILE *file = fmemopen(xml, sizeof xml - 1, "w");
    struct mallinfo2 wide = foo_mallinfo2();
    struct mallinfo narrow = foo_mallinfo();
    if (!small || !large || !file || foo_malloc_info(0, file) != 0 || fclose(file) != 0)
        return fail("malloc_info");
    const char *stats = stats_text();
    size_t in_use = wide.uordblks + wide.hblkhd;
    if (wide.uordblks < BYTES || wide.hblkhd != 2 << 20 || wide.hblks != 1 ||
        wide.uordblks + wide.fordblks != wide.arena)
        return fail("mallinfo2");
    if (narrow.uordblks != (int)wide.uordblks || narrow.hblkhd != (int)wide.hblkhd ||
        narrow.arena != (int)wide.arena || narrow.fordblks != (int)wide.fordblks)
        return fail("mallinfo");
    if (number_behind(xml, "<in-use bytes=\"") != in_use || !strstr(xml, "</malloc>"))
        return fail("malloc_info's text");
    if (number_behind(stats, "ebb: bytes in use") != in_use ||
        number_behind(stats, "ebb: blocks live") != 2)
        return fail("malloc_stats");
    foo_free(small);
    foo_free(large);
    return 0;
}

static int try_rest(void)
{
    void *block = NULL;
    struct ebb_stats stats;
    if (foo_posix_memalign(&block, 4096, 100) != 0 || foo_malloc_usable_size(block) < 100)
        return fail("posix_memalign");
    foo_free(block);
    foo_free(foo_calloc(10, 10));
    foo_free(foo_aligned_alloc(64, 64));
    foo_free(foo_memalign(64, 64));
    foo_free(foo_valloc(1));
    foo_free(foo_pvalloc(1));
    foo_free_sized(foo_reallocarray(NULL, 3, 3), 9);
    foo_free_aligned_sized(foo_aligned_alloc(32, 32), 32, 32);
    (void)foo_malloc_trim(0);
    (void)foo_mallopt(M_MMAP_THRESHOLD, 1 << 20);
    (void)ebb_purge();
    if (ebb_get_stats(&stats, sizeof stats) != 0 || stats.heap_objects != 0)
        return fail("blocks are left");
    return 0;
}

int main(int argc, char **argv)
{
    (void)argv;
    if (try_heaps() || (argc < 2 && (try_telling() || try_rest())))
        return 1;
    puts("good");
    return 0;
}
