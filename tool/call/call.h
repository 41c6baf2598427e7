// SPDX-License-Identifier: Apache-2.0
// A function call made inside a running target, without harm: the lever that asks a runtime in its
// own words. Tool world; one thread uses a session, and it must be the one that opened it (ptrace).
//
// How: one thread that sleeps in a system call which may be begun anew is stopped, all others run
// on. Below its stack signal frames are written, as if a signal handler ran: the first, left by
// rt_sigreturn, enters the function with every signal blocked and a fresh floating-point state; the
// last puts the thread back where it was, registers, signal mask, extended state and errno. What
// starts the call is a single change of registers. So whenever ebb dies, by kill -9 even, either
// nothing has begun, or the thread finishes the call and restores itself with nobody attached. No
// code byte, no mapping and no breakpoint of the target is changed; the function's end is seen by a
// signal that the target ignores.
//
// Which thread: one in read, poll, select, epoll_wait, accept, recv, wait, pause, sigwait or a
// sleep, never in futex, madvise, mmap or brk; on its own stack (not a coroutine's, a goroutine's,
// an alternate one) with 64 KiB left; in no signal handler, which may have interrupted the
// allocator; and, once it is stopped, still in that system call. Those come first whose wait loses
// nothing.
//
// What the target may see: the thread does not run meanwhile, and signals for it wait (^Z on ebb
// waits too; a SIGSTOP of ebb would keep the thread stopped until SIGCONT or ebb's end); those for
// the process go to other threads. A wait with a time limit begins it anew (poll, nanosleep,
// epoll_wait); one without a limit shows nothing, a handler that interrupts it ends it by EINTR as
// ever. One window remains: if ebb is killed in the microseconds between the stop and its first
// act, epoll_wait() and sigtimedwait() answer EINTR, as they do to any SIGSTOP and SIGCONT
// (signal(7)). If it is killed inside a call, a handler that is due runs before the wait, which
// then begins anew instead of ending by EINTR. Memory protection keys are as in a signal handler. A
// thread that the function starts has all signals blocked.
//
// Sources: arch/x86/kernel/signal_64.c and fpu/signal.c, kernel/signal.c, kernel/ptrace.c,
// ptrace(2), sigreturn(2), signal(7) ("system calls interrupted by stop signals").
#ifndef EBB_CALL_CALL_H
#define EBB_CALL_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "image/image.h"
#include "proc/mappings.h"
#include "proc/process.h"

enum { CALL_ARGUMENTS_MAX = 6, CALL_SCRATCH_BYTES = 4096, CALL_WHY_MAX = 200 };

// Why no call can be made, and what would help; sentences' parts as in struct survey_unread. Both
// may be "" after a success.
struct call_refusal {
    char why[CALL_WHY_MAX];
    char needs[CALL_WHY_MAX];
};

struct call_options {
    unsigned wait_ms;    // how long to look for a thread that is fit; 0: 2000
    unsigned timeout_ms; // how long one call may take before it is left to itself; 0: 10000
};

// What the calls of a session cost the thread that made them.
struct call_stats {
    uint64_t calls, stops, retries; // retries: a thread had moved on when it was stopped
    uint64_t longest_stop_ns, total_stop_ns;
    pid_t tid;            // of the last stop
    long syscall;         // in which it slept
    bool wait_began_anew; // a wait with a time limit (poll, nanosleep, epoll_wait) runs in full
                          // again
};

struct call_session;

// Looks, without stopping anything, whether calls are possible: architecture, C library's
// rt_sigreturn, who traces it, whether it is stopped, shadow stacks, rights. `mappings` and
// `images` are borrowed until call_close(). 0; else -errno with `ret_refusal` filled in: -ENOTSUP
// (architecture, no rt_sigreturn, shadow stack, 32-bit, another PID namespace), -EPERM (no attach
// rights; strict seccomp, or a filter that ebb's own forbids to read), -EBUSY (traced by somebody
// else, or stopped by a signal), -ESRCH, -ENOMEM. Cost: a look at the C library's code and symbols,
// about 10 ms.
int call_open(struct process *process, const struct mappings *mappings, const struct images *images,
              const struct call_options *options, struct call_session **ret_session,
              struct call_refusal *ret_refusal);

// Stops a fit thread. From here to call_end() it stands still but for the calls. With the right to,
// ebb takes a real-time priority for as long, so that the target does not wait for ebb's turn.
// 0; -EAGAIN no thread was fit within wait_ms; -EPERM no right, or the thread has a seccomp filter
// that would end it for what a call does, or that cannot be read; -EBUSY; -ETIME a thread was asked
// to stop and has not within a second (it waits for a disk); -ENOTSUP before Linux 4.7; -ESRCH,
// -ESTALE; with call_why() for the words.
int call_begin(struct call_session *session);
// The same for this one thread, for what a runtime keeps by thread; does not wait for it to be fit.
int call_begin_thread(struct call_session *session, pid_t tid);

// The thread's scratch memory, CALL_SCRATCH_BYTES of dead stack: valid from call_begin() to
// call_end(), kept between calls. Copies `len` bytes to the next free place, aligned to 16. 0 and
// its address; -ENOSPC; -errno.
int call_put(struct call_session *session, const void *data, size_t len, uint64_t *ret_address);
// Frees all of it for the next arguments.
void call_put_reset(struct call_session *session);
// Copies bytes of the target's memory; resident or not does not matter here: the call has touched
// them. 0 or -errno.
int call_get(struct call_session *session, uint64_t address, void *ret_data, size_t len);

// Calls the function at run-time address `function` with up to CALL_ARGUMENTS_MAX integers or
// pointers. 0 and what it returned (`ret_value` may be NULL; it is untouched where
// call_knows_values() is false); after any failure the session is over but for call_end(): -ETIME
// it did not return in time and was left to finish by itself; -EFAULT it faulted, and the thread
// was put back; -ESRCH the target or the thread ended; -ESTALE it called exec; -EINVAL no thread is
// stopped.
int call_make(struct call_session *session, uint64_t function, const uint64_t *arguments,
              size_t count, uint64_t *ret_value);

// Can values that functions return be read? Not where the target's code lacks the few instructions
// for it (small static programs): its functions can be called all the same, and errno is not
// restored.
bool call_knows_values(const struct call_session *session);

// Lets the thread go, as it was. Safe to call at any time, after failures too; a session may begin
// again.
void call_end(struct call_session *session);
void call_close(struct call_session *session);

const struct call_stats *call_get_stats(const struct call_session *session);
// Words for the last failure of call_begin() or call_make(). Valid until the next call.
const struct call_refusal *call_why(const struct call_session *session);

// The first defined function symbol among `names` (NULL-terminated) in any image, the executable
// first: its run-time address and image. Names that begin with '*' match any prefix ("*mallctl").
// 0 or -ENOENT. Cost: a pass over the symbols of each image.
int call_find_function(const struct images *images, const char *const *names, uint64_t *ret_address,
                       const struct image **ret_image);

#endif
