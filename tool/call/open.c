// SPDX-License-Identifier: Apache-2.0
// What must hold before any thread is stopped: call_open(), see call.h. Tool world; no state.
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/utsname.h>

#include "base/buffer.h"
#include "base/text.h"
#include "call/code.h"
#include "call/session.h"
#include "proc/host.h"
#include "proc/status.h"

enum { STATUS_MAX_BYTES = 64 << 10, WAIT_MS = 2000, TIMEOUT_MS = 10000, SECCOMP_STRICT = 1 };

// Words may be long (paths, names): they are cut, never refused.
int session_refuse(struct call_session *session, int error, const char *needs, const char *format,
                   ...)
{
    va_list args;
    va_start(args, format);
    text_vformat(session->why.why, sizeof session->why.why, format, args);
    va_end(args);
    text_format(session->why.needs, sizeof session->why.needs, "%s", needs);
    return error;
}

// Only x86-64 programs have the frames, and an ebb of another architecture could not make them.
static int check_machine(struct call_session *session)
{
    const struct image *program = images_main(session->images);
    if (!frame_read_extents(&session->extents))
        return session_refuse(session, -ENOTSUP, "", "calls are made on x86-64 only");
    if (program && (program->machine != EM_X86_64 || !program->is_64bit))
        return session_refuse(session, -ENOTSUP, "", "it is no 64-bit x86 program");
    // Thread IDs are for ptrace and tgkill: those of another namespace are other threads.
    if (!process_is_live(session->process))
        return session_refuse(session, -ENOTSUP, "ebb in the same PID namespace",
                              "its PID namespace is not ebb's own");
    return 0;
}

// What the kernel says of the process: each of these would make a call impossible, or deadly.
static int check_status(struct call_session *session, const struct proc_status *status)
{
    if (status->tracer_pid != 0)
        return session_refuse(session, -EBUSY, "the tracer to let it go",
                              "process %d traces it (a debugger, strace)", (int)status->tracer_pid);
    if (status->state == 'T' || status->state == 't')
        return session_refuse(session, -EBUSY, "kill -CONT, to continue it first",
                              "it is stopped by a signal");
    if (status->has_shadow_stack)
        return session_refuse(session, -ENOTSUP, "",
                              "it has a shadow stack, which forbids such returns");
    if (status->seccomp == SECCOMP_STRICT)
        return session_refuse(session, -EPERM, "", "strict seccomp allows it no system call");
    // Filters can be read only from outside of all sandboxes; the right itself shows when they are.
    if (status->seccomp != 0 && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0)
        return session_refuse(session, -EPERM, "ebb without a seccomp filter",
                              "it has a seccomp filter, and ebb's own forbids to read it");
    return 0;
}

// A process without a status line is on its way out.
static int read_status(struct call_session *session, struct proc_status *ret_status)
{
    struct buffer file = {0};
    int error = process_read_file(session->process, "status", STATUS_MAX_BYTES, &file);
    if (!error)
        error = proc_status_parse(buffer_text(&file), ret_status);
    buffer_free(&file);
    return error == -EBADMSG ? -ESRCH : error;
}

// Before 5.1 PTRACE_GETSIGMASK tells the mask that ppoll() and its like have for the time being.
static bool kernel_keeps_masks(void)
{
    struct utsname name;
    struct kernel_version version;
    return uname(&name) == 0 && kernel_version_parse(text_of(name.release), &version) == 0 &&
           kernel_at_least(version, 5, 1);
}

// Where threads have errno, read from the code of __errno_location. Without it, it is not restored.
static void find_errno(struct call_session *session)
{
    static const char *const names[] = {"__errno_location", NULL};
    uint8_t code[FRAME_CODE_BYTES];
    uint64_t address, word = 0;
    struct frame_thread_variable variable;
    const struct image *image;
    pid_t pid = process_pid(session->process);
    if (call_find_function(session->images, names, &address, &image) != 0 ||
        code_read_memory(pid, address, code, sizeof code) != 0 ||
        !frame_parse_thread_variable(code, sizeof code, address, &variable) ||
        (variable.slot && code_read_memory(pid, variable.slot, &word, sizeof word) != 0))
        return;
    session->errno_offset = variable.offset + word;
    session->has_errno = true;
}

// The restorer is needed, the rest is a comfort: see call_knows_values().
static int find_code(struct call_session *session)
{
    int error = code_find(process_pid(session->process), session->images, &session->code);
    if (error == -ENOENT)
        return session_refuse(session, -ENOTSUP, "",
                              "no rt_sigreturn was found in its C library or program");
    if (error == -EPERM || error == -EACCES)
        return session_refuse(session, -EPERM,
                              "CAP_SYS_PTRACE, or ebb run by the process's own user",
                              "its memory may not be written");
    if (error)
        return session_refuse(session, error, "", "its code cannot be read");
    find_errno(session);
    return 0;
}

// Before anything is stopped, and without a trace in the target.
static int look(struct call_session *session)
{
    struct proc_status status = {0};
    int error = check_machine(session);
    if (!error)
        error = read_status(session, &status);
    if (!error)
        error = check_status(session, &status);
    if (!error)
        error = find_code(session);
    return error;
}

// A refusal leaves nothing behind but its words.
int call_open(struct process *process, const struct mappings *mappings, const struct images *images,
              const struct call_options *options, struct call_session **ret_session,
              struct call_refusal *ret_refusal)
{
    struct call_session *session = calloc(1, sizeof *session);
    if (!session)
        return -ENOMEM;
    session->process = process;
    session->mappings = mappings;
    session->images = images;
    session->options = options ? *options : (struct call_options){0};
    // Long enough for a busy target, short enough for whoever waits for ebb.
    if (session->options.wait_ms == 0)
        session->options.wait_ms = WAIT_MS;
    if (session->options.timeout_ms == 0)
        session->options.timeout_ms = TIMEOUT_MS;
    session->keeps_masks = kernel_keeps_masks();
    int error = look(session);
    if (error) {
        *ret_refusal = session->why;
        free(session);
        return error;
    }
    *ret_session = session;
    return 0;
}
