// SPDX-License-Identifier: Apache-2.0
// The balloon's process, see child.h. Tool world; no state.
//
// Between fork() and _exit() the child calls nothing that allocates: ebb has one thread, but a
// balloon of a few KiB of heap would be odd.
#include "lever/balloon/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/text.h"

// What goes over the connection, each as one packet.
struct child_order {
    uint64_t grow_bytes, until_ns;
};
struct child_answer {
    int error; // 0 or -errno
    int step;  // enum balloon_child_step
    uint64_t held_bytes;
};

static const char score_wanted[] = "1000";
static const uint64_t ns_per_s = 1000000000, ns_per_us = 1000;
// The parent's limit comes first; the child's own is for a parent that hangs.
static const uint64_t timer_grace_ns = 1000000000;
enum { STOP_WAIT_MS = 1000, CLOCK_BYTES = 128 << 10 };

// One write: the kernel takes or refuses it as a whole.
static int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t written = write(fd, text, strlen(text));
    int error = written < 0 ? -errno : 0;
    close(fd);
    return error;
}

// First of all, and believed only when it is read back: from now on the OOM killer would take this
// process before any other.
static int take_score(const char *proc_root)
{
    char path[PATH_MAX], text[16] = "";
    text_format(path, sizeof path, "%s/self/oom_score_adj", proc_root);
    int error = write_file(path, score_wanted);
    if (error)
        return error;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    const size_t wanted = sizeof score_wanted - 1;
    if (len < (ssize_t)wanted || strncmp(text, score_wanted, wanted) != 0)
        return -EPERM;
    return 0;
}

// The signal comes only for a parent that dies after the call: one that died before has left us to
// somebody else already.
static int die_with(pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return -errno;
    return getppid() == parent ? 0 : -ESRCH;
}

// SIGALRM's default action is the end.
static int start_timer(uint64_t time_ns)
{
    uint64_t limit_ns;
    if (__builtin_add_overflow(time_ns, timer_grace_ns, &limit_ns) || limit_ns / ns_per_s > INT_MAX)
        return -ERANGE;
    const struct itimerval timer = {
        .it_value = {.tv_sec = (time_t)(limit_ns / ns_per_s),
                     .tv_usec = (suseconds_t)(limit_ns % ns_per_s / ns_per_us)},
    };
    return setitimer(ITIMER_REAL, &timer, NULL) < 0 ? -errno : 0;
}

// "0" is whoever writes.
static int join_group(const char *directory)
{
    if (!directory[0])
        return 0;
    char path[PATH_MAX];
    text_format(path, sizeof path, "%s/cgroup.procs", directory);
    return write_file(path, "0");
}

// The terminal's signals go to the parent as well, which then ends us and reports. All others do
// what they do by default, whatever the parent has made of them.
static void reset_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    // Ctrl-C and ^Z reach the whole foreground group.
    signal(SIGINT, SIG_IGN);
    signal(SIGTSTP, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

// The parent's clock as well: moments go over the connection as they are.
static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * ns_per_s + (uint64_t)now.tv_nsec;
}

// Writes a word that differs from page to page: nothing to merge or to compress away. How far it
// came in time.
static uint64_t touch(char *memory, const struct child_order *order, uint64_t salt)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    for (uint64_t at = 0; at < order->grow_bytes; at += page) {
        // Often enough that a step ends within a fraction of a millisecond.
        if (at % CLOCK_BYTES == 0 && now_ns() > order->until_ns)
            return at;
        uint64_t word = (salt + at) * 0x9e3779b97f4a7c15U | 1;
        memcpy(memory + at, &word, sizeof word);
    }
    return order->grow_bytes;
}

// Maps and writes one step.
static int grow(const struct child_order *order, uint64_t *held_bytes)
{
    const size_t bytes = order->grow_bytes;
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return -errno;
    // Each may be compiled out of the kernel, and then is not needed.
    madvise(memory, bytes, MADV_NOHUGEPAGE);
    madvise(memory, bytes, MADV_DONTDUMP);
    madvise(memory, bytes, MADV_UNMERGEABLE);
    // What was not touched is given back, so that it is never counted as held.
    uint64_t touched = touch(memory, order, *held_bytes);
    if (touched < bytes)
        munmap(memory + touched, bytes - touched);
    *held_bytes += touched;
    return 0;
}

// Everything that makes a balloon harmless comes before it could take a single page.
static int prepare(const char *proc_root, const char *directory, uint64_t time_ns, pid_t parent,
                   int *ret_step)
{
    // In the order of what must hold first: no memory without an owner, none without a score.
    *ret_step = BALLOON_CHILD_PARENT;
    int error = die_with(parent);
    if (error)
        return error;
    *ret_step = BALLOON_CHILD_SCORE;
    error = take_score(proc_root);
    if (error)
        return error;
    *ret_step = BALLOON_CHILD_TIMER;
    error = start_timer(time_ns);
    if (error)
        return error;
    *ret_step = BALLOON_CHILD_JOIN;
    error = join_group(directory);
    if (!error)
        *ret_step = BALLOON_CHILD_READY;
    return error;
}

