// SPDX-License-Identifier: Apache-2.0
// The doctor on the kernel: which facilities it has, by probe where one was made. Tool world; pure.
#include <string.h>

#include "base/units.h"
#include "doctor/judge.h"

// Everything below that has no probe stands on this number.
static void judge_version(struct doctor_report *report)
{
    const struct host *host = &report->readings.host;
    struct doctor_item *item = doctor_add(report, DOCTOR_KERNEL, DOCTOR_INFO, "kernel", "Linux");
    doctor_say(item, "%s", host->release[0] ? host->release : "of unknown version");
    // Unknown is treated as older than all.
    if (host->kernel.major == 0)
        item->status = DOCTOR_LIMITED;
}

// Two findings that look alike: a kernel without it, and something that keeps it from being used.
static void judge_madv_free(struct doctor_report *report)
{
    const struct doctor_readings *readings = &report->readings;
    const struct doctor_probes *probes = &readings->probes;
    struct doctor_item *item =
        doctor_add(report, DOCTOR_KERNEL, DOCTOR_OK, "madv_free", "MADV_FREE");
    // Another tree: only its version can be told.
    if (probes->madv_free == DOCTOR_NOT_ASKED) {
        item->status = doctor_kernel_has(readings, 4, 5) ? DOCTOR_INFO : DOCTOR_MISSING;
        doctor_say(item, doctor_kernel_has(readings, 4, 5)
                             ? "part of this kernel by its version (4.5 and later); not tried"
                             : "came with 4.5: memory that is given back goes at once here");
        // A filter makes every allocator fall back to freeing at once.
    } else if (probes->madv_free < 0 && doctor_kernel_has(readings, 4, 5)) {
        item->status = DOCTOR_MISSING;
        doctor_say(item,
                   "refused: %s. The kernel has it, so a seccomp filter or locked memory stands "
                   "in the way",
                   strerror(-probes->madv_free));
    } else if (probes->madv_free < 0) {
        item->status = DOCTOR_MISSING;
        doctor_say(item,
                   "refused: %s. It came with 4.5: memory that is given back goes at once here",
                   strerror(-probes->madv_free));
    } else {
        doctor_say(item, "works: tried on pages of our own");
    }
}

// Can lazily freed memory be seen? Everything that ebb says about it stands on this.
static void judge_lazy_free(struct doctor_report *report)
{
    const struct doctor_readings *readings = &report->readings;
    const struct doctor_probes *probes = &readings->probes;
    struct doctor_item *item =
        doctor_add(report, DOCTOR_KERNEL, DOCTOR_OK, "lazy_free", "LazyFree in smaps");
    // The best proof is to see it.
    if (probes->freed_kib > 0 && probes->shown_lazy_kib > 0) {
        char freed[UNITS_TEXT_MAX], shown[UNITS_TEXT_MAX];
        units_format_bytes(probes->freed_kib * 1024, freed, sizeof freed);
        units_format_bytes(probes->shown_lazy_kib * 1024, shown, sizeof shown);
        doctor_say(item, "works: of %s just freed the kernel shows %s", freed, shown);
    } else if (!doctor_kernel_has(readings, 4, 12)) {
        item->status = DOCTOR_MISSING;
        doctor_say(item, "came with 4.12: smaps does not tell which pages are lazily freed");
        doctor_advise(item, "a kernel of 4.12 or later");
        // The kernel prints the line but not these pages.
    } else if (probes->freed_kib > 0) {
        item->status = DOCTOR_LIMITED;
        doctor_say(item,
                   "pages just freed are not shown: figures of lazily freed memory are too low");
    } else {
        item->status = DOCTOR_INFO;
        doctor_say(item, "part of this kernel by its version (4.12 and later); not tried");
    }
}

// By version: no filter takes a file away.
static void judge_rollup(struct doctor_report *report)
{
    bool has = doctor_kernel_has(&report->readings, 4, 14);
    struct doctor_item *item = doctor_add(report, DOCTOR_KERNEL, has ? DOCTOR_OK : DOCTOR_MISSING,
                                          "smaps_rollup", "smaps_rollup");
    doctor_say(item, has ? "sums over a process in one small file (4.14)"
                         : "came with 4.14: sums are made from smaps, which costs the same walk");
}

