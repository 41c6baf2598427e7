// SPDX-License-Identifier: Apache-2.0
// Finds the process that the user means, or says why there is none. Tool world; no state.
//
// A wrong guess would show somebody else's memory under the right question, so nothing is guessed:
// a name must be a whole name and must be one process's. What is read here only serves to choose
// and to explain a failure; the survey opens the process anew and checks that it stays the same.
#include "cmd/target.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "proc/find.h"
#include "proc/process.h"
#include "proc/status.h"

enum {
    // PID_MAX_LIMIT of include/linux/threads.h on 64-bit systems.
    PID_LARGEST = 4194304,
    MATCHES_SHOWN = 20,
    FILE_LIMIT_BYTES = 65536,
};

// A text file of process `pid`; empty where it cannot be read. buffer_free() it.
static struct buffer read_process_file(const char *proc_root, pid_t pid, const char *name)
{
    struct buffer file = {0};
    // Opened anew for each file: this is for messages, where a process that changes between two of
    // them does no harm.
    struct process *process;
    if (process_open(proc_root, pid, &process) < 0)
        return file;
    // Whatever could be read serves a message; the error itself is told elsewhere.
    (void)process_read_file(process, name, FILE_LIMIT_BYTES, &file);
    process_close(process);
    return file;
}

// Escaped comm of a process. False where it cannot be read: it may have ended, or be out of sight.
static bool process_shown_name(const char *proc_root, pid_t pid, char *ret_shown, size_t size)
{
    struct buffer file = read_process_file(proc_root, pid, "status");
    struct proc_status status;
    bool ok = proc_status_parse(buffer_text(&file), &status) == 0 && status.name[0];
    if (ok)
        message_escape(status.name, ret_shown, size);
    buffer_free(&file);
    return ok;
}

// A chroot or a container without /proc, or a slip in --proc-root.
static int refuse_proc_root(const char *proc_root)
{
    char shown[MESSAGE_NAME_MAX];
    message_escape(proc_root, shown, sizeof(shown));
    message_error("%s shows no processes: is /proc mounted there?", shown);
    message_hint("Mount it (mount -t proc proc /proc), or name another tree with --proc-root.");
    return EXIT_FAILED;
}

// pthread_exit() in main(): the kernel shows a process's memory through its first thread alone. The
// same is seen for a moment of each process of several threads that ends, hence the status.
static void tell_headless(pid_t pid, uint64_t others)
{
    message_error("process %d cannot be read: its first thread has ended, while %" PRIu64
                  " of its threads go on",
                  (int)pid, others);
    message_hint("What it holds is in /proc/%d/task/TID/smaps of any of these.", (int)pid);
}

// Says who should act: only the parent can make a zombie go.
static int refuse_zombie(const char *proc_root, pid_t pid)
{
    struct buffer file = read_process_file(proc_root, pid, "stat");
    struct proc_stat stat;
    char parent[MESSAGE_NAME_MAX];
    if (proc_stat_parse(buffer_text(&file), &stat) < 0)
        message_error("process %d has ended: it holds no memory", (int)pid);
    else if (stat.threads > 1)
        tell_headless(pid, stat.threads - 1);
    else if (process_shown_name(proc_root, stat.ppid, parent, sizeof(parent)))
        message_error("process %d has ended and waits for its parent %d (%s) to collect it: "
                      "it holds no memory",
                      (int)pid, (int)stat.ppid, parent);
    else
        message_error("process %d has ended and waits for its parent %d to collect it: "
                      "it holds no memory",
                      (int)pid, (int)stat.ppid);
    buffer_free(&file);
    return EXIT_NO_PROCESS;
}

// One place for all verbs: the same failure reads the same and exits the same.
int target_refuse(const char *proc_root, pid_t pid, int error)
{
    switch (-error) {
    case ESRCH:
        message_error("no process %d (it ended or never was)", (int)pid);
        message_hint("'ebb top' shows what runs.");
        return EXIT_NO_PROCESS;
    // From here on the process is there, and has no memory to explain.
    case ECHILD:
        return refuse_zombie(proc_root, pid);
    case ENOEXEC:
        message_error("process %d: a kernel thread has no memory of its own", (int)pid);
        return EXIT_FAILED;
    // It was read twice, and both times it became another program meanwhile.
    case ESTALE:
        message_error("process %d called exec while it was read, twice: try again", (int)pid);
        return EXIT_FAILED;
    case EACCES:
    case EPERM:
        message_error("process %d may not be read", (int)pid);
        message_hint(
            "Run ebb as the process's user or as root; in a container, with CAP_SYS_PTRACE.");
        return EXIT_NOT_PERMITTED;
    // A process directory that is there has its files: it is the tree that is not one.
    case ENOENT:
        return refuse_proc_root(proc_root);
    default:
        message_error("process %d could not be read: %s", (int)pid, strerror(-error));
        message_hint_limit(error);
        return EXIT_FAILED;
    }
}

