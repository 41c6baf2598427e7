// SPDX-License-Identifier: Apache-2.0
// Little memory: while LIVE_MIB stay, a pool of 32 threads takes turns. Each makes garbage of a
// size of its own, a sixteenth of what lives, frees it, and sleeps till its next turn. Kept garbage
// would add up to twice what lives.
//
//   bench_malloc_limit LIVE_MIB PACE_MS [trim]      prints the longest wait for a block, in ns
#include "fill.h"

#include <malloc.h>
#include <time.h>

#define WORKERS 32
#define LAPS    2

struct worker {
    size_t size; // of its largest block
    size_t garbage;
    uint64_t random;
    long stall_ns;
    pthread_barrier_t turn;
};

static long now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000 + time.tv_nsec;
}

// A block with every page written, the next of a list; remembers the longest wait.
static void **block_timed(size_t size, void **next, long *stall_ns)
{
    long start = now_ns();
    void **block = malloc(size);
    if (!block)
        fail("malloc failed");
    memset(block, 0x5a, size);
    long took = now_ns() - start;
    if (took > *stall_ns)
        *stall_ns = took;
    *block = next;
    return block;
}

static void list_free(void **list)
{
    while (list) {
        void **next = *list;
        free(list);
        list = next;
    }
}

// A turn begins and ends with the barrier that is between this thread and the one that paces.
static void *work(void *argument)
{
    struct worker *worker = argument;
    for (int lap = 0; lap < LAPS; lap++) {
        pthread_barrier_wait(&worker->turn);
        void **list = NULL;
        for (size_t made = 0, size; made < worker->garbage; made += size) {
            size = worker->size * 3 / 4 + random_below(&worker->random, worker->size / 4 + 1);
            list = block_timed(size, list, &worker->stall_ns);
        }
        list_free(list);
        pthread_barrier_wait(&worker->turn);
    }
    return NULL;
}

static void take_turns(struct worker *workers, long pace_ms, int trims)
{
    const struct timespec pause = {0, pace_ms * 1000000};
    for (int lap = 0; lap < LAPS; lap++)
        for (int i = 0; i < WORKERS; i++) {
            pthread_barrier_wait(&workers[i].turn);
            pthread_barrier_wait(&workers[i].turn);
            if (trims)
                malloc_trim(0);
            nanosleep(&pause, NULL);
        }
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    static struct worker workers[WORKERS];
    size_t live = strtoul(argv[1], NULL, 10) << 20;
    pthread_t threads[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        workers[i].size = (size_t)32 << i % 16;
        workers[i].garbage = live / 16;
        workers[i].random = SEED + (uint64_t)i;
        pthread_barrier_init(&workers[i].turn, NULL, 2);
        threads[i] = thread_start(work, &workers[i]);
    }
    void **list = NULL;
    long stall_ns = 0;
    uint64_t random = SEED;
    for (size_t made = 0, size; made < live; made += size) {
        size = size_mixed(&random);
        list = block_timed(size, list, &stall_ns);
    }
    take_turns(workers, atol(argv[2]), argc > 3);
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        stall_ns = workers[i].stall_ns > stall_ns ? workers[i].stall_ns : stall_ns;
    }
    list_free(list);
    printf("%ld\n", stall_ns);
    return 0;
}
