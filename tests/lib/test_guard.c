// SPDX-License-Identifier: Apache-2.0
// Unit tests of sampled guards: each misuse ends a child by its signal or its line; what is freed
// stays out of reach for a while; the rate, the limits and the counts hold. Test code.
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heap_test.h"

#include "heap/count.h"
#include "heap/guard.h"

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#else
#define UNDER_TSAN 0
#endif

static void *volatile held;

static unsigned char *allocate(size_t bytes)
{
    held = heap_test_allocate(bytes);
    return held;
}

static void *allocate_aligned(size_t bytes, size_t align)
{
    held = heap_allocate_aligned(bytes, align);
    return held;
}

static volatile unsigned char *watched(void *pointer)
{
    held = pointer;
    return held;
}

static void overflow_by_one(void)
{
    watched(allocate(100))[100] = 0;
    heap_test_release(held);
}

static void overflow_by_16(void)
{
    watched(allocate(100))[116] = 1;
}

static void overflow_by_one_at_the_end(void)
{
    watched(allocate(96))[96] = 1;
}

static void overflow_read(void)
{
    (void)watched(allocate(65536))[65536];
}

static void overflow_seen_by_realloc(void)
{
    watched(allocate(5000))[5001] = 7;
    held = heap_resize(held, 6000);
}

static void underflow_by_one(void)
{
    *(watched(allocate(100)) - 1) = 1;
    heap_test_release(held);
}

static void underflow_by_a_page(void)
{
    *(watched(allocate(100)) - 4096) = 1;
}

static void use_after_free_read(void)
{
    heap_test_release(allocate(100));
    (void)watched(held)[5];
}

static void use_after_free_write(void)
{
    heap_test_release(allocate(70000 / 2));
    watched(held)[0] = 5;
}

static void use_after_realloc(void)
{
    unsigned char *old = allocate(100);
    held = heap_resize(old, 101);
    watched(old)[0] = 1;
}

static void double_free(void)
{
    heap_test_release(allocate(48));
    heap_test_release(held);
}

static void *release(void *pointer)
{
    heap_test_release(pointer);
    return NULL;
}

static void double_free_by_threads(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, release, allocate(1));
    pthread_join(thread, NULL);
    heap_test_release(held);
}

static void interior(void)
{
    heap_test_release(allocate(48) + 16);
}

static void realloc_of_freed(void)
{
    heap_test_release(allocate(48));
    held = heap_resize(held, 10);
}

static void realloc_of_interior(void)
{
    held = heap_resize(allocate(48) + 1, 10);
}

static void aligned_overflow(void)
{
    watched(allocate_aligned(100, 1024))[1000] = 1;
    heap_test_release(held);
}

static const struct {
    void (*run)(void);
    int signal;
    const char *line; // a format with an address
} misuses[] = {
    {overflow_by_one, SIGABRT, "ebb: fatal: overflow of %p (guarded block of 100 bytes)\n"},
    {overflow_by_16, SIGSEGV, ""},
    {overflow_by_one_at_the_end, SIGSEGV, ""},
    {overflow_read, SIGSEGV, ""},
    {overflow_seen_by_realloc, SIGABRT,
     "ebb: fatal: overflow of %p (guarded block of 5000 bytes)\n"},
    {underflow_by_one, SIGABRT, "ebb: fatal: underflow of %p (guarded block of 100 bytes)\n"},
    {underflow_by_a_page, SIGSEGV, ""},
    {use_after_free_read, SIGSEGV, ""},
    {use_after_free_write, SIGSEGV, ""},
    {use_after_realloc, SIGSEGV, ""},
    {double_free, SIGABRT, "ebb: fatal: double free of %p (guarded block of 48 bytes)\n"},
    {double_free_by_threads, SIGABRT, "ebb: fatal: double free of %p (guarded block of 1 byte)\n"},
    {interior, SIGABRT, "ebb: fatal: invalid free of %p (inside a guarded block of 48 bytes)\n"},
    {realloc_of_freed, SIGABRT,
     "ebb: fatal: realloc of the freed block %p (guarded block of 48 bytes)\n"},
    {realloc_of_interior, SIGABRT,
     "ebb: fatal: invalid realloc of %p (inside a guarded block of 48 bytes)\n"},
    {aligned_overflow, SIGABRT, "ebb: fatal: overflow of %p (guarded block of 100 bytes)\n"},
};

