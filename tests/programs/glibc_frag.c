// SPDX-License-Identifier: Apache-2.0
// A fragmented glibc heap: every thread allocates blocks of random sizes and frees some of them at
// random. glibc_frag THREADS BLOCKS MIN_BYTES MAX_BYTES PERCENT_FREED [trim]: then serves its
// figures on stdin.
#include <pthread.h>

#include "glibc_self.h"

struct job {
    unsigned seed;
    size_t blocks, min_bytes, max_bytes, percent;
    const void *heap_blocks[64]; // one early block of each heap
    size_t heap_count;
};

static pthread_barrier_t built, finished;

// Keeps the first block of each heap, which is its lowest.
static void note_heap(struct job *job, const void *block, int is_main)
{
    uintptr_t heap = (uintptr_t)block & ~(uintptr_t)(SELF_HEAP_BYTES - 1);
    for (size_t i = 0; i < job->heap_count; i++) {
        uintptr_t known = (uintptr_t)job->heap_blocks[i] & ~(uintptr_t)(SELF_HEAP_BYTES - 1);
        if (is_main || known == heap)
            return;
    }
    if (job->heap_count < 64)
        job->heap_blocks[job->heap_count++] = block;
}

static void fragment(struct job *job, int is_main)
{
    size_t table_bytes = job->blocks * sizeof(void *);
    // A small block first: it lies below all others.
    void *lowest = calloc(1, 24);
    note_heap(job, lowest, is_main);
    void **blocks = malloc(table_bytes);
    size_t spread = job->max_bytes - job->min_bytes + 1;
    for (size_t i = 0; i < job->blocks; i++) {
        size_t bytes = job->min_bytes + (size_t)rand_r(&job->seed) % spread;
        blocks[i] = malloc(bytes);
        memset(blocks[i], 1, bytes);
        if (bytes < 100000)
            note_heap(job, blocks[i], is_main);
    }
    for (size_t i = job->blocks; i > 1; i--) {
        size_t other = (size_t)rand_r(&job->seed) % i;
        void *swap = blocks[i - 1];
        blocks[i - 1] = blocks[other];
        blocks[other] = swap;
    }
    for (size_t i = 0; i < job->blocks * job->percent / 100; i++)
        free(blocks[i]);
}

static void *work(void *argument)
{
    fragment(argument, 0);
    pthread_barrier_wait(&built);
    pthread_barrier_wait(&finished);
    return NULL;
}

int main(int argc, char **argv)
{
    static struct job jobs[64];
    static pthread_t threads[64];
    static const void *blocks[64 * 64 + 1];
    if (argc < 6)
        return 2;
    size_t thread_count = strtoul(argv[1], NULL, 10), block_count = 0;
    if (thread_count > 63)
        return 2;
    pthread_barrier_init(&built, NULL, (unsigned)thread_count + 1);
    pthread_barrier_init(&finished, NULL, (unsigned)thread_count + 1);
    for (size_t i = 0; i <= thread_count; i++) {
        jobs[i] = (struct job){.seed = 42 + (unsigned)i,
                               .blocks = strtoul(argv[2], NULL, 10),
                               .min_bytes = strtoul(argv[3], NULL, 10),
                               .max_bytes = strtoul(argv[4], NULL, 10),
                               .percent = strtoul(argv[5], NULL, 10)};
        if (i < thread_count)
            pthread_create(&threads[i], NULL, work, &jobs[i]);
    }
    fragment(&jobs[thread_count], 1);
    pthread_barrier_wait(&built);
    if (argc > 6 && strcmp(argv[6], "trim") == 0)
        malloc_trim(0);
    // All that lies in the brk is one heap.
    const void *lowest_in_brk = NULL;
    for (size_t i = 0; i <= thread_count; i++) {
        for (size_t k = 0; k < jobs[i].heap_count; k++) {
            const void *block = jobs[i].heap_blocks[k];
            if ((uintptr_t)block > (uintptr_t)sbrk(0))
                blocks[block_count++] = block;
            else if (!lowest_in_brk || (uintptr_t)block < (uintptr_t)lowest_in_brk)
                lowest_in_brk = block;
        }
    }
    blocks[block_count++] = lowest_in_brk;
    return self_serve(blocks, block_count);
}
