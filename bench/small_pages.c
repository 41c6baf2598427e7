// SPDX-License-Identifier: Apache-2.0
// A process that holds so many MiB of small pages and stands still: what a walk of its page tables
// costs is what is measured. Usage: bench_small_pages MIB [PROBE_FILE]
//
// With PROBE_FILE it goes on mapping, touching and unmapping a little memory, and keeps the longest
// wait of each in that file (two doubles, milliseconds: fault, mmap and munmap), which the bench
// maps too and resets.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096, PROBE_PAGES = 16, PROBE_PAUSE_US = 200 };

struct probe {
    double worst_fault_ms, worst_map_ms;
};

static double now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6;
}

static void keep_worst(double *worst, double started_ms)
{
    double waited = now_ms() - started_ms;
    if (waited > *worst)
        *worst = waited;
}

// One round: a small mapping, a fault per page, and the unmapping.
static void probe_round(struct probe *probe)
{
    double started = now_ms();
    char *area = mmap(NULL, PROBE_PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    keep_worst(&probe->worst_map_ms, started);
    for (int i = 0; i < PROBE_PAGES; i++) {
        started = now_ms();
        area[i * PAGE_BYTES] = 1;
        keep_worst(&probe->worst_fault_ms, started);
    }
    started = now_ms();
    munmap(area, PROBE_PAGES * PAGE_BYTES);
    keep_worst(&probe->worst_map_ms, started);
}

static struct probe *probe_open(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    if (fd < 0 || ftruncate(fd, PAGE_BYTES) != 0) {
        perror(path);
        exit(1);
    }
    return mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s MIB [PROBE_FILE]\n", argv[0]);
        return 2;
    }
    size_t bytes = (size_t)strtoull(argv[1], NULL, 10) << 20;
    char *area = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    madvise(area, bytes, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < bytes; i += PAGE_BYTES)
        area[i] = 1;
    puts("ready");
    fflush(stdout);
    if (argc < 3)
        for (;;)
            pause();
    struct probe *probe = probe_open(argv[2]);
    for (;;) {
        probe_round(probe);
        usleep(PROBE_PAUSE_US);
    }
}
