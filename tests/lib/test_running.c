// SPDX-License-Identifier: Apache-2.0
// Owners that run while another thread gives back their free pages as fast as it can: in tight
// loops, asleep in the kernel, ending and beginning, forking. Small enough for the thread
// sanitizer, which is to see every access but those that are marked as what they are. Test code.
#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine_test.h"

#include "heap/count.h"

#define OWN     600
#define SHARED  64
#define OWNERS  3
#define LIVES   4
#define ROUNDS  12000
#define FORKS   150
#define CHANGED 40 // objects, between two forks

struct object {
    uint64_t *words;
    size_t count;
};

struct owner {
    pthread_t thread;
    uint64_t random;
    struct object own[OWN];
};

static struct owner owners[OWNERS];
static uint64_t *shared[SHARED];
static uint32_t is_over;

// The sanitizer knows nothing of membarrier(2), by which a helper and an owner agree without the
// owner's doing anything (takeover.h), nor that the walk believes nothing it reads (sweep.h). So
// what a look does is left out, and test_takeover.c's; what owners do to each other meanwhile is
// not.
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:engine_look\n";
}

// What a helper did before its barrier is seen by whatever an owner does after: said in its words.
static char barrier;

#if defined(__SANITIZE_THREAD__)
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#else
static void __tsan_acquire(void *address)
{
    (void)address;
}
static void __tsan_release(void *address)
{
    (void)address;
}
#endif

static int fence(const struct os *os)
{
    __tsan_release(&barrier);
    return os_real.fence_threads(os);
}

// Long enough to know who did the earlier of two accesses.
__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "history_size=7";
}

// What a block's holder has written: at its ends, and in the page between them.
static void stamp(uint64_t *words, size_t count)
{
    for (size_t at = 0; at < count; at += at + 97 < count  ? 97
                                          : count - 1 > at ? count - 1 - at
                                                           : 1)
        words[at] = (uint64_t)(uintptr_t)words ^ count ^ at;
    words[1] = count;
}

static void check(const uint64_t *words)
{
    size_t count = words[1];
    assert_true(count >= 4 && count < 40000);
    for (size_t at = 0; at < count; at += at + 97 < count  ? 97
                                          : count - 1 > at ? count - 1 - at
                                                           : 1) {
        if (at != 1)
            assert_true(words[at] == ((uint64_t)(uintptr_t)words ^ count ^ at));
    }
}

static uint64_t *make(uint64_t *random)
{
    static const size_t most[] = {30, 30, 30, 30, 120, 120, 400, 3000};
    size_t kind = heap_test_next(random) % 64;
    __tsan_acquire(&barrier);
    size_t count = 4 + heap_test_next(random) % (kind == 0 ? 30000 : most[kind % 8]);
    uint64_t *words = heap_test_allocate(count * 8);
    stamp(words, count);
    return words;
}

static void drop(uint64_t *words)
{
    if (!words)
        return;
    check(words);
    __tsan_acquire(&barrier);
    heap_test_release(words);
}

static void change_one(struct owner *owner)
{
    struct object *object = &owner->own[heap_test_next(&owner->random) % OWN];
    drop(object->words);
    object->words = heap_test_next(&owner->random) % 3 ? make(&owner->random) : NULL;
    if (heap_test_next(&owner->random) % 8)
        return;
    uint64_t **slot = &shared[heap_test_next(&owner->random) % SHARED];
    object->words = __atomic_exchange_n(slot, object->words, __ATOMIC_ACQ_REL);
}

// Most of it goes; what is left must be whole after a time in the kernel.
static void fall_asleep(struct owner *owner)
{
    for (int i = 0; i < OWN; i++) {
        if (i % 10 == 0)
            continue;
        drop(owner->own[i].words);
        owner->own[i].words = NULL;
    }
    if (heap_test_next(&owner->random) % 2)
        poll(NULL, 0, 3);
    else
        nanosleep(&(struct timespec){0, 3000000}, NULL);
    for (int i = 0; i < OWN; i += 10) {
        if (owner->own[i].words)
            check(owner->own[i].words);
    }
}

