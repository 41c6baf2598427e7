// SPDX-License-Identifier: Apache-2.0
// ebb reclaim: options, one process or a group, Ctrl-C, printing. Tool world; no state.
#include "cmd/verbs.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/units.h"
#include "cmd/levers.h"
#include "cmd/target.h"
#include "lever/reclaim/group.h"
#include "lever/reclaim/reclaim.h"

const struct option_spec reclaim_options[] = {
    // Not the default: it stops a thread, which nobody should learn afterwards.
    {.name = "runtime",
     .kind = OPTION_FLAG,
     .help = "First have the program's malloc give back what it keeps, by a call in one of its "
             "threads."},
    // Of both versions, and in either spelling.
    {.name = "cgroup",
     .letter = 'c',
     .kind = OPTION_STRING,
     .argument = "PATH",
     .help = "Every process of a control group and of those below it: a path as in "
             "/proc/PID/cgroup, or a directory."},
    // Only on demand: page cache that goes is somebody's next read from the disk.
    {.name = "kernel",
     .kind = OPTION_FLAG,
     .help = "With --cgroup: ask the kernel to reclaim the group instead, which takes page cache "
             "too."},
    {.name = "dry-run",
     .letter = 'n',
     .kind = OPTION_FLAG,
     .help = "Show what would be done; change nothing."},
    // Never more than slowness, here as in every lever.
    {.name = "force",
     .kind = OPTION_FLAG,
     .help = "Accept that the target may get slower: live huge pages may be split. Never loses "
             "data."},
    // For those who know how long their service may wait; the fallback suits most.
    {.name = "bite",
     .kind = OPTION_SIZE,
     .argument = "SIZE",
     .fallback = "16MiB",
     .help = "The most that is taken at a time. Smaller ones make the target's mmap wait less; "
             "they shrink by themselves when they take long."},
    {.name = "bytes", .letter = 'b', .kind = OPTION_FLAG, .help = "Exact sizes in bytes."},
    {.name = "json", .letter = 'j', .kind = OPTION_FLAG, .help = "JSON instead of text."},
    {.name = NULL},
};

// What the run needs at hand. It is every callback's context.
struct reclaiming {
    const struct command *command;
    struct progress progress;
    int signal_fd; // Ctrl-C, asked for between bites; -1: it kills, as ever
};

// What does not go together, in the order in which one meets it.
static int check_usage(const struct options *options)
{
    // Usage alone, which needs no process to be looked at.
    bool has_group = options_get(options, "cgroup")->given;
    if (has_group && options->operand_count > 0)
        return message_refuse_usage("reclaim", "either a TARGET or --cgroup, not both");
    if (!has_group && options->operand_count == 0)
        return message_refuse_usage("reclaim", "which process? Give a PID or a name, or --cgroup");
    if (options->operand_count > 1)
        return message_refuse_usage("reclaim", "one TARGET at a time");
    if (options_flag(options, "kernel") && !has_group)
        return message_refuse_usage("reclaim", "--kernel reclaims a group: give --cgroup too");
    if (options_flag(options, "kernel") && options_flag(options, "runtime"))
        return message_refuse_usage("reclaim",
                                    "--kernel asks no process: it does not go with --runtime");
    // Below 256 KiB the calls themselves would be most of the work.
    uint64_t bite = options_get(options, "bite")->number;
    // One call takes 2 GiB - 4 KiB at most; far less keeps the target waiting long enough.
    if (bite < (256 << 10) || bite > (256 << 20))
        return message_refuse_usage("reclaim", "--bite goes from 256KiB to 256MiB");
    return EXIT_DONE;
}

// The signal stays pending, so that every later question is answered alike: a group ends, too.
static bool is_stopped(void *user)
{
    const struct reclaiming *reclaiming = user;
    struct pollfd descriptor = {.fd = reclaiming->signal_fd, .events = POLLIN};
    return reclaiming->signal_fd >= 0 && poll(&descriptor, 1, 0) > 0;
}

