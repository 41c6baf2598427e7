// SPDX-License-Identifier: Apache-2.0
// ebb doctor in the table of verbs: what its help and man page say. Tool world; constant.
#include "cmd/verbs.h"

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

const struct verb doctor_verb = {
    .name = "doctor",
    .purpose = "show what this kernel, cgroup and these privileges allow",
    .usage = doctor_usage,
    .description = doctor_description,
    .examples = doctor_examples,
    .options = doctor_options,
    .run = doctor_run,
};
