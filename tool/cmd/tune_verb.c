// SPDX-License-Identifier: Apache-2.0
// ebb tune in the table of verbs: what its help and man page say. Tool world; constant.
#include "cmd/verbs.h"

static const char *const tune_usage[] = {"[OPTION]... TARGET", NULL};
static const char *const tune_description[] = {
    "Changes how a running process gives memory back, without a restart: Go's madvdontneed, GOGC "
    "and memory limit, jemalloc's decay times and background thread, glibc's mallopt, options of "
    "mimalloc and tcmalloc, libebb's policy. Without a change, shows what can be tuned and the "
    "present values.",
    "Go's knobs are single values that its runtime reads at any time: each is found without "
    "symbols, proven, written by one aligned store and read back, and the process is not stopped. "
    "libebb is asked by a word in its ledger, which it obeys within a second. Other "
    "mallocs are asked in their own words, by a call in the process, for which one thread is "
    "stopped for some milliseconds.",
    "A change lasts until the process ends. The report has the old values, the command that puts "
    "them back, and what to write into a unit file or a pod to make it last. What cannot be done "
    "safely is refused, with the reason and with what does work.",
    "TARGET is a process ID, or the name of a process if only one has it. The right to attach to "
    "it (ptrace) is needed.",
    NULL,
};
// The stories first.
static const struct verb_example tune_examples[] = {
    {"ebb tune 4121", "what can be tuned there, and how it is set"},
    {"ebb tune 4121 --madv-free=off", "give memory back at once from now on"},
    {"ebb tune 4121 --madv-free=off && ebb reclaim 4121", "and take what is lazy already"},
    {"ebb tune --memory-limit=2G api", "a Go service that shall stay below 2 GiB"},
    {"ebb tune --dirty-decay=now redis-server", "a jemalloc that keeps nothing"},
    {"ebb tune --policy=dontneed --return-within=500ms 4121",
     "a libebb that is quick to give back"},
    {"ebb tune --mallopt=arena_max=2,trim_threshold=128K 4121", "glibc with few arenas"},
    {NULL, NULL},
};

// Levers have no verdict to exit by: their status is what became of them.
const struct verb tune_verb = {
    .name = "tune",
    .purpose = "change a running process's memory policy, Go's or its malloc's",
    .usage = tune_usage,
    .description = tune_description,
    .examples = tune_examples,
    .options = tune_options,
    .operand = OPERAND_TARGET,
    .run = tune_run,
};
