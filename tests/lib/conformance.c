// SPDX-License-Identifier: Apache-2.0
// What a program can tell of its malloc, as lines: run once on the system's malloc and once on
// libebb, both must print the same. Every entry with every edge, result and errno.
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HUGE_BYTES ((size_t)PTRDIFF_MAX)

static const size_t sizes[] = {0,     1,      8,      15,         16,       17,
                               24,    100,    1024,   4095,       4096,     10000,
                               65536, 200000, 300000, HUGE_BYTES, SIZE_MAX, SIZE_MAX - 4096};
static const size_t aligns[] = {0, 1, 2, 8, 16, 32, 64, 4096, 65536, 1 << 20, (size_t)1 << 62};

// One line: what came back, and errno as it was left (it was 0 before).
static void tell(const char *entry, size_t a, size_t b, void *block, size_t align, size_t bytes)
{
    int error = errno;
    const char *what = "null";
    if (block) {
        what = (uintptr_t)block % align == 0 ? "block" : "misaligned";
        if (malloc_usable_size(block) < bytes)
            what = "short";
        // Both ends: some blocks are larger than the machine.
        size_t end = bytes < 65536 ? bytes : 65536;
        memset(block, 0x5a, end);
        memset((char *)block + bytes - end, 0x5a, end);
    }
    printf("%s(%#zx, %#zx): %s, errno %d\n", entry, a, b, what, error);
    free(block);
}

static void tell_plain(void)
{
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        errno = 0;
        tell("malloc", sizes[i], 0, malloc(sizes[i]), 16, sizes[i]);
        errno = 0;
        tell("valloc", sizes[i], 0, valloc(sizes[i]), 4096, sizes[i]);
        errno = 0;
        tell("pvalloc", sizes[i], 0, pvalloc(sizes[i]), 4096, sizes[i]);
        errno = 0;
        tell("realloc of null", sizes[i], 0, realloc(NULL, sizes[i]), 16, sizes[i]);
    }
}

static void tell_pairs(void)
{
    static const size_t counts[] = {0, 1, 3, 1000, SIZE_MAX / 2, SIZE_MAX, (size_t)1 << 32};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        for (size_t j = 0; j < sizeof counts / sizeof *counts; j++) {
            size_t bytes;
            if (__builtin_mul_overflow(counts[i], counts[j], &bytes))
                bytes = 0;
            errno = 0;
            tell("calloc", counts[i], counts[j], calloc(counts[i], counts[j]), 16, bytes);
            errno = 0;
            tell("reallocarray", counts[i], counts[j], reallocarray(NULL, counts[i], counts[j]), 16,
                 bytes);
        }
    }
}

static void tell_aligned(size_t align, size_t bytes)
{
    size_t least = align < 16 ? 16 : align;
    errno = 0;
    tell("memalign", align, bytes, memalign(align, bytes), least, bytes);
    errno = 0;
    tell("aligned_alloc", align, bytes, aligned_alloc(align, bytes), least, bytes);
    errno = 0;
    void *block = &errno;
    int result = posix_memalign(&block, align, bytes);
    printf("posix_memalign %d, %s, ", result, block == &errno ? "untouched" : "set");
    tell("posix_memalign", align, bytes, block == &errno ? NULL : block, least, bytes);
}

static void tell_realloc(size_t from, size_t to)
{
    unsigned char *block = malloc(from);
    memset(block, 0x33, from);
    errno = 0;
    unsigned char *moved = realloc(block, to);
    int error = errno;
    size_t kept = from < to ? from : to;
    for (size_t i = 0; moved && i < kept; i++) {
        if (moved[i] != 0x33) {
            printf("lost at %zu\n", i);
            break;
        }
    }
    printf("realloc %#zx to %#zx: %s, errno %d\n", from, to, moved ? "block" : "null", error);
    if (to == 0)
        return;
    free(moved ? moved : block);
}

static void tell_rest(void)
{
    errno = 5;
    free(NULL);
    printf("free(NULL) keeps errno: %d\n", errno);
    void *block = malloc(1 << 24);
    void *small = malloc(10);
    errno = 5;
    free(block);
    free(small);
    printf("free keeps errno: %d\n", errno);
    printf("usable size of NULL: %zu\n", malloc_usable_size(NULL));
    void *first = malloc(0);
    void *second = malloc(0);
    printf("two of no bytes differ: %d\n", first && second && first != second);
    free(first);
    free(second);
    printf("malloc_info with options: %d\n", malloc_info(1, stdout));
    printf("mallopt: %d\n", mallopt(M_MMAP_THRESHOLD, 1 << 20));
    // Blocks of a process that has too little: none may be handed out.
    char *copy = strdup("kept");
    printf("strdup: %s\n", copy);
    free(copy);
    struct mallinfo2 before = mallinfo2();
    char *many[1000];
    for (int i = 0; i < 1000; i++)
        many[i] = malloc(1000);
    struct mallinfo2 after = mallinfo2();
    size_t grown = after.uordblks - before.uordblks;
    // What freed blocks before it may be used again, which glibc counts as in use already.
    printf("mallinfo2 sees a million bytes: %d\n", grown >= 900000 && grown < 1300000);
    for (int i = 0; i < 1000; i++)
        free(many[i]);
}

int main(void)
{
    static const size_t steps[] = {0,     1,      24,      100,        5000,
                                   70000, 300000, 3000000, HUGE_BYTES, SIZE_MAX};
    tell_plain();
    tell_pairs();
    for (size_t i = 0; i < sizeof aligns / sizeof *aligns; i++) {
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++)
            tell_aligned(aligns[i], sizes[j]);
    }
    for (size_t i = 0; i < 8; i++) {
        for (size_t j = 0; j < sizeof steps / sizeof *steps; j++)
            tell_realloc(steps[i], steps[j]);
    }
    tell_rest();
    return 0;
}
