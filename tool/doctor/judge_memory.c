// SPDX-License-Identifier: Apache-2.0
// The doctor on the host's memory and on our own memory group. Tool world; pure.
#include <inttypes.h>
#include <stdio.h>

#include "base/units.h"
#include "doctor/judge.h"

// How much can be lazily freed at most, beside what the kernel calls available, which includes it.
static void judge_available(struct doctor_report *report)
{
    const struct meminfo *meminfo = &report->readings.host.meminfo;
    // Available rather than free: it counts lazily freed pages as what they are.
    char total[UNITS_TEXT_MAX], available[UNITS_TEXT_MAX];
    units_format_bytes(meminfo->total_kib * 1024, total, sizeof total);
    units_format_bytes(meminfo->available_kib * 1024, available, sizeof available);
    struct doctor_item *item = doctor_add(report, DOCTOR_MEMORY, DOCTOR_INFO, "memory", "memory");
    doctor_say(item, "%s of %s available; lazily freed memory is in it", available, total);
}

// There is no gauge of it anywhere in the kernel: an upper bound is all that can be had.
static void judge_lazy_bound(struct doctor_report *report)
{
    const struct vmstat *vmstat = &report->readings.host.vmstat;
    char bound[UNITS_TEXT_MAX];
    units_format_bytes(report->lazy_bound_bytes, bound, sizeof bound);
    struct doctor_item *item =
        doctor_add(report, DOCTOR_MEMORY, DOCTOR_INFO, "lazy_bound", "lazily freed");
    // The counters only grow, so they tell of use, not of the present.
    int used = snprintf(item->detail, sizeof item->detail,
                        "at most %s on the whole host (file lists beyond the page cache)", bound);
    if (vmstat->has_lazy && used > 0 && (size_t)used < sizeof item->detail)
        snprintf(item->detail + used, sizeof item->detail - (size_t)used,
                 "; since boot %" PRIu64 " pages were marked and %" PRIu64 " taken",
                 vmstat->lazily_freed_pages, vmstat->lazily_taken_pages);
}

// Swap decides what a page-out does to live pages.
static void judge_swap(struct doctor_report *report)
{
    const struct meminfo *meminfo = &report->readings.host.meminfo;
    struct doctor_item *item = doctor_add(report, DOCTOR_MEMORY, DOCTOR_INFO, "swap", "swap");
    if (!doctor_has_swap(&report->readings)) {
        doctor_say(item, "off");
        return;
    }
    char total[UNITS_TEXT_MAX], unused[UNITS_TEXT_MAX];
    units_format_bytes(meminfo->swap_total_kib * 1024, total, sizeof total);
    units_format_bytes(meminfo->swap_free_kib * 1024, unused, sizeof unused);
    doctor_say(item, "on, %s of %s unused", unused, total);
}

// Huge pages decide how much one object or one write pins.
static void judge_thp(struct doctor_report *report)
{
    static const char *const modes[] = {
        [THP_UNKNOWN] = "unknown: /sys cannot be seen beside this proc tree",
        [THP_NEVER] = "never",
        [THP_MADVISE] = "madvise: where a program asks",
        [THP_ALWAYS] = "always: even one small object may hold 2 MiB",
    };
    struct doctor_item *item = doctor_add(report, DOCTOR_MEMORY, DOCTOR_INFO, "thp", "huge pages");
    doctor_say(item, "%s", modes[report->readings.host.thp]);
}

// Averages of 10 s: older ones are history when somebody looks at this.
static void judge_pressure(struct doctor_report *report)
{
    const struct host *host = &report->readings.host;
    struct doctor_item *item =
        doctor_add(report, DOCTOR_MEMORY, DOCTOR_OK, "pressure", "pressure (PSI)");
    if (host->has_pressure) {
        doctor_say(item,
                   "some %.2f %%, full %.2f %% of the last 10 s were spent waiting for memory",
                   host->pressure.some_avg10, host->pressure.full_avg10);
        return;
    }
    item->status = DOCTOR_MISSING;
    // A kernel that has it can be told to use it.
    bool has = doctor_kernel_has(&report->readings, 4, 20);
    doctor_say(item, has ? "not readable: compiled out or switched off" : "came with 4.20");
    if (has)
        doctor_advise(item, "boot with psi=1");
}

// From what everybody knows to what few do.
void doctor_judge_memory(struct doctor_report *report)
{
    judge_available(report);
    judge_lazy_bound(report);
    judge_swap(report);
    judge_thp(report);
    judge_pressure(report);
}

// The limit that bites may belong to any group above.
static void judge_limit(struct doctor_report *report)
{
    const struct cgroup *cgroup = &report->readings.cgroup;
    struct doctor_item *item = doctor_add(report, DOCTOR_GROUP, DOCTOR_INFO, "limit", "limit");
    // Without its files nothing is known of the group but its name.
    if (!cgroup->directory[0]) {
        doctor_say(item, "unknown");
        return;
    }
    if (cgroup->limit_bytes == CGROUP_NO_LIMIT) {
        // In a namespace a limit of version 2 may lie above what can be seen.
        bool is_blind = cgroup->version == 2 && report->readings.in_cgroup_namespace;
        doctor_say(item,
                   is_blind ? "none that can be seen from inside this cgroup namespace" : "none");
        return;
    }
    char limit[UNITS_TEXT_MAX];
    units_format_bytes(cgroup->limit_bytes, limit, sizeof limit);
    // The kernel names the limit but not who sets it.
    if (cgroup->limit_path[0] == '.')
        doctor_say(item, "%s, set by a group above what is mounted here", limit);
    else
        doctor_say(item, "%s, set by %.300s", limit, cgroup->limit_path);
}

// Beside each other, since dashboards show the second and the kernel acts on the first.
static void judge_usage(struct doctor_report *report)
{
    const struct cgroup *cgroup = &report->readings.cgroup;
    char usage[UNITS_TEXT_MAX], working_set[UNITS_TEXT_MAX];
    units_format_bytes(cgroup->usage_bytes, usage, sizeof usage);
    units_format_bytes(cgroup->working_set_bytes, working_set, sizeof working_set);
    struct doctor_item *item = doctor_add(report, DOCTOR_GROUP, DOCTOR_INFO, "usage", "usage");
    doctor_say(item, "%s; working set %s, as cAdvisor and the kubelet count it", usage,
               working_set);
}

// The group of ebb itself; that of a target stands in its own account.
void doctor_judge_group(struct doctor_report *report)
{
    const struct cgroup *cgroup = &report->readings.cgroup;
    struct doctor_item *item =
        doctor_add(report, DOCTOR_GROUP, DOCTOR_OK, "cgroup", "memory group");
    if (cgroup->version == 0) {
        // Not having looked is no finding.
        bool has_self = report->readings.has_self;
        item->status = has_self ? DOCTOR_MISSING : DOCTOR_INFO;
        doctor_say(item, has_self ? "none: no memory controller"
                                  : "not looked at: this tree does not know ebb itself");
        return;
    }
    // The path may be anything, so it comes last and is cut.
    doctor_say(item, "version %d, %.300s", cgroup->version, cgroup->path);
    if (!cgroup->directory[0]) {
        item->status = DOCTOR_LIMITED;
        doctor_advise(item, "its files, mounted in this mount namespace");
    }
    judge_limit(report);
    if (cgroup->has_usage)
        judge_usage(report);
}
