// SPDX-License-Identifier: Apache-2.0
// The balloon's engine: read, ask judge.h, do it, until it says stop. Tool world; no state but the
// context.
#include "lever/balloon/balloon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/number.h"
#include "lever/balloon/files.h"
#include "proc/status.h"

enum {
    WALK_LONG_MS = 20, // a walk that is longer than this
    WALK_PAUSES = 4,   // has so many times its own time of rest behind it
    // After a step, as long as the step took: others want the processor and the memory's bandwidth.
    PAUSE_LEAST_MS = 1,
    PAUSE_MOST_MS = 100,
    WAIT_MS = 10,        // for kswapd, or for the next walk
    PROGRESS_MS = 100,   // fast enough to look alive
    ANSWER_POLL_MS = 50, // how soon a hanging step is noticed
};
static const uint64_t ns_per_ms = 1000000;

// All of it each time: a decision on figures of two moments could spend the same page twice.
void balloon_look(struct balloon *balloon)
{
    // What walks and steps have told stays in it.
    struct balloon_reading *reading = &balloon->reading;
    reading->balloon_bytes = balloon->child.held_bytes;
    balloon_read(&balloon->place, reading);
}

// The sum is a fact only where every process could be read; what is surely there is one anyway.
void balloon_walk(struct balloon *balloon)
{
    struct balloon_holders *holders = &balloon->holders;
    uint64_t began_ns = lever_now_ns();
    balloon_holders_walk(holders, balloon->place.proc_root);
    struct balloon_reading *reading = &balloon->reading;
    reading->walked_ns = lever_now_ns();
    reading->walk_took_ns = reading->walked_ns - began_ns;
    reading->walks++;
    reading->sure_bytes = holders->sure_bytes;
    reading->has_sure = balloon->place.version != 0;
    reading->target_bytes = holders->lazy_bytes;
    reading->has_target = balloon->place.version != 0 && holders->unknown == 0;
    // Of one that was named, its own figure counts, whether or not others may be read.
    for (size_t i = 0; balloon->options.watches_one && i < holders->count; i++) {
        if (holders->items[i].pid != balloon->watched)
            continue;
        reading->target_bytes = holders->items[i].lazy_bytes;
        reading->has_target = holders->items[i].is_known;
    }
}

// In a group all that is walked counts as what pressure can take, so no stranger may be among it.
static int add_watched(struct balloon_holders *holders, const struct balloon_place *place,
                       pid_t watched)
{
    for (size_t i = 0; i < holders->count; i++) {
        if (holders->items[i].pid == watched)
            return 0;
    }
    return place->version != 0 ? -EXDEV : balloon_holders_add(holders, watched);
}

// Nothing has been started when this returns: a plan may still refuse, and a dry run ends here.
int balloon_open(struct balloon *balloon, const struct balloon_place *place,
                 const struct balloon_options *options, pid_t watched)
{
    *balloon = (struct balloon){
        .options = *options,
        .place = *place,
        .watched = watched,
        .limits =
            {
                .until_bytes = options->until_bytes,
                .size_bytes = options->size_bytes,
                .time_ns = options->time_ns,
                .in_background = place->version == 0,
                .force = options->force,
            },
    };
    // Found once: who comes later counts as one who holds nothing, which errs on the safe side.
    int error = balloon_holders_find(&balloon->holders, place);
    if (!error && watched != 0)
        error = add_watched(&balloon->holders, place, watched);
    if (!error && balloon->holders.count == 0)
        error = -ESRCH;
    if (!error) {
        balloon_walk(balloon);
        if (watched == 0)
            balloon->watched = balloon_holders_largest(&balloon->holders)->pid;
    } else {
        balloon_close(balloon);
    }
    return error;
}

// The child first: its memory is the one thing that must not outlive us.
void balloon_close(struct balloon *balloon)
{
    balloon_child_stop(&balloon->child);
    balloon_holders_free(&balloon->holders);
}

