// SPDX-License-Identifier: Apache-2.0
// The watcher, see watch.h. Tool world; its own process.
#include "lever/run/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "lever/lever.h"
#include "lever/run/watch_tree.h"
#include "proc/process.h"

enum {
    FIRST_LOOK_NS = 20 * 1000000,
    LONGEST_PAUSE_NS = 500 * 1000000,
    // A look may take one part in so many of the time.
    COST_SHARE = 20,
    REMOVE_PAUSE_MIN_MS = 50,
    REMOVE_PAUSE_MAX_MS = 2000,
};

// A signal may cut it short, which does no harm.
static void sleep_ns(uint64_t ns)
{
    struct timespec pause = {.tv_sec = (time_t)(ns / 1000000000),
                             .tv_nsec = (long)(ns % 1000000000)};
    nanosleep(&pause, NULL);
}

// Waits until the command has ended, or for so long. True when it has.
static bool wait_for_end(const struct process *process, uint64_t ns)
{
    int pid_fd = process_pid_fd(process);
    if (pid_fd < 0) {
        // Before 5.3: look now and then.
        sleep_ns(ns);
        return process_check(process) == -ESRCH;
    }
    struct pollfd poll_fd = {.fd = pid_fd, .events = POLLIN};
    struct timespec timeout = {.tv_sec = (time_t)(ns / 1000000000),
                               .tv_nsec = (long)(ns % 1000000000)};
    return ppoll(&poll_fd, 1, &timeout, NULL) > 0;
}

// Looks at once and then ever more seldom, until the time is over or the command has ended.
static void check(struct process *process, uint64_t check_ns, struct watch_result *result)
{
    uint64_t started_ns = lever_now_ns(), pause_ns = FIRST_LOOK_NS;
    result->pid = process_pid(process);
    for (;;) {
        uint64_t watched_ns = lever_now_ns() - started_ns;
        if (watched_ns >= check_ns)
            break;
        // The pause ends with the command, so that no pipe is held longer than it lives.
        uint64_t rest_ns = check_ns - watched_ns;
        result->has_ended = wait_for_end(process, pause_ns < rest_ns ? pause_ns : rest_ns);
        if (result->has_ended)
            break;
        uint64_t before_ns = lever_now_ns();
        watch_tree_read(process, result);
        uint64_t cost_ns = (lever_now_ns() - before_ns) * COST_SHARE;
        // Less and less often: what frees lazily does it again and again.
        pause_ns = pause_ns * 2 < LONGEST_PAUSE_NS ? pause_ns * 2 : LONGEST_PAUSE_NS;
        pause_ns = cost_ns > pause_ns ? cost_ns : pause_ns;
    }
    result->watched_ns = lever_now_ns() - started_ns;
}

// Children may outlive the command by years; looking is one system call.
static void remove_when_empty(const struct group *group)
{
    unsigned pause_ms = REMOVE_PAUSE_MIN_MS;
    while (group_remove(group) == -EBUSY) {
        sleep_ns(pause_ms * UINT64_C(1000000));
        pause_ms = pause_ms * 2 < REMOVE_PAUSE_MAX_MS ? pause_ms * 2 : REMOVE_PAUSE_MAX_MS;
    }
}

// Neither folder nor terminal nor pipe is held by who only watches; stderr alone, for the check.
// The kept descriptor has the returned number then.
static int let_go_of_all(int kept_fd, bool keeps_stderr)
{
    // The first three stay taken, so that no later file gets their numbers.
    int null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    if (!keeps_stderr)
        dup2(null, STDERR_FILENO);
    // A folder that is in use could not be unmounted. Where there is no root, that is its bad luck.
    (void)!chdir("/");
    return descriptors_keep_only(kept_fd);
}

// True when exec closed the other end; false when ebb says that there will be none.
static bool wait_for_exec(int fd)
{
    // A byte means that there is nothing to watch; the end of the pipe, that exec went well.
    char byte;
    ssize_t got;
    do
        got = read(fd, &byte, 1);
    while (got < 0 && errno == EINTR);
    return got == 0;
}

// The command has the PID and the start time that ebb had.
static int open_command(pid_t pid, uint64_t start_ticks, struct process **ret_process)
{
    int error = process_open("/proc", pid, ret_process);
    if (error)
        return error;
    if (process_start_ticks(*ret_process) == start_ticks)
        return 0;
    process_close(*ret_process);
    return -ESRCH;
}

// With SIGTERM and its kind at their defaults: whoever wants it gone can have that, and the group
// is swept by the next run.
static void watch(const struct watch_request *request, pid_t pid, uint64_t start_ticks, int fd)
{
    // A session of its own has no terminal: neither ^C nor its end come here.
    setsid();
    signal(SIGPIPE, SIG_IGN);
    fd = let_go_of_all(fd, request->check_ns > 0);
    // Opened only once exec is through: before, it would be ebb.
    struct process *process = NULL;
    struct watch_result result = {.pid = pid};
    bool is_running = wait_for_exec(fd);
    if (is_running)
        result.error = open_command(pid, start_ticks, &process);
    if (process && request->check_ns > 0)
        check(process, request->check_ns, &result);
    // A command that ended at once has left nothing to look at.
    if (is_running && request->check_ns > 0) {
        result.has_ended = result.has_ended || result.error == -ESRCH;
        request->tell(&result);
    }
    // From here on only the group matters, and nobody is told of it.
    close(STDERR_FILENO);
    while (process && request->group && !wait_for_end(process, UINT64_C(3600) * 1000000000))
        continue;
    if (request->group)
        remove_when_empty(request->group);
    _exit(0);
}

// A child that ends without a signal to its parent, and that an ignored SIGCHLD does not reap.
static pid_t fork_silently(void)
{
    return (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
}

// Twice, so that the watcher is an orphan by the time the command begins.
static int fork_watcher(const struct watch_request *request, uint64_t start_ticks, int fd)
{
    // The command will have this number.
    pid_t pid = getpid();
    pid_t child = fork_silently();
    if (child < 0)
        return -errno;
    if (child == 0) {
        pid_t watcher = fork_silently();
        if (watcher == 0)
            watch(request, pid, start_ticks, fd);
        _exit(watcher < 0 ? errno : 0);
    }
    // __WALL, as the child is one that signals nothing. It ends at once.
    int status;
    while (waitpid(child, &status, __WALL) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECANCELED;
}

int watch_start(const struct watch_request *request, int *ret_fd)
{
    struct process *self;
    int pipe_fds[2];
    int error = process_open("/proc", getpid(), &self);
    if (error)
        return error;
    // exec keeps it, a later process of that number has another.
    uint64_t start_ticks = process_start_ticks(self);
    process_close(self);
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return -errno;
    error = fork_watcher(request, start_ticks, pipe_fds[0]);
    close(pipe_fds[0]);
    if (error) {
        close(pipe_fds[1]);
        return error;
    }
    *ret_fd = pipe_fds[1];
    return 0;
}

void watch_cancel(int fd)
{
    // A watcher that was killed has nobody to tell.
    (void)!write(fd, "", 1);
    close(fd);
}
