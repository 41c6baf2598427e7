// SPDX-License-Identifier: Apache-2.0
// A child in step with its test, see child.h. Test code; no state.
#include "support/child.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

void child_start(struct child *child, void (*body)(struct child *self, void *argument),
                 void *argument)
{
    int down[2], up[2];
    assert_int_equal(pipe(down), 0);
    assert_int_equal(pipe(up), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        // A test that fails half-way must not leave children behind.
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(down[1]);
        close(up[0]);
        struct child self = {.pid = getpid(), .to = up[1], .from = down[0]};
        body(&self, argument);
        _exit(0);
    }
    close(down[0]);
    close(up[1]);
    *child = (struct child){.pid = pid, .to = down[1], .from = up[0]};
}

void child_step_done(struct child *self)
{
    char byte = 0;
    if (write(self->to, &byte, 1) != 1 || read(self->from, &byte, 1) != 1)
        _exit(0);
}

void child_wait_step(struct child *child)
{
    char byte;
    assert_int_equal(read(child->from, &byte, 1), 1);
}

void child_next_step(struct child *child)
{
    char byte = 0;
    assert_int_equal(write(child->to, &byte, 1), 1);
    child_wait_step(child);
}

void child_stop(struct child *child)
{
    kill(child->pid, SIGKILL);
    waitpid(child->pid, NULL, 0);
    close(child->to);
    close(child->from);
}