// Takes orders until the parent closes the connection. What cannot be said ends it as well.
static void serve(int fd, struct child_answer answer)
{
    // Gigabytes of nothing are no use to anybody who debugs.
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    prctl(PR_SET_NAME, "ebb-balloon");
    for (;;) {
        struct child_order order;
        if (send(fd, &answer, sizeof answer, MSG_NOSIGNAL) != sizeof answer || answer.error)
            _exit(1);
        if (recv(fd, &order, sizeof order, 0) != sizeof order)
            _exit(0);
        answer.error = grow(&order, &answer.held_bytes);
        // A refusal is an answer, not the end: the parent decides.
        if (answer.error) {
            send(fd, &answer, sizeof answer, MSG_NOSIGNAL);
            _exit(1);
        }
    }
}

// Packets come whole or not at all; an empty one is the end.
static int take_answer(struct balloon_child *child, struct child_answer *ret_answer)
{
    ssize_t len = recv(child->fd, ret_answer, sizeof *ret_answer, 0);
    if (len < 0)
        return -errno;
    return len == sizeof *ret_answer ? 0 : -EPIPE;
}

// fork() and not exec: the file of ebb may have been replaced since, and a child of this very code
// knows the same packets.
int balloon_child_start(struct balloon_child *child, const char *proc_root, const char *directory,
                        uint64_t time_ns, enum balloon_child_step *ret_step)
{
    int ends[2];
    *ret_step = BALLOON_CHILD_FORK;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    // Who ignores this signal, as some supervisors have it, never learns how a child ended; and its
    // number may be somebody else's by the time that it is killed.
    signal(SIGCHLD, SIG_DFL);
    // Asked for before the fork: afterwards getppid() may tell of another already.
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        struct child_answer answer = {0};
        reset_signals();
        // The parent's locks and whatever it has inherited: the balloon holds its memory alone.
        int fd = descriptors_keep_only(ends[1]);
        answer.error = prepare(proc_root, directory, time_ns, parent, &answer.step);
        serve(fd, answer);
        _exit(1);
    }
    int error = pid < 0 ? -errno : 0;
    close(ends[1]);
    if (error) {
        close(ends[0]);
        return error;
    }
    *child = (struct balloon_child){.pid = pid, .fd = ends[0]};
    // Its first answer comes when it stands ready, with nothing taken.
    struct child_answer answer = {.step = BALLOON_CHILD_PARENT};
    error = take_answer(child, &answer);
    if (!error)
        error = answer.error;
    *ret_step = (enum balloon_child_step)answer.step;
    if (error)
        balloon_child_stop(child);
    return error;
}

// Does not wait: the parent has to look at the target and at signals meanwhile.
int balloon_child_grow(struct balloon_child *child, uint64_t bytes, uint64_t until_ns)
{
    const struct child_order order = {.grow_bytes = bytes, .until_ns = until_ns};
    if (send(child->fd, &order, sizeof order, MSG_NOSIGNAL) != sizeof order)
        return -EPIPE;
    return 0;
}

// Blocks unless poll() has announced it.
int balloon_child_answer(struct balloon_child *child)
{
    struct child_answer answer;
    int error = take_answer(child, &answer);
    if (error)
        return error;
    child->held_bytes = answer.held_bytes;
    return answer.error;
}

// Waits until it has gone, so that its memory is back when the next reading is taken. One that
// hangs in the kernel is left to its signal.
static void reap(struct balloon_child *child)
{
    int status = 0;
    for (int waited_ms = 0; waited_ms < STOP_WAIT_MS; waited_ms++) {
        pid_t pid = waitpid(child->pid, &status, WNOHANG);
        if (pid != 0) {
            child->was_killed = pid > 0 && WIFSIGNALED(status);
            child->signal = child->was_killed ? WTERMSIG(status) : 0;
            return;
        }
        poll(NULL, 0, 1);
    }
}

// Dead, looked at and not reaped, so that its number stays its own until it has been killed.
static bool is_dead(const struct balloon_child *child)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == child->pid;
}

// Did it die before we came? Then its signal tells why. Files are closed before a process is dead
// (do_exit() of the kernel): one that has hung up is given the moment that is left of it.
static bool has_died(const struct balloon_child *child)
{
    struct pollfd polled = {.fd = child->fd};
    bool has_hung_up = poll(&polled, 1, 0) > 0 && (polled.revents & POLLHUP) != 0;
    for (int waited_ms = 0; has_hung_up && !is_dead(child) && waited_ms < STOP_WAIT_MS; waited_ms++)
        poll(NULL, 0, 1);
    return is_dead(child);
}

// SIGKILL, since the kernel may hold it in a fault where nothing else is heard.
void balloon_child_stop(struct balloon_child *child)
{
    if (child->pid == 0)
        return;
    bool was_dead = has_died(child);
    close(child->fd);
    if (!was_dead)
        kill(child->pid, SIGKILL);
    reap(child);
    if (!was_dead)
        child->was_killed = false;
    // Also of one that hangs: its signal stays with it, and init reaps what we leave.
    child->pid = 0;
}
