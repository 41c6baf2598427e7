// SPDX-License-Identifier: Apache-2.0
// The doctor on the levers: which of them work here and now. Tool world; pure.
#include <errno.h>

#include "doctor/judge.h"

// Which of the ways to take lazy pages of another process the kernel would allow.
static void judge_reclaim(struct doctor_report *report)
{
    const struct doctor_readings *readings = &report->readings;
    const struct doctor_probes *probes = &readings->probes;
    // What is promised here is what ebb reclaim does, in its own order: frames, mappings, groups.
    struct doctor_item *item =
        doctor_add(report, DOCTOR_VERBS, DOCTOR_OK, "reclaim", "ebb reclaim");
    if (!readings->has_self) {
        item->status = DOCTOR_MISSING;
        doctor_say(item, "not from another tree");
        return;
    }
    // Refused on ourselves for want of rights is still there for others with them.
    bool has_call = probes->process_madvise != DOCTOR_NOT_ASKED &&
                    probes->process_madvise != -ENOSYS && doctor_kernel_has(readings, 5, 10);
    // Read access to the target comes on top; the same user has it.
    bool may_call = has_call && doctor_can(readings, DOCTOR_CAP_SYS_NICE);
    bool by_group = probes->group_reclaim == 0;
    // Frame numbers and their flags tell lazy pages from live ones.
    if (may_call && probes->frame_numbers == 0) {
        doctor_say(item, "page by page%s", by_group ? ", and by group" : "");
        return;
    }
    item->status = DOCTOR_LIMITED;
    // Coarse, and only where no live page can be swapped out by it.
    if (may_call && !doctor_has_swap(readings))
        doctor_say(item, "by whole mappings only, and none with huge pages");
    else if (by_group)
        doctor_say(item, "for our own group as a whole only (--kernel)");
    else
        item->status = DOCTOR_MISSING;
    if (item->status == DOCTOR_MISSING)
        doctor_say(item,
                   has_call
                       ? "the kernel has the means, but rights are lacking"
                       : "this kernel has no call for it; pressure (a balloon) is what remains");
    if (has_call)
        doctor_advise(item, "root with CAP_SYS_NICE, CAP_SYS_PTRACE and CAP_SYS_ADMIN");
}

// A call in the target takes ptrace attach rights, which are those of writing to its memory.
static void judge_call(struct doctor_report *report)
{
    const struct doctor_readings *readings = &report->readings;
    struct doctor_item *item =
        doctor_add(report, DOCTOR_VERBS, DOCTOR_OK, "call", "--runtime, --ask, tune");
    // One row for three verbs: they all stand or fall by the same right.
    bool privileged = doctor_can(readings, DOCTOR_CAP_SYS_PTRACE);
    // -1 without Yama, which counts as 0.
    int scope = readings->host.ptrace_scope;
    if (!readings->has_self || scope == 3) {
        item->status = DOCTOR_MISSING;
        doctor_say(item, readings->has_self ? "Yama lets nobody attach to a process"
                                            : "not from another tree");
        return;
    }
    // Go's settings are plain memory: they need no call, only the right to write.
    if (readings->probes.call != 0) {
        item->status = DOCTOR_LIMITED;
        doctor_say(item, "Go's settings only: calls in a target are made on x86-64 alone");
        return;
    }
    // Also past Yama: CAP_SYS_PTRACE is what its scopes 1 and 2 ask for.
    if (privileged) {
        doctor_say(item, "a call in any process that is seen here");
        return;
    }
    // Scope 1 lets descendants be attached to, which ebb's targets are not.
    item->status = scope > 0 ? DOCTOR_MISSING : DOCTOR_LIMITED;
    doctor_say(item, scope > 0 ? "Yama reserves it for CAP_SYS_PTRACE"
                               : "a call in processes of your own user");
    doctor_advise(item, "root, or CAP_SYS_PTRACE");
}

// The filter needs no rights, but without them it takes away what setuid programs gain.
static void judge_run(struct doctor_report *report)
{
    const struct doctor_readings *readings = &report->readings;
    struct doctor_item *item =
        doctor_add(report, DOCTOR_VERBS, DOCTOR_OK, "run", "ebb run --madv-free=off");
    // A command starts on the kernel that ebb runs on, which another tree does not tell of.
    if (readings->probes.seccomp_filter == DOCTOR_NOT_ASKED) {
        item->status = DOCTOR_MISSING;
        doctor_say(item, "not from another tree");
        return;
    }
    // ebb run refuses then: a policy that some of the children can leave is none.
    if (readings->probes.seccomp_filter != 0) {
        item->status = DOCTOR_MISSING;
        doctor_say(item, "refused: this kernel has no seccomp filters");
        doctor_advise(item, "the runtime's own setting, as ebb run --dry-run shows it");
        return;
    }
    // In its own user namespace, which is where seccomp(2) asks for it.
    if (doctor_can(readings, DOCTOR_CAP_SYS_ADMIN)) {
        doctor_say(item, "any program, by a seccomp filter");
        return;
    }
    doctor_say(item, "any program, by a seccomp filter; setuid programs below it gain no rights");
}

// Whether there is a library to start programs with, and which: two of them are soon mixed up.
static void judge_library(struct doctor_report *report)
{
    const struct doctor_library *libebb = &report->readings.libebb;
    if (!libebb->is_looked_for)
        return;
    struct doctor_item *item =
        doctor_add(report, DOCTOR_VERBS, DOCTOR_OK, "libebb", "ebb run --malloc=ebb");
    if (libebb->path[0]) {
        doctor_say(item, "libebb %s, %s",
                   libebb->version[0] ? libebb->version : "of unknown version", libebb->path);
        return;
    }
    item->status = DOCTOR_MISSING;
    doctor_say(item, "libebb is not installed");
    doctor_advise(item, "`make install` of ebb, or --malloc=PATH");
}

// What pressure would do to live pages decides.
static void judge_balloon(struct doctor_report *report)
{
    const struct doctor_readings *readings = &report->readings;
    struct doctor_item *item =
        doctor_add(report, DOCTOR_VERBS, DOCTOR_OK, "balloon", "ebb balloon");
    if (!readings->has_self) {
        item->status = DOCTOR_MISSING;
        doctor_say(item, "not from another tree");
    } else if (doctor_has_swap(readings)) {
        // Of the host: a group whose swappiness is 0 may still do, which --dry-run tells.
        item->status = DOCTOR_MISSING;
        doctor_say(item, "refused: swap is on, and pressure would swap live pages out");
        doctor_advise(item, "ebb reclaim, which takes lazily freed pages alone");
    } else if (!readings->host.has_pressure) {
        // The others do without: what is lost is the one that hears other programs wait.
        item->status = DOCTOR_LIMITED;
        doctor_say(item, "without one of its brakes: this kernel tells no pressure (PSI)");
    } else {
        doctor_say(item, "bounded pressure on a group or the host");
    }
}

// In the order in which one should try them.
void doctor_judge_levers(struct doctor_report *report)
{
    judge_reclaim(report);
    judge_call(report);
    judge_run(report);
    judge_library(report);
    judge_balloon(report);
}
