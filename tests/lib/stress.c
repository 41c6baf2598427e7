// SPDX-License-Identifier: Apache-2.0
// A seeded model of a program against its malloc: each object is filled from its address and its
// generation over all of its usable bytes, and looked at before it goes, also by other threads and
// in forked children. Two objects that overlap spoil each other's filling.
//
//   stress SEED ROUNDS THREADS [MODE...]     0, or a line that says what was wrong, the command
//                                            line that tries it again, and a signal
//
//   trim      malloc_trim() now and then         purge     ebb_purge() now and then
//   fork      children that go on                policy    ebb_set_policy() and its bound, anything
//   turnover  short threads instead of long      sleep     most is freed, then nothing for a while
//   signals   each thread is interrupted by a timer: a handler that does nothing, or sleeps
//   resize    realloc most of the time, across all sizes
//   tight     little but small mallocs and frees: what interrupts finds them in the middle
//   press     a further thread that purges every other millisecond
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// timer_create(2) calls it so, and glibc before 2.43 does not.
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

#define OWN    2000
#define SHARED 512
#define BATCH  2000 // rounds of a short thread, and between two forks

// One bit per mode, in the order of the names.
enum {
    TRIM = 1,
    FORK = 2,
    TURNOVER = 4,
    SIGNALS = 8,
    PURGE = 16,
    POLICY = 32,
    SLEEP = 64,
    RESIZE = 128,
    TIGHT = 256,
    PRESS = 512,
};
static const char *const mode_names[] = {"trim",   "fork",  "turnover", "signals", "purge",
                                         "policy", "sleep", "resize",   "tight",   "press"};
enum { MODES = sizeof mode_names / sizeof *mode_names };

struct object {
    unsigned char *bytes;
    size_t asked;
    size_t usable;
    uint64_t generation;
};

struct slot {
    pthread_mutex_t mutex;
    struct object object;
};

struct worker {
    pthread_t thread;
    uint64_t random;
    long rounds;
    unsigned modes;
    struct object own[OWN];
};

static struct slot shared[SHARED];

// What tries it again; written in handlers, so it is made at the start.
static char replay[600];

// libebb's own calls, where the program runs on it.
static size_t (*purge_all)(void);
static int (*set_policy)(int policy);
static int (*set_return_within)(unsigned milliseconds);

static void write_replay(void)
{
    if (write(STDERR_FILENO, replay, strlen(replay)) < 0)
        return;
}

static void fail(const char *what, const struct object *object)
{
    fprintf(stderr, "stress: %s: %p, asked %zu, usable %zu\n", what, (void *)object->bytes,
            object->asked, object->usable);
    abort();
}

// Whatever ends the process, a line of the heap's or a fault: how to see it again.
static void end_with_replay(int number)
{
    write_replay();
    signal(number, SIG_DFL);
    raise(number);
}

static uint64_t next(struct worker *worker)
{
    worker->random ^= worker->random << 13;
    worker->random ^= worker->random >> 7;
    worker->random ^= worker->random << 17;
    return worker->random;
}

static unsigned char byte_at(const struct object *object, size_t at)
{
    uint64_t word = (uint64_t)(uintptr_t)object->bytes + object->generation * 0x9e3779b97f4a7c15u;
    return (unsigned char)((word >> at % 7 * 8) + at);
}

// Both ends of big objects, all of small ones.
static size_t step_at(const struct object *object, size_t at)
{
    return at < 512 || at + 512 >= object->usable ? 1 : 509;
}

static void fill(struct object *object)
{
    for (size_t at = 0; at < object->usable; at += step_at(object, at))
        object->bytes[at] = byte_at(object, at);
}

static void check(const struct object *object)
{
    for (size_t at = 0; at < object->usable; at += step_at(object, at)) {
        if (object->bytes[at] != byte_at(object, at))
            fail("spoiled", object);
    }
}

// Log-uniform: mostly small, now and then MiB.
static size_t any_size(struct worker *worker)
{
    uint64_t random = next(worker);
    unsigned bits = (unsigned)(random % 64);
    unsigned most = bits < 40 ? 9 : bits < 58 ? 14 : bits < 63 ? 18 : 22;
    return (random >> 8) % ((size_t)1 << (random >> 40) % (most + 1)) + (random >> 63);
}

