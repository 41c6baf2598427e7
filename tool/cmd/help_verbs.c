// SPDX-License-Identifier: Apache-2.0
// ebb help and its hidden relatives in the table of verbs. Tool world; constant.
#include "cmd/verbs.h"

static const char *const help_usage[] = {"[VERB]", NULL};
static const char *const help_description[] = {
    "Prints the list of verbs, or all about one of them.",
    NULL,
};
static const struct verb_example help_examples[] = {
    {"ebb help explain", "all about explain"},
    {NULL, NULL},
};

const struct verb help_verb = {
    .name = "help",
    .purpose = "show the help of ebb or of a verb",
    .usage = help_usage,
    .description = help_description,
    .examples = help_examples,
    .operand = OPERAND_VERB,
    .run = help_run,
};

// What the build and the shells call: a usage line is all they need.
static const char *const man_usage[] = {"[VERB]", NULL};
static const char *const completion_usage[] = {"bash|zsh|fish", NULL};

const struct verb help_man_verb = {
    .name = "__man",
    .purpose = "print a man page in troff, of ebb or of a verb",
    .usage = man_usage,
    .operand = OPERAND_VERB,
    .is_hidden = true,
    .run = help_man_run,
};

const struct verb help_completion_verb = {
    .name = "__completion",
    .purpose = "print the completion for a shell",
    .usage = completion_usage,
    .operand = OPERAND_OTHER,
    .is_hidden = true,
    .run = help_completion_run,
};