// What the engine waits for besides the child.
struct watch {
    int signal_fd;
    int process_fd; // -1: process_check() instead
    struct process *process;
};

// Waits up to `timeout_ms`, for the child's answer too where `for_child`. BALLOON_GOES_ON, or what
// happened; `ret_answered` says whether the child has something to say.
static enum balloon_stop wait_for(struct balloon *balloon, const struct watch *watch,
                                  int timeout_ms, bool for_child, bool *ret_answered)
{
    // poll() passes over negative descriptors: what is not there is not waited for.
    struct pollfd polled[] = {
        {.fd = watch->signal_fd, .events = POLLIN},
        {.fd = watch->process_fd, .events = POLLIN},
        {.fd = for_child ? balloon->child.fd : -1, .events = POLLIN},
    };
    // A signal that is not ours only shortens the wait.
    int ready = poll(polled, 3, timeout_ms);
    *ret_answered = ready > 0 && polled[2].revents != 0;
    if (ready > 0 && polled[0].revents != 0)
        return BALLOON_INTERRUPTED;
    if (ready > 0 && polled[1].revents != 0)
        return BALLOON_GONE;
    if (watch->process_fd < 0 && process_check(watch->process) < 0)
        return BALLOON_GONE;
    return BALLOON_GOES_ON;
}

// Between steps; the end of the child is noticed by the next order.
static enum balloon_stop pause_for(struct balloon *balloon, const struct watch *watch, uint64_t ns)
{
    bool answered;
    uint64_t ms = ns / ns_per_ms;
    if (ms < PAUSE_LEAST_MS)
        ms = PAUSE_LEAST_MS;
    return wait_for(balloon, watch, ms > PAUSE_MOST_MS ? PAUSE_MOST_MS : (int)ms, false, &answered);
}

// The answer of the child, or the end of it.
static enum balloon_stop take_answer(struct balloon *balloon)
{
    int error = balloon_child_answer(&balloon->child);
    if (error == 0)
        return BALLOON_GOES_ON;
    balloon->error = error;
    return error == -ENOMEM || error == -EAGAIN ? BALLOON_NO_MEMORY : BALLOON_ENDED;
}

// A step that outlives the reading that it rests on, as one does at the limit when the target takes
// its pages back: the child stops at its next page, but that one may take long, and then there may
// be nothing left to take. True when it is time to let go.
static bool is_margin_gone(struct balloon *balloon)
{
    balloon_walk(balloon);
    balloon_look(balloon);
    return balloon_must_let_go(&balloon->state, &balloon->reading);
}

// What ends a step that has not been answered so far.
static enum balloon_stop judge_unanswered(struct balloon *balloon, uint64_t passed_ns,
                                          uint64_t until_ns)
{
    uint64_t now_ns = lever_now_ns();
    if (now_ns - balloon->state.start.now_ns > balloon->limits.time_ns)
        return BALLOON_TIME;
    if (!balloon->limits.force && passed_ns >= BALLOON_SLOW_STEP_MS * ns_per_ms)
        return BALLOON_SLOW;
    return now_ns > until_ns && is_margin_gone(balloon) ? BALLOON_RESERVE : BALLOON_GOES_ON;
}

// How long to wait for the answer before looking again.
static int answer_wait_ms(const struct balloon *balloon, uint64_t until_ns)
{
    uint64_t now_ns = lever_now_ns(), left_ns = balloon_walk_pause(&balloon->reading);
    if (now_ns < until_ns)
        left_ns = until_ns - now_ns;
    return left_ns < ANSWER_POLL_MS * ns_per_ms ? (int)(left_ns / ns_per_ms) + 1 : ANSWER_POLL_MS;
}

