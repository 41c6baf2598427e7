// SPDX-License-Identifier: Apache-2.0
// A seeded model of a program against its malloc: each object is filled from its address and its
// generation over all of its usable bytes, and looked at before it goes, also by other threads and
// in forked children. Two objects that overlap spoil each other's filling.
//
//   stress SEED ROUNDS THREADS [trim] [fork]        0, or a line that says what was wrong and
//   SIGABRT
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OWN    2000
#define SHARED 512

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
    bool forks;
    bool trims;
    struct object own[OWN];
};

static struct slot shared[SHARED];

static void fail(const char *what, const struct object *object)
{
    fprintf(stderr, "stress: %s: %p, asked %zu, usable %zu\n", what, (void *)object->bytes,
            object->asked, object->usable);
    abort();
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

static void run_rounds(struct worker *worker, long rounds)
{
    for (long round = 0; round < rounds; round++) {
        struct object *object = &worker->own[next(worker) % OWN];
        switch (next(worker) % 8) {
        case 0:
            exchange(worker, object);
            break;
        case 1:
            if (object->bytes) {
                resize(worker, object);
                break;
            }
            __attribute__((fallthrough));
        case 2:
        case 3:
        case 4:
            release(object);
            allocate(worker, object);
            break;
        default:
            release(object);
        }
        if (worker->trims && next(worker) % 2048 == 0)
            malloc_trim(0);
    }
}

// A child goes on with the heap as the fork found it. Its own objects must be whole; the shared
// ones may be another thread's, in the middle of an exchange.
static void run_child(struct worker *worker)
{
    pid_t child = fork();
    if (child < 0)
        return;
    if (child == 0) {
        alarm(60);
        run_rounds(worker, 0);
        for (int i = 0; i < OWN; i++) {
            if (worker->own[i].bytes)
                check(&worker->own[i]);
        }
        struct worker *copy = calloc(1, sizeof *copy);
        copy->random = worker->random;
        for (int i = 0; i < 300; i++)
            allocate(copy, &copy->own[i]);
        for (int i = 0; i < OWN; i++) {
            release(&worker->own[i]);
            release(&copy->own[i]);
        }
        _exit(0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (status != 0) {
        fprintf(stderr, "stress: a child ended with status %#x\n", (unsigned)status);
        abort();
    }
}

static void *work(void *pointer)
{
    struct worker *worker = pointer;
    long batch = worker->forks ? 2000 : worker->rounds;
    for (long done = 0; done < worker->rounds; done += batch) {
        run_rounds(worker, batch);
        if (worker->forks)
            run_child(worker);
    }
    for (int i = 0; i < OWN; i++)
        release(&worker->own[i]);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    uint64_t seed = strtoull(argv[1], NULL, 10);
    int threads = atoi(argv[3]);
    for (int i = 0; i < SHARED; i++)
        pthread_mutex_init(&shared[i].mutex, NULL);
    struct worker *workers = calloc((size_t)threads, sizeof *workers);
    for (int i = 0; i < threads; i++) {
        workers[i].random = (seed + 1) * 0x9e3779b97f4a7c15u + (uint64_t)i * 0x2545f4914f6cdd1du;
        workers[i].rounds = atol(argv[2]);
        for (int word = 4; word < argc; word++) {
            workers[i].trims |= strcmp(argv[word], "trim") == 0;
            workers[i].forks |= strcmp(argv[word], "fork") == 0;
        }
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
    for (int i = 0; i < threads; i++)
        pthread_join(workers[i].thread, NULL);
    for (int i = 0; i < SHARED; i++)
        release(&shared[i].object);
    free(workers);
    return 0;
}
