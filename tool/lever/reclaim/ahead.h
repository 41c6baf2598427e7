// SPDX-License-Identifier: Apache-2.0
// Looking at the next window while the kernel takes the pages of this one. Tool world; its owner
// uses it from one thread, which starts another.
//
// Half of the time goes into looking (pagemap, kpageflags), half into the calls; neither hinders
// the other. What the target writes between look and call the kernel finds out and keeps, so a
// longer time between them costs nothing, but where live pages could be swapped out: not there.
#ifndef EBB_LEVER_RECLAIM_AHEAD_H
#define EBB_LEVER_RECLAIM_AHEAD_H

#include <pthread.h>
#include <stdbool.h>

#include "lever/reclaim/window.h"

struct ahead {
    struct window window; // the thread's while it runs
    int pagemap_fd, kpageflags_fd;
    uint64_t first_page;
    size_t count;
    int error;
    bool is_running;
    pthread_t thread;
};

// 0 or -ENOMEM; ahead_free() waits for a thread that runs still. The descriptors are borrowed.
int ahead_init(struct ahead *ahead, int pagemap_fd, int kpageflags_fd);
void ahead_free(struct ahead *ahead);

// Begins to read the entries and flags of these pages, if a thread can be had.
void ahead_start(struct ahead *ahead, uint64_t first_page, size_t count);

// Exchanges `window` with what was read ahead, when that is just these pages. False when it is not:
// then they must be read by whoever needs them. Waits in any case.
bool ahead_take(struct ahead *ahead, uint64_t first_page, size_t count, struct window *window);

#endif