// The tree itself, not one process of it.
int target_refuse_list(const char *proc_root, int error)
{
    if (error == -ENOENT || error == -ENOTDIR)
        return refuse_proc_root(proc_root);
    char shown[MESSAGE_NAME_MAX];
    message_escape(proc_root, shown, sizeof(shown));
    message_error("the processes in %s cannot be listed: %s", shown, strerror(-error));
    message_hint_limit(error);
    return error == -EACCES || error == -EPERM ? EXIT_NOT_PERMITTED : EXIT_FAILED;
}

// What was typed comes back only where it was one word: of several none is to blame.
int target_refuse_nobody(const char *verb, char *const *operands, size_t count)
{
    char shown[MESSAGE_NAME_MAX];
    if (count != 1) {
        message_error("%s: no process matches any of the TARGETs", verb);
        return EXIT_NO_PROCESS;
    }
    message_escape(operands[0], shown, sizeof(shown));
    // Digits alone are a PID: no name is looked for.
    if (operands[0][strspn(operands[0], "0123456789")] == '\0')
        message_error("%s: no process %s", verb, shown);
    else
        message_error("%s: no process matches '%s'", verb, shown);
    return EXIT_NO_PROCESS;
}

// Only their form is looked at: what they match is looked up by the sampler.
int target_select(const char *verb, char *const *operands, size_t count,
                  struct selection **ret_selections, size_t *ret_count)
{
    // One more than there are: without any, one that means all.
    struct selection *selections = calloc(count + 1, sizeof *selections);
    if (!selections) {
        message_error("%s: %s", verb, strerror(ENOMEM));
        return EXIT_FAILED;
    }
    for (size_t i = 0; i < count; i++) {
        if (selection_parse(text_of(operands[i]), &selections[i]) == 0)
            continue;
        char shown[MESSAGE_NAME_MAX];
        message_escape(operands[i], shown, sizeof shown);
        message_error("%s: '%s' is no PID, name or pattern", verb, shown);
        free(selections);
        return EXIT_USAGE;
    }
    selections[count].kind = SELECT_ALL;
    *ret_selections = selections;
    *ret_count = count > 0 ? count : 1;
    return EXIT_DONE;
}

void target_tell_missing(const char *verb, char *const *operands, size_t count,
                         const struct sampler *sampler)
{
    for (size_t i = 0; i < count; i++) {
        if (!sampler_misses(sampler, i))
            continue;
        char shown[MESSAGE_NAME_MAX];
        message_escape(operands[i], shown, sizeof shown);
        message_error("%s: no process matches '%s'; it goes on with the others", verb, shown);
    }
}

// Where /proc is not mounted there is an empty folder, which is no error to those who list it.
static bool tree_is_empty(const char *proc_root)
{
    struct proc_entry *entries = NULL;
    size_t count = 0;
    bool is_empty = proc_list(proc_root, &entries, &count) == 0 && count == 0;
    free(entries);
    return is_empty;
}

// The list is the answer to the next question: which of them? It is cut, not paged.
static int refuse_matches(const char *proc_root, const char *shown,
                          const struct proc_entry *entries, size_t count)
{
    message_error("%zu processes are named '%s'; give the PID of one:", count, shown);
    for (size_t i = 0; i < count && i < MATCHES_SHOWN; i++) {
        // Enough of it to tell one from the other.
        char cmdline[96] = "", name[MESSAGE_NAME_MAX], shown_cmdline[MESSAGE_NAME_MAX];
        struct buffer file = read_process_file(proc_root, entries[i].pid, "cmdline");
        proc_cmdline_join(buffer_text(&file), cmdline, sizeof(cmdline));
        buffer_free(&file);
        message_escape(entries[i].name, name, sizeof(name));
        message_escape(cmdline, shown_cmdline, sizeof(shown_cmdline));
        message_hint("%7d  %-15s  %s", (int)entries[i].pid, name, shown_cmdline);
    }
    if (count > MATCHES_SHOWN)
        message_hint("... and %zu more", count - MATCHES_SHOWN);
    return EXIT_USAGE;
}

