// SPDX-License-Identifier: Apache-2.0
// The one way in which every lever is pulled: lock, look, plan, act, look again. Tool world; one
// thread.
#include "lever/lever.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "lever/journal.h"

enum { COMM_MAX_BYTES = 256 };

// One clock for all that levers time: it goes on while the clock of the day is set.
uint64_t lever_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

// Not blocking: a second ebb is told, since what it planned would be stale by its turn.
int lever_lock_directory(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    int error = errno == EWOULDBLOCK ? -EBUSY : -errno;
    close(fd);
    return error;
}

// The handle's own descriptor would share its lock with every copy: the lock has one of its own.
// All proc trees of a PID namespace that are one mount's share the inode, and so the lock.
int lever_lock(struct process *process)
{
    return lever_lock_directory(process_dir_fd(process), ".");
}

// A comm may hold a newline of its own, which ends it here: it is a name to show.
void lever_read_name(struct process *process, char *ret_name, size_t size)
{
    struct buffer file = {0};
    struct text line = text_of("");
    if (process_read_file(process, "comm", COMM_MAX_BYTES, &file) == 0) {
        struct text rest = buffer_text(&file);
        text_next_line(&rest, &line);
    }
    text_copy(line, ret_name, size);
    buffer_free(&file);
}

// What the steps' states amount to.
static enum lever_outcome judge_steps(const struct lever_report *report)
{
    size_t done = 0, failed = 0;
    for (size_t i = 0; i < report->step_count; i++) {
        done += report->steps[i].state == LEVER_STEP_DONE;
        failed += report->steps[i].state == LEVER_STEP_FAILED;
    }
    if (failed > 0)
        return done > 0 ? LEVER_PARTLY : LEVER_FAILED;
    return done > 0 ? LEVER_DONE : LEVER_NOTHING;
}

// An error of plan() or act() becomes a refusal or failure in the report; only what leaves no
// report at all is passed on. In a process that has ended or called exec, what was looked for is
// not there in many ways, of which none tells why.
static int end_early(struct process *process, struct lever_report *report,
                     enum lever_outcome outcome, int error)
{
    if (error == -ENOMEM)
        return error;
    int gone = process_check(process);
    if (gone == -ESRCH || gone == -ESTALE) {
        report->refusal[0] = '\0';
        lever_refuse(report, gone,
                     gone == -ESRCH ? "it has ended"
                                    : "it has called exec meanwhile: another program now",
                     "");
    }
    // A lever that forgot to say why must not look like a success.
    if (!report->refusal[0])
        lever_refuse(report, error, strerror(-error), "");
    report->outcome = outcome;
    return 0;
}

static int read_target(const struct lever *lever, void *context, struct process *process,
                       struct lever_reading *ret_reading)
{
    return lever->read ? lever->read(context, process, ret_reading)
                       : lever_read(process, ret_reading);
}

static int plan_and_act(const struct lever *lever, void *context, struct process *process,
                        bool is_dry_run, struct lever_report *report)
{
    int error = read_target(lever, context, process, &report->before);
    if (error)
        return error;
    report->has_before = true;
    error = lever->plan(context, process, report);
    if (error)
        return end_early(process, report, LEVER_REFUSED, error);
    // The target that was planned for, not one that called exec since.
    error = process_check(process);
    if (error)
        return error;
    report->outcome = report->step_count == 0 ? LEVER_NOTHING : LEVER_PLANNED;
    if (is_dry_run || report->step_count == 0)
        return 0;
    error = lever->act(context, process, report);
    // Whatever came of it, what is there now is worth a reading.
    report->has_after = read_target(lever, context, process, &report->after) == 0;
    if (error)
        return end_early(process, report, LEVER_FAILED, error);
    report->outcome = judge_steps(report);
    return 0;
}

// The only order in which a lever runs; what a verb adds comes before or behind it.
int lever_pull(const struct lever *lever, void *context, struct process *process, bool is_dry_run,
               struct lever_report *report)
{
    uint64_t started_ns = lever_now_ns();
    report->lever = lever->name;
    report->pid = process_pid(process);
    lever_read_name(process, report->name, sizeof report->name);
    // Frames, pidfds and calls mean nothing in a copy of a tree, or in one of another namespace.
    if (!process_is_live(process)) {
        lever_refuse(report, -ENOTSUP, "this is not the live proc tree of ebb's own PID namespace",
                     "running ebb in the namespace that the tree is of");
        report->outcome = LEVER_REFUSED;
        return 0;
    }
    // A plan alone changes nothing: it needs no lock.
    int lock = is_dry_run ? -1 : lever_lock(process);
    if (lock == -EBUSY) {
        lever_refuse(report, -EBUSY, "another ebb is pulling a lever at this process",
                     "waiting until it is done");
        report->outcome = LEVER_REFUSED;
        return 0;
    }
    if (lock < 0 && !is_dry_run)
        // The target has ended, or there are no descriptors left: no report to give.
        return lock;
    int error = plan_and_act(lever, context, process, is_dry_run, report);
    report->took_ns = lever_now_ns() - started_ns;
    if (lock >= 0)
        close(lock);
    // Recordings that run meanwhile shall know what changed their figures.
    if (!error && (report->outcome == LEVER_DONE || report->outcome == LEVER_PARTLY))
        journal_append(report, process_start_ticks(process));
    return error;
}
