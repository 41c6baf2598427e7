// SPDX-License-Identifier: Apache-2.0
// A load that comes and goes: every PERIOD_MS four threads free what they kept of the last spike,
// fill the heap anew, and free nine in ten blocks at random.
//
//   bench_malloc_spikes MIB SPIKES PERIOD_MS [trim]      says "pid PID" first
#include "fill.h"

#include <malloc.h>
#include <time.h>
#include <unistd.h>

#define OWNERS 4

static struct owner owners[OWNERS];
static size_t share; // bytes of an owner
static long spikes;
static pthread_barrier_t barrier;

static void *own(void *argument)
{
    struct owner *owner = argument;
    for (long spike = 0; spike < spikes; spike++) {
        pthread_barrier_wait(&barrier);
        owner_free_to(owner, 0);
        owner_fill(owner, share);
        owner_shuffle(owner);
        owner_free_to(owner, owner->count * KEPT_PERCENT / 100);
        (void)owner_trim_list(owner);
        pthread_barrier_wait(&barrier);
    }
    owner_check(owner);
    return NULL;
}

static void add_ms(struct timespec *time, long ms)
{
    time->tv_sec += ms / 1000;
    time->tv_nsec += ms % 1000 * 1000000;
    if (time->tv_nsec >= 1000000000) {
        time->tv_sec++;
        time->tv_nsec -= 1000000000;
    }
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    share = strtoul(argv[1], NULL, 10) * (1u << 20) / OWNERS;
    spikes = atol(argv[2]);
    pthread_t threads[OWNERS];
    pthread_barrier_init(&barrier, NULL, OWNERS + 1);
    for (int i = 0; i < OWNERS; i++) {
        owner_start(&owners[i], share, 0, i);
        threads[i] = thread_start(own, &owners[i]);
    }
    printf("pid %d\n", (int)getpid());
    fflush(stdout);
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (long spike = 0; spike < spikes; spike++) {
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        if (argc > 4)
            malloc_trim(0);
        add_ms(&next, atol(argv[3]));
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
    for (int i = 0; i < OWNERS; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
