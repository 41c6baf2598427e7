// SPDX-License-Identifier: Apache-2.0
// The balloon's process from inside, see body.h. Tool world; no state.
//
// Between fork() and _exit() nothing is called that allocates: ebb has one thread, but a balloon of
// a few KiB of heap would be odd.
#include "lever/balloon/body.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/text.h"
#include "lever/balloon/child.h"
#include "lever/lever.h"

static const char score_wanted[] = "1000";
static const uint64_t ns_per_ms = 1000000;
// The parent's limit comes first; its own is for a parent that hangs.
static const uint64_t time_grace_ns = 1000000000;
enum { LOOK_PAGES = 16 }; // written between two looks at whether it should end

// One step's memory begins with this: what is held is a chain of steps, newest first.
struct body_step {
    struct body_step *previous;
    uint64_t bytes;
};

// What it has.
struct body {
    int fd;        // to the parent, who closes it to end us
    int signal_fd; // SIGTERM
    uint64_t end_ns;
    struct body_step *newest;
    uint64_t held_bytes;
};

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

// A parent that dies closes the connection, which ends us. The signal is for a balloon that
// somebody has stopped; it comes only for a parent that dies after the call: one that died before
// has left us to somebody else already.
static int wake_with(pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGCONT) < 0)
        return -errno;
    return getppid() == parent ? 0 : -ESRCH;
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
// what they do by default, whatever the parent has made of them; but SIGTERM is an event.
static int reset_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    // Ctrl-C and ^Z reach the whole foreground group.
    signal(SIGINT, SIG_IGN);
    signal(SIGTSTP, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_SETMASK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

// Waits up to `timeout_ms` for an order. True when it is time to let go instead.
static bool must_end(const struct body *body, int timeout_ms, bool *ret_has_order)
{
    struct pollfd polled[] = {{.fd = body->fd, .events = POLLIN},
                              {.fd = body->signal_fd, .events = POLLIN}};
    int ready = poll(polled, 2, timeout_ms);
    *ret_has_order = ready > 0 && (polled[0].revents & POLLIN) != 0;
    return (ready > 0 && (polled[1].revents != 0 || (polled[0].revents & POLLHUP) != 0)) ||
           lever_now_ns() >= body->end_ns;
}

// Writes a word that differs from page to page: nothing to merge or to compress away. How far it
// came in time.
static uint64_t touch(const struct body *body, char *memory, const struct balloon_order *order)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    bool has_order;
    for (uint64_t at = 0; at < order->grow_bytes; at += page) {
        // Before each page: at the limit a single fault may take milliseconds.
        if (lever_now_ns() > order->until_ns)
            return at;
        if (at / page % LOOK_PAGES == 0 && must_end(body, 0, &has_order))
            return at;
        uint64_t word = (body->held_bytes + at) * 0x9e3779b97f4a7c15U | 1;
        memcpy(memory + at + sizeof(struct body_step), &word, sizeof word);
    }
    return order->grow_bytes;
}

// Maps and writes one step.
static int grow(struct body *body, const struct balloon_order *order)
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
    uint64_t touched = touch(body, memory, order);
    if (touched < bytes)
        munmap(memory + touched, bytes - touched);
    if (touched == 0)
        return 0;
    struct body_step *step = (struct body_step *)memory;
    *step = (struct body_step){body->newest, touched};
    body->newest = step;
    body->held_bytes += touched;
    return 0;
}

// Gives everything back while this process still lives. One that dies has no memory any more in the
// eyes of the OOM killer long before the memory is back: a target that meets its limit in between
// would be taken in our place.
static void let_go(struct body *body)
{
    while (body->newest) {
        struct body_step *step = body->newest;
        body->newest = step->previous;
        munmap(step, step->bytes);
    }
    body->held_bytes = 0;
}

// Everything that makes a balloon harmless comes before it could take a single page.
static int prepare(const char *proc_root, const char *directory, pid_t parent, int *ret_step)
{
    // In the order of what must hold first: no memory without an owner, none without a score.
    *ret_step = BALLOON_CHILD_PARENT;
    int error = wake_with(parent);
    if (error)
        return error;
    *ret_step = BALLOON_CHILD_SCORE;
    error = take_score(proc_root);
    if (error)
        return error;
    *ret_step = BALLOON_CHILD_JOIN;
    error = join_group(directory);
    if (!error)
        *ret_step = BALLOON_CHILD_READY;
    return error;
}

// How long poll() may wait until its own time is over.
static int wait_ms(const struct body *body)
{
    uint64_t now = lever_now_ns(), left_ms = 0;
    if (now < body->end_ns)
        left_ms = (body->end_ns - now) / ns_per_ms + 1;
    return left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}

// One order, and its answer. False when it is the last.
static bool obey(struct body *body)
{
    struct balloon_order order;
    bool has_order;
    while (!must_end(body, wait_ms(body), &has_order)) {
        if (!has_order)
            continue;
        if (recv(body->fd, &order, sizeof order, 0) != sizeof order)
            return false;
        struct balloon_answer answer = {.step = BALLOON_CHILD_READY};
        answer.error = grow(body, &order);
        answer.held_bytes = body->held_bytes;
        // A refusal is an answer, not the end: the parent decides.
        return send(body->fd, &answer, sizeof answer, MSG_NOSIGNAL) == sizeof answer &&
               !answer.error;
    }
    return false;
}

// Takes orders until the parent closes the connection. What cannot be said ends it as well.
static void serve(struct body *body, const struct balloon_answer *ready)
{
    // Gigabytes of nothing are no use to anybody who debugs.
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    prctl(PR_SET_NAME, "ebb-balloon");
    if (send(body->fd, ready, sizeof *ready, MSG_NOSIGNAL) == sizeof *ready && !ready->error) {
        while (obey(body))
            continue;
    }
    let_go(body);
}

// All of it. The parent's locks and whatever it has inherited are not kept: the
// balloon holds its memory alone.
void balloon_body_live(int fd, const char *proc_root, const char *directory, uint64_t time_ns,
                       pid_t parent)
{
    struct balloon_answer answer = {.step = BALLOON_CHILD_PARENT};
    struct body body = {.fd = descriptors_keep_only(fd)};
    const uint64_t now = lever_now_ns();
    if (__builtin_add_overflow(time_ns, time_grace_ns, &body.end_ns) ||
        __builtin_add_overflow(body.end_ns, now, &body.end_ns))
        body.end_ns = UINT64_MAX;
    body.signal_fd = reset_signals();
    answer.error =
        body.signal_fd < 0 ? body.signal_fd : prepare(proc_root, directory, parent, &answer.step);
    serve(&body, &answer);
}
