// SPDX-License-Identifier: Apache-2.0
// ebb run in the table of verbs: what its help and man page say. Tool world; constant.
#include "cmd/verbs.h"

// One form: what follows the command is its own.
static const char *const run_usage[] = {"[OPTION]... [--] COMMAND [ARGUMENT]...", NULL};
// What it does, what it changes, what it costs, how it ends.
static const char *const run_description[] = {
    "Starts a command with a memory policy that it and its children cannot leave, without a change "
    "of the program. ebb becomes the command: it keeps its process ID, signals, exit status, "
    "terminal and open files, and no process of ebb stays between it and whoever started it.",
    "With --madv-free=off, freed memory goes back to the system at once instead of lazily, as on a "
    "kernel before 4.5: a system call filter answers EINVAL to madvise(MADV_FREE), and programs "
    "fall back to MADV_DONTNEED. That holds for static programs and those without a C library too. "
    "Where a runtime has a setting of its own (GODEBUG, MALLOC_CONF, MIMALLOC_..., EBB_CONF), that "
    "is set as "
    "well; all other settings of the user stay.",
    "With --malloc, the command gets another allocator, if it is one that can be preloaded. With "
    "--limit, it runs in a cgroup of its own, which is removed when the last of its processes has "
    "ended.",
    "The exit status is the command's; 127 if there is no such command, 126 if it cannot be "
    "executed, and those below if ebb itself fails before.",
    NULL,
};
// The stories first.
static const struct verb_example run_examples[] = {
    {"ebb run --madv-free=off ./server", "a Go 1.12 to 1.15 service whose RSS never falls"},
    {"ebb run --madv-free=off --check -- ./server -v", "the same, and look whether it works"},
    {"ebb run --malloc=jemalloc redis-server", "another allocator, with a clear error if not"},
    {"ebb run --malloc=ebb ./server", "libebb, whose memory goes back within a second"},
    {"ebb run --limit=512MiB ./batch", "in a cgroup of its own"},
    {"ebb run --dry-run --madv-free=off ./server", "what would be set and filtered"},
    {NULL, NULL},
};

const struct verb run_verb = {
    .name = "run",
    .purpose = "start a command with no lazy freeing, another malloc or a limit",
    .usage = run_usage,
    .description = run_description,
    .examples = run_examples,
    .options = run_options,
    .operand = OPERAND_COMMAND,
    .run = run_run,
};
