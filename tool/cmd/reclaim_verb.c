// SPDX-License-Identifier: Apache-2.0
// ebb reclaim in the table of verbs: what its help and man page say. Tool world; constant.
#include "cmd/verbs.h"

static const char *const reclaim_usage[] = {
    "[OPTION]... TARGET",
    "[OPTION]... --cgroup PATH",
    NULL,
};
static const char *const reclaim_description[] = {
    "Makes the kernel take lazily freed memory of a running process now: pages that it gave back "
    "with MADV_FREE, and that stay in its RSS until memory runs short. TARGET is a process ID or a "
    "process name that one process has. Nothing is restarted or stopped, and no byte is lost: what "
    "is written again meanwhile, the kernel keeps.",
    "It goes page by page: only what the kernel itself holds to be lazily freed, mapped once and "
    "not locked is touched. Live huge pages stay whole, nothing is swapped. The work is cut into "
    "bites, since the target's mmap and munmap wait while one of them is taken. Before, after, "
    "what was not touched and how long the target may have waited are printed.",
    "It needs root, or CAP_SYS_NICE, CAP_SYS_PTRACE and CAP_SYS_ADMIN; without the last one it "
    "works by whole mappings, and only where that cannot harm live pages. What --runtime has a "
    "malloc give back needs only the right to attach (ptrace), as the process's own user has it.",
    NULL,
};
static const struct verb_example reclaim_examples[] = {
    {"sudo ebb reclaim 4121", "take what process 4121 has freed"},
    {"sudo ebb reclaim --dry-run api", "show what would be taken"},
    {"sudo ebb reclaim --runtime 4121", "have its malloc give back what it keeps first"},
    {"sudo ebb reclaim --cgroup /system.slice/api.service", "every process of a service"},
    {NULL, NULL},
};

// The operand is optional, for --cgroup: the verb says so itself, since the frame does not know.
const struct verb reclaim_verb = {
    .name = "reclaim",
    .purpose = "make lazily freed memory go now, with proof",
    .usage = reclaim_usage,
    .description = reclaim_description,
    .examples = reclaim_examples,
    .options = reclaim_options,
    .operand = OPERAND_TARGET,
    .run = reclaim_run,
};
