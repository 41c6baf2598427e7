// SPDX-License-Identifier: Apache-2.0
// Four threads fill a heap, nine in ten blocks are freed, and then little or nothing happens. What
// is left in memory is read from outside.
//
//   bench_malloc_return SCENARIO mixed|small MIB [trim]
//   idle     the owners sleep        active  they make 20 small pairs every 10 ms
//   other    an unrelated thread makes 1,000 pairs every 10 ms
//   remote   another thread frees    exit    the owners end after freeing
//   phases   filled in ten phases, of which nine are freed, the youngest block first
//
// Says "full BYTES LISTS" (requested bytes, bytes of the program's own lists), after
// malloc_info()'s text, and waits for a line; says "freed BYTES LISTS"; checks what lives at the
// end of its input.
#include "fill.h"

#include <malloc.h>
#include <time.h>

#define OWNERS 4
#define PHASES 10

enum scenario { IDLE, ACTIVE, OTHER, REMOTE, EXIT, PHASED };

static struct owner owners[OWNERS];
static size_t share; // bytes of an owner
static enum scenario scenario;
static size_t first_phase[OWNERS]; // blocks
static pthread_barrier_t barrier;
static atomic_int is_over;

// Pairs of small blocks every 10 ms until all is over.
static void live_lightly(uint64_t random, int pairs)
{
    const struct timespec pause = {0, 10000000};
    while (!is_over) {
        for (int i = 0; i < pairs; i++)
            block_end(block_make(random_size(&random, 4, 9)));
        nanosleep(&pause, NULL);
    }
}

static size_t kept_of(int number)
{
    return scenario == PHASED ? first_phase[number] : owners[number].count * KEPT_PERCENT / 100;
}

static void fill(int number)
{
    struct owner *owner = &owners[number];
    for (size_t phase = 1; scenario == PHASED && phase < PHASES; phase++) {
        owner_fill(owner, share / PHASES * phase);
        if (phase == 1)
            first_phase[number] = owner->count;
        pthread_barrier_wait(&barrier);
    }
    owner_fill(owner, share);
    if (scenario != PHASED)
        owner_shuffle(owner);
}

static void *own(void *argument)
{
    int number = (int)(intptr_t)argument;
    fill(number);
    pthread_barrier_wait(&barrier); // full
    pthread_barrier_wait(&barrier); // told to free
    if (scenario != REMOTE)
        owner_free_to(&owners[number], kept_of(number));
    if (scenario == EXIT)
        return NULL;
    pthread_barrier_wait(&barrier); // freed
    if (scenario == ACTIVE)
        live_lightly(SEED + (uint64_t)number, 20);
    pthread_barrier_wait(&barrier); // over
    return NULL;
}

static void *other(void *argument)
{
    live_lightly(SEED, 1000);
    return argument;
}

// All owners' blocks in turns.
static void *free_remotely(void *argument)
{
    size_t kept[OWNERS], left = OWNERS;
    for (int i = 0; i < OWNERS; i++)
        kept[i] = kept_of(i);
    while (left > 0) {
        left = 0;
        for (int i = 0; i < OWNERS; i++)
            if (owners[i].count > kept[i]) {
                owner_free_last(&owners[i]);
                left++;
            }
    }
    return argument;
}

static void say(const char *what)
{
    size_t bytes = 0, lists = 0;
    for (int i = 0; i < OWNERS; i++) {
        bytes += owners[i].bytes;
        lists += owner_trim_list(&owners[i]);
    }
    printf("%s %zu %zu\n", what, bytes, lists);
    fflush(stdout);
}

static enum scenario scenario_named(const char *name)
{
    static const char *const names[] = {"idle", "active", "other", "remote", "exit", "phases"};
    for (int i = 0; i < 6; i++)
        if (strcmp(name, names[i]) == 0)
            return (enum scenario)i;
    fail("there is no such scenario");
    return IDLE;
}

static void wait_for_line(void)
{
    for (int letter = getchar(); letter != '\n' && letter != EOF;)
        letter = getchar();
}

static void start(pthread_t *threads, int is_small)
{
    pthread_barrier_init(&barrier, NULL, OWNERS + 1);
    for (int i = 0; i < OWNERS; i++) {
        owner_start(&owners[i], share, is_small, i);
        threads[i] = thread_start(own, (void *)(intptr_t)i);
    }
    for (int phase = 1; scenario == PHASED && phase < PHASES; phase++)
        pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    pthread_t threads[OWNERS], more = 0;
    scenario = scenario_named(argv[1]);
    share = strtoul(argv[3], NULL, 10) * (1u << 20) / OWNERS;
    start(threads, strcmp(argv[2], "small") == 0);
    malloc_info(0, stdout);
    say("\nfull");
    wait_for_line();
    if (scenario == OTHER)
        more = thread_start(other, NULL);
    pthread_barrier_wait(&barrier);
    if (scenario == REMOTE)
        pthread_join(thread_start(free_remotely, NULL), NULL);
    if (scenario != EXIT)
        pthread_barrier_wait(&barrier);
    for (int i = 0; scenario == EXIT && i < OWNERS; i++)
        pthread_join(threads[i], NULL);
    say("freed");
    if (argc > 4)
        malloc_trim(0);
    wait_for_line();
    is_over = 1;
    if (scenario == OTHER)
        pthread_join(more, NULL);
    if (scenario != EXIT)
        pthread_barrier_wait(&barrier);
    for (int i = 0; i < OWNERS; i++)
        owner_check(&owners[i]);
    return 0;
}
