// SPDX-License-Identifier: Apache-2.0
// The balloon's process from outside, see child.h. Tool world; no state.
#include "lever/balloon/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lever/balloon/body.h"

enum {
    STOP_WAIT_MS = 1000,      // to be gone, and
    LET_GO_MS_PER_GIB = 1000, // to give its memory back; several times what it takes
};

// Packets come whole or not at all; an empty one is the end.
static int take_answer(struct balloon_child *child, struct balloon_answer *ret_answer)
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
        balloon_body_live(ends[1], proc_root, directory, time_ns, parent);
        _exit(0);
    }
    int error = pid < 0 ? -errno : 0;
    close(ends[1]);
    if (error) {
        close(ends[0]);
        return error;
    }
    *child = (struct balloon_child){.pid = pid, .fd = ends[0]};
    // Its first answer comes when it stands ready, with nothing taken.
    struct balloon_answer answer = {.step = BALLOON_CHILD_PARENT};
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
    const struct balloon_order order = {.grow_bytes = bytes, .until_ns = until_ns};
    if (send(child->fd, &order, sizeof order, MSG_NOSIGNAL) != sizeof order)
        return -EPIPE;
    return 0;
}

// Blocks unless poll() has announced it.
int balloon_child_answer(struct balloon_child *child)
{
    struct balloon_answer answer;
    int error = take_answer(child, &answer);
    if (error)
        return error;
    child->held_bytes = answer.held_bytes;
    return answer.error;
}

// Waits until it has gone, so that its memory is back when the next reading is taken.
static bool reap(struct balloon_child *child, int wait_ms)
{
    int status = 0;
    for (int waited_ms = 0; waited_ms < wait_ms; waited_ms++) {
        pid_t pid = waitpid(child->pid, &status, WNOHANG);
        if (pid != 0) {
            child->was_killed = pid > 0 && WIFSIGNALED(status);
            child->signal = child->was_killed ? WTERMSIG(status) : 0;
            return true;
        }
        poll(NULL, 0, 1);
    }
    return false;
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

// How long it may take to give everything back.
static int let_go_ms(const struct balloon_child *child)
{
    uint64_t gib = child->held_bytes >> 30;
    return STOP_WAIT_MS + (int)(gib < 3600 ? gib : 3600) * LET_GO_MS_PER_GIB;
}

// It gives its memory back by itself, see let_go(); also when somebody has stopped it. SIGKILL is
// for one that the kernel holds in a fault, and that one is left to its signal.
void balloon_child_stop(struct balloon_child *child)
{
    if (child->pid == 0)
        return;
    bool was_dead = has_died(child);
    close(child->fd);
    if (!was_dead)
        kill(child->pid, SIGCONT);
    if (!reap(child, was_dead ? STOP_WAIT_MS : let_go_ms(child))) {
        kill(child->pid, SIGKILL);
        reap(child, STOP_WAIT_MS);
        child->was_killed = false;
    }
    // Also of one that hangs: its signal stays with it, and init reaps what we leave.
    child->pid = 0;
}
