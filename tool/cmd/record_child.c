// SPDX-License-Identifier: Apache-2.0
// The command that ebb record starts, and its signals. Tool world; one thread.
//
// It stays in our process group: the terminal's signals reach it as if it had been started alone,
// and only those that somebody sends to us are handed on. Its orphans become ours, so that all of
// its descendants can be told by their parents.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/record_parts.h"

// What others send to a command to end it or to tell it something. Those of job control act on the
// whole group already.
static const int handed_on[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
// SIGQUIT is not among them: with ebb alone it ends it on the spot, with a core, as it should.
static const int ending[] = {SIGINT, SIGTERM, SIGHUP};

// Those that are ignored, as nohup(1) and shells leave them to what runs in the background, stay
// so: a blocked one would come all the same.
static void add_signals(const int *numbers, size_t count, sigset_t *signals)
{
    for (size_t i = 0; i < count; i++) {
        struct sigaction action;
        if (sigaction(numbers[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            sigaddset(signals, numbers[i]);
    }
}

// Without a command, those that are its own keep what they do.
int record_take_signals(struct record *record)
{
    sigset_t signals;
    sigemptyset(&signals);
    add_signals(ending, sizeof ending / sizeof ending[0], &signals);
    if (record->child.argv) {
        add_signals(handed_on, sizeof handed_on / sizeof handed_on[0], &signals);
        // Where it is ignored, children leave no status behind.
        signal(SIGCHLD, SIG_DFL);
        sigaddset(&signals, SIGCHLD);
    }
    // Threads that start later inherit it; that of the alarms has blocked all signals by itself.
    sigprocmask(SIG_BLOCK, &signals, &record->old_signals);
    record->signals = signals;
    record->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return record->signal_fd < 0 ? -errno : 0;
}

// Between fork() and exec: as it would have been without us. The reason of a failure goes back.
static void become(const struct record *record, int fd)
{
    // A blocked signal stays blocked through exec, and an ignored one ignored: both are undone.
    sigprocmask(SIG_SETMASK, &record->old_signals, NULL);
    for (int number = 1; number < SIGRTMIN; number++) {
        if (sigismember(&record->command->ignored, number) == 1)
            signal(number, SIG_DFL);
    }
    execvp(record->child.argv[0], record->child.argv);
    int error = -errno;
    (void)!write(fd, &error, sizeof error);
    // Not exit(): what the parent has buffered is the parent's to write.
    _exit(EXIT_FAILED);
}

// The pipe closes by itself when exec has succeeded.
static int read_outcome(int fd)
{
    int error = 0;
    ssize_t len;
    do
        len = read(fd, &error, sizeof error);
    while (len < 0 && errno == EINTR);
    return len == (ssize_t)sizeof error ? error : 0;
}

// Once exec has succeeded: what is recorded is the command, never a copy of ebb.
int record_start_child(struct record *record)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    // Where the kernel refuses that, orphans are only not seen any more.
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    pid_t pid = fork();
    int error = pid < 0 ? -errno : 0;
    if (pid == 0)
        become(record, ends[1]);
    // Ours must be gone, or the pipe would never end.
    close(ends[1]);
    if (!error)
        error = read_outcome(ends[0]);
    close(ends[0]);
    if (error && pid > 0)
        (void)waitpid(pid, NULL, 0);
    if (error)
        return error;
    record->child.pid = pid;
    record->child.is_running = true;
    return 0;
}

// The terminal sends its signals to all of the group: the command has them already.
void record_signal_child(const struct record *record, const struct signalfd_siginfo *info)
{
    // Once it has been waited for, its PID may be another process's.
    if (record->child.is_running && info->ssi_code != SI_KERNEL)
        (void)kill(record->child.pid, (int)info->ssi_signo);
}

// Orphans too, or they would stay as zombies for as long as we live.
void record_reap(struct record *record)
{
    int status;
    // What alarms run are children of their own thread, which wants to know how they end; orphans
    // come to this one.
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG | __WNOTHREAD)) > 0;) {
        if (pid != record->child.pid)
            continue;
        record->child.is_running = false;
        record->child.wait_status = status;
    }
}

// A status of its own has eight bits; that of a signal is beyond 128.
int record_child_status(const struct record_child *child)
{
    enum { SIGNALED = 128 };
    if (WIFSIGNALED(child->wait_status))
        return SIGNALED + WTERMSIG(child->wait_status);
    return WEXITSTATUS(child->wait_status);
}
