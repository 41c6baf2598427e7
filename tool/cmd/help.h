// SPDX-License-Identifier: Apache-2.0
// Help, man pages and completions, made from the tables. Tool world; pure but for
// help_print/refuse.
#ifndef EBB_CMD_HELP_H
#define EBB_CMD_HELP_H

#include "cmd/verb.h"

// Appends the help of `verb`, or of ebb where it is NULL.
void help_render(const struct verb *verb, struct output *output);
// Appends the man page in troff (man(7)).
void help_render_man(const struct verb *verb, struct output *output);
// Appends a completion script. -EINVAL for a shell that is not known.
int help_render_completion(const char *shell, struct output *output);

// Help on stdout. The exit status.
int help_print(const struct verb *verb);
// Help on stderr, for a command line without a verb. EXIT_USAGE.
int help_refuse(void);

// What an exit status means; rows end with a NULL text. `is_verdict` rows go with
// has_verdict_status.
struct help_status {
    int status;
    bool is_verdict;
    const char *text;
};
const struct help_status *help_statuses(void);

#endif
