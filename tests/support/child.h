// SPDX-License-Identifier: Apache-2.0
// A forked child that a test looks at while it waits. Test code; failures end the test through
// cmocka.
#ifndef EBB_SUPPORT_CHILD_H
#define EBB_SUPPORT_CHILD_H

#include <sys/types.h>

struct child {
    pid_t pid;
    int to, from; // pipe ends of the test
};

// Runs `body` in a fork; the child ends when it returns, or when the test dies.
void child_start(struct child *child, void (*body)(struct child *self, void *argument),
                 void *argument);

// In the child: says that a step is done and waits until the test asks for the next one.
void child_step_done(struct child *self);

// In the test: waits until the child has done its step; asks for the next one and waits for that.
void child_wait_step(struct child *child);
void child_next_step(struct child *child);

// Kills and reaps it.
void child_stop(struct child *child);

#endif
