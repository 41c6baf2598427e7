// SPDX-License-Identifier: Apache-2.0
// ebb run: read the options, plan, say, become the command. Tool world; no state.
#include "cmd/verbs.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/units.h"
#include "cmd/levers.h"
#include "lever/run/run.h"

// What shells and env(1) answer: no such command, or it cannot be executed.
enum { EXIT_NO_COMMAND = 127, EXIT_NOT_EXECUTABLE = 126 };

// A reader of stderr that has stopped must not keep the watcher: that is a process of its own
// beside the command, and has to end.
enum { TELL_PATIENCE_MS = 1000 };

// Their numbers are places in this list.
static const char *const madv_free_choices[] = {"off", "on", NULL};

// What the policy is comes first, then how it is told.
const struct option_spec run_options[] = {
    {.name = "madv-free",
     .kind = OPTION_CHOICE,
     .choices = madv_free_choices,
     .help = "off: no lazy freeing, for the command and all of its children. on: only settings, "
             "for runtimes that free at once by default."},
    {.name = "check",
     .kind = OPTION_DURATION,
     .argument = "DURATION",
     .bare = "5s",
     .help = "With --madv-free=off: watch for so long (5s) whether LazyFree stays 0, and say so on "
             "stderr."},
    // A path where no name fits: any library that defines malloc() may be tried.
    {.name = "malloc",
     .kind = OPTION_STRING,
     .argument = "NAME",
     .help = "jemalloc, tcmalloc, mimalloc or ebb, preloaded; glibc: none of them; or the path of "
             "a library."},
    // In a group of its own: the caller's, with all else that is in it, stays as it is.
    {.name = "limit",
     .kind = OPTION_SIZE,
     .argument = "SIZE",
     .help = "Run it in a memory cgroup of its own with this limit."},
    {.name = "dry-run",
     .letter = 'n',
     .kind = OPTION_FLAG,
     .help = "Show what would be set and filtered; start nothing."},
    {.name = "json",
     .letter = 'j',
     .kind = OPTION_FLAG,
     .help = "With --dry-run: JSON instead of text."},
    // Off by default: from exec on stderr is the command's.
    {.name = "verbose",
     .letter = 'v',
     .kind = OPTION_FLAG,
     .help = "Say in one line on stderr what is set and filtered."},
    {.name = NULL},
};

// What does not go together.
static int check_options(const struct options *options)
{
    const struct option_value *limit = options_get(options, "limit");
    const struct option_value *madv_free = options_get(options, "madv-free");
    const struct option_value *check = options_get(options, "check");
    // "off" is the first of the choices.
    bool is_off = madv_free->given && madv_free->number == 0;
    // In the order in which one would notice it.
    if (options->operand_count == 0)
        return message_refuse_usage("run", "which command?");
    if (!madv_free->given && !limit->given && !options_get(options, "malloc")->given)
        return message_refuse_usage(
            "run", "give it a policy: --madv-free=off, --malloc=NAME or --limit=SIZE");
    if (check->given && !is_off)
        return message_refuse_usage("run",
                                    "--check looks whether --madv-free=off works: it needs that");
    if (check->given && check->number == 0)
        return message_refuse_usage("run", "--check needs more than 0s");
    if (options_flag(options, "json") && !options_flag(options, "dry-run"))
        return message_refuse_usage("run",
                                    "--json is for --dry-run: later, stdout is the command's");
    // Less than any program needs to start: exec itself would be killed.
    if (limit->given && limit->number < RUN_LIMIT_MIN_BYTES)
        return message_refuse_usage("run", "--limit needs at least 1MiB");
    return EXIT_DONE;
}

// In whole words: "redis-server (pid 4121) and 3 descendants".
static void format_watched(const struct watch_result *result, char *ret_text, size_t size)
{
    // What ended at once has left no name.
    char name[MESSAGE_NAME_MAX];
    message_escape(result->name[0] ? result->name : "the command", name, sizeof name);
    if (result->processes > 1)
        text_format(ret_text, size, "%s (pid %d) and %u descendant%s", name, result->pid,
                    result->processes - 1, result->processes > 2 ? "s" : "");
    else
        text_format(ret_text, size, "%s (pid %d)", name, result->pid);
}

// Which process, since it may be a child of a child.
static void tell_lazy(const struct watch_result *result)
{
    char size[UNITS_TEXT_MAX], name[MESSAGE_NAME_MAX];
    // The most that was seen, not the last: it may be taken back any time.
    units_format_bytes(result->lazy_bytes, size, sizeof size);
    message_escape(result->lazy_name, name, sizeof name);
    message_error("run: --check: LazyFree rose to %s in %s (pid %d): MADV_FREE still gets through",
                  size, name, result->lazy_pid);
    message_hint("io_uring's madvise passes every filter; 'ebb explain %d' tells whose it is.",
                 result->lazy_pid);
}

