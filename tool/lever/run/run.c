// SPDX-License-Identifier: Apache-2.0
// Starting a command with a memory policy, see run.h. Tool world; no state but the handle.
//
// The order of the steps matters: the watcher first, since it must be in the old cgroup and without
// the filter; the cgroup next; the filter last of all, right before exec.
#include "lever/run/run.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lever/run/plan.h"

// The words that shells and env(1) have for it.
static int refuse_command(struct lever_report *report, int error, const char *name)
{
    char why[LEVER_WHAT_MAX];
    text_format(why, sizeof why, "cannot run '%s': %s", name,
                error == -ENOENT ? "no such command" : strerror(-error));
    // Other errors of exec speak for themselves.
    const char *needs = "";
    if (error == -ENOENT)
        needs = "its path, or a name that is in PATH";
    if (error == -EACCES)
        needs = "a file that may be executed (chmod +x), on a file system mounted without noexec";
    return lever_refuse(report, error, why, needs);
}

// In the order in which they are told; each adds its own.
static int plan_steps(struct run *run, struct lever_report *report, bool *ret_is_command)
{
    // Without a command nothing else is worth looking at.
    const char *name = run->request->argv[0];
    int error = program_look(name, environment_get(&run->environment, "PATH"), &run->program);
    *ret_is_command = error < 0;
    if (error)
        return refuse_command(report, error, name);
    // The allocator's library may be a jemalloc: its settings are those of --madv-free too.
    error = plan_madv_free(run, report);
    if (!error)
        error = plan_allocator(run, report);
    if (!error)
        error = plan_limit(run, report);
    if (!error && run->request->check_ns > 0)
        error = lever_add_step(report, "watch for %.3g s whether LazyFree stays 0",
                               (double)run->request->check_ns / 1e9);
    if (!error)
        error = lever_add_step(report, "execute %s%s%s", run->program.path,
                               run->program.is_script ? ", a script of " : "",
                               run->program.is_script ? run->program.final_path : "");
    return error;
}

int run_plan(const struct run_request *request, struct run **ret_run, struct lever_report *report,
             bool *ret_is_command)
{
    // A plan takes a few milliseconds; the report has it.
    uint64_t started_ns = lever_now_ns();
    struct run *run = calloc(1, sizeof *run);
    if (!run)
        return -ENOMEM;
    run->request = request;
    report->lever = "run";
    text_copy(text_base_name(text_of(request->argv[0])), report->name, sizeof report->name);
    int error = environment_copy(request->environment, &run->environment);
    if (!error)
        error = plan_steps(run, report, ret_is_command);
    report->took_ns = lever_now_ns() - started_ns;
    // The report stays the caller's, with the reason in it.
    if (error) {
        run_free(run);
        report->outcome = LEVER_REFUSED;
        return error;
    }
    report->outcome = LEVER_PLANNED;
    *ret_run = run;
    return 0;
}

void run_free(struct run *run)
{
    if (!run)
        return;
    environment_free(&run->environment);
    buffer_free(&run->filter);
    free(run);
}

// A refusal of the system's, with its own words.
static int fail(struct lever_report *report, int error, const char *what, const char *needs)
{
    char why[LEVER_WHAT_MAX];
    text_format(why, sizeof why, "%s: %s", what, strerror(-error));
    report->outcome = LEVER_FAILED;
    return lever_refuse(report, error, why, needs);
}

// A limit that could not be set must stop everything: it may protect the host.
static int make_group(const struct run *run, struct lever_report *report)
{
    int error = group_make(&run->group, run->request->limit_bytes);
    return error ? fail(report, error, "the cgroup could not be made", "") : 0;
}

// A kernel without filters and one that forbids them are different troubles.
static int install_filter(const struct run *run, struct lever_report *report)
{
    int error = filter_install(&run->filter);
    if (error == -EINVAL || error == -ENOSYS)
        return fail(report, error, "this kernel takes no system call filter",
                    "CONFIG_SECCOMP_FILTER; or the runtime's own setting, as --dry-run shows it");
    return error ? fail(report, error, "the filter could not be installed", "") : 0;
}

// The command was there a moment ago, so it is something that it names which is not. A carriage
// return at the end of the first line is seen by nobody.
static int refuse_named(const struct run *run, struct lever_report *report)
{
    const char *named = run->program.is_script ? run->program.final_path : "";
    size_t len = strlen(named);
    char needs[LEVER_WHAT_MAX] = "the interpreter or loader that it names";
    if (len > 0 && named[len - 1] == '\r')
        text_format(needs, sizeof needs,
                    "a script without carriage returns (dos2unix): its first line names '%.*s\\r'",
                    (int)(len - 1), named);
    else if (len > 0)
        text_format(needs, sizeof needs, "the interpreter that it names: %s", named);
    return fail(report, -ENOENT, run->program.path, needs);
}

static void set_signals(const sigset_t *signals, void (*handler)(int))
{
    for (int number = 1; number < SIGRTMIN; number++) {
        if (sigismember(signals, number) == 1)
            signal(number, handler);
    }
}

// Everything that concerns this process alone, then exec. Returns -errno.
static int become(const struct run *run, struct lever_report *report, bool *ret_is_command)
{
    int error = run->has_group ? group_join(&run->group) : 0;
    if (error)
        return fail(report, error, "the cgroup could not be entered", "");
    // Nothing that this process does from here on frees lazily either.
    if (run->filter.len > 0)
        error = install_filter(run, report);
    if (error)
        return error;
    // Ignored signals stay ignored through exec.
    set_signals(&run->request->ignored, SIG_DFL);
    execvpe(run->request->argv[0], run->request->argv, run->environment.items);
    error = -errno;
    set_signals(&run->request->ignored, SIG_IGN);
    *ret_is_command = true;
    report->outcome = LEVER_FAILED;
    if (error == -ENOENT)
        return refuse_named(run, report);
    return refuse_command(report, error, run->request->argv[0]);
}

int run_start(struct run *run, struct lever_report *report, bool *ret_is_command)
{
    *ret_is_command = false;
    // The ebb inside of the scope does all the rest.
    if (run->has_group && run->group.way != GROUP_OWN)
        return fail(report, plan_exec_systemd(run), "systemd-run could not be started", "");
    // The group first: the watcher must know what to remove.
    int error = run->has_group ? make_group(run, report) : 0;
    if (error)
        return error;
    const struct watch_request watch = {
        .check_ns = run->request->check_ns,
        .group = run->has_group ? &run->group : NULL,
        .tell = run->request->tell,
    };
    // Only where there is something to watch: else nothing is forked at all.
    int watch_fd = -1;
    if (watch.group || watch.check_ns > 0)
        error = watch_start(&watch, &watch_fd);
    if (error) {
        if (watch.group)
            (void)group_remove(&run->group);
        return fail(report, error, "the watcher could not be started", "");
    }
    // Comes back only if there is no command: the watcher has nothing to do then.
    error = become(run, report, ret_is_command);
    if (watch_fd >= 0)
        watch_cancel(watch_fd);
    return error;
}
