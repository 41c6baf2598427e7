// SPDX-License-Identifier: Apache-2.0
// Many processes of one name to be sampled: each holds so many MiB of small pages and stands still,
// or works. Usage: bench_herd COUNT MIB [BUSY_PERCENT]
//
// With BUSY_PERCENT each one gives back that share of its memory once a second, by turns at once
// and lazily, and writes it again half a second later, so that its figures never stand still. All
// of them end with the first one.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

static char *hold(size_t bytes)
{
    char *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED)
        _exit(1);
    // Huge pages would make every walk a hundred times cheaper.
    madvise(block, bytes, MADV_NOHUGEPAGE);
    memset(block, 1, bytes);
    return block;
}

// Members begin at different times, as services do, or every second would have one busy moment.
static void work(char *block, size_t bytes, int number)
{
    usleep((useconds_t)(number % 100) * 10000);
    for (unsigned round = 0;; round++) {
        madvise(block, bytes, round % 2 ? MADV_FREE : MADV_DONTNEED);
        usleep(500000);
        memset(block, 1, bytes);
        usleep(500000);
    }
}

static void live(pid_t first, size_t mib, size_t percent, int number)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // The first one may have ended before that was set.
    if (getppid() != first)
        _exit(0);
    char *block = mib > 0 ? hold(mib << 20) : NULL;
    size_t part = (mib << 20) / 100 * percent / 4096 * 4096;
    if (part > 0)
        work(block, part, number);
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0;
    size_t mib = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    size_t percent = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    pid_t first = getpid();
    if (count <= 0 || percent > 100)
        return 2;
    for (int i = 0; i < count; i++) {
        pid_t pid = fork();
        if (pid == 0)
            live(first, mib, percent, i);
        if (pid < 0)
            return 1;
    }
    // The last ones may still be filling their pages: the bench waits a moment.
    puts("ready");
    fflush(stdout);
    for (;;)
        pause();
}
