// SPDX-License-Identifier: Apache-2.0
// Opening files that may be anything. Tool world.
#ifndef EBB_HISTORY_OPEN_H
#define EBB_HISTORY_OPEN_H

#include "history/store.h"

// The path as SQLite takes it for nothing but a path: "./" before one that is relative. malloc'ed;
// NULL without memory.
char *open_plain_path(const char *path);

// Reads the segments of the day's clock anew: a recording that is being written gets more. 0;
// -EBADMSG; -errno.
int open_clock(struct history *history);

#endif