// In a child, whose stderr comes back as `said`. Returns its status.
static int run_apart(void (*run)(void), char *said, size_t room)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        // A sanitizer would tell the fault in its own way.
        signal(SIGSEGV, SIG_DFL);
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        run();
        _exit(0);
    }
    close(ends[1]);
    size_t length = 0;
    for (ssize_t got = 1; got > 0; length += (size_t)got)
        got = read(ends[0], said + length, room - 1 - length);
    said[length] = '\0';
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

// The address is whatever was printed.
static void check_line(const char *said, const char *format)
{
    const char *digits = strstr(said, "0x");
    char wanted[200] = "";
    if (*format) {
        assert_non_null(digits);
        void *address = (void *)(uintptr_t)strtoull(digits, NULL, 16);
        (void)snprintf(wanted, sizeof wanted, format, address);
    }
    assert_string_equal(said, wanted);
}

static void test_misuses(void **state)
{
    (void)state;
    guard_set(1);
    for (size_t i = 0; i < sizeof misuses / sizeof *misuses; i++) {
        char said[400];
        int status = run_apart(misuses[i].run, said, sizeof said);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != misuses[i].signal)
            fail_msg("misuse %zu: status %#x: %s", i, (unsigned)status, said);
        check_line(said, misuses[i].line);
    }
}

// Every size and alignment: exact, whole, zero, apart, and gone when it is freed.
static void test_blocks(void **state)
{
    (void)state;
    struct count before;
    count_heap(&before);
    guard_set(1);
    for (size_t align = 1; align <= 4096; align *= 4) {
        for (size_t bytes = 0; bytes <= GUARD_BYTES_MAX; bytes += bytes < 70 ? 1 : 1231) {
            unsigned char *block = allocate_aligned(bytes, align);
            assert_int_equal((uintptr_t)block % (align < 16 ? 16 : align), 0);
            assert_int_equal(heap_usable_bytes(block), bytes);
            assert_true(guard_is_sample(space_record_at((uintptr_t)block)));
            for (size_t i = 0; i < bytes; i++)
                assert_int_equal(block[i], 0);
            memset(block, 0xff, bytes);
            heap_test_release(block);
        }
    }
    struct count after;
    count_heap(&after);
    assert_int_equal(after.live_blocks, before.live_blocks);
    assert_int_equal(after.in_use, before.in_use);
    assert_int_equal(after.mallocs - before.mallocs, after.frees - before.frees);
    assert_true(after.mallocs - before.mallocs > 500);
    // What is larger, or aligned to more than a page, is as always.
    assert_false(guard_is_sample(space_record_at((uintptr_t)allocate(GUARD_BYTES_MAX + 1))));
    assert_false(guard_is_sample(space_record_at((uintptr_t)allocate_aligned(100, 8192))));
}

static void test_realloc_moves(void **state)
{
    (void)state;
    guard_set(1);
    bool is_sample = false;
    unsigned char *block = allocate(0);
    for (size_t bytes = 1; bytes < 200000; bytes += bytes / 3 + 1) {
        block = heap_resize(block, bytes);
        assert_true(heap_usable_bytes(block) >= bytes);
        if (bytes > 1)
            assert_int_equal(block[bytes / 2], bytes <= 2 ? block[bytes / 2] : block[0]);
        memset(block, (int)(bytes % 251), bytes);
    }
    for (size_t bytes = 100000; bytes > 0; bytes = bytes * 2 / 3) {
        unsigned char last = block[0];
        block = heap_resize(block, bytes);
        assert_int_equal(block[bytes - 1], last);
        // The end comes along, or what is written behind it would not be seen.
        is_sample = guard_is_sample(space_record_at((uintptr_t)block));
        assert_true(!is_sample || heap_usable_bytes(block) == bytes);
    }
    // From where a block too long for a sample had to move.
    assert_true(is_sample);
    assert_ptr_equal(heap_resize(block, 1), block);
    heap_test_release(block);
}

static void test_rate(void **state)
{
    (void)state;
    enum { ROUNDS = 200000, RATE = 100 };
    guard_set(RATE);
    int guarded = 0;
    for (int i = 0; i < ROUNDS; i++) {
        // What was just freed would come back by the fast path, if there were one.
        void *block = allocate(40);
        guarded += guard_is_sample(space_record_at((uintptr_t)block));
        heap_test_release(block);
    }
    assert_in_range(guarded, ROUNDS / RATE * 9 / 10, ROUNDS / RATE * 11 / 10);
    guard_set(0);
    void *first = allocate(40);
    heap_test_release(first);
    assert_ptr_equal(heap_pop_fast(40), first);
    heap_test_release(first);
}

