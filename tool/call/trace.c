// SPDX-License-Identifier: Apache-2.0
// ptrace of one thread, see trace.h. Tool world; no state but the kernel's.
#include "call/trace.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

enum {
    KERNEL_MASK_BYTES = 8,
    SYSCALL_STOP = SIGTRAP | 0x80, // PTRACE_O_TRACESYSGOOD
    NAP_MAX_NS = 2000000,
};

// The regset's numbers are small ints; ptrace wants them as an address.
static void *as_address(uintptr_t value)
{
    return (void *)value;
}

// Every request answers -1 with errno, or something that is not asked for here.
static int ask(enum __ptrace_request request, pid_t tid, uintptr_t address, void *data)
{
    return ptrace(request, tid, as_address(address), data) < 0 ? -errno : 0;
}

// The clock of all deadlines: it does not jump.
uint64_t trace_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

// No option here kills: EXITKILL least of all.
int trace_seize(pid_t tid)
{
    return ask(PTRACE_SEIZE, tid, 0, as_address(PTRACE_O_TRACESYSGOOD));
}

// No signal is sent: nothing is left behind in the thread should it not stop.
int trace_interrupt(pid_t tid)
{
    return ask(PTRACE_INTERRUPT, tid, 0, NULL);
}

// si_status is what a status word has above its lowest byte: the signal, and the event above it.
static void translate(const siginfo_t *info, struct trace_event *ret_event)
{
    int status = info->si_status;
    struct trace_event event = {.what = TRACE_SIGNAL, .signal = status & 0x7f};
    if (info->si_code != CLD_TRAPPED && info->si_code != CLD_STOPPED)
        event.what = TRACE_ENDED;
    else if (status >> 8 == PTRACE_EVENT_STOP)
        event.what = event.signal == SIGTRAP ? TRACE_TRAP : TRACE_STOPPED;
    else if (status == SYSCALL_STOP)
        event.what = TRACE_SYSCALL;
    *ret_event = event;
}

// A stop is only looked at. An end is also reaped: until then the thread's process could not end.
static int poll_once(pid_t tid, struct trace_event *ret_event)
{
    siginfo_t info = {0};
    int error = waitid(P_PID, (id_t)tid, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL);
    if (error < 0)
        return errno == EINVAL ? -ENOTSUP : -ESRCH;
    // With WNOHANG, nothing new is no error.
    if (info.si_pid == 0)
        return -EAGAIN;
    translate(&info, ret_event);
    if (ret_event->what == TRACE_ENDED)
        waitid(P_PID, (id_t)tid, &info, WEXITED | WNOHANG | __WALL);
    return 0;
}

// Until the kernel tells us of a child, which SIGCHLD does while we block it; not every one of them
// reaches us, so a nap is short.
static void nap(const sigset_t *child, uint64_t now_ns, uint64_t deadline_ns)
{
    uint64_t left = deadline_ns - now_ns;
    struct timespec time = {.tv_nsec = (long)(left < NAP_MAX_NS ? left : NAP_MAX_NS)};
    sigtimedwait(child, NULL, &time);
}

// SIGCHLD is blocked before the first look, so that one which comes behind it ends the nap. Other
// children's are taken as well; whoever waits for those asks waitpid() in any case.
int trace_wait(pid_t tid, uint64_t deadline_ns, struct trace_event *ret_event)
{
    sigset_t child, before;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, &child, &before);
    int error;
    // Look, then nap: what has happened already costs no nap.
    for (;;) {
        error = poll_once(tid, ret_event);
        uint64_t now = trace_now_ns();
        if (error == -EAGAIN && now >= deadline_ns)
            error = -ETIME;
        if (error != -EAGAIN)
            break;
        nap(&child, now, deadline_ns);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

// All general registers at once, fs_base included.
int trace_get_registers(pid_t tid, struct frame_registers *ret_registers)
{
    *ret_registers = (struct frame_registers){0};
    struct iovec io = {ret_registers, sizeof *ret_registers};
    int error = ask(PTRACE_GETREGSET, tid, NT_PRSTATUS, &io);
    // A 32-bit program has fewer.
    return !error && io.iov_len != sizeof *ret_registers ? -ENOTSUP : error;
}

int trace_set_registers(pid_t tid, const struct frame_registers *registers)
{
    struct frame_registers copy = *registers;
    // The kernel takes a pointer that is not const.
    struct iovec io = {&copy, sizeof copy};
    return ask(PTRACE_SETREGSET, tid, NT_PRSTATUS, &io);
}

// The kernel answers with as much as it has.
int trace_get_xsave(pid_t tid, uint8_t *ret_image, size_t size, size_t *ret_len)
{
    struct iovec io = {ret_image, size};
    int error = ask(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &io);
    if (!error)
        *ret_len = io.iov_len;
    return error;
}

// The kernel's mask is 64 bits, whatever size the C library's is.
int trace_get_mask(pid_t tid, uint64_t *ret_mask)
{
    return ask(PTRACE_GETSIGMASK, tid, KERNEL_MASK_BYTES, ret_mask);
}

int trace_set_mask(pid_t tid, uint64_t mask)
{
    return ask(PTRACE_SETSIGMASK, tid, KERNEL_MASK_BYTES, &mask);
}

// si_code is above 0 for those alone (sigaction(2)).
bool trace_is_raised_by_kernel(pid_t tid)
{
    siginfo_t info = {0};
    return ask(PTRACE_GETSIGINFO, tid, 0, &info) == 0 && info.si_code > 0;
}

// All of them take the signal where others take data.
static int resume(enum __ptrace_request request, pid_t tid, int signal)
{
    return ask(request, tid, 0, as_address((uintptr_t)signal));
}

int trace_continue(pid_t tid, int signal)
{
    return resume(PTRACE_CONT, tid, signal);
}

int trace_continue_to_syscall(pid_t tid, int signal)
{
    return resume(PTRACE_SYSCALL, tid, signal);
}

int trace_listen(pid_t tid)
{
    return resume(PTRACE_LISTEN, tid, 0);
}

int trace_detach(pid_t tid, int signal)
{
    return resume(PTRACE_DETACH, tid, signal);
}