static void begin(struct worker *worker, struct object *object, void *bytes, size_t asked,
                  size_t align)
{
    object->bytes = bytes;
    object->asked = asked;
    object->usable = malloc_usable_size(bytes);
    object->generation = next(worker);
    if (!bytes)
        fail("no memory", object);
    if ((uintptr_t)bytes % align != 0)
        fail("not aligned", object);
    if (object->usable < asked)
        fail("too short", object);
    fill(object);
}

static void allocate(struct worker *worker, struct object *object)
{
    size_t size = any_size(worker);
    size_t align = 16;
    void *bytes = NULL;
    switch (next(worker) % 8) {
    case 0:
        bytes = calloc(1, size);
        for (size_t at = 0; bytes && at < size; at++) {
            object->bytes = bytes;
            object->asked = size;
            if (object->bytes[at] != 0)
                fail("calloc is not zero", object);
        }
        break;
    case 1:
        align = (size_t)16 << next(worker) % 14;
        bytes = aligned_alloc(align, size);
        break;
    default:
        bytes = malloc(size);
    }
    begin(worker, object, bytes, size, align);
}

static void resize(struct worker *worker, struct object *object)
{
    check(object);
    struct object old = *object;
    size_t size = any_size(worker) + 1;
    unsigned char *moved = realloc(object->bytes, size);
    if (!moved)
        fail("no memory to grow", object);
    // The filling depends on the old address, so look with that.
    size_t kept = old.usable < size ? old.usable : size;
    for (size_t at = 0; at < kept; at += step_at(&old, at)) {
        if (moved[at] != byte_at(&old, at))
            fail("realloc lost bytes", &old);
    }
    begin(worker, object, moved, size, 16);
}

static void release(struct object *object)
{
    if (!object->bytes)
        return;
    check(object);
    free(object->bytes);
    object->bytes = NULL;
}

// What one thread allocated, another frees.
static void exchange(struct worker *worker, struct object *object)
{
    struct slot *slot = &shared[next(worker) % SHARED];
    pthread_mutex_lock(&slot->mutex);
    struct object theirs = slot->object;
    slot->object = *object;
    pthread_mutex_unlock(&slot->mutex);
    *object = theirs;
}

static void sleep_us(long us)
{
    nanosleep(&(struct timespec){us / 1000000, us % 1000000 * 1000}, NULL);
}

// Load falls: what is left must survive whatever is given back meanwhile.
static void fall_asleep(struct worker *worker)
{
    unsigned keep_one_in = (unsigned)(next(worker) % 16) + 1;
    for (int i = 0; i < OWN; i++) {
        if (next(worker) % keep_one_in)
            release(&worker->own[i]);
    }
    sleep_us((long)(next(worker) % 40000));
    for (int i = 0; i < OWN; i++) {
        if (worker->own[i].bytes)
            check(&worker->own[i]);
    }
}

// What the modes do between two rounds, each seldom.
static void disturb(struct worker *worker)
{
    uint64_t random = next(worker);
    unsigned modes = worker->modes;
    if (modes & TRIM && random % 2048 == 0)
        malloc_trim(0);
    if (modes & PURGE && purge_all && (random >> 12) % 2048 == 0)
        (void)purge_all();
    if (modes & POLICY && set_policy && (random >> 24) % 512 == 0)
        (void)set_policy((int)(random >> 40) % 4 + 1);
    if (modes & POLICY && set_return_within && (random >> 34) % 512 == 0)
        (void)set_return_within((unsigned)(random >> 44) % 200 + 10);
    if (modes & SLEEP && (random >> 48) % 4096 == 0)
        fall_asleep(worker);
}

static void run_rounds(struct worker *worker, long rounds)
{
    unsigned ways = worker->modes & RESIZE ? 12 : 8;
    for (long round = 0; round < rounds; round++) {
        struct object *object = &worker->own[next(worker) % OWN];
        unsigned way = (unsigned)(next(worker) % ways);
        if (way == 0)
            exchange(worker, object);
        else if ((way == 1 || way >= 8) && object->bytes)
            resize(worker, object);
        else if (way <= 4 || way >= 8)
            release(object), allocate(worker, object);
        else
            release(object);
        disturb(worker);
    }
}

