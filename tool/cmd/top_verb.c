// SPDX-License-Identifier: Apache-2.0
// ebb top in the table of verbs: what its help and man page say. Tool world; constant.
#include "cmd/verbs.h"

static const char *const top_usage[] = {"[OPTION]... [TARGET]...",
                                        "--once|--json [OPTION]... [TARGET]...", NULL};
static const char *const top_description[] = {
    "Shows all processes that may be read, live: what is resident, what of it is lazily freed, "
    "what the runtimes keep, and the effective RSS, which is what they would keep if the kernel "
    "took all that it may take. The verdict is that of ebb explain.",
    "TARGET narrows the list down: a process ID, a name, a pattern such as 'redis*', "
    "'cmdline:*6379*', or 'cgroup:/system.slice'.",
    "RSS is read at each refresh, accounts as often as they cost less than a hundredth of a core "
    "and of the process's own time; the detail pane says how old one is. Reading is all it does.",
    "Processes of a name that keeps ending and starting again, such as a crash loop, share a row, "
    "which tells their number and how many began in the last minute; so do those of a program that "
    "gives each of them another name. --group-by=name makes such a row of every name; --once "
    "without it has every process by itself.",
    "Keys: arrows select, Enter shows the account and the history of the selected process, < and > "
    "change the order, / filters, n makes a row of each name, a reads the account now, ? explains "
    "the columns, q ends.",
    NULL,
};
static const struct verb_example top_examples[] = {
    {"ebb top", "all processes, by what could be got back"},
    {"ebb top --sort effective 'redis*' postgres", "some of them, by effective RSS"},
    {"ebb top --group-by name", "a row for each name: sums, numbers, crash loops"},
    {"ebb top --once --filter lazy", "those with the verdict lazy, as a table"},
    {"ebb top --json | jq '.processes[0]'", "for scripts"},
    {NULL, NULL},
};

const struct verb top_verb = {
    .name = "top",
    .purpose = "show all processes live: RSS, lazily freed, effective RSS, verdict",
    .usage = top_usage,
    .description = top_description,
    .examples = top_examples,
    .options = top_options,
    .operand = OPERAND_TARGETS,
    .run = top_run,
};
