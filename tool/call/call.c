// SPDX-License-Identifier: Apache-2.0
// The calls themselves, see call.h. Tool world; one thread uses a session.
//
// At no instant is there more to undo than the thread can undo itself: see the order of steps in
// start() and let_go().
#include "call/call.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "call/code.h"
#include "call/session.h"
#include "call/trace.h"

static const uint64_t all_signals = UINT64_MAX;
enum { STOP_TIMEOUT_NS = 1000000000 };

// Where a thread is that does not answer: only its own end, or ours, lets it go.
static int refuse_stuck(struct call_session *session)
{
    session->state = SESSION_STUCK;
    return session_refuse(session, -ETIME, "", "thread %d did not stop within a second",
                          (int)session->tid);
}

// The thread is gone: did the process end, or become another program?
static int refuse_ended(struct call_session *session)
{
    session->state = SESSION_IDLE;
    int error = process_check(session->process);
    if (error == -ESTALE)
        return session_refuse(session, -ESTALE, "", "it executed another program meanwhile");
    return session_refuse(session, -ESRCH, "",
                          error ? "it ended meanwhile" : "the thread that made the call ended");
}

// A thread that ptrace does not find is one that has just been killed.
static int check_ptrace(struct call_session *session, int error, const char *what)
{
    if (error == -ESRCH)
        return refuse_ended(session);
    return error ? session_refuse(session, error, "", "%s thread %d failed: %s", what,
                                  (int)session->tid, strerror(-error))
                 : 0;
}

// In the kernel's masks signal 1 has bit 0.
static uint64_t bit_of(int signal)
{
    return UINT64_C(1) << (signal - 1);
}

// A signal that does nothing should we die before we take it back: ignored by default, without a
// handler, and not one that the thread keeps blocked to read it later.
static int choose_marker(const struct call_session *session)
{
    static const int markers[] = {SIGURG, SIGWINCH, SIGCHLD};
    for (size_t i = 0; i < sizeof markers / sizeof *markers; i++)
        if (!((session->caught | session->frame.signal_mask) & bit_of(markers[i])))
            return markers[i];
    return 0;
}

// In one piece, and nothing above it: the red zone and all that is alive lie there.
static int write_frames(struct call_session *session, const struct frame_call *call)
{
    size_t len = (size_t)(session->layout.high - session->layout.low);
    uint8_t *image = malloc(len);
    if (!image)
        return -ENOMEM;
    frame_build(&session->frame, &session->code, &session->layout, call, image);
    int error = code_write_memory(session->tid, session->layout.low, image, len);
    free(image);
    return error;
}

// Until the registers are set, nothing has begun. From then on the thread does everything by
// itself, whatever happens to us; so the mask, which only keeps signals for the process from being
// taken in between, comes after them, and the marker after that.
static int start(struct call_session *session, const struct frame_call *call)
{
    pid_t tid = session->tid;
    int error = write_frames(session, call);
    if (error)
        return check_ptrace(session, error, "writing to the stack of");
    // The only step that counts.
    struct frame_registers flipped =
        frame_return_through(&session->native, &session->code, session->layout.enter);
    error = trace_set_registers(tid, &flipped);
    if (error)
        return check_ptrace(session, error, "setting the registers of");
    session->state = SESSION_INSIDE;
    error = trace_set_mask(tid, all_signals);
    if (error)
        return check_ptrace(session, error, "blocking the signals of");
    if (session->marker &&
        syscall(SYS_tgkill, process_pid(session->process), tid, session->marker) != 0)
        session->marker = 0; // no right to: go by system calls instead
    return 0;
}

// With a marker at full speed; without one, from one system call to the next.
static int resume(struct call_session *session, int signal)
{
    int error = session->marker ? trace_continue(session->tid, signal)
                                : trace_continue_to_syscall(session->tid, signal);
    return check_ptrace(session, error, "continuing");
}

// Given on once.
static int take_held_signal(struct call_session *session)
{
    int signal = session->held_signal;
    session->held_signal = 0;
    return signal;
}

// SIGSYS is none: whoever has a handler for it (system call user dispatch) needs it.
static bool is_fault(int signal)
{
    return signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE ||
           signal == SIGTRAP;
}

// All of the chain but its last step is behind it.
static bool is_at_mark(struct call_session *session)
{
    struct frame_registers registers = {0};
    return trace_get_registers(session->tid, &registers) == 0 &&
           frame_is_before(&registers, &session->code, session->layout.leave);
}