// Two words per block, one at each end, that only this block's owner can have written.
static void stamp(uint64_t *block, size_t words, uint64_t generation)
{
    block[0] = (uint64_t)(uintptr_t)block ^ generation;
    block[words - 1] = block[0];
}

static void check_stamp(uint64_t *block, size_t words, uint64_t generation)
{
    uint64_t wanted = (uint64_t)(uintptr_t)block ^ generation;
    if (block[0] != wanted || block[words - 1] != wanted)
        fail("a stamp is spoiled", &(struct object){(void *)block, words * 8, words * 8, 0});
}

// A slot's size is its own, so that all of the time goes into malloc and free.
static size_t words_of(size_t slot)
{
    return slot % 64 < 60 ? 2 + slot % 32 : 600 + slot % 64 * 80;
}

static void run_tight(struct worker *worker, long rounds)
{
    enum { SLOTS = 4096 };
    uint64_t *blocks[SLOTS] = {NULL};
    uint64_t generation = next(worker);
    for (long round = 0; round < rounds * 500; round++) {
        size_t slot = next(worker) % SLOTS;
        // Of each longer time only a part of the slots is in use: spans fall empty and fill again.
        bool is_wanted = (slot ^ (size_t)round >> 17) % 4 == 0;
        if (blocks[slot]) {
            check_stamp(blocks[slot], words_of(slot), generation);
            free(blocks[slot]);
            blocks[slot] = NULL;
        } else if (is_wanted) {
            blocks[slot] = malloc(words_of(slot) * 8);
            stamp(blocks[slot], words_of(slot), generation);
        }
    }
    for (size_t slot = 0; slot < SLOTS; slot++) {
        if (blocks[slot])
            check_stamp(blocks[slot], words_of(slot), generation);
        free(blocks[slot]);
    }
}

static void release_own(struct worker *worker)
{
    for (int i = 0; i < OWN; i++)
        release(&worker->own[i]);
}

static void *allocate_in_child(void *pointer)
{
    struct worker *copy = pointer;
    for (int i = 0; i < 300; i++)
        allocate(copy, &copy->own[i]);
    return NULL;
}

// A child goes on with the heap as the fork found it: by a free, by an allocation, by a thread. Its
// own objects must be whole; the shared ones may be another thread's, in the middle of an exchange.
static _Noreturn void live_in_child(struct worker *worker)
{
    alarm(60);
    unsigned first = (unsigned)(next(worker) % 4);
    for (int i = 0; first == 0 && i < OWN; i += 2)
        release(&worker->own[i]);
    if (first == 1 && purge_all)
        (void)purge_all();
    for (int i = 0; i < OWN; i++) {
        if (worker->own[i].bytes)
            check(&worker->own[i]);
    }
    struct worker *copy = calloc(2, sizeof *copy);
    copy[0].random = worker->random;
    copy[1].random = ~worker->random;
    pthread_t thread;
    bool has_thread = first == 2 && pthread_create(&thread, NULL, allocate_in_child, copy + 1) == 0;
    allocate_in_child(copy);
    if (has_thread)
        pthread_join(thread, NULL);
    release_own(worker);
    if (worker->modes & SLEEP)
        sleep_us((long)(next(worker) % 30000));
    release_own(copy);
    release_own(copy + 1);
    _exit(0);
}

static void run_child(struct worker *worker)
{
    pid_t child = fork();
    if (child < 0)
        return;
    if (child == 0)
        live_in_child(worker);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (status != 0) {
        fprintf(stderr, "stress: a child ended with status %#x\n", (unsigned)status);
        abort();
    }
}

// Every eighth time it stays: a fast path stops in the middle, for longer and longer.
static void interrupt(int number)
{
    static _Thread_local unsigned count;
    (void)number;
    int kept = errno;
    if (++count % 8 == 0)
        sleep_us(1000 + count / 8 % 16 * 1500);
    errno = kept;
}

// A timer for the calling thread; true where there is one.
static bool start_timer(struct worker *worker, timer_t *timer)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    if (!(worker->modes & SIGNALS) || timer_create(CLOCK_MONOTONIC, &event, timer) != 0)
        return false;
    long each = 300000 + (long)(next(worker) % 1000000);
    struct itimerspec interval = {{0, each}, {0, each}};
    return timer_settime(*timer, 0, &interval, NULL) == 0;
}

