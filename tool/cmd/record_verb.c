// SPDX-License-Identifier: Apache-2.0
// ebb record in the table of verbs: what its help and man page say. Tool world; constant.
#include "cmd/verbs.h"

// One line for each kind of target; more than one kind in a line is refused.
static const char *const record_usage[] = {"[OPTION]... TARGET...", "[OPTION]... --all",
                                           "[OPTION]... -- COMMAND [ARGUMENT]...", NULL};
// What it does, what a target is, what a crash costs, how it ends, what it costs: a paragraph each.
static const char *const record_description[] = {
    "Records processes into one file: RSS, lazily freed memory and effective RSS at every sample, "
    "accounts with the verdict and the runtime's own figures as often as they are cheap, the "
    "memory cgroup, the host, and events (starts and ends, exec, verdicts, collections, levers "
    "that ebb pulled). 'ebb report FILE' sums it up, 'ebb watch FILE' shows it.",
    "TARGET is a process ID, a name, a pattern such as 'redis*', 'cmdline:*6379*', or "
    "'cgroup:/system.slice'. Of a command behind --, all children are recorded too until it ends; "
    "its exit status is then ebb's, and signals are handed on to it.",
    "The file is an SQLite database that can be read while it grows. What a kill of ebb can lose "
    "are the last five seconds. When the disk is full, ebb says so and ends; what was recorded is "
    "intact. Nothing is ever overwritten.",
    "Ctrl-C, SIGTERM and SIGHUP end it in good order, with a last account of each process (of very "
    "many, of those that changed). Of a process that ends by itself there is none: its memory is "
    "gone before its end can be seen, and its last reading stands.",
    "Reading is all that is done to a process; accounts take at most a hundredth of a core and of "
    "the process's own time (--share).",
    NULL,
};
// From the shortest to the one that runs for good.
static const struct verb_example record_examples[] = {
    {"ebb record 4121", "one process, until Ctrl-C or its end"},
    {"ebb record --for 1h -o before.ebb api", "an hour of it, by name"},
    {"ebb record --follow 'cgroup:/system.slice/api.service'", "a service, across restarts"},
    {"ebb record -- ./load-test 500", "a command and its children"},
    {"ebb record --all --interval 10s --keep 7d -o host.ebb", "a host, for good"},
    {NULL, NULL},
};

const struct verb record_verb = {
    .name = "record",
    .purpose = "record processes over time into a file",
    .usage = record_usage,
    .description = record_description,
    .examples = record_examples,
    .options = record_options,
    // No completion by PIDs: a pattern or a command is as likely.
    .operand = OPERAND_TARGETS,
    .run = record_run,
};
