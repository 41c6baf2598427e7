// SPDX-License-Identifier: Apache-2.0
// ebb export in the table of verbs: what its help and man page say. Tool world; constant.
#include "cmd/verbs.h"

static const char *const export_usage[] = {"[OPTION]... [TARGET]...",
                                           "[OPTION]... --textfile FILE [TARGET]...", NULL};
static const char *const export_description[] = {
    "Serves metrics for Prometheus and whatever else reads OpenMetrics: for groups of processes, "
    "and for memory groups (cgroups), their RSS, what of it is lazily freed, effective RSS, every "
    "row of the account, figures of the runtimes' own ledgers, verdicts, and what could be got "
    "back.",
    "Readings are made in the background, at most 1 % of a core for the deep ones; a scrape gets "
    "the last round, and ebb_sample_age_seconds says how old it is. The number of series is "
    "bounded: --top groups have their own, all others are one.",
    "Listens on this host alone unless --allow-remote is given. Memory of other users' processes "
    "is only readable with CAP_SYS_PTRACE: deploy/ has a unit for systemd and a DaemonSet for "
    "Kubernetes with just that, alert rules and a dashboard.",
    "TARGET is a PID, a name, a pattern (name:redis*, cmdline:*6379*), or cgroup:PATH; all "
    "processes without one. Processes that match later are followed too, and one that is not there "
    "yet is waited for; with --once a TARGET that matches nothing is a failure (status 3), and the "
    "file is written without it.",
    NULL,
};
// From one host to many.
static const struct verb_example export_examples[] = {
    {"sudo ebb export", "metrics of all processes at http://127.0.0.1:9876/metrics"},
    {"ebb export --group-by cgroup --top 200", "more groups, by where they are"},
    {"ebb export --listen 0.0.0.0:9876 --allow-remote --token-file /etc/ebb/token",
     "for a Prometheus elsewhere"},
    {"ebb export --textfile /var/lib/prometheus/node-exporter/ebb.prom",
     "through node_exporter, without a port"},
    {NULL, NULL},
};

// Targets are completed like those of other verbs, though it may have several.
const struct verb export_verb = {
    .name = "export",
    .purpose = "serve metrics that tell used from lazily freed memory",
    .usage = export_usage,
    .description = export_description,
    .examples = export_examples,
    .options = export_options,
    .operand = OPERAND_TARGETS,
    .run = export_run,
};
