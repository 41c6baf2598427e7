// SPDX-License-Identifier: Apache-2.0
// Times three system calls in loops, as often as it is asked on stdin: getppid(), which no filter
// minds; madvise(MADV_DONTNEED) of an absent page, which a filter lets through after a look at its
// argument; and the lazy freeing of a written page, MADV_FREE with the fallback that allocators
// have. A line of nanoseconds per call for each line read. Used by bench/filter.
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { CALLS = 50000, PAGE = 4096 };

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double time_getppid(void)
{
    double started = now_ns();
    for (int i = 0; i < CALLS; i++)
        syscall(SYS_getppid);
    return (now_ns() - started) / CALLS;
}

static double time_dontneed(char *page)
{
    double started = now_ns();
    for (int i = 0; i < CALLS; i++)
        madvise(page, PAGE, MADV_DONTNEED);
    return (now_ns() - started) / CALLS;
}

static double time_purge(char *page)
{
    double started = now_ns();
    for (int i = 0; i < CALLS; i++) {
        page[0] = 1;
        if (madvise(page, PAGE, MADV_FREE) != 0)
            madvise(page, PAGE, MADV_DONTNEED);
    }
    return (now_ns() - started) / CALLS;
}

int main(void)
{
    char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int byte; (byte = getchar()) != EOF;) {
        if (byte != '\n')
            continue;
        double getppid_ns = time_getppid(), dontneed_ns = time_dontneed(page);
        printf("%.1f %.1f %.1f\n", getppid_ns, dontneed_ns, time_purge(page));
    }
    return 0;
}
