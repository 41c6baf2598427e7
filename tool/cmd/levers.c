// SPDX-License-Identifier: Apache-2.0
// Printing of what levers did, the same for all of them. Tool world; no state.
#include "cmd/levers.h"

#include <errno.h>

#include "cmd/target.h"
#include "render/lever.h"

// Levers have no --proc-root: another tree's processes cannot be reached.
static const char *const proc_root = "/proc";

// The process is held from here on: whatever happens to its number, no other is touched.
int levers_open(const struct command *command, const char *text, struct process **ret_process)
{
    (void)command;
    pid_t pid;
    int status = target_resolve(proc_root, text, &pid);
    if (status != EXIT_DONE)
        return status;
    int error = process_open(proc_root, pid, ret_process);
    return error ? target_refuse(proc_root, pid, error) : EXIT_DONE;
}

// One report's share of the exit status.
static int status_of(const struct lever_report *report)
{
    switch (report->outcome) {
    case LEVER_DONE:
    case LEVER_PLANNED:
    // Nothing to gain is an answer: whoever runs it from a timer wants no failure of it.
    case LEVER_NOTHING:
        return EXIT_DONE;
    // Done in part is not done: a script that goes on must know.
    case LEVER_PARTLY:
        return EXIT_FAILED;
    case LEVER_FAILED:
    case LEVER_REFUSED:
        break;
    }
    switch (-report->error) {
    case EPERM:
    case EACCES:
        return EXIT_NOT_PERMITTED;
    case ESRCH:
    case ESTALE:
        return EXIT_NO_PROCESS;
    default:
        return EXIT_FAILED;
    }
}

// Of many, the first that did not go well decides; what ended meanwhile is no failure of a group.
static int status_of_all(bool is_group, const struct lever_report *reports, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int status = status_of(&reports[i]);
        if (status != EXIT_DONE && (!is_group || status != EXIT_NO_PROCESS))
            return status;
    }
    return EXIT_DONE;
}

// In a pipe of JSON, nobody reads the field `refusal` first.
static void say_refusal(const struct command *command, const struct lever_report *report)
{
    if (!report->refusal[0])
        return;
    char why[MESSAGE_NAME_MAX], needs[MESSAGE_NAME_MAX];
    message_escape(report->refusal, why, sizeof why);
    message_error("%s: %s", command->verb->name, why);
    message_escape(report->needs, needs, sizeof needs);
    if (needs[0])
        message_hint("What would help: %s.", needs);
}

// One report and many have different forms, in text as in JSON.
static int render(const struct command *command, bool is_group, const struct lever_report *reports,
                  size_t count, struct buffer *buffer)
{
    const struct render_style style = {
        .color = command->color,
        .exact_bytes = options_has_flag(&command->options, "bytes"),
        .unicode = command->unicode,
        .width = command->width,
    };
    if (options_has_flag(&command->options, "json"))
        return is_group ? render_levers_json(reports, count, buffer)
                        : render_lever_json(reports, buffer);
    return is_group ? render_levers_text(reports, count, &style, buffer)
                    : render_lever_text(reports, &style, buffer);
}

// Printing comes first: a failure of that is told even where the lever did well.
static int print(const struct command *command, bool is_group, const struct lever_report *reports,
                 size_t count)
{
    struct output output = {0};
    output.error = render(command, is_group, reports, count, &output.buffer);
    int status = output_finish(&output);
    if (status != EXIT_DONE)
        return status;
    // Text has the refusal in it already.
    for (size_t i = 0; i < count && options_has_flag(&command->options, "json"); i++)
        say_refusal(command, &reports[i]);
    return status_of_all(is_group, reports, count);
}

// The same form whatever the lever: who can read one report can read all.
int levers_print(const struct command *command, const struct lever_report *report)
{
    return print(command, false, report, 1);
}

// An empty group prints an empty table: that nobody was there is an answer.
int levers_print_group(const struct command *command, const struct lever_report *reports,
                       size_t count)
{
    return print(command, true, reports, count);
}
