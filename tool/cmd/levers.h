// SPDX-License-Identifier: Apache-2.0
// What the verbs of levers have in common: printing a report and its exit status. Tool world.
#ifndef EBB_CMD_LEVERS_H
#define EBB_CMD_LEVERS_H

#include "cmd/verb.h"
#include "lever/lever.h"

// Prints a report as text, or as JSON when the verb has the option --json and it was given (--bytes
// likewise). With JSON a refusal or failure is said on stderr too. EXIT_DONE for done, planned and
// nothing; EXIT_NOT_PERMITTED for a refusal with -EPERM or -EACCES; EXIT_NO_PROCESS when the target
// ended; EXIT_FAILED otherwise.
int levers_print(const struct command *command, const struct lever_report *report);

// The same for all processes of a group, as a table; `count` may be 0. Processes that ended
// meanwhile are no failure.
int levers_print_group(const struct command *command, const struct lever_report *reports,
                       size_t count);

// Opens the process that `text` names in /proc. EXIT_DONE, or as target_resolve() after a message.
int levers_open(const struct command *command, const char *text, struct process **ret_process);

#endif
