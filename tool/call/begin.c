// SPDX-License-Identifier: Apache-2.0
// Choosing and stopping a thread: call_begin(), see call.h. Tool world; one thread uses a session.
//
// A thread is looked at twice: from outside, where it seems to sleep, and when it is stopped, for
// it may have moved on meanwhile, into the allocator for instance.
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/array.h"
#include "base/buffer.h"
#include "call/code.h"
#include "call/session.h"
#include "call/trace.h"
#include "proc/status.h"
#include "proc/threads.h"

enum {
    STATUS_MAX_BYTES = 64 << 10,
    // A thread in an uninterruptible sleep stops only when that is over.
    STOP_TIMEOUT_NS = 1000000000,
    PAUSE_NS = 1000000,
    TRIED_MAX = 64, // threads of one pass
    UNFIT_MAX = 4096,
};

// A thread that seemed fit from outside.
struct candidate {
    pid_t tid;
    enum frame_wait wait;
};

// Being stopped again and again would do it no good. By its stack pointer as well: where it sleeps
// now it may be fit.
static bool is_known_unfit(const struct call_session *session, const struct proc_thread *thread)
{
    for (size_t i = 0; i < session->unfit_count; i++)
        if (session->unfit[i].tid == thread->tid &&
            session->unfit[i].stack_pointer == thread->stack_pointer)
            return true;
    return false;
}

// Bounded by the threads of the target; one that cannot be noted is looked at again.
static void note_unfit(struct call_session *session)
{
    if (session->unfit_count >= UNFIT_MAX ||
        array_reserve_one(&session->unfit, &session->unfit_capacity, session->unfit_count,
                          sizeof *session->unfit) != 0)
        return;
    session->unfit[session->unfit_count++] =
        (struct session_unfit){session->tid, session->native.rsp};
}

// Among equals the older thread: the first one is often the one with the least to do.
static int compare_candidates(const void *a, const void *b)
{
    const struct candidate *left = a, *right = b;
    if (left->wait != right->wait)
        return left->wait < right->wait ? -1 : 1;
    return left->tid < right->tid ? -1 : left->tid > right->tid;
}

// Those that sleep in a wait that may be begun anew, the best first.
static int list_candidates(struct call_session *session, struct candidate **ret_candidates,
                           size_t *ret_count)
{
    struct proc_thread *threads;
    size_t count, kept = 0;
    int error = proc_threads_read(session->process, &threads, &count);
    if (error)
        return error;
    struct candidate *candidates = calloc(count ? count : 1, sizeof *candidates);
    if (!candidates) {
        free(threads);
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        if (session->only_tid && threads[i].tid != session->only_tid)
            continue;
        const struct proc_syscall *call = &threads[i].syscall;
        enum frame_wait wait = frame_wait_of(call->number, call->arguments, session->keeps_masks);
        // restart_syscall: what it was, its code tells when it is stopped.
        if (call->number == FRAME_RESTART_SYSCALL)
            wait = FRAME_WAIT_LIMITED;
        // One that runs on a processor has no stack pointer to show.
        if (threads[i].stack_pointer && wait != FRAME_WAIT_UNFIT &&
            !is_known_unfit(session, &threads[i]))
            candidates[kept++] = (struct candidate){threads[i].tid, wait};
    }
    free(threads);
    qsort(candidates, kept, sizeof *candidates, compare_candidates);
    *ret_candidates = candidates;
    *ret_count = kept;
    return 0;
}

// The thread's own: its filters may differ from those of the others.
static int read_status(struct call_session *session, struct proc_status *ret_status)
{
    char name[40];
    struct buffer file = {0};
    snprintf(name, sizeof name, "task/%d/status", (int)session->tid);
    int error = process_read_file(session->process, name, STATUS_MAX_BYTES, &file);
    if (!error)
        error = proc_status_parse(buffer_text(&file), ret_status);
    buffer_free(&file);
    // A thread that has just ended.
    return error ? -EAGAIN : 0;
}

// Not this one; there may be others, or this one again in a moment.
static int move_on(struct call_session *session, const char *why)
{
    return session_refuse(session, -EAGAIN, "", "thread %d %s", (int)session->tid, why);
}

