// SPDX-License-Identifier: Apache-2.0
// One tiny misuse of the heap per name; tests/cli/lib-misuse.t knows how each must end.
//
//   misuse NAME     runs it, prints "survived" if nothing stopped it
//   misuse --list   all names
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#pragma GCC diagnostic ignored "-Wfree-nonheap-object"
#if !defined(__clang__) && __GNUC__ >= 12
#pragma GCC diagnostic ignored "-Wuse-after-free"
#endif

// Keeps the compiler from seeing what is freed.
static void *hide(void *pointer)
{
    __asm__ volatile("" : "+r"(pointer));
    return pointer;
}

static void drop(void *pointer)
{
    free(hide(pointer));
}

static void *drop_elsewhere(void *pointer)
{
    drop(pointer);
    return NULL;
}

static void drop_in_thread(void *pointer)
{
    pthread_t thread;
    pthread_create(&thread, NULL, drop_elsewhere, pointer);
    pthread_join(thread, NULL);
}

static void double_free(void)
{
    char *block = malloc(48);
    drop(block);
    drop(block);
}

static void double_free_later(void)
{
    char *block = malloc(48);
    char *other = malloc(48);
    drop(block);
    drop(other);
    drop(block);
}

static void double_free_of_many(void)
{
    char *blocks[1000];
    for (int i = 0; i < 1000; i++)
        blocks[i] = malloc(200);
    for (int i = 0; i < 1000; i++)
        drop(blocks[i]);
    drop(blocks[500]);
}

static void double_free_large(void)
{
    char *block = malloc(300000);
    drop(block);
    drop(block);
}

static void double_free_huge(void)
{
    char *block = malloc(5000000);
    drop(block);
    drop(block);
}

static void double_free_medium(void)
{
    char *keep = malloc(40000);
    char *block = malloc(40000);
    drop(block);
    drop(block);
    drop(keep);
}

static void double_free_in_thread(void)
{
    char *keep = malloc(48);
    char *block = malloc(48);
    drop(block);
    drop_in_thread(block);
    drop(keep);
}

static void double_free_by_threads(void)
{
    char *block = malloc(48);
    drop_in_thread(block);
    drop_in_thread(block);
}

static void double_free_after_thread(void)
{
    char *block = malloc(48);
    drop_in_thread(block);
    drop(block);
}

static void double_free_of_purged(void)
{
    char *keep = malloc(1000);
    char *blocks[60];
    for (int i = 0; i < 60; i++)
        blocks[i] = malloc(1000);
    for (int i = 0; i < 60; i++)
        drop(blocks[i]);
    malloc_trim(0);
    drop(blocks[30]);
    drop(keep);
}

static void interior(void)
{
    char *block = malloc(64);
    drop(block + 16);
}

static void interior_by_a_byte(void)
{
    char *block = malloc(64);
    drop(block + 1);
}

static void interior_large(void)
{
    char *block = malloc(300000);
    drop(block + 65536);
}

static void interior_medium(void)
{
    char *block = malloc(100000);
    drop(block + 65536);
}

static void stack(void)
{
    char bytes[64] __attribute__((aligned(16)));
    memset(bytes, 0, sizeof bytes);
    drop(bytes);
}

static void global(void)
{
    static char bytes[64] __attribute__((aligned(16)));
    drop(bytes);
}

static void mapping(void)
{
    drop(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void wild(void)
{
    drop((void *)(uintptr_t)0x4141414141410);
}

static void unallocated(void)
{
    char *block = malloc(48);
    drop((char *)((uintptr_t)block & ~(uintptr_t)0xffff) + (1 << 26));
}

static void realloc_of_freed(void)
{
    char *block = malloc(48);
    drop(block);
    drop(realloc(hide(block), 100));
}

static void realloc_of_interior(void)
{
    char *block = malloc(64);
    drop(realloc(hide(block + 16), 100));
}

static void overflow_into_guard(void)
{
    char *block = malloc(2000000);
    memset(hide(block), 1, 2000000 + 8192);
}

static const struct {
    const char *name;
    void (*run)(void);
} table[] = {
    {"double_free", double_free},
    {"double_free_later", double_free_later},
    {"double_free_of_many", double_free_of_many},
    {"double_free_medium", double_free_medium},
    {"double_free_large", double_free_large},
    {"double_free_huge", double_free_huge},
    {"double_free_in_thread", double_free_in_thread},
    {"double_free_by_threads", double_free_by_threads},
    {"double_free_after_thread", double_free_after_thread},
    {"double_free_of_purged", double_free_of_purged},
    {"interior", interior},
    {"interior_by_a_byte", interior_by_a_byte},
    {"interior_medium", interior_medium},
    {"interior_large", interior_large},
    {"stack", stack},
    {"global", global},
    {"mapping", mapping},
    {"wild", wild},
    {"unallocated", unallocated},
    {"realloc_of_freed", realloc_of_freed},
    {"realloc_of_interior", realloc_of_interior},
    {"overflow_into_guard", overflow_into_guard},
};

int main(int argc, char **argv)
{
    int known = 0;
    for (size_t i = 0; argc == 2 && i < sizeof table / sizeof *table; i++) {
        if (strcmp(argv[1], "--list") == 0)
            puts(table[i].name);
        else if (strcmp(argv[1], table[i].name) != 0)
            continue;
        else
            table[i].run();
        known = 1;
    }
    if (!known)
        return 2;
    if (strcmp(argv[1], "--list") != 0)
        puts("survived");
    return 0;
}
