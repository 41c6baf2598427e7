// SPDX-License-Identifier: Apache-2.0
// What the parts of tool/call share: the session. Internal to tool/call; one thread uses it.
#ifndef EBB_CALL_SESSION_H
#define EBB_CALL_SESSION_H

#include <signal.h>

#include "call/call.h"
#include "call/frame_x86_64.h"

// Where the stopped thread is.
enum session_state {
    SESSION_IDLE,   // no thread is held
    SESSION_WAIT,   // stopped in its wait; its registers are as they were
    SESSION_MARK,   // stopped behind a call, before the `leave` frame, with every signal blocked
    SESSION_INSIDE, // within a call
    SESSION_STUCK,  // it was asked to stop and has not yet
};

// A thread whose stack was no good, as long as it sleeps where it did.
struct session_unfit {
    pid_t tid;
    uint64_t stack_pointer;
};

struct call_session {
    struct process *process;
    const struct mappings *mappings;
    const struct images *images;
    struct call_options options;
    struct call_stats stats;
    struct call_refusal why;
    struct frame_code code;
    struct frame_extents extents;
    bool has_errno;
    uint64_t errno_offset; // of errno, from a thread's fs_base
    bool keeps_masks;      // see frame_wait_of()

    enum session_state state;
    bool is_hurried;
    bool has_blocked;        // signals that would stop us
    sigset_t signals_before; // those that were blocked when it did
    pid_t tid;
    pid_t only_tid; // no other may be stopped; 0: any
    uint64_t stopped_ns;
    int64_t number;                // the wait
    enum frame_wait wait;          // how well it may be begun anew
    uint64_t caught;               // signals that have handlers
    struct frame_registers native; // as stopped; the kernel restarts the wait from these
    struct frame_state frame;      // the same for the frames
    struct frame_layout layout;
    uint64_t marker_mask;
    int marker;      // 0: none is usable
    int held_signal; // that the thread shall take when it goes on; 0 none
    size_t scratch_used;

    struct session_unfit *unfit; // threads that need not be stopped again
    size_t unfit_count, unfit_capacity;
    pid_t filters_tid; // whose seccomp filters were found harmless
};

// Fills in why->... and returns `error`. `needs` may be "".
int session_refuse(struct call_session *session, int error, const char *needs, const char *format,
                   ...) __attribute__((format(printf, 4, 5)));

// Puts this thread ahead of the target's for as long as one of them waits for us, where that is
// allowed, and has ^Z and its kind wait until then; and back.
void session_hurry(struct call_session *session);
void session_relax(struct call_session *session);

// Room on the stopped thread's own stack, registers in session->native. 0; -EAGAIN with words when
// it is not on it, has no room there, or runs a signal handler.
int session_check_stack(struct call_session *session);

// The filters of a stopped thread with "Seccomp: 2" in its status. 0 when none would end it for
// what a call does; -EPERM with words.
int session_check_filters(struct call_session *session);

#endif