// In which wait was it stopped? Hides the stop at once: from here on not even our death shows.
static int look_at_wait(struct call_session *session)
{
    uint8_t code[7];
    uint64_t arguments[6];
    struct frame_registers *registers = &session->native;
    if (trace_get_registers(session->tid, registers) != 0)
        return move_on(session, "runs 32-bit code, or has ended");
    if (!frame_is_interrupted(registers) ||
        code_read_memory(session->tid, registers->rip - sizeof code, code, sizeof code) != 0)
        return move_on(session, "had moved on when it was stopped");
    // The wait itself, not the restart that an earlier stop has made of it.
    session->number = frame_syscall_of(registers, code);
    frame_syscall_arguments(registers, arguments);
    session->wait = frame_wait_of(session->number, arguments, session->keeps_masks);
    if (session->wait == FRAME_WAIT_UNFIT)
        return move_on(session, "had moved on when it was stopped");
    // A socket with a time limit answers EINTR, one without does not.
    if (session->wait == FRAME_WAIT_EXACT && (int64_t)registers->rax == -EINTR)
        session->wait = FRAME_WAIT_LIMITED;
    if (frame_hide_stop(registers, session->number, false) &&
        trace_set_registers(session->tid, registers) != 0)
        return move_on(session, "has ended");
    return 0;
}

// All that the frames will put back, and where they go.
static int keep_state(struct call_session *session)
{
    struct frame_state *frame = &session->frame;
    frame->registers = session->native;
    frame->registers.orig_rax = (uint64_t)session->number;
    int error = trace_get_mask(session->tid, &frame->signal_mask);
    if (!error)
        error =
            trace_get_xsave(session->tid, frame->xsave, sizeof frame->xsave, &frame->xsave_bytes);
    if (error)
        return move_on(session, "does not show its signal mask or extended registers");
    error = frame_lay_out(frame, &session->code, &session->extents, &session->layout);
    if (error)
        return session_refuse(session, error, "",
                              "this processor's extended registers are not understood");
    return 0;
}

// Cheap questions first; each one costs the thread some microseconds.
static int look_at_thread(struct call_session *session, const struct proc_status *status)
{
    int error = look_at_wait(session);
    if (!error) {
        error = session_check_stack(session);
        if (error == -EAGAIN)
            note_unfit(session);
    }
    if (!error)
        error = keep_state(session);
    if (!error && status->seccomp != 0)
        error = session_check_filters(session);
    return error;
}

// EPERM has two reasons: no right, and somebody else who traces it.
static int refuse_attach(struct call_session *session, int error)
{
    struct proc_status status = {0};
    if (error == -ESRCH)
        return move_on(session, "has ended");
    if (read_status(session, &status) == 0 && status.tracer_pid != 0)
        return session_refuse(session, -EBUSY, "the tracer to let it go",
                              "process %d traces it (a debugger, strace, another ebb)",
                              (int)status.tracer_pid);
    return session_refuse(session, -EPERM, "CAP_SYS_PTRACE, or ebb run by the process's own user",
                          "attaching to thread %d was refused (%s)", (int)session->tid,
                          strerror(-error));
}

// Whoever is stopped lets nobody go: a target must not stand still until somebody types fg. SIGSTOP
// cannot be helped; our death can, the kernel lets go then.
static void block_stops(struct call_session *session)
{
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTSTP);
    sigaddset(&stops, SIGTTIN);
    sigaddset(&stops, SIGTTOU);
    if (!session->has_blocked)
        session->has_blocked = pthread_sigmask(SIG_BLOCK, &stops, &session->signals_before) == 0;
}

// A busy target would have its thread wait for our turn on a processor as well. Without the right
// to, it does. What we start meanwhile is not hurried.
void session_hurry(struct call_session *session)
{
    block_stops(session);
    const struct sched_param first = {.sched_priority = 1};
    if (!session->is_hurried && sched_getscheduler(0) == SCHED_OTHER)
        session->is_hurried = sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first) == 0;
}