static void *work_once(void *pointer)
{
    struct worker *worker = pointer;
    timer_t timer;
    bool has_timer = start_timer(worker, &timer);
    long rounds = worker->modes & (FORK | TURNOVER) ? BATCH : worker->rounds;
    if (worker->modes & TIGHT)
        run_tight(worker, rounds);
    else
        run_rounds(worker, rounds);
    if (worker->modes & FORK)
        run_child(worker);
    if (has_timer)
        timer_delete(timer);
    return NULL;
}

static void *work(void *pointer)
{
    struct worker *worker = pointer;
    long batch = worker->modes & (FORK | TURNOVER) ? BATCH : worker->rounds;
    for (long done = 0; done < worker->rounds; done += batch) {
        pthread_t thread;
        if (!(worker->modes & TURNOVER))
            work_once(worker);
        else if (pthread_create(&thread, NULL, work_once, worker) == 0)
            pthread_join(thread, NULL);
    }
    release_own(worker);
    return NULL;
}

static atomic_bool is_over;

static void *press(void *pointer)
{
    struct worker *worker = pointer;
    while (!is_over) {
        if (purge_all)
            (void)purge_all();
        sleep_us((long)(next(worker) % 2000));
    }
    return NULL;
}

static void find_calls(void)
{
    // POSIX's way to get a function from dlsym().
    *(void **)&purge_all = dlsym(RTLD_DEFAULT, "ebb_purge");
    *(void **)&set_policy = dlsym(RTLD_DEFAULT, "ebb_set_policy");
    *(void **)&set_return_within = dlsym(RTLD_DEFAULT, "ebb_set_return_within");
}

static void note_replay(int argc, char **argv)
{
    const char *conf = getenv("EBB_CONF");
    const char *preload = getenv("LD_PRELOAD");
    size_t used =
        (size_t)snprintf(replay, sizeof replay, "stress: again: EBB_CONF=%s LD_PRELOAD=%s",
                         conf ? conf : "", preload ? preload : "");
    for (int i = 0; i < argc && used < sizeof replay - 1; i++)
        used += (size_t)snprintf(replay + used, sizeof replay - used, " %s", argv[i]);
    if (used > sizeof replay - 2)
        used = sizeof replay - 2;
    replay[used] = '\n';
}

static void set_handlers(void)
{
    static const int ends[] = {SIGABRT, SIGSEGV, SIGBUS, SIGALRM, SIGTERM};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        signal(ends[i], end_with_replay);
    struct sigaction action = {.sa_handler = interrupt, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
}

static int read_modes(int argc, char **argv, unsigned *modes)
{
    for (int word = 4; word < argc; word++) {
        size_t mode = 0;
        while (mode < MODES && strcmp(argv[word], mode_names[mode]) != 0)
            mode++;
        if (mode == MODES)
            return -1;
        *modes |= 1u << mode;
    }
    return 0;
}

int main(int argc, char **argv)
{
    unsigned modes = 0;
    if (argc < 4 || read_modes(argc, argv, &modes) != 0)
        return 2;
    uint64_t seed = strtoull(argv[1], NULL, 10);
    int threads = atoi(argv[3]);
    note_replay(argc, argv);
    set_handlers();
    find_calls();
    for (int i = 0; i < SHARED; i++)
        pthread_mutex_init(&shared[i].mutex, NULL);
    struct worker *workers = calloc((size_t)threads + 1, sizeof *workers);
    for (int i = 0; i <= threads; i++) {
        workers[i].random = (seed + 1) * 0x9e3779b97f4a7c15u + (uint64_t)i * 0x2545f4914f6cdd1du;
        workers[i].rounds = atol(argv[2]);
        workers[i].modes = modes;
        bool presses = i == threads;
        if (!presses || modes & PRESS)
            pthread_create(&workers[i].thread, NULL, presses ? press : work, &workers[i]);
    }
    for (int i = 0; i < threads; i++)
        pthread_join(workers[i].thread, NULL);
    is_over = true;
    if (modes & PRESS)
        pthread_join(workers[threads].thread, NULL);
    for (int i = 0; i < SHARED; i++)
        release(&shared[i].object);
    free(workers);
    return 0;
}