// For targets of many GiB; small ones are done before a line could be read.
static void show_progress(void *user, uint64_t done_bytes, uint64_t total_bytes)
{
    struct reclaiming *reclaiming = user;
    char done[UNITS_TEXT_MAX], total[UNITS_TEXT_MAX];
    // Looked through, not taken: how much can be taken nobody knows before.
    units_format_bytes(done_bytes, done, sizeof done);
    units_format_bytes(total_bytes, total, sizeof total);
    progress_show(&reclaiming->progress, "reclaiming: looked through %s of %s", done, total);
}

// From here on Ctrl-C ends the work between two bites, and the report tells how far it came.
static void catch_signals(struct reclaiming *reclaiming)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    reclaiming->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    // Only then: without a descriptor a blocked signal would be lost.
    if (reclaiming->signal_fd >= 0)
        sigprocmask(SIG_BLOCK, &signals, NULL);
}

// Pulls the lever at one process. 0 with a report; -errno as lever_pull().
static int pull(struct reclaiming *reclaiming, struct process *process, struct lever_report *report)
{
    // The kernel reclaims as fast as it can: there are no bites and no progress to show.
    const struct options *options = &reclaiming->command->options;
    struct reclaim reclaim = {
        // A call in the target makes it wait in any case.
        .is_gentle = !options_flag(options, "runtime"),
        .options =
            {
                .is_dry_run = options_flag(options, "dry-run"),
                .force = options_flag(options, "force"),
                .bite_bytes = options_get(options, "bite")->number,
                .is_stopped = is_stopped,
                .show_progress = show_progress,
                .user = reclaiming,
            },
    };
    if (options_flag(options, "runtime") && purge_new(&reclaim.options.purge) < 0)
        return -ENOMEM;
    // The purge is used within it, and freed in any case.
    int error = lever_pull(&reclaim_lever, &reclaim, process, reclaim.options.is_dry_run, report);
    purge_free(reclaim.options.purge);
    return error;
}

// The common case. What failed before there was a report is told as for any other verb.
static int reclaim_one(struct reclaiming *reclaiming)
{
    const struct command *command = reclaiming->command;
    const char *target = command->options.operands[0];
    struct process *process;
    int status = levers_open(command, target, &process);
    if (status != EXIT_DONE)
        return status;
    struct lever_report report = {0};
    int error = pull(reclaiming, process, &report);
    // The line goes before anything else is written.
    progress_end(&reclaiming->progress);
    status = error ? target_refuse("/proc", process_pid(process), error)
                   : levers_print(command, &report);
    lever_report_free(&report);
    process_close(process);
    return status;
}

// Kernel threads and zombies are in groups too, and would be most of the root group's table.
static bool has_no_memory(const struct lever_report *report)
{
    bool is_without = report->error == -ESRCH || report->error == -ENOEXEC;
    return report->outcome == LEVER_REFUSED && is_without && report->before.rss_bytes == 0;
}

// One process of a group. 1: it has a report; 0: it ended before it could be looked at, or has no
// memory; -ENOMEM.
static int reclaim_member(struct reclaiming *reclaiming, pid_t pid, struct lever_report *report,
                          size_t *ended)
{
    struct process *process;
    int error = process_open("/proc", pid, &process);
    if (!error) {
        error = pull(reclaiming, process, report);
        process_close(process);
    }
    // The only failure that ends it for the whole group.
    if (error == -ENOMEM)
        return error;
    if (error == -ESRCH || error == -ESTALE || (!error && has_no_memory(report))) {
        // One without memory is no row, but has not ended either.
        *ended += error != 0;
        lever_report_free(report);
        return 0;
    }
    // One that may not be looked at is a row of the table, not the end of it.
    if (error) {
        report->lever = reclaim_lever.name;
        report->pid = pid;
        report->outcome = LEVER_REFUSED;
        lever_refuse(report, error, "no right to look into this process", "root");
    }
    return 1;
}

