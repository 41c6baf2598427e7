// SPDX-License-Identifier: Apache-2.0
// The doctor on what can be explained here and now. Tool world; pure.
#include "doctor/judge.h"

// Reading files of /proc takes ptrace read access; a runtime's own memory takes attach access,
// which Yama narrows (fs/proc/base.c: proc_mem_open() asks for PTRACE_MODE_ATTACH).
static void judge_explain(struct doctor_report *report)
{
    const struct doctor_readings *readings = &report->readings;
    // -1 without Yama, which counts as 0.
    int scope = readings->host.ptrace_scope;
    struct doctor_item *item =
        doctor_add(report, DOCTOR_VERBS, DOCTOR_OK, "explain", "ebb explain");
    if (!readings->has_self) {
        item->status = DOCTOR_LIMITED;
        doctor_say(
            item, "what the files of this tree tell; no memory of a process can be read from them");
        return;
    }
    bool privileged = doctor_can(readings, DOCTOR_CAP_SYS_PTRACE);
    // CAP_SYS_PTRACE passes every check but Yama's last level.
    if (privileged && scope != 3) {
        doctor_say(item, "every process that is seen here, with the runtimes' own counters");
        return;
    }
    item->status = DOCTOR_LIMITED;
    if (privileged)
        doctor_say(item, "every process that is seen here, but without the runtimes' own counters");
    else if (scope <= 0)
        doctor_say(item, "processes of your own user, with the runtimes' own counters");
    else
        doctor_say(item, "processes of your own user, without the runtimes' own counters (Yama)");
    doctor_advise(item, privileged ? "a kernel.yama.ptrace_scope below 3"
                                   : "sudo ebb explain, or CAP_SYS_PTRACE");
}

// What the account lacks where the kernel itself does not tell.
static void judge_explain_lazy(struct doctor_report *report)
{
    const struct doctor_readings *readings = &report->readings;
    struct doctor_item *item =
        doctor_add(report, DOCTOR_VERBS, DOCTOR_OK, "explain_lazy", "the row \"lazily freed\"");
    if (doctor_kernel_has(readings, 4, 12)) {
        doctor_say(item, "as the kernel counts it");
    } else if (doctor_frees_lazily(readings)) {
        // The worst case: it happens and does not show.
        item->status = DOCTOR_MISSING;
        doctor_say(item,
                   "not there: lazily freed pages look like pages in use or kept on this kernel");
        doctor_advise(item, "a kernel of 4.12 or later");
    } else {
        doctor_say(item, "always 0: this kernel has no lazily freed memory");
    }
}

// First of all sections: it is what one came for.
void doctor_judge_verbs(struct doctor_report *report)
{
    judge_explain(report);
    judge_explain_lazy(report);
    doctor_judge_levers(report);
}
