// SPDX-License-Identifier: Apache-2.0
// The process that stays behind when ebb becomes a command: looks whether its memory is freed
// lazily after all, and removes its cgroup when it is over. Tool world.
//
// It is started before exec and is nobody's child: of a session of its own, reparented to init, so
// that the command sees no child that it did not start and no SIGCHLD, and terminals, pipes and
// process groups know nothing of it. (A command that is process 1 of a container adopts it, as it
// does every orphan.)
#ifndef EBB_LEVER_RUN_WATCH_H
#define EBB_LEVER_RUN_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "lever/run/group.h"

// What a check found.
struct watch_result {
    int error;      // 0; else why nothing is known, -errno
    bool has_ended; // the command ended before the time was over
    uint64_t watched_ns;
    unsigned readings;
    unsigned processes;  // most of them at one time: the command and its descendants
    int pid;             // the command's
    char name[64];       // raw
    uint64_t lazy_bytes; // the most that was seen in one process
    int lazy_pid;
    char lazy_name[64]; // raw
};

struct watch_request {
    uint64_t check_ns;         // 0: no check
    const struct group *group; // to remove in the end; NULL: none
    // Called in the watcher with stderr still open, when the check is over.
    void (*tell)(const struct watch_result *result);
};

// Starts the watcher over the calling process. 0 and a descriptor that exec closes, by which the
// watcher knows that the command has begun; -errno. Cost: a fork, some 0.3 ms.
int watch_start(const struct watch_request *request, int *ret_fd);

// Tells the watcher that nothing was started; it removes the group and goes.
void watch_cancel(int fd);

#endif