// One after the other: two at a time would only wait for each other's page tables and lists.
static int reclaim_members(struct reclaiming *reclaiming, const pid_t *pids, size_t count)
{
    // Zeroed: a report that was never filled in can be freed.
    struct lever_report *reports = calloc(count + 1, sizeof *reports);
    if (!reports) {
        message_error("out of memory");
        return EXIT_FAILED;
    }
    size_t report_count = 0, ended = 0, i = 0;
    int error = 0;
    for (; i < count && error >= 0 && !is_stopped(reclaiming); i++) {
        // ebb itself has nothing to give back, and would lock itself.
        if (pids[i] == getpid())
            continue;
        error = reclaim_member(reclaiming, pids[i], &reports[report_count], &ended);
        report_count += error > 0;
    }
    progress_end(&reclaiming->progress);
    int status = EXIT_FAILED;
    if (error < 0)
        message_error("out of memory");
    else
        status = levers_print_group(reclaiming->command, reports, report_count);
    // Those behind a Ctrl-C have no row: the table must not look like all of the group.
    if (i < count && error >= 0) {
        message_error("reclaim: interrupted, %zu of %zu processes were not looked at", count - i,
                      count);
        status = EXIT_FAILED;
    }
    if (ended > 0)
        message_hint("%zu process%s ended before %s could be looked at.", ended,
                     ended == 1 ? "" : "es", ended == 1 ? "it" : "they");
    // One more than was counted: the last may be half a report, of which memory ran out.
    for (i = 0; i <= report_count; i++)
        lever_report_free(&reports[i]);
    free(reports);
    return status;
}

// A slip in the path is the likely reason.
static int refuse_group(const char *path, int error)
{
    char shown[MESSAGE_NAME_MAX];
    message_escape(path, shown, sizeof shown);
    if (error == -EACCES || error == -EPERM) {
        message_error("reclaim: the group %s may not be read", shown);
        return EXIT_NOT_PERMITTED;
    }
    // No group has such a path; anything else is about one that is there.
    if (error != -ENOENT && error != -ENAMETOOLONG && error != -ENOTDIR) {
        message_error("reclaim: the group %s could not be read: %s", shown, strerror(-error));
        return EXIT_FAILED;
    }
    message_error("reclaim: there is no group %s", shown);
    message_hint("A path as in /proc/PID/cgroup, or a directory below /sys/fs/cgroup.");
    return EXIT_FAILED;
}

// No process is looked at: the group's own figures are before and after. Signals do nothing there:
// one write is all there is.
static int reclaim_by_kernel(struct reclaiming *reclaiming, const struct group *group)
{
    const struct options *options = &reclaiming->command->options;
    struct lever_report report = {0};
    int status = EXIT_FAILED;
    if (group_ask_kernel(group, options_flag(options, "dry-run"), options_flag(options, "force"),
                         &report) == 0)
        status = levers_print(reclaiming->command, &report);
    else
        message_error("out of memory");
    lever_report_free(&report);
    return status;
}

// The list is of one moment: who joins later is not reclaimed, who has left is.
static int reclaim_group(struct reclaiming *reclaiming)
{
    const struct options *options = &reclaiming->command->options;
    const char *path = options_get(options, "cgroup")->string;
    // A group that is removed meanwhile is an empty one, and no failure.
    struct group group;
    pid_t *pids;
    size_t count;
    // Before any process is touched: a slip in the path changes nothing.
    int error = group_find(path, &group);
    if (!error && options_flag(options, "kernel"))
        return reclaim_by_kernel(reclaiming, &group);
    if (!error)
        error = group_list(&group, &pids, &count);
    if (error)
        return refuse_group(path, error);
    int status = reclaim_members(reclaiming, pids, count);
    free(pids);
    return status;
}

// Signals are caught once, whatever is reclaimed, and stay so until ebb ends.
int reclaim_run(const struct command *command)
{
    int status = check_usage(&command->options);
    if (status != EXIT_DONE)
        return status;
    struct reclaiming reclaiming = {.command = command, .signal_fd = -1};
    // A plan is soon done, and changes nothing that would have to be told.
    if (!options_flag(&command->options, "dry-run"))
        catch_signals(&reclaiming);
    progress_start(&reclaiming.progress);
    status = options_get(&command->options, "cgroup")->given ? reclaim_group(&reclaiming)
                                                             : reclaim_one(&reclaiming);
    if (reclaiming.signal_fd >= 0)
        close(reclaiming.signal_fd);
    return status;
}