// The thread is left to itself, in whatever it does: it comes back by its own frames.
static int give_up(struct call_session *session)
{
    struct trace_event event;
    pid_t tid = session->tid;
    if (trace_interrupt(tid) != 0 ||
        trace_wait(tid, trace_now_ns() + STOP_TIMEOUT_NS, &event) == -ETIME) {
        session->state = SESSION_STUCK;
        return -ETIME;
    }
    if (event.what == TRACE_ENDED)
        return refuse_ended(session);
    // The marker has no more to say; any other signal is the thread's own.
    trace_detach(tid,
                 event.what == TRACE_SIGNAL && event.signal != session->marker ? event.signal : 0);
    session->state = SESSION_IDLE;
    return -ETIME;
}

// Only a stop that the kernel makes for signals lets us restart system calls: ask for one, where
// the thread is.
// 1 when it has stopped, -errno.
static int stop_at_mark(struct call_session *session)
{
    struct trace_event event = {0};
    int error = trace_interrupt(session->tid);
    if (!error)
        error = trace_continue(session->tid, 0);
    if (!error)
        error = trace_wait(session->tid, trace_now_ns() + STOP_TIMEOUT_NS, &event);
    if (error == -ETIME)
        return refuse_stuck(session);
    if (error)
        return check_ptrace(session, error, "stopping");
    // SIGSTOP is the only one that may come here; it is passed on with the next step.
    if (event.what == TRACE_SIGNAL && event.signal != session->marker)
        session->held_signal = event.signal;
    return event.what == TRACE_ENDED ? refuse_ended(session) : 1;
}

// The function faulted. Its frames below are left where they are; the thread goes on behind it.
static int put_back(struct call_session *session)
{
    struct frame_registers flipped =
        frame_return_through(&session->native, &session->code, session->layout.mend);
    int error = trace_set_registers(session->tid, &flipped);
    if (!error)
        error = trace_set_mask(session->tid, all_signals);
    return check_ptrace(session, error, "putting back");
}

// One event inside a call. 1 at the mark, 0 to go on waiting, -errno. `fault` is 0 or the signal
// that the function has raised already.
static int handle(struct call_session *session, const struct trace_event *event, int *fault)
{
    switch (event->what) {
    case TRACE_ENDED:
        return refuse_ended(session);
    case TRACE_STOPPED:
        return check_ptrace(session, trace_listen(session->tid), "listening to");
    case TRACE_TRAP:
        return resume(session, 0);
    case TRACE_SYSCALL:
        return is_at_mark(session) ? stop_at_mark(session) : resume(session, 0);
    case TRACE_SIGNAL:
        break;
    }
    if (event->signal == session->marker)
        return is_at_mark(session) ? 1 : resume(session, 0);
    // One that the function raises by itself; somebody else's is passed on, as is a second fault.
    if (!is_fault(event->signal) || *fault || !trace_is_raised_by_kernel(session->tid))
        return resume(session, event->signal);
    *fault = event->signal;
    int error = put_back(session);
    return error ? error : resume(session, 0);
}

// Runs one function to its mark. 0, or -errno with words.
static int run(struct call_session *session, const struct frame_call *call)
{
    int fault = 0;
    int error = start(session, call);
    if (!error)
        error = resume(session, take_held_signal(session));
    // Of the function, not of the whole: what it waits for besides is not ours to judge.
    uint64_t deadline = trace_now_ns() + (uint64_t)session->options.timeout_ms * 1000000;
    while (!error) {
        struct trace_event event;
        error = trace_wait(session->tid, deadline, &event);
        if (error == -ETIME) {
            give_up(session);
            return session_refuse(session, -ETIME, "",
                                  "the call did not return within %u ms and was left to itself",
                                  session->options.timeout_ms);
        }
        error =
            error ? check_ptrace(session, error, "waiting for") : handle(session, &event, &fault);
    }
    if (error < 0)
        return error;
    session->state = SESSION_MARK;
    if (fault)
        return session_refuse(session, -EFAULT, "a restart: its allocator may hold locks for ever",
                              "the function faulted in the target (%s); the thread was put back",
                              strsignal(fault));
    return 0;
}

// The thread's errno as it is, for it to be put back.
static void keep_errno(struct call_session *session, struct frame_call *call)
{
    uint64_t address = session->native.fs_base + session->errno_offset;
    if (session->has_errno && session->code.word.address &&
        code_read_memory(session->tid, address, &call->errno_value, sizeof call->errno_value) == 0)
        call->errno_address = address;
}

