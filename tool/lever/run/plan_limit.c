// SPDX-License-Identifier: Apache-2.0
// The plan of --limit: a cgroup of its own, made here or by systemd-run. Tool world; no state.
#include "lever/run/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/units.h"
#include "proc/cgroup.h"
#include "proc/find.h"
#include "proc/process.h"

// Tells the ebb that systemd-run starts that its scope is made; it believes the kernel, not this.
static const char scope_variable[] = "EBB_RUN_SCOPE";

// The limit that holds for this process now.
// The tightest one, of this group or of those above it.
static int read_limit(uint64_t *ret_bytes)
{
    // By the kernel's own account, as ebb explain reads it.
    struct process *self;
    int error = process_open("/proc", proc_self("/proc"), &self);
    if (error)
        return error;
    struct cgroup cgroup;
    error = cgroup_read(self, &cgroup);
    process_close(self);
    if (!error)
        *ret_bytes = cgroup.limit_bytes;
    return error;
}

// systemd answers "done" also where it has no right to the memory controller.
static int verify_scope(struct run *run, struct lever_report *report)
{
    uint64_t limit_bytes = CGROUP_NO_LIMIT;
    // The command's own children must not believe it.
    environment_unset(&run->environment, scope_variable);
    int error = read_limit(&limit_bytes);
    if (error || limit_bytes > run->request->limit_bytes)
        return lever_refuse(report, error ? error : -ENOTSUP,
                            "systemd made a scope, but the limit is not in force in it",
                            "a systemd that may use the memory controller (Delegate=memory)");
    run->is_limited = true;
    return lever_add_step(report, "run in a scope of systemd with a limit");
}

int plan_limit(struct run *run, struct lever_report *report)
{
    uint64_t limit_bytes = run->request->limit_bytes;
    if (limit_bytes == 0)
        return 0;
    if (environment_get(&run->environment, scope_variable))
        return verify_scope(run, report);
    // Nothing is made here: a dry run says the same.
    struct group_surroundings around;
    char why[GROUP_TEXT_MAX], needs[GROUP_TEXT_MAX], size[UNITS_TEXT_MAX];
    group_surroundings(environment_get(&run->environment, "PATH"), &around);
    int error = group_plan(&around, &run->group, why, needs);
    if (error)
        return lever_refuse(report, error, why, needs);
    run->has_group = true;
    // As people write it; the kernel gets the exact bytes.
    units_format_bytes(limit_bytes, size, sizeof size);
    if (run->group.way == GROUP_OWN)
        return lever_add_step(report, "limit its memory to %s in the cgroup %s", size,
                              run->group.path);
    return lever_add_step(report, "limit its memory to %s by systemd-run%s --scope", size,
                          run->group.way == GROUP_SYSTEMD_USER ? " --user" : "");
}

enum { ARGUMENT_MAX = 64, OPTIONS_ROOM = 20 };

// The options of this program once more, as far as they are left to do.
// Room for each word that is made here; the others are borrowed.
struct command_line {
    char limit[ARGUMENT_MAX], limit_again[ARGUMENT_MAX], check[ARGUMENT_MAX];
    char allocator[PATH_MAX + ARGUMENT_MAX], self[PATH_MAX];
    char **words;
    size_t count;
};

// calloc() left a NULL behind each of them.
static void put(struct command_line *line, const char *word)
{
    // exec takes them as char *const and changes none.
    line->words[line->count++] = (char *)(uintptr_t)word;
}

static void put_options(struct command_line *line, const struct run_request *request)
{
    if (request->madv_free != RUN_MADV_FREE_ALONE)
        put(line, request->madv_free == RUN_MADV_FREE_OFF ? "--madv-free=off" : "--madv-free=on");
    if (request->allocator) {
        snprintf(line->allocator, sizeof line->allocator, "--malloc=%s", request->allocator);
        put(line, line->allocator);
    }
    // In milliseconds: fractions of them are nothing to a check.
    if (request->check_ns > 0) {
        snprintf(line->check, sizeof line->check, "--check=%" PRIu64 "ms",
                 request->check_ns / 1000000);
        put(line, line->check);
    }
    snprintf(line->limit_again, sizeof line->limit_again, "--limit=%" PRIu64, request->limit_bytes);
    put(line, line->limit_again);
}

// --scope: systemd-run moves itself and then becomes what it was given, as ebb does.
static void put_systemd_run(struct command_line *line, const struct run *run)
{
    snprintf(line->limit, sizeof line->limit, "%s=%" PRIu64,
             run->group.version == 2 ? "MemoryMax" : "MemoryLimit", run->request->limit_bytes);
    put(line, "systemd-run");
    if (run->group.way == GROUP_SYSTEMD_USER)
        put(line, "--user");
    put(line, "--scope");
    put(line, "--quiet");
    put(line, "-p");
    put(line, line->limit);
    put(line, "--");
}

int plan_exec_systemd(const struct run *run)
{
    struct command_line line = {0};
    // As many words as the command has, and some of ours.
    size_t count = 0;
    while (run->request->argv[count])
        count++;
    line.words = calloc(count + OPTIONS_ROOM, sizeof *line.words);
    if (!line.words)
        return -ENOMEM;
    // By its real path: systemd-run looks along a PATH of its own.
    ssize_t len = readlink("/proc/self/exe", line.self, sizeof(line.self) - 1);
    int error = len < 0 ? -errno : 0;
    if (!error) {
        put_systemd_run(&line, run);
        put(&line, line.self);
        put(&line, "run");
        put_options(&line, run->request);
        put(&line, "--");
        for (size_t i = 0; i < count; i++)
            put(&line, run->request->argv[i]);
        // The user's own environment: what was merged is merged by the ebb inside.
        error = setenv(scope_variable, "1", 1) < 0 ? -errno : 0;
    }
    if (!error) {
        execvp(line.words[0], line.words);
        error = -errno;
    }
    free(line.words);
    return error;
}