static void *run_life(void *pointer)
{
    struct owner *owner = pointer;
    for (int round = 0; round < ROUNDS; round++) {
        change_one(owner);
        if (round % 2000 == 1999)
            fall_asleep(owner);
    }
    return NULL;
}

// One thread after another goes on with the same objects, mostly in the same heap.
static void *run_lives(void *pointer)
{
    struct owner *owner = pointer;
    for (int life = 0; life < LIVES; life++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, run_life, owner), 0);
        pthread_join(thread, NULL);
    }
    return NULL;
}

static void *purge_on(void *unused)
{
    (void)unused;
    for (unsigned i = 0; !__atomic_load_n(&is_over, __ATOMIC_ACQUIRE); i++) {
        (void)engine_purge();
        if (i % 16 == 0)
            (void)engine_set_policy(i % 32 ? WIRE_POLICY_FREE : WIRE_POLICY_DONTNEED);
    }
    return NULL;
}

static void start_purger(pthread_t *thread)
{
    is_over = 0;
    heap_test_release(heap_test_allocate(1));
    assert_int_equal(pthread_create(thread, NULL, purge_on, NULL), 0);
}

static void stop_purger(pthread_t thread)
{
    __atomic_store_n(&is_over, 1, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
}

static void drop_all(void)
{
    for (int i = 0; i < OWNERS; i++) {
        for (int j = 0; j < OWN; j++) {
            drop(owners[i].own[j].words);
            owners[i].own[j].words = NULL;
        }
    }
    for (int i = 0; i < SHARED; i++) {
        drop(shared[i]);
        shared[i] = NULL;
    }
}

static void test_running_owners(void **state)
{
    (void)state;
    pthread_t purger;
    start_purger(&purger);
    for (int i = 0; i < OWNERS; i++) {
        owners[i].random = (uint64_t)i * 77 + 5;
        assert_int_equal(pthread_create(&owners[i].thread, NULL, run_lives, &owners[i]), 0);
    }
    for (int i = 0; i < OWNERS; i++)
        pthread_join(owners[i].thread, NULL);
    stop_purger(purger);
    drop_all();
    (void)engine_purge();
    struct count count;
    count_heap(&count);
    assert_int_equal(count.live_blocks, 0);
    assert_int_equal(count.mallocs, count.frees);
    assert_true(space.ledger->purged_bytes > 0);
}

// With what the fork left: its parent's blocks, a heap of its own or a new one.
static _Noreturn void live_in_child(struct owner *owner)
{
    alarm(30);
    for (int i = 0; i < OWN; i++) {
        if (i % 2 || !owner->own[i].words)
            continue;
        drop(owner->own[i].words);
        owner->own[i].words = NULL;
    }
    for (int i = 0; i < 2000; i++)
        change_one(owner);
    (void)engine_purge();
    for (int i = 0; i < OWN; i++)
        drop(owner->own[i].words);
    _exit(heap_of_thread == NULL);
}

// The forking thread's heap may be in the helper's hands at that moment, and is lost then.
static void test_fork(void **state)
{
    (void)state;
#if defined(__SANITIZE_THREAD__)
    print_message("the thread sanitizer does not follow a fork of many threads\n");
    skip();
#endif
    struct owner *owner = &owners[0];
    pthread_t purger;
    owner->random = 4242;
    start_purger(&purger);
    int lost = 0;
    for (int i = 0; i < FORKS; i++) {
        for (int j = 0; j < CHANGED; j++)
            change_one(owner);
        const struct heap *own = heap_of_thread;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            if (heap_of_thread == own)
                live_in_child(owner);
            // Lost, and told so by the status.
            if (fork() == 0)
                live_in_child(owner);
            int status = 1;
            wait(&status);
            _exit(status ? 1 : 2);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 1);
        lost += WEXITSTATUS(status) == 2;
    }
    print_message("%d of %d children began without their heap\n", lost, FORKS);
    stop_purger(purger);
    drop_all();
}

static int begin(void **state)
{
    int error = engine_test_begin(state);
    struct fake_os *fake = *state;
    fake->os.fence_threads = fence;
    return error;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_running_owners, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_fork, begin, engine_test_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
