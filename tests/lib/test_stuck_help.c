// SPDX-License-Identifier: Apache-2.0
// A fork while a helper is at work: it waits for the helper, so that the child has the whole heap.
// Where the helper itself waits for a slow path that does not end, as where a signal handler has
// interrupted it, the fork goes on, and so do parent and child. Test code.
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heap_test.h"

#include "heap/hold.h"
#include "heap/takeover.h"
#include "heap/thread.h"

static struct heap *interrupted;

// As takeover.c begins.
static void *help(void *unused)
{
    (void)unused;
    assert_true(heaps_help(false));
    assert_true(hold_other(interrupted));
    hold_other_end(interrupted);
    heaps_help_end();
    return NULL;
}

// The handler, within a slow path of its thread.
static void test_fork_in_slow_path(void **state)
{
    (void)state;
    pthread_t helper;
    int status = 1;
    void *block = heap_test_allocate(48);
    interrupted = heap_of_thread;
    hold_own(interrupted);
    assert_int_equal(pthread_create(&helper, NULL, help, NULL), 0);
    while (!atomic_load32(&interrupted->is_wanted))
        usleep(1000);
    // If it waits for ever.
    (void)alarm(20);
    pid_t child = fork();
    if (child == 0) {
        // What the helper was about to work on is given up.
        _exit(heap_test_allocate(48) && heap_of_thread != interrupted ? 0 : 1);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    hold_own_end(interrupted);
    assert_int_equal(pthread_join(helper, NULL), 0);
    (void)alarm(0);
    assert_int_equal(heaps.forking, 0);
    assert_true(heaps_help(false));
    heaps_help_end();
    heap_test_release(block);
}

// It counts the threads of the parent as lost in a child, which ends with an error then.
static void skip_in_thread_sanitizer(void)
{
#if defined(__SANITIZE_THREAD__)
    print_message("the thread sanitizer takes the helper for a leak in the child\n");
    skip();
#endif
}

// In the middle of a takeover, and for a while after somebody has come to fork.
static void *help_slowly(void *unused)
{
    (void)unused;
    assert_true(heaps_help(false));
    assert_true(hold_other(interrupted));
    while (!atomic_load32(&heaps.forking))
        usleep(1000);
    usleep(30000);
    hold_other_end(interrupted);
    heaps_help_end();
    return NULL;
}

// The child goes on with the heap that it has been helped with.
static void test_fork_waits(void **state)
{
    (void)state;
    pthread_t helper;
    int status = 1;
    skip_in_thread_sanitizer();
    void *block = heap_test_allocate(48);
    interrupted = heap_of_thread;
    assert_int_equal(pthread_create(&helper, NULL, help_slowly, NULL), 0);
    while (!atomic_load32(&interrupted->is_wanted))
        usleep(1000);
    pid_t child = fork();
    if (child == 0) {
        heap_test_release(block);
        _exit(heap_test_allocate(48) == block && heap_of_thread == interrupted ? 0 : 1);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(pthread_join(helper, NULL), 0);
    heap_test_release(block);
}

static uint32_t is_over; // atomic: the child has ended

static void *help_until_over(void *unused)
{
    (void)unused;
    assert_true(heaps_help(false));
    assert_true(hold_other(interrupted));
    while (!atomic_load32(&is_over))
        usleep(1000);
    hold_other_end(interrupted);
    heaps_help_end();
    return NULL;
}

// A child that no handler has prepared finds only on the slow path of a free that its heap is lost:
// the block's span is not the new heap's.
static void test_bare_child(void **state)
{
    (void)state;
    pthread_t helper;
    int status = 1;
    skip_in_thread_sanitizer();
    void *block = heap_test_allocate(48);
    struct wire_record *span = space_record_at((uintptr_t)block);
    interrupted = heap_of_thread;
    // As when all was quiet: the first free takes the slow path.
    span->fast_owner = 0;
    assert_int_equal(pthread_create(&helper, NULL, help_until_over, NULL), 0);
    while (!atomic_load32(&interrupted->is_wanted))
        usleep(1000);
    pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0) {
        heap_test_release(block);
        bool is_lost = interrupted->state == HEAP_LOST && heap_of_thread != interrupted;
        _exit(is_lost && span->fast_owner == 0 && wire_remote_count(span->remote) == 1 ? 0 : 1);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    atomic_store32(&is_over, 1);
    assert_int_equal(pthread_join(helper, NULL), 0);
    assert_int_equal(status, 0);
    heap_test_release(block);
}

// No helper begins while a thread is about to fork, but one that may wait.
static void test_help_is_late(void **state)
{
    (void)state;
    heap_test_release(heap_test_allocate(48));
    struct takeover takeover = {.heap = heap_of_thread};
    heaps.forking = 1;
    assert_false(heaps_help(false));
    (void)takeover_purge(&takeover);
    assert_true(takeover.is_late);
    assert_true(heaps_help(true));
    heaps_help_end();
    heaps.forking = 0;
    (void)takeover_purge(&takeover);
    assert_false(takeover.is_late);
    // A heap that was given up is no reason to wait, and leaves the lock open.
    struct heap lost = {.state = HEAP_LOST};
    takeover.heap = &lost;
    (void)takeover_purge(&takeover);
    assert_false(takeover.is_late);
    assert_true(heaps_help(false));
    heaps_help_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_fork_in_slow_path, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_fork_waits, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_bare_child, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_help_is_late, heap_test_begin, heap_test_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
