// SPDX-License-Identifier: Apache-2.0
// The balloon's process: that it ends as it must, and holds nothing but its memory. Test code.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lever/balloon/child.h"

static const uint64_t mib = 1 << 20, ten_seconds_ns = 10000000000;

// Where the tests run it must be allowed to volunteer: raising one's own score needs no right.
static void start(struct balloon_child *child)
{
    enum balloon_child_step step;
    *child = (struct balloon_child){0};
    assert_int_equal(balloon_child_start(child, "/proc", "", ten_seconds_ns, &step), 0);
    assert_int_equal(step, BALLOON_CHILD_READY);
}

// One step, and its answer.
static int grow(struct balloon_child *child, uint64_t bytes)
{
    int error = balloon_child_grow(child, bytes, UINT64_MAX);
    struct pollfd polled = {.fd = child->fd, .events = POLLIN};
    assert_int_equal(poll(&polled, 1, 10000), 1);
    return error ? error : balloon_child_answer(child);
}

static unsigned count_descriptors(pid_t pid)
{
    char path[64];
    unsigned count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *directory = opendir(path);
    assert_non_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

static void test_grows_and_goes(void **state)
{
    (void)state;
    struct balloon_child child;
    start(&child);
    assert_int_equal(grow(&child, 2 * mib), 0);
    assert_true(child.held_bytes == 2 * mib);
    pid_t pid = child.pid;
    balloon_child_stop(&child);
    assert_false(child.was_killed);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
    // There is none any more.
    balloon_child_stop(&child);
}

// Whatever the caller has open, at high numbers too.
static void test_holds_nothing(void **state)
{
    (void)state;
    struct balloon_child child;
    int high = fcntl(STDIN_FILENO, F_DUPFD, 300);
    assert_true(high >= 300);
    start(&child);
    // The standard three, the connection and its signals.
    assert_int_equal(count_descriptors(child.pid), 5);
    close(high);
    balloon_child_stop(&child);
}

// Some start their children with SIGCHLD ignored: the end of the balloon is noticed all the same.
static void test_killed_by_others(void **state)
{
    (void)state;
    struct balloon_child child;
    signal(SIGCHLD, SIG_IGN);
    start(&child);
    kill(child.pid, SIGKILL);
    assert_true(grow(&child, mib) < 0);
    balloon_child_stop(&child);
    assert_true(child.was_killed);
    assert_int_equal(child.signal, SIGKILL);
}

// Whatever ends it but SIGKILL, it gives its memory back first and then exits: no signal is told.
static void test_lets_go_before_it_dies(void **state)
{
    (void)state;
    struct balloon_child child;
    start(&child);
    assert_int_equal(grow(&child, 2 * mib), 0);
    kill(child.pid, SIGTERM);
    assert_true(grow(&child, mib) < 0);
    child.signal = SIGKILL;
    balloon_child_stop(&child);
    assert_int_equal(child.signal, 0);
    // Also one that somebody has stopped.
    start(&child);
    assert_int_equal(grow(&child, 2 * mib), 0);
    kill(child.pid, SIGSTOP);
    siginfo_t info = {0};
    assert_int_equal(waitid(P_PID, (id_t)child.pid, &info, WSTOPPED | WNOWAIT), 0);
    child.signal = SIGKILL;
    balloon_child_stop(&child);
    assert_int_equal(child.signal, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows_and_goes),
        cmocka_unit_test(test_holds_nothing),
        cmocka_unit_test(test_killed_by_others),
        cmocka_unit_test(test_lets_go_before_it_dies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