// Between calls the thread waits at its mark; the next one goes on from there.
int call_make(struct call_session *session, uint64_t function, const uint64_t *arguments,
              size_t count, uint64_t *ret_value)
{
    if ((session->state != SESSION_WAIT && session->state != SESSION_MARK) ||
        count > CALL_ARGUMENTS_MAX)
        return -EINVAL;
    // Chosen anew each time, since a call without the right to send it goes without.
    session->marker = choose_marker(session);
    session->marker_mask = session->marker ? bit_of(session->marker) : 0;
    struct frame_call call = {.function = function, .marker_mask = session->marker_mask};
    for (size_t i = 0; i < count; i++)
        call.arguments[i] = arguments[i];
    keep_errno(session, &call);
    int error = run(session, &call);
    if (error)
        return error;
    // What the function has done counts, whether or not its value can be fetched.
    session->stats.calls++;
    if (session->wait >= FRAME_WAIT_LIMITED)
        session->stats.wait_began_anew = true;
    if (ret_value && session->code.value.address)
        return code_read_memory(session->tid, session->layout.result, ret_value, sizeof *ret_value);
    return 0;
}

// Without a gadget that stores it, the value is gone when the thread is at its mark.
bool call_knows_values(const struct call_session *session)
{
    return session->code.value.address != 0;
}

// Straight into the target: nothing is kept here.
int call_put(struct call_session *session, const void *data, size_t len, uint64_t *ret_address)
{
    if (session->state != SESSION_WAIT && session->state != SESSION_MARK)
        return -EINVAL;
    // What is put there may be read with the widest moves.
    size_t at = (session->scratch_used + 15) & ~(size_t)15;
    if (at > CALL_SCRATCH_BYTES || len > CALL_SCRATCH_BYTES - at)
        return -ENOSPC;
    uint64_t address = session->layout.scratch + at;
    int error = code_write_memory(session->tid, address, data, len);
    if (error)
        return error;
    session->scratch_used = at + len;
    *ret_address = address;
    return 0;
}

void call_put_reset(struct call_session *session)
{
    session->scratch_used = 0;
}

// A process whose first thread has ended is read through another.
int call_get(struct call_session *session, uint64_t address, void *ret_data, size_t len)
{
    pid_t pid = session->state == SESSION_IDLE ? process_pid(session->process) : session->tid;
    return code_read_memory(pid, address, ret_data, len);
}

// From the moment we asked it to stop: what the target has seen of us.
static void count_stop(struct call_session *session)
{
    uint64_t took_ns = trace_now_ns() - session->stopped_ns;
    session->stats.total_stop_ns += took_ns;
    if (took_ns > session->stats.longest_stop_ns)
        session->stats.longest_stop_ns = took_ns;
}

// Its own mask first: a thread that is left between the two steps still goes through `leave`. Then
// its registers as they were, for the kernel to decide between a handler and the wait.
static void let_go(struct call_session *session)
{
    if (session->state == SESSION_MARK) {
        struct frame_registers native = session->native;
        frame_hide_stop(&native, session->number, true);
        trace_set_mask(session->tid, session->frame.signal_mask);
        trace_set_registers(session->tid, &native);
    }
    trace_detach(session->tid, take_held_signal(session));
    count_stop(session);
}

// One that would not stop may have stopped by now.
static void free_stuck(struct call_session *session)
{
    struct trace_event event;
    if (trace_wait(session->tid, trace_now_ns() + STOP_TIMEOUT_NS, &event) == 0 &&
        event.what != TRACE_ENDED)
        trace_detach(session->tid, event.what == TRACE_SIGNAL && event.signal != session->marker
                                       ? event.signal
                                       : 0);
}

// Whatever the state is, afterwards no thread is held.
void call_end(struct call_session *session)
{
    if (session->state == SESSION_WAIT || session->state == SESSION_MARK)
        let_go(session);
    else if (session->state == SESSION_INSIDE)
        give_up(session);
    else if (session->state == SESSION_STUCK)
        free_stuck(session);
    session->state = SESSION_IDLE;
    session_relax(session);
}

// The process, its mappings and images stay the caller's.
void call_close(struct call_session *session)
{
    if (!session)
        return;
    call_end(session);
    free(session->unfit);
    free(session);
}

const struct call_stats *call_get_stats(const struct call_session *session)
{
    return &session->stats;
}

const struct call_refusal *call_why(const struct call_session *session)
{
    return &session->why;
}
