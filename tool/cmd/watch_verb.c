// SPDX-License-Identifier: Apache-2.0
// ebb watch in the table of verbs: what its help and man page say. Tool world; constant.
#include "cmd/verbs.h"

// Targets, a recording, or everything: three things that exclude each other.
static const char *const watch_usage[] = {
    "[OPTION]... TARGET...",
    "[OPTION]... --all",
    "[OPTION]... FILE",
    NULL,
};
static const char *const watch_description[] = {
    "Serves a page with live charts of the memory of any number of processes: the account as a "
    "stack whose top edge is RSS, effective RSS as the line that matters, the runtime's own "
    "figures beside it, and the verdict in words. It prints the page's address and opens nothing. "
    "Of FILE, a recording of ebb record, it shows what was recorded; one that is still being "
    "written is followed.",
    "TARGET is a process ID, a name, a pattern such as 'redis*' or 'cmdline:*6379*', or "
    "cgroup:PATH. The targets are read as seldom as their figures allow, whoever looks at the "
    "page: at most 1 % of a core, and 1 % of each target's time. A target that ends leaves its "
    "charts behind.",
    "Only this host can reach the page, unless --allow-remote is given, and no page of another "
    "site can read it. With a token only who has the whole address can; it stands behind its '#', "
    "which a browser sends to nobody. Nothing is encrypted: over a network use ssh -L.",
    NULL,
};
static const struct verb_example watch_examples[] = {
    {"ebb watch redis-server", "the page of one process"},
    {"ebb watch --all", "of every process"},
    {"ebb watch --follow 'api-*'", "of a service, over its restarts"},
    {"ebb watch night.ebb", "of a recording"},
    {"ebb watch --token auto --port 8000 4121", "on a fixed port, for who has the address"},
    {NULL, NULL},
};

const struct verb watch_verb = {
    .name = "watch",
    .purpose = "show live charts of processes, or a recording, in a browser",
    .usage = watch_usage,
    .description = watch_description,
    .examples = watch_examples,
    .options = watch_options,
    .operand = OPERAND_TARGETS_OR_FILE,
    .run = watch_run,
};
