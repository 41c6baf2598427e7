// SPDX-License-Identifier: Apache-2.0
// One tiny misuse of the heap per name; tests/cli/lib-misuse.t knows how each must end.
//
//   misuse NAME     runs it; where nothing stops it prints "survived", or "spoiled" if blocks of
//   the
//                   program changed or overlap afterwards
//   misuse --list   all names
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
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

// Of sizes too the fast path has to know a live block.
static void ask_size(void *pointer)
{
    volatile size_t bytes = malloc_usable_size(hide(pointer));
    (void)bytes;
}

static void size_of_freed(void)
{
    char *block = malloc(48);
    drop(block);
    ask_size(block);
}

static void size_of_interior(void)
{
    char *block = malloc(64);
    ask_size(block + 16);
}

static void size_of_interior_medium(void)
{
    char *block = malloc(100000);
    ask_size(block + 4096);
}

static void size_of_foreign(void)
{
    static char block[64];
    ask_size(block);
}

static void overflow_into_guard(void)
{
    char *block = malloc(2000000);
    memset(hide(block), 1, 2000000 + 8192);
}

static bool is_spoiled;

static bool is_all(const char *bytes, size_t count, char value)
{
    return bytes[0] == value && memcmp(bytes, bytes + 1, count - 1) == 0;
}

// Writes behind all that a block may use, or before it, with live blocks of its size around it.
static void write_outside(size_t bytes, long from, size_t count)
{
    char *blocks[65];
    for (int i = 0; i < 65; i++) {
        blocks[i] = malloc(bytes);
        memset(blocks[i], 7, bytes);
    }
    long begin = from < 0 ? from : (long)malloc_usable_size(blocks[32]) + from;
    memset((char *)hide(blocks[32]) + begin, 1, count);
    for (int i = 0; i < 65; i++) {
        is_spoiled |= !is_all(blocks[i], bytes, 7);
        drop(blocks[i]);
    }
}

static void overflow_by_a_byte(void)
{
    write_outside(48, 0, 1);
}

static void overflow_into_neighbour(void)
{
    write_outside(48, 0, 64);
}

static void overflow_of_medium(void)
{
    write_outside(20480, 0, 64);
}

static void underflow(void)
{
    write_outside(48, -16, 16);
}

// The first words of a freed block are the heap's.
static void write_after_free(void)
{
    char *block = malloc(48);
    drop(block);
    memset(hide(block), 0x41, 48);
}

static void write_after_free_large(void)
{
    char *block = malloc(300000);
    drop(block);
    memset(hide(block), 0x41, 300000);
}

// Somebody else has it by now.
static void write_after_reuse(void)
{
    char *block = malloc(48);
    drop(block);
    char *others[65];
    for (int i = 0; i < 65; i++)
        others[i] = memset(malloc(48), 7, 48);
    memset(hide(block), 0x41, 48);
    for (int i = 0; i < 65; i++)
        is_spoiled |= !is_all(others[i], 48, 7);
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
    {"size_of_freed", size_of_freed},
    {"size_of_interior", size_of_interior},
    {"size_of_interior_medium", size_of_interior_medium},
    {"size_of_foreign", size_of_foreign},
    {"overflow_into_guard", overflow_into_guard},
    {"overflow_by_a_byte", overflow_by_a_byte},
    {"overflow_into_neighbour", overflow_into_neighbour},
    {"overflow_of_medium", overflow_of_medium},
    {"underflow", underflow},
    {"write_after_free", write_after_free},
    {"write_after_free_large", write_after_free_large},
    {"write_after_reuse", write_after_reuse},
};

// Goes on as a program would: blocks of all sizes must be whole, and none inside of another.
static void go_on(void)
{
    static const size_t sizes[] = {48, 64, 200, 1000, 40000, 300000, 2000000};
    enum { SIZES = sizeof sizes / sizeof *sizes, COUNT = 10 * SIZES };
    char *blocks[COUNT];
    for (int i = 0; i < COUNT; i++)
        blocks[i] = memset(malloc(sizes[i % SIZES]), i + 1, sizes[i % SIZES]);
    for (int i = 0; i < COUNT; i++)
        is_spoiled |= !is_all(blocks[i], sizes[i % SIZES], (char)(i + 1));
    for (int i = 0; i < COUNT && !is_spoiled; i++)
        drop(blocks[i]);
}

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
    if (strcmp(argv[1], "--list") == 0)
        return 0;
    go_on();
    puts(is_spoiled ? "spoiled" : "survived");
    return 0;
}
