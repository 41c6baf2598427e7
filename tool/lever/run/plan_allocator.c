// SPDX-License-Identifier: Apache-2.0
// The plan of --malloc: a library in LD_PRELOAD, or a clear word why that cannot work. Tool world;
// no state.
//
// The loader skips what it cannot preload, with one line on stderr at most, and for set-user-ID
// programs with none. Whoever asked for an allocator should hear it before.
#include "lever/run/plan.h"

#include <errno.h>
#include <string.h>

#include "lever/run/library.h"
#include "lever/run/merge.h"

static const char preload[] = "LD_PRELOAD";

// lever_refuse() with a formatted reason.
__attribute__((format(printf, 4, 5))) static int refuse(struct lever_report *report, int error,
                                                        const char *needs, const char *format, ...)
{
    char why[LEVER_WHAT_MAX];
    va_list args;
    va_start(args, format);
    text_vformat(why, sizeof why, format, args);
    va_end(args);
    return lever_refuse(report, error, why, needs);
}

// Only where it is known.
static const char *libc_name(enum binary_libc libc)
{
    return libc == BINARY_LIBC_MUSL ? " with musl" : libc == BINARY_LIBC_GLIBC ? " with glibc" : "";
}

// Says both sides: the mistake may be on either.
static int refuse_misfit(const struct run *run, const struct library_found *found,
                         struct lever_report *report)
{
    char library[64], program[64];
    const struct binary *binary = &run->program.binary;
    binary_format_machine(&found->misfit_binary, library, sizeof library);
    binary_format_machine(binary, program, sizeof program);
    return refuse(report, -EINVAL,
                  "a build of the allocator for the command's machine and C library",
                  "%s is for %s%s, the command for %s%s", found->misfit, library,
                  libc_name(found->misfit_binary.libc), program, libc_name(binary->libc));
}

// A path is taken as it is, if it is a library for this program.
static int find_file(const struct run *run, struct library_found *found,
                     struct lever_report *report)
{
    const char *path = run->request->allocator;
    int error = library_check(path, &run->program.binary, found);
    if (error == -EINVAL)
        return refuse_misfit(run, found, report);
    if (error == -ENOEXEC)
        return refuse(report, error, "the path of an allocator's .so file",
                      "%s is no shared library", path);
    if (error)
        return refuse(report, error, "the path of an allocator's .so file", "%s: %s", path,
                      strerror(-error));
    return 0;
}

static int find_by_name(const struct run *run, const struct library_kind *kind,
                        struct library_found *found, struct lever_report *report)
{
    // As the loader would look for it.
    const char *search = environment_get(&run->environment, "LD_LIBRARY_PATH");
    // Not found, and found for another machine, are different troubles.
    int error = library_find(kind, &run->program.binary, search, found);
    if (error == 0)
        return 0;
    if (found->misfit[0])
        return refuse_misfit(run, found, report);
    return refuse(report, -ENOENT, kind->packages, "%s is not installed here",
                  kind->name[0] == 'e' ? "libebb" : kind->name);
}

static int find_library(const struct run *run, struct library_found *found,
                        struct lever_report *report)
{
    // A slash makes it a path, as for the shell's commands.
    const char *allocator = run->request->allocator;
    if (strchr(allocator, '/'))
        return find_file(run, found, report);
    const struct library_kind *kind = library_kind_find(allocator);
    if (!kind)
        return refuse(report, -EINVAL, "a path with a slash in it",
                      "there is no allocator '%s': %s", allocator, library_names);
    return find_by_name(run, kind, found, report);
}

// What the loader would do with LD_PRELOAD for this program.
static int check_program(const struct run *run, struct lever_report *report)
{
    const struct program *program = &run->program;
    if (!program->is_known && program->error != -EACCES)
        return refuse(report, program->error, "", "%s cannot be looked at: %s", program->final_path,
                      strerror(-program->error));
    // Executable but not readable: the kernel runs it, and nobody can say what it is.
    if (!program->is_known)
        return lever_refuse(report, -EACCES, "the command's file may not be read",
                            "the right to read it: it may be static or of another machine");
    // Before its rights: a static program ignores LD_PRELOAD whoever runs it.
    if (program->binary.is_static)
        return refuse(report, -ENOTSUP,
                      program->binary.is_go ? "Go does not use malloc: see --madv-free and GOGC"
                                            : "linking the allocator into the program",
                      "%s is static: nothing can be preloaded into it", program->final_path);
    // With no_new_privs the rights do not come, and the loader does as for any program.
    bool loses_rights = run->request->madv_free == RUN_MADV_FREE_OFF && filter_needs_no_new_privs();
    if (program->gains_privileges && !loses_rights)
        return refuse(report, -ENOTSUP, "being the user that it changes to, as root is for all",
                      "%s has set-user-ID, set-group-ID or file capabilities: the loader ignores "
                      "LD_PRELOAD then",
                      program->final_path);
    if (program->binary.is_go)
        return lever_add_warning(report,
                                 "%s is a Go program: its heap is Go's own; only what C "
                                 "code in it allocates uses the library",
                                 program->final_path);
    return 0;
}

// Puts the merged list into the environment; an empty one is none at all.
static int set_preload(struct run *run, const char *library, size_t *ret_removed)
{
    struct buffer merged = {0};
    int error =
        merge_preload(environment_text(&run->environment, preload), library, &merged, ret_removed);
    if (!error && merged.len > 0)
        error = environment_set(&run->environment, preload, merged.data);
    else if (!error)
        environment_unset(&run->environment, preload);
    buffer_free(&merged);
    return error;
}

// Needs nothing of the program: a variable less can do no harm.
static int plan_glibc(struct run *run, struct lever_report *report)
{
    size_t removed = 0;
    int error = set_preload(run, NULL, &removed);
    if (!error)
        error = lever_add_step(report, "take allocators out of %s", preload);
    if (!error && removed == 0)
        lever_end_step(lever_last_step(report), LEVER_STEP_NOTHING, "none is in it");
    // What is linked in stays in.
    if (error || !run->program.is_known || run->program.binary.conf_variable_count == 0)
        return error;
    return lever_add_warning(report, "%s has jemalloc linked into it: it keeps using that",
                             run->program.final_path);
}

int plan_allocator(struct run *run, struct lever_report *report)
{
    if (!run->request->allocator)
        return 0;
    if (strcmp(run->request->allocator, "glibc") == 0)
        return plan_glibc(run, report);
    int error = check_program(run, report);
    if (error)
        return error;
    // The program is sound: now the library for it.
    struct library_found found = {0};
    error = find_library(run, &found, report);
    if (error)
        return error;
    if (!merge_preload_can_hold(found.path))
        return refuse(report, -EINVAL, "a symbolic link to it with a plain name",
                      "%s: LD_PRELOAD can hold no blank and no colon", found.path);
    // In front of what the user preloads: the first definition of malloc counts.
    size_t removed = 0;
    error = set_preload(run, found.path, &removed);
    if (!error)
        error = lever_add_step(report, "preload %s", found.path);
    if (!error && removed > 0)
        error = lever_add_note(report, "another allocator is taken out of %s", preload);
    return error;
}
