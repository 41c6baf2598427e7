// SPDX-License-Identifier: Apache-2.0
// Runs a command with a text on its stdin, for so long and no longer. Tool world; thread-safe.
#ifndef EBB_ALARM_SPAWN_H
#define EBB_ALARM_SPAWN_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/text.h"

// How it ended: a status of wait(2), or killed by us.
struct spawn_end {
    int status;
    bool timed_out, cancelled; // for its time, or since ebb ends
};

// Runs argv[0], searched in PATH, in a process group of its own; its stdout is our stderr.
// `environment` (as struct alarm_note has it) is added to ours. Reaps it in any case. When
// `*cancelled` becomes true its time is up. 0; -errno when it could not be started.
int spawn_run(char *const *argv, struct text input, struct text environment, unsigned timeout_ms,
              const atomic_bool *cancelled, struct spawn_end *ret_end);

#endif
