// SPDX-License-Identifier: Apache-2.0
// ebb explain in the table of verbs: what its help and man page say. Tool world; constant.
#include "cmd/verbs.h"

// The first form is what nearly everybody wants.
static const char *const explain_usage[] = {"[OPTION]... TARGET", "[OPTION]... --all", NULL};
static const char *const explain_description[] = {
    "Reads one process from outside and prints its account: the bytes that the program has in use, "
    "what its runtime keeps, what the kernel may take at any time, and the rest. The rows sum to "
    "the RSS that the kernel counts. Below stand the verdict with its numbers, the traps that "
    "apply, and what to do next.",
    "TARGET is a process ID, or the name of a process if only one has it.",
    "The target is not stopped, traced or written to, and no page of it is brought into memory, "
    "unless --ask is given. What could not be read is listed with the privilege that would help; "
    "this is no failure, unless there is no account at all: then the exit status is 4.",
    "Whether memory grows can only be told over time: --for 30s watches first.",
    "Some mallocs cannot be read from outside; their memory is held. --ask calls their own "
    "statistics inside the process: one thread stands still meanwhile, and goes on as if nothing "
    "had been.",
    NULL,
};
// From the first question to the use in scripts.
static const struct verb_example explain_examples[] = {
    {"ebb explain 4121", "the account and the verdict of process 4121"},
    {"ebb explain --for 30s redis-server", "watch for half a minute: does it grow?"},
    {"ebb explain --all", "every process, by what could be got back from it"},
    {"ebb explain --json 4121 | jq .effective_rss_bytes", "one number for a script"},
    {"ebb explain --exit-code 4121 || echo $?", "the verdict as a number: 11 is lazy"},
    {NULL, NULL},
};

const struct verb explain_verb = {
    .name = "explain",
    .purpose = "show who owns each byte of a process's RSS, and whether it leaks",
    .usage = explain_usage,
    .description = explain_description,
    .examples = explain_examples,
    .options = explain_options,
    .operand = OPERAND_TARGET,
    .has_verdict_status = true,
    .run = explain_run,
};