// Exactly one, or none at all: a guess could look at the wrong service.
static int resolve_name(const char *proc_root, const char *name, pid_t *ret_pid)
{
    struct proc_entry *entries = NULL;
    size_t count = 0;
    int error = proc_find_by_name(proc_root, name, &entries, &count);
    if (error < 0)
        return target_refuse_list(proc_root, error);
    char shown[MESSAGE_NAME_MAX];
    message_escape(name, shown, sizeof(shown));
    int status = EXIT_DONE;
    // A name that only this process has, so there is no doubt.
    if (count == 1) {
        *ret_pid = entries[0].pid;
        // Nobody of that name, in a tree that does show processes.
    } else if (count == 0 && !tree_is_empty(proc_root)) {
        message_error("no process is named '%s'", shown);
        message_hint("'ebb top' shows what runs.");
        status = EXIT_NO_PROCESS;
    } else if (count == 0) {
        status = refuse_proc_root(proc_root);
    } else {
        status = refuse_matches(proc_root, shown, entries, count);
    }
    free(entries);
    return status;
}

// The process that thread `tid` belongs to; `tid` itself where that cannot be read.
static pid_t thread_leader(const char *proc_root, pid_t tid)
{
    struct buffer file = read_process_file(proc_root, tid, "status");
    struct text rest = buffer_text(&file), line;
    // A process is its own leader, and so stays what it is.
    uint64_t leader = (uint64_t)tid;
    // A name with a line break cannot fake this line: the kernel escapes it.
    while (text_next_line(&rest, &line)) {
        if (!text_take_prefix(&line, "Tgid:"))
            continue;
        text_skip_blanks(&line);
        if (!text_take_u64(&line, &leader) || leader == 0 || leader > PID_LARGEST)
            leader = (uint64_t)tid;
        break;
    }
    buffer_free(&file);
    return (pid_t)leader;
}

// What is all digits is a PID, even where a process has such a name.
static int resolve_pid(const char *proc_root, struct text digits, const char *shown, pid_t *ret_pid)
{
    // Only digits come here, so that a failure means overflow.
    uint64_t number;
    if (!text_take_u64(&digits, &number) || number > PID_LARGEST) {
        message_error("'%s' is too large for a PID: the largest is %d", shown, PID_LARGEST);
        return EXIT_USAGE;
    }
    if (number == 0) {
        message_error("a PID is larger than 0");
        return EXIT_USAGE;
    }
    // /proc/TID exists for every thread, though no listing shows it, and its memory is the
    // process's.
    pid_t pid = (pid_t)number, leader = thread_leader(proc_root, pid);
    if (leader != pid) {
        char name[MESSAGE_NAME_MAX];
        bool ok = process_shown_name(proc_root, leader, name, sizeof(name));
        message_error("%d is a thread of process %d (%s): going on with the process", (int)pid,
                      (int)leader, ok ? name : "its name is not known");
    }
    *ret_pid = leader;
    return EXIT_DONE;
}

// Looks at the form first, so that a slip is not searched for as a name.
int target_resolve(const char *proc_root, const char *text, pid_t *ret_pid)
{
    // Escaped once, for whichever message it comes to.
    char shown[MESSAGE_NAME_MAX];
    message_escape(text, shown, sizeof(shown));
    size_t len = strlen(text);
    if (len == 0) {
        message_error("TARGET is empty: give a PID or a process name");
        return EXIT_USAGE;
    }
    // Signs, blanks and hexadecimal are names: only digits make a number.
    if (strspn(text, "0123456789") == len)
        return resolve_pid(proc_root, text_of(text), shown, ret_pid);
    if (text[0] == '-' && strspn(text + 1, "0123456789") == len - 1) {
        message_error("'%s' is no PID: a PID is larger than 0", shown);
        return EXIT_USAGE;
    }
    return resolve_name(proc_root, text, ret_pid);
}