// By version: it takes no rights, so nothing but its absence stands in the way.
static void judge_cold(struct doctor_report *report)
{
    bool has = doctor_kernel_has(&report->readings, 5, 4);
    struct doctor_item *item = doctor_add(report, DOCTOR_KERNEL, has ? DOCTOR_OK : DOCTOR_MISSING,
                                          "madv_pageout", "MADV_COLD, MADV_PAGEOUT");
    doctor_say(item,
               has ? "advice that makes the kernel reclaim a range now (5.4)" : "came with 5.4");
}

// On ourselves. For others it takes rights on top, which the verbs speak of.
static void judge_process_madvise(struct doctor_report *report)
{
    const struct doctor_probes *probes = &report->readings.probes;
    struct doctor_item *item =
        doctor_add(report, DOCTOR_KERNEL, DOCTOR_OK, "process_madvise", "process_madvise");
    if (probes->process_madvise == DOCTOR_NOT_ASKED) {
        bool has = doctor_kernel_has(&report->readings, 5, 10);
        item->status = has ? DOCTOR_INFO : DOCTOR_MISSING;
        doctor_say(item, has ? "part of this kernel by its version (5.10 and later); not tried"
                             : "came with 5.10");
    } else if (probes->process_madvise == 0) {
        doctor_say(item, "works on ourselves%s",
                   // What an allocator's owner may do to its own pages from another thread.
                   probes->process_madvise_any == 0
                       ? ", with any advice (6.13)"
                       : "; MADV_DONTNEED is refused, as it is before 6.13");
    } else {
        item->status = DOCTOR_MISSING;
        doctor_say(item, "refused: %s%s", strerror(-probes->process_madvise),
                   doctor_kernel_has(&report->readings, 5, 10)
                       ? ". The kernel has it, so rights or a seccomp filter stand in the way"
                       : " (it came with 5.10)");
    }
}

// Not there is no loss of results, only of time.
static void judge_pagemap_scan(struct doctor_report *report)
{
    const struct doctor_probes *probes = &report->readings.probes;
    // What was asked is ok, what only the version tells is a fact.
    bool asked = probes->pagemap_scan != DOCTOR_NOT_ASKED;
    bool has = asked ? probes->pagemap_scan == 0 : doctor_kernel_has(&report->readings, 6, 7);
    enum doctor_status status = !has ? DOCTOR_MISSING : asked ? DOCTOR_OK : DOCTOR_INFO;
    struct doctor_item *item =
        doctor_add(report, DOCTOR_KERNEL, status, "pagemap_scan", "PAGEMAP_SCAN");
    doctor_say(item,
               has ? "counts pages in memory without a read per page (6.7)%s"
                   : "came with 6.7; pagemap is read page by page instead%s",
               has && !asked ? "; not tried" : "");
}

// The levers on a whole group; they need no rights over its processes.
static void judge_group_reclaim(struct doctor_report *report)
{
    const struct doctor_readings *readings = &report->readings;
    int probe = readings->probes.group_reclaim;
    // The two versions call it differently, and only the older one takes page cache along.
    bool is_v1 = readings->cgroup.version == 1;
    struct doctor_item *item = doctor_add(report, DOCTOR_KERNEL, DOCTOR_OK, "group_reclaim",
                                          is_v1 ? "memory.force_empty" : "memory.reclaim");
    if (probe == 0) {
        doctor_say(item, "our own group's may be written%s",
                   is_v1 ? "; it takes the page cache too" : "");
        return;
    }
    item->status = probe == DOCTOR_NOT_ASKED ? DOCTOR_INFO : DOCTOR_MISSING;
    if (probe == DOCTOR_NOT_ASKED)
        doctor_say(item, "not looked at: this tree does not know ebb itself");
    else if (!is_v1 && !doctor_kernel_has(readings, 5, 19))
        doctor_say(item, "came with 5.19");
    else
        doctor_say(item, "our own group's cannot be written: %s", strerror(-probe));
}

// From the oldest facility to the newest.
void doctor_judge_kernel(struct doctor_report *report)
{
    judge_version(report);
    judge_madv_free(report);
    judge_lazy_free(report);
    judge_rollup(report);
    judge_cold(report);
    judge_process_madvise(report);
    judge_pagemap_scan(report);
    judge_group_reclaim(report);
}
