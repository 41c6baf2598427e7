// SPDX-License-Identifier: Apache-2.0
// The balloon's process from inside, and what goes over the connection between it and child.h. Tool
// world; one thread.
#ifndef EBB_LEVER_BALLOON_BODY_H
#define EBB_LEVER_BALLOON_BODY_H

#include <stdint.h>
#include <sys/types.h>

// Each goes as one packet.
struct balloon_order {
    uint64_t grow_bytes, until_ns;
};
struct balloon_answer {
    int error; // 0 or -errno
    int step;  // enum balloon_child_step of child.h
    uint64_t held_bytes;
};

// The whole life of the child that fork() has just made, on its end `fd` of the connection: it
// prepares itself, answers, takes orders until there is a reason to end, and lets go. Allocates
// nothing; the caller ends with _exit(). Units and arguments: see balloon_child_start().
void balloon_body_live(int fd, const char *proc_root, const char *directory, uint64_t time_ns,
                       pid_t parent);

#endif
