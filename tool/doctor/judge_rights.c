// SPDX-License-Identifier: Apache-2.0
// The doctor on rights: who ebb is here, and what stands between it and other processes. Tool
// world; pure.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "doctor/judge.h"

// The capabilities that matter; without the needed ones something that ebb does is out of reach.
static const struct {
    const char *name;
    enum doctor_capability bit;
    bool is_needed;
} capabilities[] = {
    {"CAP_SYS_PTRACE", DOCTOR_CAP_SYS_PTRACE, true},
    {"CAP_SYS_ADMIN", DOCTOR_CAP_SYS_ADMIN, true},
    {"CAP_SYS_NICE", DOCTOR_CAP_SYS_NICE, true},
    {"CAP_SYS_RESOURCE", DOCTOR_CAP_SYS_RESOURCE, false},
    {"CAP_PERFMON", DOCTOR_CAP_PERFMON, false},
    {"CAP_BPF", DOCTOR_CAP_BPF, false},
};

// Words are constants that fit together; a cut would only shorten a list.
static void append(char *text, size_t size, const char *word)
{
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "", word);
}

// Names rather than a mask: they are what one puts into a unit or a manifest.
static void judge_capabilities(struct doctor_report *report)
{
    const struct doctor_readings *readings = &report->readings;
    // Both lists, because the missing one is what has to be asked for.
    char held[160] = "", lacking[160] = "";
    bool lacks_needed = false;
    for (size_t i = 0; i < sizeof capabilities / sizeof *capabilities; i++) {
        bool has = (readings->self.cap_effective >> capabilities[i].bit & 1) != 0;
        append(has ? held : lacking, sizeof held, capabilities[i].name);
        lacks_needed |= !has && capabilities[i].is_needed;
    }
    struct doctor_item *item =
        doctor_add(report, DOCTOR_RIGHTS, DOCTOR_OK, "capabilities", "capabilities");
    doctor_say(item, "uid %u%s%s%s%s", readings->self.euid, held[0] ? ", has " : "", held,
               lacking[0] ? "; without " : "", lacking);
    // Root of a rootless container: the bits are set and open nothing outside.
    if (readings->in_user_namespace) {
        item->status = DOCTOR_LIMITED;
        append(item->detail, sizeof item->detail,
               "inside a user namespace, where capabilities do not reach processes outside of it");
    } else if (lacks_needed) {
        item->status = held[0] ? DOCTOR_LIMITED : DOCTOR_MISSING;
        doctor_advise(item, readings->self.euid == 0
                                ? "a container or service with these capabilities"
                                : "root (sudo ebb doctor)");
    }
}

// Yama guards memory and registers (attach), not the readable files of /proc (read).
static void judge_ptrace_scope(struct doctor_report *report)
{
    static const char *const meanings[] = {
        "0: processes of the same user may be read",
        "1: a runtime's own counters may be read of descendants only",
        "2: a runtime's own counters may be read with CAP_SYS_PTRACE only",
        "3: a runtime's own counters may not be read at all until the next boot",
    };
    // A setting of the host: a container cannot change it.
    int scope = report->readings.host.ptrace_scope;
    struct doctor_item *item =
        doctor_add(report, DOCTOR_RIGHTS, DOCTOR_OK, "ptrace_scope", "Yama ptrace_scope");
    if (scope < 0) {
        doctor_say(item, "no Yama: processes of the same user may be read");
        return;
    }
    // Later kernels or a fake tree.
    if (scope > 3) {
        item->status = DOCTOR_INFO;
        doctor_say(item, "%d, which has no known meaning", scope);
        return;
    }
    doctor_say(item, "%s", meanings[scope]);
    // The capability passes up to 2; 3 stops everybody.
    bool passes = scope == 0 || (scope < 3 && doctor_can(&report->readings, DOCTOR_CAP_SYS_PTRACE));
    if (!passes) {
        item->status = DOCTOR_LIMITED;
        doctor_advise(item, scope < 3 ? "CAP_SYS_PTRACE, or sysctl kernel.yama.ptrace_scope=0"
                                      : "a reboot with a lower setting");
    }
}

