// SPDX-License-Identifier: Apache-2.0
// A target that does as it is told, a line at a time, and answers each with "ok ...":
//   map NAME small|huge MIB       fill NAME      an area, filled; N below is NAME [FIRST COUNT],
//   KiB free N   write N   lock N     check N        check: "ok wrong WORDS zero WORDS" fork unfork
//   mapper     waits          mapper: a thread that maps and unmaps; exec     exit waits: "ok US",
//   the longest that it took
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <pthread.h>

enum { AREAS = 8, HUGE_BYTES = 2 << 20, MAPPED_BYTES = 64 << 10 };

struct area {
    char name[16];
    char *start;
    size_t bytes;
};

// A part of an area, as a command names it.
struct part {
    char *start;
    size_t bytes;
};

static atomic_ullong longest_us;

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void note_wait(uint64_t since_us)
{
    uint64_t took_us = now_us() - since_us;
    if (took_us > atomic_load(&longest_us))
        atomic_store(&longest_us, took_us);
}

// What a thread that allocates large blocks does all day.
static void *map_and_unmap(void *argument)
{
    (void)argument;
    for (;;) {
        uint64_t started_us = now_us();
        char *area =
            mmap(NULL, MAPPED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        note_wait(started_us);
        area[0] = 1;
        started_us = now_us();
        munmap(area, MAPPED_BYTES);
        note_wait(started_us);
    }
    return NULL;
}

static void fill(struct part part)
{
    uint64_t *words = (uint64_t *)(void *)part.start;
    for (size_t i = 0; i < part.bytes / sizeof *words; i++)
        words[i] = (uintptr_t)&words[i] * 0x9e3779b97f4a7c15ULL | 1;
}

static void check(struct part part)
{
    const uint64_t *words = (const uint64_t *)(void *)part.start;
    size_t wrong = 0, zero = 0;
    for (size_t i = 0; i < part.bytes / sizeof *words; i++) {
        zero += words[i] == 0;
        wrong += words[i] != 0 && words[i] != ((uintptr_t)&words[i] * 0x9e3779b97f4a7c15ULL | 1);
    }
    printf("ok wrong %zu zero %zu\n", wrong, zero);
}

static int map(struct area *area, const char *name, bool is_huge, size_t bytes)
{
    char *start =
        mmap(NULL, bytes + HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED)
        return -1;
    start += HUGE_BYTES - (uintptr_t)start % HUGE_BYTES;
    madvise(start, bytes, is_huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    snprintf(area->name, sizeof area->name, "%s", name);
    area->start = start;
    area->bytes = bytes;
    fill((struct part){start, bytes});
    return 0;
}

// The whole area unless the line names a part of it.
static bool find(struct area *areas, const char *line, struct part *ret_part)
{
    char command[16], name[16];
    size_t first_kib = 0, count_kib = 0;
    int got = sscanf(line, "%15s %15s %zu %zu", command, name, &first_kib, &count_kib);
    for (size_t i = 0; got >= 2 && i < AREAS; i++) {
        if (strcmp(areas[i].name, name) != 0)
            continue;
        *ret_part = (struct part){areas[i].start + first_kib * 1024,
                                  got == 4 ? count_kib * 1024 : areas[i].bytes};
        return true;
    }
    return false;
}

static void answer(bool is_good)
{
    puts(is_good ? "ok" : "failed");
}

static pid_t fork_sleeper(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    return pid;
}

static void start_mapper(void)
{
    pthread_t thread;
    answer(pthread_create(&thread, NULL, map_and_unmap, NULL) == 0);
}

static bool begins(const char *line, const char *word)
{
    return strncmp(line, word, strlen(word)) == 0;
}

// Commands without an area.
static bool obey_plain(const char *line, pid_t *child)
{
    if (begins(line, "fork")) {
        *child = fork_sleeper();
        printf("ok %d\n", (int)*child);
    } else if (begins(line, "unfork")) {
        kill(*child, SIGKILL);
        answer(waitpid(*child, NULL, 0) == *child);
    } else if (begins(line, "mapper")) {
        start_mapper();
    } else if (begins(line, "waits")) {
        printf("ok %llu\n", atomic_exchange(&longest_us, 0));
    } else if (begins(line, "exec")) {
        execlp("sleep", "sleep", "60", (char *)NULL);
    } else if (begins(line, "exit")) {
        exit(0);
    } else {
        return false;
    }
    return true;
}

static void obey_on_part(const char *line, struct part part)
{
    if (begins(line, "free"))
        answer(madvise(part.start, part.bytes, MADV_FREE) == 0);
    // Locked where they lie: mlock() would write to them, and they would be free no more.
    else if (begins(line, "lock"))
        answer(mlock2(part.start, part.bytes, MLOCK_ONFAULT) == 0);
    else if (begins(line, "check"))
        check(part);
    else if (begins(line, "write") || begins(line, "fill")) {
        fill(part);
        answer(true);
    }
}

int main(void)
{
    static struct area areas[AREAS];
    size_t area_count = 0, mib;
    char line[128], name[16], kind[16];
    pid_t child = -1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin)) {
        struct part part;
        if (sscanf(line, "map %15s %15s %zu", name, kind, &mib) == 3 && area_count < AREAS)
            answer(map(&areas[area_count++], name, kind[0] == 'h', mib << 20) == 0);
        else if (find(areas, line, &part))
            obey_on_part(line, part);
        else if (!obey_plain(line, &child))
            answer(false);
    }
    return 0;
}
