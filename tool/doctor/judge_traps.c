// SPDX-License-Identifier: Apache-2.0
// The doctor on the traps of this host: where figures mislead and what to keep away from. Tool
// world; pure.
#include "doctor/judge.h"

// Each trap is a fact about this host, not a fault of it, hence DOCTOR_INFO or DOCTOR_LIMITED where
// data may be lost or figures are wrong.
static struct doctor_item *add_trap(struct doctor_report *report, enum doctor_status status,
                                    const char *id, const char *title)
{
    return doctor_add(report, DOCTOR_TRAPS, status, id, title);
}

// What the stories have in common: nothing leaks, but RSS stays.
static void judge_defaults(struct doctor_report *report)
{
    struct doctor_item *item =
        add_trap(report, DOCTOR_INFO, "lazy_defaults", "RSS stays after load");
    doctor_say(
        item,
        "programs of Go 1.12 to 1.15, and of jemalloc 5 with muzzy decay, free lazily on this "
        "kernel: their RSS stays up although nothing leaks");
    doctor_advise(item, "read effective RSS (ebb explain), or GODEBUG=madvdontneed=1, "
                        "MALLOC_CONF=muzzy_decay_ms:0");
}

// Only the few releases between the call and the figure.
static void judge_hidden(struct doctor_report *report)
{
    struct doctor_item *item =
        add_trap(report, DOCTOR_LIMITED, "hidden_lazy", "lazy pages cannot be seen");
    doctor_say(item, "kernels 4.5 to 4.11 free lazily but do not show it%s",
               doctor_has_swap(&report->readings) ? ""
                                                  : "; without swap they free at once instead");
    doctor_advise(item, "a kernel of 4.12 or later");
}

// Autoscalers and eviction act on this number.
static void judge_working_set(struct doctor_report *report)
{
    struct doctor_item *item =
        add_trap(report, DOCTOR_INFO, "working_set", "working_set under-reports");
    doctor_say(
        item,
        "lazily freed pages lie on the inactive file list, so usage - inactive_file leaves them "
        "out; pages that are written again stay there until the kernel scans them, so live memory "
        "is "
        "missing too");
    doctor_advise(item,
                  "compare with memory.stat's anon (version 1: total_rss) before trusting it");
}

// A process may be killed for memory that it does not hold.
static void judge_oom(struct doctor_report *report)
{
    struct doctor_item *item =
        add_trap(report, DOCTOR_INFO, "oom_score", "the OOM killer counts RSS");
    doctor_say(item,
               "lazily freed pages count against their owner when a victim is chosen, although the "
               "kernel takes them before it kills");
}

// The one trap that loses data; never claimed, since fixes were backported.
static void judge_o_direct(struct doctor_report *report)
{
    struct doctor_item *item =
        add_trap(report, DOCTOR_LIMITED, "o_direct", "MADV_FREE and O_DIRECT");
    doctor_say(
        item,
        "before 5.18, reading with O_DIRECT into lazily freed pages could lose what was read, when "
        "the kernel took them meanwhile. Unsure here: it depends on what was backported");
    doctor_advise(item,
                  "ask the distribution for the fix of the race between MADV_FREE reclaim and "
                  "direct I/O");
}

// Both ways a huge page defeats lazy freeing.
static void judge_huge(struct doctor_report *report)
{
    // With swap they are swapped whole instead, which is the next trap.
    bool swapless = !doctor_has_swap(&report->readings);
    struct doctor_item *item = add_trap(report, DOCTOR_INFO, "huge_pages", "huge pages");
    doctor_say(item, "one written byte cancels the lazy freeing of 2 MiB%s",
               swapless
                   ? "; without swap, MADV_PAGEOUT over a whole mapping splits its live huge pages"
                   : "");
}

// Why a sweep over whole mappings is never done.
static void judge_swap(struct doctor_report *report)
{
    struct doctor_item *item =
        add_trap(report, DOCTOR_INFO, "swap_pageout", "swap and MADV_PAGEOUT");
    doctor_say(item, "MADV_PAGEOUT over a whole mapping swaps live pages out as well");
}

// A kernel that frees at once has none of them.
void doctor_judge_traps(struct doctor_report *report)
{
    const struct doctor_readings *readings = &report->readings;
    // The advice came with 5.4.
    bool has_pageout = doctor_kernel_has(readings, 5, 4);
    if (doctor_kernel_has(readings, 4, 5)) {
        judge_defaults(report);
        if (!doctor_kernel_has(readings, 4, 12))
            judge_hidden(report);
        judge_working_set(report);
        judge_oom(report);
        if (!doctor_kernel_has(readings, 5, 18))
            judge_o_direct(report);
        if (readings->host.thp == THP_ALWAYS || readings->host.thp == THP_MADVISE)
            judge_huge(report);
    }
    if (doctor_has_swap(readings) && has_pageout)
        judge_swap(report);
}
