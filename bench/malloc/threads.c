// SPDX-License-Identifier: Apache-2.0
// Several threads: blocks that are freed by another thread than allocated them, threads that come
// and go, blocks of neighbours in one cache line.
//
//   bench_malloc_threads producer|xmalloc|larson|exchange|scratch|storm [PERCENT]
#include "bench.h"

#define BATCH_BLOCKS 4096
#define BATCHES_MAX  100

struct batch {
    struct batch *next;
    void *blocks[BATCH_BLOCKS];
};

// Batches on their way from who allocates to who frees.
struct channel {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct batch *first;
    long waiting;
    long left;
    size_t size; // of a block, or 0: 16 to 4,096 bytes
    long batch_blocks;
};

static void channel_put(struct channel *channel, struct batch *batch)
{
    pthread_mutex_lock(&channel->lock);
    while (channel->waiting >= BATCHES_MAX)
        pthread_cond_wait(&channel->changed, &channel->lock);
    batch->next = channel->first;
    channel->first = batch;
    channel->waiting++;
    pthread_cond_broadcast(&channel->changed);
    pthread_mutex_unlock(&channel->lock);
}

// NULL when there is none to come.
static struct batch *channel_take(struct channel *channel)
{
    pthread_mutex_lock(&channel->lock);
    while (!channel->first && channel->left > 0)
        pthread_cond_wait(&channel->changed, &channel->lock);
    struct batch *batch = channel->first;
    if (batch) {
        channel->first = batch->next;
        channel->waiting--;
        channel->left--;
        pthread_cond_broadcast(&channel->changed);
    }
    pthread_mutex_unlock(&channel->lock);
    return batch;
}

struct producer {
    struct channel *channel;
    long batches;
    uint64_t random;
};

static void *produce(void *argument)
{
    struct producer *producer = argument;
    struct channel *channel = producer->channel;
    for (long i = 0; i < producer->batches; i++) {
        struct batch *batch = malloc(sizeof *batch);
        for (long k = 0; k < channel->batch_blocks; k++)
            batch->blocks[k] =
                block_make(channel->size ? channel->size : random_size(&producer->random, 4, 12));
        channel_put(channel, batch);
    }
    return NULL;
}

static void *consume(void *argument)
{
    struct channel *channel = argument;
    for (struct batch *batch; (batch = channel_take(channel)) != NULL; free(batch))
        for (long k = 0; k < channel->batch_blocks; k++)
            block_end(batch->blocks[k]);
    return NULL;
}

static void run_channel(struct channel *channel, int pairs)
{
    struct producer producers[2];
    pthread_t threads[4];
    long batches = channel->left / pairs; // read before the first thread takes from it
    pthread_mutex_init(&channel->lock, NULL);
    pthread_cond_init(&channel->changed, NULL);
    for (int i = 0; i < pairs; i++) {
        producers[i] = (struct producer){channel, batches, SEED + (uint64_t)i};
        threads[2 * i] = thread_start(consume, channel);
        threads[2 * i + 1] = thread_start(produce, &producers[i]);
    }
    for (int i = 0; i < 2 * pairs; i++)
        pthread_join(threads[i], NULL);
}

// One thread allocates, one frees; small batches, sizes from 16 to 4,096 bytes.
static void run_producer(long percent)
{
    struct channel channel = {.left = 400 * percent, .size = 0, .batch_blocks = 64};
    run_channel(&channel, 1);
}

// As xmalloc-test: two threads allocate batches of 4,096 blocks of 64 bytes, two free them.
static void run_xmalloc(long percent)
{
    struct channel channel = {.left = 20 * percent, .size = 64, .batch_blocks = BATCH_BLOCKS};
    run_channel(&channel, 2);
}

#define LARSON_BLOCKS 5000
#define LARSON_LANES  4

struct lane {
    void *blocks[LARSON_BLOCKS];
    uint64_t random;
    long generations;
    long steps;
};

// Replaces blocks at random, hands all to a successor, and ends: every block outlives its thread.
static void *larson(void *argument)
{
    struct lane *lane = argument;
    for (long step = 0; step < lane->steps; step++) {
        void **block = &lane->blocks[random_below(&lane->random, LARSON_BLOCKS)];
        block_end(*block);
        *block = block_make(16 + random_below(&lane->random, 985));
    }
    return NULL;
}

