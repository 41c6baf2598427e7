// SPDX-License-Identifier: Apache-2.0
// The plan of --madv-free: settings that runtimes understand, and the filter for all others. Tool
// world; no state.
//
// Both, since each lacks something. A setting is cheaper (no refused call before the right one) and
// also changes what the runtime believes of its memory; but only some programs read it, and a
// program may set its own. The filter leaves no way out, and goes to all children.
#include "lever/run/plan.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

#include "lever/run/merge.h"

// mimalloc's name of it changed with its generations: 1.x, 2.0, from 2.1 on. Names that a version
// does not know are never looked at.
static const char *const mimalloc_variables[] = {
    "MIMALLOC_RESET_DECOMMITS", "MIMALLOC_ALLOW_DECOMMIT", "MIMALLOC_PURGE_DECOMMITS"};

// jemalloc 5.0's own default; 0 frees dirty pages at once instead of lazily.
static const char muzzy_on[] = "10000", muzzy_off[] = "0";

// Sets a variable, unless it has that value already.
static int set_variable(struct run *run, const char *name, const char *value,
                        struct lever_report *report)
{
    // Read before it is changed.
    const char *old = environment_get(&run->environment, name);
    // Said all the same: one sees then where a setting comes from.
    bool is_same = old && strcmp(old, value) == 0;
    int error = environment_set(&run->environment, name, value);
    if (!error)
        error = lever_add_step(report, "set %s=%s", name, value);
    if (!error && is_same)
        lever_end_step(lever_last_step(report), LEVER_STEP_NOTHING, "it is so already");
    return error;
}

// Effective for Go 1.12 to 1.15, and later where a program asks for madvdontneed=0.
static int set_godebug(struct run *run, const char *value, struct lever_report *report)
{
    struct buffer merged = {0};
    int error = merge_godebug(environment_text(&run->environment, "GODEBUG"), "madvdontneed", value,
                              &merged);
    if (!error)
        error = set_variable(run, "GODEBUG", merged.data, report);
    buffer_free(&merged);
    return error;
}

// For jemalloc 5; older ones complain of the key on stderr and go on.
static int set_malloc_conf(struct run *run, const char *name, const char *value,
                           struct lever_report *report)
{
    struct buffer merged = {0};
    int error = merge_malloc_conf(environment_text(&run->environment, name), "muzzy_decay_ms",
                                  value, &merged);
    if (!error)
        error = set_variable(run, name, merged.data, report);
    buffer_free(&merged);
    return error;
}

// The plain name for libraries and children, and those that this program's own jemalloc reads.
static int set_jemalloc(struct run *run, const char *value, struct lever_report *report)
{
    static const char plain[] = "MALLOC_CONF";
    const struct binary *binary = &run->program.binary;
    int error = set_malloc_conf(run, plain, value, report);
    for (unsigned i = 0; i < binary->conf_variable_count && !error; i++) {
        if (strcmp(binary->conf_variables[i], plain) != 0)
            error = set_malloc_conf(run, binary->conf_variables[i], value, report);
    }
    return error;
}

// One number each: nothing of the user's is in the way.
static int set_mimalloc(struct run *run, const char *value, struct lever_report *report)
{
    int error = 0;
    for (size_t i = 0; i < sizeof(mimalloc_variables) / sizeof(*mimalloc_variables) && !error; i++)
        error = set_variable(run, mimalloc_variables[i], value, report);
    return error;
}

// libebb's list is written as jemalloc's is.
static int set_libebb(struct run *run, const char *value, struct lever_report *report)
{
    struct buffer merged = {0};
    int error = merge_malloc_conf(environment_text(&run->environment, "EBB_CONF"), "policy", value,
                                  &merged);
    if (!error)
        error = set_variable(run, "EBB_CONF", merged.data, report);
    buffer_free(&merged);
    return error;
}

// Always all of them: the command may be a script, and its children are meant too.
static int set_all(struct run *run, bool is_off, struct lever_report *report)
{
    int error = set_godebug(run, is_off ? "1" : "0", report);
    if (!error)
        error = set_jemalloc(run, is_off ? muzzy_off : muzzy_on, report);
    if (!error)
        error = set_mimalloc(run, is_off ? "1" : "0", report);
    if (!error)
        error = set_libebb(run, is_off ? "dontneed" : "free", report);
    return error;
}

// By what their sources do when madvise() fails; each would be better off without the filter.
static int warn_of_loss(const struct run *run, struct lever_report *report)
{
    switch (run->program.loser) {
    case PROGRAM_DOTNET:
        return lever_add_warning(
            report,
            "this is a .NET program: where MADV_FREE is refused, its garbage collector "
            "calls posix_madvise(), which frees nothing with glibc. Memory that it would "
            "free lazily stays in use. Its own settings, such as DOTNET_GCHeapHardLimit and "
            "DOTNET_GCConserveMemory, are the better lever");
    case PROGRAM_ERLANG:
        return lever_add_warning(
            report,
            "this is an Erlang program: where MADV_FREE is refused, its allocators free "
            "nothing of a carrier that is in use. Memory that they would free lazily stays");
    case PROGRAM_JEMALLOC4:
        return lever_add_warning(
            report,
            "jemalloc %u is linked into this program: if it was built to use MADV_FREE, it "
            "has no fallback, and dirty pages stay. jemalloc 5 has one",
            run->program.binary.jemalloc_major);
    case PROGRAM_FALLS_BACK:
        break;
    }
    return 0;
}

// Only who lacks CAP_SYS_ADMIN pays this price.
static int tell_of_privileges(const struct run *run, struct lever_report *report)
{
    bool has_it = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
    if (has_it || !filter_needs_no_new_privs())
        return 0;
    // The kernel drops the rights without a word, so say it here.
    if (run->program.gains_privileges)
        return lever_add_warning(
            report,
            "%s has set-user-ID, set-group-ID or file capabilities: without CAP_SYS_ADMIN, "
            "a filter needs no_new_privs, and the program starts without these rights",
            run->program.final_path);
    return lever_add_note(
        report, "without CAP_SYS_ADMIN, a filter needs no_new_privs: sudo and other set-user-ID "
                "programs that the command starts get no rights");
}

static int plan_filter(struct run *run, struct lever_report *report)
{
    enum filter_machine machine;
    if (filter_machine_here(&machine))
        return lever_refuse(report, -ENOTSUP,
                            "the filter is made for x86-64, i386, aarch64 and arm, not for this "
                            "machine",
                            "the runtime's own setting: GODEBUG=madvdontneed=1, "
                            "MALLOC_CONF=muzzy_decay_ms:0");
    // Built now, so that a dry run fails where a real one would.
    int error = filter_build(machine, &run->filter);
    if (!error)
        error = lever_add_step(report,
                               "answer EINVAL to madvise(MADV_FREE), by a system call filter for "
                               "%s, which children inherit",
                               filter_coverage(machine));
    if (!error)
        error = warn_of_loss(run, report);
    return error ? error : tell_of_privileges(run, report);
}

int plan_madv_free(struct run *run, struct lever_report *report)
{
    enum run_madv_free wanted = run->request->madv_free;
    if (wanted == RUN_MADV_FREE_ALONE)
        return 0;
    // Lazily again is a matter of settings alone: no filter can bring MADV_FREE back.
    bool is_off = wanted == RUN_MADV_FREE_OFF;
    int error = set_all(run, is_off, report);
    if (error)
        return error;
    if (is_off)
        return plan_filter(run, report);
    return lever_add_note(report, "only runtimes that read these settings free lazily then: Go, "
                                  "jemalloc 5, mimalloc, libebb");
}
