// SPDX-License-Identifier: Apache-2.0
// Stopping one thread of another process and steering it: ptrace(2), with waits that end. Tool
// world; all calls for a thread must come from the one that stopped it.
//
// Nothing here outlives its caller: a tracer that dies lets its threads go on, and a signal that
// the thread was about to take is then still delivered, since waiting does not use it up (WNOWAIT).
#ifndef EBB_CALL_TRACE_H
#define EBB_CALL_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "call/frame_x86_64.h"

enum trace_what {
    TRACE_TRAP,    // stopped as asked for
    TRACE_SIGNAL,  // about to take `signal`
    TRACE_SYSCALL, // on the way into, or out of, a system call
    TRACE_STOPPED, // its whole process is stopped by `signal`
    TRACE_ENDED,   // the thread is gone, and reaped
};

struct trace_event {
    enum trace_what what;
    int signal;
};

// Attaches without stopping it. 0; -EPERM, -ESRCH.
int trace_seize(pid_t tid);
// Asks it to stop; trace_wait() tells when it has. 0 or -errno.
int trace_interrupt(pid_t tid);
// 0 with what happened; -ETIME when nothing has for so long; -ESRCH when there is nobody to wait
// for; -ENOTSUP before Linux 4.7.
int trace_wait(pid_t tid, uint64_t deadline_ns, struct trace_event *ret_event);

// For a stopped thread; each 0 or -errno.
int trace_get_registers(pid_t tid, struct frame_registers *ret_registers);
int trace_set_registers(pid_t tid, const struct frame_registers *registers);
int trace_get_xsave(pid_t tid, uint8_t *ret_image, size_t size, size_t *ret_len);
int trace_get_mask(pid_t tid, uint64_t *ret_mask);
int trace_set_mask(pid_t tid, uint64_t mask);

// Was the signal that it is about to take raised by the kernel (a fault), not sent by somebody?
bool trace_is_raised_by_kernel(pid_t tid);

// Lets it run; `signal` is the one it shall take, or 0. 0 or -errno.
int trace_continue(pid_t tid, int signal);
// The same up to the next border of a system call.
int trace_continue_to_syscall(pid_t tid, int signal);
// After TRACE_STOPPED: leaves it stopped, but hears of what follows.
int trace_listen(pid_t tid);
// Lets it go for good. It must be stopped.
int trace_detach(pid_t tid, int signal);

// CLOCK_MONOTONIC.
uint64_t trace_now_ns(void);

#endif