// In the watcher, once, when the time is over. A message fits into what POLLOUT promises of a pipe,
// so that nothing waits.
static void tell_check(const struct watch_result *result)
{
    // Not writable for so long means that nobody reads: then the sentence is lost, not the watcher.
    struct pollfd reader = {.fd = STDERR_FILENO, .events = POLLOUT};
    char watched[MESSAGE_NAME_MAX + 64];
    double seconds = (double)result->watched_ns / 1e9;
    if (poll(&reader, 1, TELL_PATIENCE_MS) <= 0)
        return;
    format_watched(result, watched, sizeof watched);
    if (result->lazy_bytes > 0)
        tell_lazy(result);
    else if (result->error == -ENODATA)
        message_error("run: --check: this kernel does not count lazily freed memory (4.12 does)");
    else if (result->error == -EACCES || result->error == -EPERM)
        message_error("run: --check: %s may not be read: that needs CAP_SYS_PTRACE", watched);
    // A command of a few milliseconds, such as `true`.
    else if (result->readings == 0)
        message_error("run: --check: the command ended before it could be looked at");
    else
        message_error("run: --check: LazyFree stayed 0 for %.1f s in %s%s", seconds, watched,
                      result->has_ended ? ", which has ended" : "");
}

// Warnings always, the steps in one line on demand.
static void say(const struct lever_report *report, bool is_verbose)
{
    // Names in them are from outside.
    for (size_t i = 0; i < report->note_count; i++) {
        char text[MESSAGE_NAME_MAX * 2];
        message_escape(report->notes[i].text, text, sizeof text);
        if (report->notes[i].is_warning || is_verbose)
            message_error("run: %s%s", report->notes[i].is_warning ? "warning: " : "", text);
    }
    // As one line, so that it can be found in a log by its beginning.
    struct buffer line = {0};
    // Without memory the line is shorter; it is no part of the run.
    for (size_t i = 0; i < report->step_count && is_verbose; i++) {
        char text[MESSAGE_NAME_MAX];
        message_escape(report->steps[i].what, text, sizeof text);
        if (buffer_printf(&line, "%s%s", i ? "; " : "", text))
            break;
    }
    if (line.len > 0)
        message_error("run: %s", line.data);
    buffer_free(&line);
}

// Why it was not started. The exit status.
static int refuse(const struct lever_report *report, int error, bool is_command)
{
    char why[MESSAGE_NAME_MAX], needs[MESSAGE_NAME_MAX];
    // The only one without a sentence in the report.
    if (error == -ENOMEM)
        message_error("run: not enough memory");
    message_escape(report->refusal, why, sizeof why);
    if (why[0])
        message_error("run: %s", why);
    message_escape(report->needs, needs, sizeof needs);
    if (needs[0])
        message_hint("What would help: %s.", needs);
    // As a shell would answer for it.
    if (is_command)
        return error == -ENOENT ? EXIT_NO_COMMAND : EXIT_NOT_EXECUTABLE;
    return error == -EPERM || error == -EACCES ? EXIT_NOT_PERMITTED : EXIT_FAILED;
}

// The report has the reason in it; its exit status is that of a real run.
static int dry_run(const struct command *command, const struct lever_report *report, int error,
                   bool is_command)
{
    int status = levers_print(command, report);
    if (!is_command)
        return status;
    return error == -ENOENT ? EXIT_NO_COMMAND : EXIT_NOT_EXECUTABLE;
}

// The words behind the options, as exec wants them; free() it.
static char **copy_operands(const struct options *options)
{
    char **argv = calloc(options->operand_count + 1, sizeof *argv);
    // The words themselves are the command line's.
    for (size_t i = 0; argv && i < options->operand_count; i++)
        argv[i] = options->operands[i];
    return argv;
}

// Plans it, and starts it unless that was not asked for. Returns only when it is not running.
static int plan_and_start(const struct command *command, const struct run_request *request)
{
    // run_start() comes back only with an error.
    struct lever_report report = {0};
    struct run *run = NULL;
    bool is_command = false;
    int status;
    // A refusal comes with a report, too: the plan as far as it went.
    int error = run_plan(request, &run, &report, &is_command);
    if (options_flag(&command->options, "dry-run") && error != -ENOMEM) {
        status = dry_run(command, &report, error, is_command);
    } else {
        if (!error) {
            say(&report, options_flag(&command->options, "verbose"));
            error = run_start(run, &report, &is_command);
        }
        status = refuse(&report, error, is_command);
    }
    run_free(run);
    lever_report_free(&report);
    return status;
}

// Whatever is wrong must show before exec: behind it there is no ebb to say so.
int run_run(const struct command *command)
{
    const struct options *options = &command->options;
    int status = check_options(options);
    if (status != EXIT_DONE)
        return status;
    // All from the table; what was not given is 0 or NULL.
    const struct option_value *madv_free = options_get(options, "madv-free");
    struct run_request request = {
        // Copied by the plan where it changes anything: ours stays as it is.
        .environment = environ,
        .allocator = options_get(options, "malloc")->string,
        .limit_bytes = options_get(options, "limit")->number,
        .check_ns = options_get(options, "check")->number,
        .tell = tell_check,
        .ignored = command->ignored,
    };
    if (madv_free->given)
        request.madv_free = madv_free->number == 0 ? RUN_MADV_FREE_OFF : RUN_MADV_FREE_ON;
    // The options' own list has no NULL at its end.
    char **argv = copy_operands(options);
    request.argv = argv;
    if (!argv) {
        message_error("run: not enough memory");
        return EXIT_FAILED;
    }
    status = plan_and_start(command, &request);
    free(argv);
    return status;
}
