// SPDX-License-Identifier: Apache-2.0
// Runs a command, see spawn.h. Tool world; no state.
#include "alarm/spawn.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "alarm/clock.h"
#include "sample/find.h"

// Ten milliseconds: a command's end is not waited for by anybody, and a hundred looks a second cost
// nothing.
static const struct timespec look_again = {.tv_nsec = 10000000};

// A file and not a pipe: nobody has to wait until the command reads.
static int input_file(struct text input)
{
    int fd = memfd_create("ebb-alarm", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    // Memory is short where nothing, or not all, is written.
    while (input.len > 0) {
        ssize_t written = write(fd, input.data, input.len);
        if (written <= 0) {
            int error = written < 0 ? -errno : -EIO;
            close(fd);
            return error;
        }
        input.data += written;
        input.len -= (size_t)written;
    }
    lseek(fd, 0, SEEK_SET);
    return fd;
}

// Our environment and the message's behind the mark; the strings stay where they are. NULL without
// memory.
static char **join_environment(char *mark, struct text added)
{
    // Later ones do not replace earlier ones: ours begin with EBB_ALARM_, which nobody else sets.
    size_t count = 0, own = 0;
    while (environ && environ[own])
        own++;
    for (size_t i = 0; i < added.len; i++)
        count += added.data[i] == '\0';
    char **joined = calloc(1 + own + count + 1, sizeof *joined);
    if (!joined)
        return NULL;
    // First, so that it stands for one that we have ourselves, from an alarm that has run us.
    joined[0] = mark;
    // `environ` may be NULL, which memcpy() must not be given.
    if (own > 0)
        memcpy(joined + 1, environ, own * sizeof *joined);
    struct text string;
    for (size_t i = own + 1; text_next_field(&added, '\0', &string); i++)
        joined[i] = (char *)(uintptr_t)string.data;
    return joined;
}

// What a program may expect of a fresh start: no signal blocked or ignored (ebb ignores SIGPIPE).
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t all, none;
    sigfillset(&all);
    // These two cannot be set.
    sigdelset(&all, SIGKILL);
    sigdelset(&all, SIGSTOP);
    sigemptyset(&none);
    posix_spawnattr_setsigdefault(attributes, &all);
    posix_spawnattr_setsigmask(attributes, &none);
    // A group of its own, so that all that it starts can be ended with it.
    posix_spawnattr_setpgroup(attributes, 0);
    return -posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
                                                     POSIX_SPAWN_SETPGROUP);
}

// posix_spawn() and not fork(): other threads hold locks, which a forked child would find held.
static int start(char *const *argv, int input_fd, char **environment, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    // dup2() takes the close-on-exec off: the child keeps this one alone.
    int error = -posix_spawn_file_actions_adddup2(&actions, input_fd, STDIN_FILENO);
    // Our own stdout is for results.
    if (!error)
        error = -posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    if (!error)
        error = set_attributes(&attributes);
    if (!error)
        error = -posix_spawnp(ret_pid, argv[0], &actions, &attributes, argv, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

// Looks instead of waiting: the child may outlive its time, and a pidfd is not to be had
// everywhere.
static void wait_for(pid_t pid, unsigned timeout_ms, const atomic_bool *cancelled,
                     struct spawn_end *ret_end)
{
    // Counted from when it runs.
    uint64_t deadline_ms = alarm_clock_ms() + timeout_ms;
    *ret_end = (struct spawn_end){0};
    for (;;) {
        pid_t got = waitpid(pid, &ret_end->status, WNOHANG);
        // ECHILD: somebody ignores SIGCHLD, and it is gone without a word.
        if (got == pid || (got < 0 && errno != EINTR))
            return;
        if (alarm_clock_ms() >= deadline_ms || atomic_load(cancelled))
            break;
        // Cut short by a signal it looks earlier, which does no harm.
        nanosleep(&look_again, NULL);
    }
    ret_end->timed_out = true;
    ret_end->cancelled = atomic_load(cancelled);
    // With all that it has started; it is our child still, so its number is nobody else's.
    kill(-pid, SIGKILL);
    while (waitpid(pid, &ret_end->status, 0) < 0 && errno == EINTR)
        continue;
}

int spawn_run(char *const *argv, struct text input, struct text environment, unsigned timeout_ms,
              const atomic_bool *cancelled, struct spawn_end *ret_end)
{
    // The file is the child's once it runs; ours is closed either way.
    pid_t pid;
    int fd = input_file(input);
    if (fd < 0)
        return fd;
    char mark[48];
    snprintf(mark, sizeof mark, FIND_ALARM_MARK "=%d", (int)getpid());
    char **joined = join_environment(mark, environment);
    int error = joined ? start(argv, fd, joined, &pid) : -ENOMEM;
    free(joined);
    close(fd);
    if (error)
        return error;
    wait_for(pid, timeout_ms, cancelled, ret_end);
    return 0;
}
