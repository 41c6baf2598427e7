// SPDX-License-Identifier: Apache-2.0
// Threads and their stack pointers, of a line and of this very program. Test code.
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"
#include "proc/process.h"
#include "proc/threads.h"
#include "support/child.h"
#include "support/fixture.h"

static void test_lines(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int error;
        uint64_t stack_pointer;
    } cases[] = {
        {"running\n", -EAGAIN, 1},
        {"running", -EAGAIN, 1},
        {"202 0x7f 0x80 0x0 0x0 0x0 0xffffffff 0x7ffd0000aa08 0x7f0011223344\n", 0, 0x7ffd0000aa08},
        {"0 0x0 0x1 0x2 0x3 0x4 0x5 0x6 0x7", 0, 6},
        {"-1 0x7ffd0000aa08 0x7f0011223344\n", 0, 0x7ffd0000aa08},
        {"-1 0x0 0x0\n", 0, 0},
        // A system call that a tracer has forbidden.
        {"-2 0x0 0x1 0x2 0x3 0x4 0x5 0x6 0x7\n", 0, 6},
        {"-1 0x1\n", -EBADMSG, 1},
        {"-1 0x1 0x2 0x3\n", -EBADMSG, 1},
        {"202 0x1 0x2\n", -EBADMSG, 1},
        {"202 0x0 0x1 0x2 0x3 0x4 0x5 0x6 0x7 0x8\n", -EBADMSG, 1},
        {"202 0x0 0x1 0x2 0x3 0x4 0x5 0x6 0x10000000000000000\n", -EBADMSG, 1},
        {"202 0 1 2 3 4 5 6 7\n", -EBADMSG, 1},
        {"runningx\n", -EBADMSG, 1},
        {"\n", -EBADMSG, 1},
        {"", -EBADMSG, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct proc_syscall call = {.stack_pointer = 1};
        int error = proc_thread_syscall_parse(text_of(cases[i].line), &call);
        assert_int_equal(error, cases[i].error);
        assert_int_equal(call.stack_pointer, cases[i].stack_pointer);
        assert_int_equal(call.number, strtol(error ? "0" : cases[i].line, NULL, 10));
    }
}

static void test_arguments(void **state)
{
    (void)state;
    struct proc_syscall call;
    assert_int_equal(
        proc_thread_syscall_parse(text_of("7 0x1 0x2 0x3 0x4 0x5 0x6 0x7ffd00 0x7f00\n"), &call),
        0);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(call.arguments[i], i + 1);
    // Outside of a system call there are none, whatever stood there before.
    assert_int_equal(proc_thread_syscall_parse(text_of("-1 0x7ffd00 0x7f00\n"), &call), 0);
    assert_int_equal(call.arguments[5], 0);
}

static void parse_only(struct text file)
{
    struct proc_syscall call;
    proc_thread_syscall_parse(file, &call);
}

static void test_every_truncation(void **state)
{
    (void)state;
    fixture_text_prefixes(
        text_of("202 0x7f 0x80 0x0 0x0 0x0 0xffffffff 0x7ffd0000aa08 0x7f0011223344\n"),
        parse_only);
    fixture_text_prefixes(text_of("-1 0x7ffd0000aa08 0x7f0011223344\n"), parse_only);
}

enum { THREADS = 20, STACK_BYTES = 2 << 20 };

static char stacks[THREADS][STACK_BYTES] __attribute__((aligned(4096)));

static void *sleep_in_kernel(void *unused)
{
    for (;;)
        pause();
    return unused;
}

static void start_threads(struct child *self, void *argument)
{
    (void)argument;
    for (size_t i = 0; i < THREADS; i++) {
        pthread_attr_t attributes;
        pthread_t thread;
        pthread_attr_init(&attributes);
        pthread_attr_setstack(&attributes, stacks[i], STACK_BYTES);
        if (pthread_create(&thread, &attributes, sleep_in_kernel, NULL) != 0)
            _exit(1);
    }
    child_step_done(self);
}

// Each sleeper must be found on its own stack; those on their way to sleep get some time.
static size_t count_stacks_hit(struct process *process)
{
    struct proc_thread *threads;
    size_t count;
    bool hit[THREADS] = {false};
    assert_int_equal(proc_threads_read(process, &threads, &count), 0);
    // The thread sanitizer has a thread of its own.
    assert_true(count >= THREADS + 1);
    for (size_t i = 0; i < count; i++) {
        uint64_t offset = threads[i].stack_pointer - (uint64_t)(uintptr_t)stacks;
        if (offset < sizeof stacks)
            hit[offset / STACK_BYTES] = true;
    }
    free(threads);
    size_t hits = 0;
    for (size_t i = 0; i < THREADS; i++)
        hits += hit[i];
    return hits;
}

static void test_sleeping_threads(void **state)
{
    (void)state;
    struct child child;
    child_start(&child, start_threads, NULL);
    child_wait_step(&child);
    struct process *process;
    assert_int_equal(process_open("/proc", child.pid, &process), 0);
    size_t hits = 0;
    for (int tries = 0; hits < THREADS && tries < 200; tries++) {
        hits = count_stacks_hit(process);
        usleep(10000);
    }
    assert_int_equal(hits, THREADS);
    child_stop(&child);
    struct proc_thread *threads = NULL;
    size_t count = 77;
    assert_int_equal(proc_threads_read(process, &threads, &count), -ESRCH);
    assert_null(threads);
    assert_int_equal(count, 77);
    process_close(process);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_sleeping_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