static void *lane_run(void *argument)
{
    struct lane *lane = argument;
    for (long i = 0; i < lane->generations; i++)
        pthread_join(thread_start(larson, lane), NULL);
    for (int i = 0; i < LARSON_BLOCKS; i++)
        block_end(lane->blocks[i]);
    return NULL;
}

// The parameters of larson: 5,000 blocks of up to 1,000 bytes per thread, 100 rounds a generation.
static void run_larson(long percent)
{
    static struct lane lanes[LARSON_LANES];
    pthread_t threads[LARSON_LANES];
    for (int i = 0; i < LARSON_LANES; i++) {
        lanes[i].random = SEED + (uint64_t)i;
        lanes[i].generations = 6;
        lanes[i].steps = 5000 * percent;
        threads[i] = thread_start(lane_run, &lanes[i]);
    }
    for (int i = 0; i < LARSON_LANES; i++)
        pthread_join(threads[i], NULL);
}

#define TRANSFERS 1000
#define OWN       20000

static _Atomic(void *) transfers[TRANSFERS];

struct worker {
    uint64_t random;
    long steps;
};

// As mstress: random blocks, one in a hundred large, a quarter of them swapped with other threads.
static void *exchange(void *argument)
{
    struct worker *worker = argument;
    uint64_t *random = &worker->random;
    void **own = calloc(OWN, sizeof *own);
    for (long step = 0; step < worker->steps; step++) {
        void **block = &own[random_below(random, OWN)];
        block_end(*block);
        size_t large = random_below(random, 100) == 0 ? 100 : 1;
        *block = block_make(16 + 8 * large * random_below(random, 128));
        if (random_below(random, 4) == 0) {
            void **given = &own[random_below(random, OWN)];
            *given = atomic_exchange(&transfers[random_below(random, TRANSFERS)], *given);
        }
    }
    for (int i = 0; i < OWN; i++)
        block_end(own[i]);
    free(own);
    return NULL;
}

static void run_exchange(long percent)
{
    struct worker workers[2] = {{SEED, 25000 * percent}, {SEED + 1, 25000 * percent}};
    pthread_t first = thread_start(exchange, &workers[0]);
    pthread_join(thread_start(exchange, &workers[1]), NULL);
    pthread_join(first, NULL);
    for (int i = 0; i < TRANSFERS; i++)
        block_end(transfers[i]);
}

struct scratch {
    char *block;
    long rounds;
};

static void *scratch(void *argument)
{
    struct scratch *mine = argument;
    free(mine->block);
    for (long round = 0; round < mine->rounds; round++) {
        volatile char *block = malloc(8);
        for (int i = 0; i < 500000; i++)
            block[i & 7]++;
        free((void *)block);
    }
    return NULL;
}

// As cache-scratch: neighbours of one thread are freed by two, which must not share a line then.
static void run_scratch(long percent)
{
    struct scratch both[2] = {{malloc(8), 5 * percent}, {malloc(8), 5 * percent}};
    pthread_t first = thread_start(scratch, &both[0]);
    pthread_join(thread_start(scratch, &both[1]), NULL);
    pthread_join(first, NULL);
}

#define STORM_BLOCKS 40

static void *storm_short(void *argument)
{
    uint64_t random = SEED + (uintptr_t)argument;
    void **kept = malloc(STORM_BLOCKS * sizeof *kept);
    for (int i = 0; i < STORM_BLOCKS; i++)
        kept[i] = block_make(random_size(&random, 4, 11));
    for (int i = 0; i < STORM_BLOCKS; i += 2)
        block_end(kept[i]);
    return kept;
}

static void *storm_start(void *argument)
{
    for (long i = 0; i < (long)(intptr_t)argument; i++) {
        void *result;
        pthread_join(thread_start(storm_short, (void *)(intptr_t)i), &result);
        void **kept = result;
        for (int k = 1; k < STORM_BLOCKS; k += 2)
            block_end(kept[k]);
        free(kept);
    }
    return NULL;
}

// Two threads start 10,000 short ones each and free what these leave.
static void run_storm(long percent)
{
    pthread_t first = thread_start(storm_start, (void *)(intptr_t)(100 * percent));
    (void)storm_start((void *)(intptr_t)(100 * percent));
    pthread_join(first, NULL);
}

int main(int argc, char **argv)
{
    static const struct mode modes[] = {{"producer", run_producer}, {"xmalloc", run_xmalloc},
                                        {"larson", run_larson},     {"exchange", run_exchange},
                                        {"scratch", run_scratch},   {"storm", run_storm}};
    return bench_main(argc, argv, modes, sizeof modes / sizeof *modes);
}