// What is hidden is not counted, so nobody notices without this line.
static void judge_hide_pid(struct doctor_report *report)
{
    const struct doctor_readings *readings = &report->readings;
    // A bind mount or an unknown word: nothing is claimed.
    if (readings->hide_pid < 0)
        return;
    struct doctor_item *item = doctor_add(report, DOCTOR_RIGHTS, DOCTOR_OK, "hidepid", "hidepid");
    doctor_say(item,
               readings->hide_pid == 0 ? "off: every process of this PID namespace is seen"
                                       : "%d: processes of other users are hidden from those "
                                         "without rights over them",
               readings->hide_pid);
    if (readings->hide_pid > 0 && !doctor_can(readings, DOCTOR_CAP_SYS_PTRACE)) {
        item->status = DOCTOR_LIMITED;
        doctor_advise(item, "CAP_SYS_PTRACE, or the group of the mount option gid=");
    }
}

// Page-precise reclaim stands on both; without them only whole mappings could be aimed at.
static void judge_frames(struct doctor_report *report)
{
    const struct doctor_readings *readings = &report->readings;
    int probe = readings->probes.frame_numbers;
    // Only a running kernel can tell.
    if (probe == DOCTOR_NOT_ASKED)
        return;
    struct doctor_item *item =
        doctor_add(report, DOCTOR_RIGHTS, DOCTOR_OK, "frames", "page frames");
    if (probe == 0) {
        doctor_say(item, "pagemap shows frame numbers, and /proc/kpageflags is readable");
        return;
    }
    item->status = DOCTOR_MISSING;
    doctor_say(item, "frame numbers or /proc/kpageflags cannot be read: %s", strerror(-probe));
    doctor_advise(item, probe == -ENOENT ? "a kernel with CONFIG_PROC_PAGE_MONITOR"
                                         : "root with CAP_SYS_ADMIN, outside of a user namespace");
}

// Of ebb itself: the filters of others stand in their own status.
static void judge_seccomp(struct doctor_report *report)
{
    const struct proc_status *self = &report->readings.self;
    struct doctor_item *item = doctor_add(report, DOCTOR_RIGHTS, DOCTOR_OK, "seccomp", "seccomp");
    if (self->seccomp == 0) {
        doctor_say(item, "no filter on ebb itself");
        return;
    }
    item->status = DOCTOR_INFO;
    doctor_say(item, "a filter is on ebb itself: calls may be refused that the kernel has");
}

// What cannot be seen from inside cannot be explained either.
static void judge_container(struct doctor_report *report)
{
    const struct doctor_readings *readings = &report->readings;
    const char *mark = readings->container;
    struct doctor_item *item =
        doctor_add(report, DOCTOR_RIGHTS, DOCTOR_OK, "container", "container");
    if (!readings->in_pid_namespace && !mark[0]) {
        doctor_say(item, "none that can be seen");
        return;
    }
    // Sharing the host's PIDs is as good as being there.
    item->status = readings->in_pid_namespace ? DOCTOR_LIMITED : DOCTOR_INFO;
    doctor_say(item, "%s%s%s", mark[0] ? "inside one, by " : "", mark,
               readings->in_pid_namespace
                   ? (mark[0] ? "; other PID namespaces are out of sight"
                              : "inside a PID namespace: processes outside of it are out of sight")
                   : "; it shares the PID namespace of the host");
    if (readings->in_pid_namespace)
        doctor_advise(item,
                      "run ebb on the host, or share the PID namespace (docker run --pid=host, "
                      "hostPID or shareProcessNamespace in Kubernetes)");
}

// Ordered as one runs into them.
void doctor_judge_rights(struct doctor_report *report)
{
    // Of a tree that does not know ebb, only the host's setting is there to be judged.
    if (report->readings.has_self)
        judge_capabilities(report);
    judge_ptrace_scope(report);
    if (!report->readings.has_self)
        return;
    judge_hide_pid(report);
    judge_frames(report);
    judge_seccomp(report);
    judge_container(report);
}
