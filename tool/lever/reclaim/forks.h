// SPDX-License-Identifier: Apache-2.0
// Which processes may share a target's pages because one was forked from the other. Tool world; no
// state.
#ifndef EBB_LEVER_RECLAIM_FORKS_H
#define EBB_LEVER_RECLAIM_FORKS_H

#include <stddef.h>

#include "proc/process.h"

enum { FORKS_TEXT_MAX = 160 };

// "PID 4122 (redis-server), 4123 (redis-server) and 3 more"; "" when none is seen. A fork that has
// not called exec has the very auxiliary vector of its parent, random addresses included. Names are
// raw bytes. Cost: 20 µs for each process of the host.
void forks_describe(struct process *process, char *ret_text, size_t size);

#endif