void session_relax(struct call_session *session)
{
    const struct sched_param none = {0};
    if (session->is_hurried && sched_setscheduler(0, SCHED_OTHER, &none) == 0)
        session->is_hurried = false;
    if (session->has_blocked)
        pthread_sigmask(SIG_SETMASK, &session->signals_before, NULL);
    session->has_blocked = false;
}

// Stops the thread. 0; else it has been let go, or will be by call_end().
static int stop_thread(struct call_session *session)
{
    struct trace_event event;
    int error = trace_seize(session->tid);
    if (error)
        return refuse_attach(session, error);
    session_hurry(session);
    session->stopped_ns = trace_now_ns();
    session->state = SESSION_STUCK;
    error = trace_interrupt(session->tid);
    if (!error)
        error = trace_wait(session->tid, session->stopped_ns + STOP_TIMEOUT_NS, &event);
    if (error == -ETIME)
        return session_refuse(session, -ETIME, "", "thread %d did not stop within a second",
                              (int)session->tid);
    if (error == -ENOTSUP)
        return session_refuse(session, error, "Linux 4.7 or later", "this kernel is too old");
    if (error || event.what == TRACE_ENDED) {
        session->state = SESSION_IDLE;
        return move_on(session, "has ended");
    }
    // From here on it stands still.
    session->state = SESSION_WAIT;
    if (event.what == TRACE_TRAP)
        return 0;
    // A signal that comes first has its way; so has whoever has stopped the whole process.
    trace_detach(session->tid, event.what == TRACE_SIGNAL ? event.signal : 0);
    session->state = SESSION_IDLE;
    if (event.what == TRACE_STOPPED)
        return session_refuse(session, -EBUSY, "kill -CONT, to continue it first",
                              "it is stopped by a signal");
    return move_on(session, "was about to take a signal");
}

// 0 with the thread stopped and fit; -EAGAIN for another; other -errno.
static int try_thread(struct call_session *session, const struct candidate *candidate)
{
    struct proc_status status = {0};
    session->tid = candidate->tid;
    int error = read_status(session, &status);
    if (error)
        return move_on(session, "has ended");
    // Handlers come and go: for the marker only those of this moment count.
    session->caught = status.signals_caught;
    error = stop_thread(session);
    if (error)
        return error;
    session->stats.stops++;
    error = look_at_thread(session, &status);
    if (error)
        call_end(session);
    return error;
}

// One pass over all that seem fit. What only another thread could mend ends it.
static int try_all(struct call_session *session)
{
    struct candidate *candidates;
    size_t count;
    int error = list_candidates(session, &candidates, &count);
    if (error)
        return error;
    if (count == 0 && session->unfit_count == 0)
        session_refuse(session, -EAGAIN, "", "no thread sleeps in a wait that may be begun anew");
    error = -EAGAIN;
    for (size_t i = 0; i < count && i < TRIED_MAX && error == -EAGAIN; i++) {
        error = try_thread(session, &candidates[i]);
        if (error)
            session->stats.retries++;
    }
    free(candidates);
    return error;
}

static int begin(struct call_session *session, unsigned wait_ms)
{
    if (session->state != SESSION_IDLE)
        return -EINVAL;
    session->why = (struct call_refusal){0};
    session->scratch_used = 0;
    uint64_t deadline = trace_now_ns() + (uint64_t)wait_ms * 1000000;
    for (;;) {
        // A PID that is somebody else's by now must not be stopped.
        int error = process_check(session->process);
        if (error)
            return session_refuse(session, error, "",
                                  error == -ESTALE ? "it executed another program"
                                                   : "it has ended");
        error = try_all(session);
        if (error == 0) {
            session->stats.tid = session->tid;
            session->stats.syscall = session->number;
            return 0;
        }
        session_relax(session);
        if (error != -EAGAIN || trace_now_ns() >= deadline)
            return error;
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
}

// A busy target has no thread asleep at one moment and several at the next.
int call_begin(struct call_session *session)
{
    session->only_tid = 0;
    return begin(session, session->options.wait_ms);
}

int call_begin_thread(struct call_session *session, pid_t tid)
{
    session->only_tid = tid;
    return begin(session, 0);
}