// One step. A child that hangs in the kernel, waiting for memory, must not make us hang: what stops
// a step that takes too long is here and not in the judge, who only sees steps that have ended.
static enum balloon_stop grow(struct balloon *balloon, const struct watch *watch,
                              const struct balloon_decision *decision)
{
    const uint64_t began_ns = lever_now_ns(), until_ns = decision->until_ns;
    uint64_t passed_ns = 0;
    if (balloon_child_grow(&balloon->child, decision->step_bytes, until_ns) < 0)
        return BALLOON_ENDED;
    bool answered = false;
    enum balloon_stop stop = BALLOON_GOES_ON;
    while (stop == BALLOON_GOES_ON && !answered) {
        stop = wait_for(balloon, watch, answer_wait_ms(balloon, until_ns), true, &answered);
        passed_ns = lever_now_ns() - began_ns;
        // What happened to us or to the target goes before what the child says.
        if (stop == BALLOON_GOES_ON && answered)
            stop = take_answer(balloon);
        else if (stop == BALLOON_GOES_ON)
            stop = judge_unanswered(balloon, passed_ns, until_ns);
    }
    balloon->reading.step_took_ns = passed_ns;
    balloon->steps += stop == BALLOON_GOES_ON;
    // The rest of others ends where the reading does.
    uint64_t now_ns = lever_now_ns(), left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    return stop != BALLOON_GOES_ON ? stop
                                   : pause_for(balloon, watch, number_least(passed_ns, left_ns));
}

// The share of the last second in which some task of the host waited, in thousandths.
static unsigned psi_permille(const struct balloon *balloon)
{
    const struct balloon_reading *then = &balloon->state.psi, *now = &balloon->reading;
    uint64_t passed_us = (now->now_ns - then->now_ns) / 1000;
    if (passed_us == 0 || now->host_psi.some_us < then->host_psi.some_us)
        return 0;
    uint64_t permille = (now->host_psi.some_us - then->host_psi.some_us) * 1000 / passed_us;
    return permille > 1000 ? 1000 : (unsigned)permille;
}

// statm alone: it costs the target nothing.
static void show(struct balloon *balloon, struct process *process)
{
    if (!balloon->options.progress ||
        balloon->reading.now_ns - balloon->progress_ns < PROGRESS_MS * ns_per_ms)
        return;
    balloon->progress_ns = balloon->reading.now_ns;
    struct buffer file = {0};
    struct proc_statm statm = {0};
    if (process_read_file(process, "statm", BALLOON_FILE_MAX_BYTES, &file) == 0)
        proc_statm_parse(buffer_text(&file), &statm);
    buffer_free(&file);
    const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    const struct balloon_progress progress = {
        .balloon_bytes = balloon->child.held_bytes,
        .rss_bytes = statm.resident_pages * page_bytes,
        .virtual_bytes = statm.size_pages * page_bytes,
        .lazy_bytes = balloon->reading.lazy_bytes,
        .psi_permille = psi_permille(balloon),
        .passed_s = (double)(balloon->reading.now_ns - balloon->state.start.now_ns) / 1e9,
    };
    balloon->options.progress(balloon->options.progress_context, &progress);
}

// A walk when its share of time allows one; until then the judge goes on looking at everything
// else.
static enum balloon_stop walk(struct balloon *balloon, const struct watch *watch)
{
    bool answered;
    uint64_t pause_ns = balloon_walk_pause(&balloon->reading);
    if (balloon->reading.walk_took_ns > WALK_LONG_MS * ns_per_ms)
        pause_ns = balloon->reading.walk_took_ns * WALK_PAUSES;
    uint64_t passed_ns = lever_now_ns() - balloon->reading.walked_ns;
    if (passed_ns < pause_ns) {
        uint64_t left_ms = (pause_ns - passed_ns) / ns_per_ms + 1;
        return wait_for(balloon, watch, left_ms < WAIT_MS ? (int)left_ms : WAIT_MS, false,
                        &answered);
    }
    balloon_walk(balloon);
    return BALLOON_GOES_ON;
}

