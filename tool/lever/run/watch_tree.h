// SPDX-License-Identifier: Apache-2.0
// The lazily freed memory of a process and its descendants. Tool world.
#ifndef EBB_LEVER_RUN_WATCH_TREE_H
#define EBB_LEVER_RUN_WATCH_TREE_H

#include "lever/run/watch.h"

struct process;

// Reads them all once and takes the most that one of them has into `result`. Descendants whose
// parent has ended belong to init and are not found any more. Cost: 20 µs per process of the host,
// and smaps_rollup of each of the tree's.
void watch_tree_read(struct process *process, struct watch_result *result);

#endif
