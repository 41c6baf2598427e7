// SPDX-License-Identifier: Apache-2.0
// ebb balloon in the table of verbs: what its help and man page say. Tool world; constant.
#include "cmd/verbs.h"

// Three forms, one for each way to say where: there is no default.
static const char *const balloon_usage[] = {"[OPTION]... TARGET", "[OPTION]... --cgroup=PATH",
                                            "[OPTION]... --host", NULL};
// What it does, when it stops, what does better, how it ends.
static const char *const balloon_description[] = {
    "Takes memory on purpose, in small steps, until the kernel takes lazily freed pages to make "
    "room for it, and then lets go: RSS falls, the virtual size stands still, no data is lost. "
    "With a TARGET it presses on the memory cgroup of that process.",
    "It stops by itself before it does harm: within a margin of the limit, when tasks wait for "
    "memory (PSI), when the kernel takes live page cache instead, at any swap-out, after the time "
    "limit. It refuses where swap would be used. The balloon is a process of its own: the OOM "
    "killer's first choice, and gone when ebb is, even by kill -9.",
    "Where the rights are there, 'ebb reclaim' does the same page by page and without pressure; "
    "the balloon needs no more than the right to put a process into the group, or none for the "
    "host.",
    "The exit status is 1 when a brake stopped it before it was done.",
    NULL,
};
// From the look at what it would do to the whole host.
static const struct verb_example balloon_examples[] = {
    {"ebb balloon --dry-run 4121", "the bounds and brakes for the group of process 4121"},
    {"ebb balloon 4121", "until the lazily freed memory of process 4121 falls no further"},
    {"ebb balloon --cgroup=/kubepods/pod7 --until 'lazy<64MiB'", "a whole pod, down to 64 MiB"},
    {"ebb balloon --host --size=2GiB --watch=api", "2 GiB on the host, watching api"},
    {NULL, NULL},
};

const struct verb balloon_verb = {
    .name = "balloon",
    .purpose = "press on a cgroup or the host, with brakes, so freed memory goes",
    .usage = balloon_usage,
    .description = balloon_description,
    .examples = balloon_examples,
    .options = balloon_options,
    .operand = OPERAND_TARGET,
    .run = balloon_run,
};