// Until something says stop.
static enum balloon_stop inflate(struct balloon *balloon, const struct watch *watch)
{
    for (;;) {
        bool answered;
        // Nothing is carried over from the step before but what the judge keeps.
        balloon_look(balloon);
        struct balloon_decision decision =
            balloon_judge(&balloon->limits, &balloon->state, &balloon->reading);
        balloon->reading.step_took_ns = 0;
        enum balloon_stop stop = BALLOON_GOES_ON;
        switch (decision.action) {
        case BALLOON_GROW:
            stop = grow(balloon, watch, &decision);
            break;
        case BALLOON_WALK:
            stop = walk(balloon, watch);
            break;
        case BALLOON_WAIT:
            stop = wait_for(balloon, watch, WAIT_MS, false, &answered);
            break;
        case BALLOON_STOP:
            // Its end looks like success: nothing lazily freed is left.
            return process_check(watch->process) < 0 ? BALLOON_GONE : decision.stop;
        }
        if (stop != BALLOON_GOES_ON)
            return stop;
        show(balloon, watch->process);
    }
}

// Signals become events, so that none can end ebb before the balloon and the report.
static int block_signals(sigset_t *ret_old)
{
    // SIGQUIT stays what it is: whoever wants a core and no report can have that.
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    // Suspended, we would hold memory without looking at whom it hurts.
    sigaddset(&set, SIGTSTP);
    if (sigprocmask(SIG_BLOCK, &set, ret_old) < 0)
        return -errno;
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd >= 0)
        return fd;
    int error = -errno;
    sigprocmask(SIG_SETMASK, ret_old, NULL);
    return error;
}

// Takes what has come off the queue: it was answered by letting go, and must not end the report.
static void unblock_signals(int fd, const sigset_t *old)
{
    struct signalfd_siginfo info;
    while (read(fd, &info, sizeof info) == sizeof info)
        continue;
    close(fd);
    sigprocmask(SIG_SETMASK, old, NULL);
}

// The balloon's whole life.
static int run(struct balloon *balloon, struct process *process, struct lever_report *report)
{
    enum balloon_child_step step;
    sigset_t old;
    int signal_fd = block_signals(&old);
    if (signal_fd < 0)
        return signal_fd;
    // From here on nothing returns before the signals are back as they were.
    const struct watch watch = {signal_fd, process_pid_fd(process), process};
    int error = balloon_child_start(&balloon->child, balloon->place.proc_root,
                                    balloon->place.directory, balloon->limits.time_ns, &step);
    if (error) {
        error = balloon_refuse_start(report, balloon, error, step);
    } else {
        balloon->stop = inflate(balloon, &watch);
        // How large it was is for the report; the last reading is of the time after it.
        uint64_t held_bytes = balloon->child.held_bytes;
        balloon_child_stop(&balloon->child);
        // What is left is told from a walk, not from what the last one promised.
        balloon_walk(balloon);
        balloon_look(balloon);
        balloon->child.held_bytes = held_bytes;
    }
    unblock_signals(signal_fd, &old);
    return error;
}

// Held while the balloon is: the lock goes with its descriptor.
static int balloon_act(void *context, struct process *process, struct lever_report *report)
{
    struct balloon *balloon = context;
    const struct balloon_place *place = &balloon->place;
    // Two balloons in one group would each count the same pages as theirs.
    int lock =
        lever_lock_directory(AT_FDCWD, place->version == 0 ? place->proc_root : place->directory);
    if (lock == -EBUSY)
        return lever_refuse(report, lock, "another ebb has a balloon here",
                            "waiting until it is done");
    if (lock < 0)
        return lever_refuse(report, lock, "the group is gone or may not be opened", "");
    int error = run(balloon, process, report);
    close(lock);
    return error ? error : balloon_tell(balloon, report);
}

const struct lever balloon_lever = {
    .name = "balloon",
    .plan = balloon_plan,
    .act = balloon_act,
};
