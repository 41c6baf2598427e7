// SPDX-License-Identifier: Apache-2.0
// The table of verbs. Tool world; constant.
//
// To add a verb:
// 1. tool/cmd/NAME.c: its option table `NAME_options` and `NAME_run()`: read the options, call the
//    layers below, print once through struct output, return an enum exit_status.
// 2. tool/cmd/verbs.h: declare both.
// 3. Here: its texts and a row. --help, the man page and the completions of the shells come from
// it.
// 4. tests/cli/NAME.t: usage errors, exit status, a golden of its output. README.md: the table of
//    verbs.
#include "cmd/verbs.h"

#include <string.h>

// explain
// The first form is what nearly everybody wants.
static const char *const explain_usage[] = {"[OPTION]... TARGET", "[OPTION]... --all", NULL};
static const char *const explain_description[] = {
    "Reads one process from outside and prints its account: the bytes that the program has in use, "
    "what its runtime keeps, what the kernel may take at any time, and the rest. The rows sum to "
    "the RSS that the kernel counts. Below stand the verdict with its numbers, the traps that "
    "apply, and what to do next.",
    "TARGET is a process ID, or the name of a process if only one has it.",
    "The target is not stopped, traced or written to, and no page of it is brought into memory. "
    "What could not be read is listed with the privilege that would help; this is no failure, "
    "unless there is no account at all: then the exit status is 4.",
    "Whether memory grows can only be told over time: --for 30s watches first.",
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

// doctor
static const char *const doctor_usage[] = {"[OPTION]...", NULL};
static const char *const doctor_description[] = {
    "Looks at the host and at itself: the kernel's version and what it has, lazily freed memory, "
    "huge pages, swap, cgroup version and limits, pressure, who may read whom, and capabilities. "
    "Says what each verb can do here and now, and what traps this host has.",
    "It only reads, and needs no privileges.",
    NULL,
};
// What root may do is often the question.
static const struct verb_example doctor_examples[] = {
    {"ebb doctor", "what works here"},
    {"sudo ebb doctor", "what works as root"},
    {NULL, NULL},
};

// help
static const char *const help_usage[] = {"[VERB]", NULL};
static const char *const help_description[] = {
    "Prints the list of verbs, or all about one of them.",
    NULL,
};
static const struct verb_example help_examples[] = {
    {"ebb help explain", "all about explain"},
    {NULL, NULL},
};

// What the build and the shells call: a usage line is all they need.
static const char *const man_usage[] = {"[VERB]", NULL};
static const char *const completion_usage[] = {"bash|zsh|fish", NULL};

// The first ones are what a newcomer needs; hidden ones stand at the end.
static const struct verb table[] = {
    {
        .name = "explain",
        .purpose = "show who owns each byte of a process's RSS, and whether it leaks",
        .usage = explain_usage,
        .description = explain_description,
        .examples = explain_examples,
        .options = explain_options,
        .operand = OPERAND_TARGET,
        .has_verdict_status = true,
        .run = explain_run,
    },
    {
        .name = "doctor",
        .purpose = "show what this kernel, cgroup and these privileges allow",
        .usage = doctor_usage,
        .description = doctor_description,
        .examples = doctor_examples,
        .options = doctor_options,
        .run = doctor_run,
    },
    {
        .name = "help",
        .purpose = "show the help of ebb or of a verb",
        .usage = help_usage,
        .description = help_description,
        .examples = help_examples,
        .operand = OPERAND_VERB,
        .run = help_run,
    },
    {
        .name = "__man",
        .purpose = "print a man page in troff, of ebb or of a verb",
        .usage = man_usage,
        .operand = OPERAND_VERB,
        .is_hidden = true,
        .run = help_man_run,
    },
    {
        .name = "__completion",
        .purpose = "print the completion for a shell",
        .usage = completion_usage,
        .operand = OPERAND_OTHER,
        .is_hidden = true,
        .run = help_completion_run,
    },
    {.name = NULL},
};

// As other tools spell them.
static const char *const color_choices[] = {"auto", "always", "never", NULL};

// Behind the verb's own in every list. --help and --version are answered by the frame.
static const struct option_spec global_options[] = {
    // Always or never for those who know better than the terminal: pagers, recordings of CI.
    {.name = "color",
     .kind = OPTION_CHOICE,
     .choices = color_choices,
     .fallback = "auto",
     .help = "Colours and emphasis. auto: on a terminal, unless NO_COLOR is set."},
    {.name = "help", .letter = 'h', .kind = OPTION_FLAG, .help = "Show this help."},
    {.name = "version", .letter = 'V', .kind = OPTION_FLAG, .help = "Show the version."},
    {.name = NULL},
};

// A function rather than a global: who looks at the table cannot change it.
const struct verb *verb_table(void)
{
    return table;
}

const struct option_spec *verb_global_options(void)
{
    return global_options;
}

// Hidden ones are found too.
const struct verb *verb_find(const char *name)
{
    for (const struct verb *verb = table; verb->name; verb++) {
        if (strcmp(verb->name, name) == 0)
            return verb;
    }
    return NULL;
}
