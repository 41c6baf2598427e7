// SPDX-License-Identifier: Apache-2.0
// A verb of the command: what it is called, what it takes, what it says of itself, what it does.
// Tool world. The table of all verbs is in verbs.c.
#ifndef EBB_CMD_VERB_H
#define EBB_CMD_VERB_H

#include <stdbool.h>
#include <stddef.h>

#include "cmd/messages.h"
#include "cmd/options.h"

// What a verb's run function gets.
struct command {
    const struct verb *verb; // itself: for its name in messages
    struct options options;  // all parsed; the verb checks what does not go together
    bool color;              // results shall have colours
    bool unicode;            // the locale is UTF-8
    unsigned width;          // columns of the terminal; 0 where stdout is none
    sigset_t ignored;        // since ebb began, see output_prepare()
};

// A command line and what it is good for.
struct verb_example {
    const char *command;
    const char *purpose;
};

// What a verb takes besides options. Verbs of OPERAND_NONE get none: the frame refuses them. With
// OPERAND_COMMAND, what follows the first operand is the command's, options too.
enum verb_operand {
    OPERAND_NONE,
    OPERAND_TARGET,          // one process
    OPERAND_TARGETS,         // several
    OPERAND_TARGETS_OR_FILE, // or a recording
    OPERAND_FILE,
    OPERAND_VERB,
    OPERAND_COMMAND,
    OPERAND_OTHER
};

struct verb {
    const char *name;
    const char *purpose;                 // one line without a full stop: "say where the RSS is"
    const char *const *usage;            // what follows "ebb NAME", one per form; NULL-terminated
    const char *const *description;      // paragraphs; NULL-terminated
    const struct verb_example *examples; // ends with a row of NULLs
    const struct option_spec *options;   // ends with a row of NULLs; NULL none
    enum verb_operand operand;
    bool has_verdict_status; // its --exit-code answers 10 + the verdict's number
    bool is_hidden; // serves the build and the shells: not in help, man pages or completions
    int (*run)(const struct command *command); // returns an enum exit_status
};

// All verbs in the order of help: the first, and the one behind it or NULL.
const struct verb *verb_first(void);
const struct verb *verb_next(const struct verb *verb);
// The options that every verb takes.
const struct option_spec *verb_global_options(void);
// A verb that this build lacks, since it was made without a library. A row of NULLs ends the list.
struct verb_missing {
    const char *name;
    const char *library;
};
const struct verb_missing *verb_first_missing(void);
// NULL if there is none.
const struct verb *verb_find(const char *name);

// Says on stderr that there is no such verb, and which one may be meant: EXIT_USAGE; or what this
// build of ebb lacks for it: EXIT_FAILED.
int verb_refuse_unknown(const char *name);

// Is --interval within what verbs take that look at processes again and again? More often than ten
// times a second nothing new is read. EXIT_DONE, or EXIT_USAGE after a message.
enum { INTERVAL_LEAST_MS = 100, INTERVAL_MOST_MS = 3600 * 1000 };
int verb_check_interval(const char *verb, const struct options *options);

// Runs the command line; `argv` is reordered. The exit status.
int verb_dispatch(int argc, char **argv);

#endif
