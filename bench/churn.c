// SPDX-License-Identifier: Apache-2.0
// A target that feels every reading: it holds so many MiB of small pages and maps, touches and
// unmaps as fast as it can. Usage: bench_churn MIB COUNTER_FILE
//
// The file, which the bench maps too, holds the number of rounds so far (one 64-bit word).
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096, ROUND_PAGES = 16 };

static char *map_pages(size_t bytes)
{
    char *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED)
        _exit(1);
    madvise(block, bytes, MADV_NOHUGEPAGE);
    return block;
}

// mmap and munmap take the lock that a walk of smaps holds; the faults take the page tables'.
static void churn(_Atomic uint64_t *rounds)
{
    char *area = map_pages(ROUND_PAGES * PAGE_BYTES);
    for (int i = 0; i < ROUND_PAGES; i++)
        area[i * PAGE_BYTES] = 1;
    munmap(area, ROUND_PAGES * PAGE_BYTES);
    atomic_fetch_add_explicit(rounds, 1, memory_order_relaxed);
}

int main(int argc, char **argv)
{
    size_t bytes = argc > 2 ? strtoul(argv[1], NULL, 10) << 20 : 0;
    int fd = argc > 2 ? open(argv[2], O_RDWR | O_CLOEXEC) : -1;
    if (bytes == 0 || fd < 0)
        return 2;
    _Atomic uint64_t *rounds = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (rounds == MAP_FAILED)
        return 1;
    memset(map_pages(bytes), 1, bytes);
    puts("ready");
    fflush(stdout);
    for (;;)
        churn(rounds);
}