static void test_limits(void **state)
{
    struct fake_os *fake = *state;
    static void *blocks[GUARD_LIVE_MAX + 100];
    guard_set(1);
    for (size_t i = 0; i < GUARD_LIVE_MAX + 100; i++) {
        blocks[i] = allocate(16);
        bool is_sample = guard_is_sample(space_record_at((uintptr_t)blocks[i]));
        assert_int_equal(is_sample, i < GUARD_LIVE_MAX);
    }
    for (size_t i = 0; i < GUARD_LIVE_MAX + 100; i++)
        heap_test_release(blocks[i]);
    // A freed block's place is not used again before so many others were freed.
    uint32_t frontier = space.ledger->areas[SPACE_GUARDED].frontier;
    void *first = allocate(16);
    heap_test_release(first);
    for (size_t i = 0; i < GUARD_QUARANTINE_MAX; i++) {
        void *block = allocate(16);
        assert_ptr_not_equal(block, first);
        heap_test_release(block);
    }
    // But then it is: address space does not grow.
    for (size_t i = 0; i < 3 * (size_t)GUARD_LIVE_MAX; i++)
        heap_test_release(allocate(16));
    assert_int_equal(space.ledger->areas[SPACE_GUARDED].frontier, frontier);
    assert_true(fake->decommits > 4 * GUARD_LIVE_MAX);
}

static void *churn(void *seed)
{
    uint64_t random = (uint64_t)(uintptr_t)seed;
    void *mine[32] = {NULL};
    for (int i = 0; i < 3000; i++) {
        void **slot = &mine[heap_test_next(&random) % 32];
        heap_free(*slot);
        *slot = heap_test_allocate(heap_test_next(&random) % 2000);
    }
    for (int i = 0; i < 32; i++)
        heap_free(mine[i]);
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    guard_set(3);
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
    // Meanwhile children, which find the queue in any state, use and free. The thread sanitizer
    // cannot follow into a child of a process with threads.
    for (int i = 0; !UNDER_TSAN && i < 20; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(20);
            (void)churn((void *)77);
            _exit(0);
        }
        int status = 1;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    struct count count;
    count_heap(&count);
    assert_int_equal(count.live_blocks, 0);
}

// Whatever the system refuses: a block comes all the same, or an ordinary one.
static void test_want(void **state)
{
    (void)state;
    heap_stop();
    for (long left = 6; left < 60; left++) {
        struct failing_os failing;
        struct fake_os fake;
        fake_os_start(&fake);
        failing_os_start(&failing, &fake.os, left, 0);
        if (heap_start_on(&failing.os) == 0) {
            guard_set(1);
            for (int i = 0; i < 30; i++) {
                unsigned char *block = allocate(100 + (size_t)i * 300);
                if (block)
                    memset(block, 1, 100);
                heap_free(block);
            }
        }
        heap_stop();
    }
    assert_int_equal(heap_test_begin(state), 0);
}

// What the system neither closes nor empties is not taken for zeros when its time is over.
static void test_stuck_pages(void **state)
{
    struct failing_os failing;
    struct fake_os fake;
    bool is_zero = false;
    heap_stop();
    fake_os_start(&fake);
    // A small area has a short quarantine.
    fake.limit = 64u << 20;
    failing_os_start(&failing, &fake.os, LONG_MAX, 1);
    assert_int_equal(heap_start_on(&failing.os), 0);
    guard_set(1);
    unsigned char *stuck = allocate(5000);
    memset(stuck, 0xff, 5000);
    failing.left = 0;
    heap_free(stuck);
    failing.left = LONG_MAX;
    assert_true(failing.failures > 0);
    for (uint32_t i = 0; i < GUARD_QUARANTINE_MAX; i++) {
        unsigned char *block = allocate(5000);
        assert_true(block[0] == 0 && block[4999] == 0);
        heap_free(block);
    }
    guard_set(0);
    // All that is free of the area, in blocks as they come.
    for (;;) {
        unsigned char *block = heap_allocate(1 << 20, &is_zero);
        if (!block || wire_run_kind(space_record_at((uintptr_t)block)->run) != WIRE_GUARDED)
            break;
        assert_false(heap_test_can_read(block + (1 << 20)));
        for (size_t at = 0; is_zero && at < 1 << 20; at += 8)
            assert_int_equal(*(uint64_t *)(block + at), 0);
    }
    heap_stop();
    assert_int_equal(heap_test_begin(state), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_misuses, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_blocks, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_realloc_moves, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_rate, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_limits, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_threads, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_want, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_stuck_pages, heap_test_begin, heap_test_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
