// SPDX-License-Identifier: Apache-2.0
// Short threads by the thousand, each allocating, freeing others' blocks, leaving blocks behind,
// and allocating once more in destructors that run before and after the heap's own. RSS must stay
// flat. Now and then all threads of a batch meet while they hold their blocks, and there are twice
// as many in the first, so that the most that ever lives at a time does not depend on luck.
//
//   threads COUNT     prints "resident: FIRST LAST" in KiB: most in the first tenth, and after all
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PARALLEL 8

static void *_Atomic left[256];
static pthread_key_t keys[3];
static pthread_barrier_t meeting;
static bool is_meeting; // written while no thread runs

// One batch in so many meets.
#define MEETING 16

// Called again and again while it sets its value anew, up to the system's limit of rounds.
static void allocate_late(void *value)
{
    size_t rounds = (size_t)value;
    free(malloc(rounds * 1000));
    if (rounds > 1)
        pthread_setspecific(keys[2], (void *)(rounds - 1));
}

static void *live(void *pointer)
{
    size_t number = (size_t)pointer;
    for (int i = 0; i < 3; i++)
        pthread_setspecific(keys[i], (void *)(size_t)(i + 3));
    char *blocks[40];
    for (size_t i = 0; i < 40; i++) {
        blocks[i] = malloc(16 + i * i * 7);
        memset(blocks[i], 1, 16);
    }
    if (is_meeting)
        pthread_barrier_wait(&meeting);
    for (size_t i = 0; i < 40; i++) {
        if (i % 4 == 0)
            free(atomic_exchange(&left[(number * 40 + i) % 256], blocks[i]));
        else
            free(blocks[i]);
    }
    return NULL;
}

static long resident_kib(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%*d %ld", &pages) != 1)
        return -1;
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void run_batch(long first, long count)
{
    pthread_t threads[2 * PARALLEL];
    pthread_barrier_init(&meeting, NULL, (unsigned)count);
    for (long i = 0; i < count; i++)
        pthread_create(&threads[i], NULL, live, (void *)(size_t)(first + i));
    for (long i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&meeting);
}

int main(int argc, char **argv)
{
    long count = argc > 1 ? atol(argv[1]) : 10000;
    long first = 0;
    // One key below the heap's own, which comes with the first allocation, and two above.
    pthread_key_create(&keys[0], allocate_late);
    free(malloc(1));
    pthread_key_create(&keys[1], allocate_late);
    pthread_key_create(&keys[2], allocate_late);
    for (long done = 0; done < count; done += PARALLEL) {
        is_meeting = done / PARALLEL % MEETING == 0;
        run_batch(done, done ? PARALLEL : 2 * PARALLEL);
        // The most of the first tenth: by itself memory goes back now and then.
        long now = is_meeting && done <= count / 10 ? resident_kib() : 0;
        if (now > first)
            first = now;
    }
    printf("resident: %ld %ld\n", first, resident_kib());
    return 0;
}
