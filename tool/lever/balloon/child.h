// SPDX-License-Identifier: Apache-2.0
// The balloon itself: a process of its own that maps and touches memory when it is told to. Tool
// world; one thread.
//
// It carries the brakes that must hold when nobody watches any more: it is the OOM killer's first
// choice, ends when the parent closes the connection or dies, at SIGTERM, and by a clock of its
// own. Its memory is anonymous, private, never merged or dumped, and written page by page with
// words that differ. Whatever ends it, it gives its memory back before it dies: while a process
// dies, the OOM killer passes over it, and whoever meets the limit meanwhile would be taken in its
// place.
#ifndef EBB_LEVER_BALLOON_CHILD_H
#define EBB_LEVER_BALLOON_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct balloon_child {
    pid_t pid; // 0: none
    int fd;
    uint64_t held_bytes; // as it said last
    bool was_killed;     // by a signal that did not come from here
    int signal;          // which
};

// At which of its preparations a start failed.
enum balloon_child_step {
    BALLOON_CHILD_FORK,
    BALLOON_CHILD_PARENT, // ending with the parent
    BALLOON_CHILD_SCORE,  // oom_score_adj 1000, read back
    BALLOON_CHILD_JOIN,   // moving into the group
    BALLOON_CHILD_READY,
};

// Starts it in the group `directory` ("": where the caller is), to end by itself after `time_ns` at
// the latest. It has taken nothing yet. 0, or -errno and the step that failed. Sets SIGCHLD to its
// default, where it was ignored: children are waited for.
int balloon_child_start(struct balloon_child *child, const char *proc_root, const char *directory,
                        uint64_t time_ns, enum balloon_child_step *ret_step);

// Tells it to grow until `until_ns` of CLOCK_MONOTONIC at the latest, where a preempted process may
// find itself with less done; balloon_child_answer() takes its answer, which poll() on the
// descriptor announces. 0 or -errno; -EPIPE when it has ended. The answer's: -ENOMEM when the
// kernel refused.
int balloon_child_grow(struct balloon_child *child, uint64_t bytes, uint64_t until_ns);
int balloon_child_answer(struct balloon_child *child);

// Ends it and waits until its memory is back (a second, and one for each GiB, at most; then it is
// killed). Harmless when there is none.
void balloon_child_stop(struct balloon_child *child);

#endif
