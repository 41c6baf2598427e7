// SPDX-License-Identifier: Apache-2.0
// The lever `reclaim`, see reclaim.h: may it, will it, did it. Tool world; no state.
#include "lever/reclaim/reclaim.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/number.h"
#include "base/text.h"
#include "base/units.h"
#include "lever/reclaim/coarse.h"
#include "lever/reclaim/walk.h"
#include "lever/urgent.h"
#include "proc/host.h"
#include "proc/pagemap.h"
#include "proc/status.h"

enum { SMALL_FILE_MAX_BYTES = 64 << 10 };

static const char *const huge_size_path = "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size";
static const char *const mmap_and_munmap = "its mmap and munmap";
static const char *const page_wise = "take lazily freed memory, page by page";
static const char *const mapping_wise = "offer mappings with lazily freed memory to the kernel";

// The kernel's own size of a huge page; where there are none, what x86-64 would have.
static uint64_t read_huge_pages(void)
{
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE), bytes = 0;
    struct buffer file = {.limit = SMALL_FILE_MAX_BYTES};
    if (buffer_read_at(&file, AT_FDCWD, huge_size_path) == 0) {
        struct text rest = buffer_text(&file);
        text_take_u64(&rest, &bytes);
    }
    buffer_free(&file);
    // What the file says of a kernel without huge pages is nothing, or 0.
    uint64_t pages = bytes / page_bytes;
    return pages > 1 ? pages : 512;
}

// Kernel threads and zombies open, but have nothing.
static int check_memory(struct process *process, struct lever_report *report)
{
    struct buffer file = {0};
    struct proc_status status = {0};
    // status rather than stat, as only it says whether there is memory at all.
    int error = process_read_file(process, "status", SMALL_FILE_MAX_BYTES, &file);
    if (!error)
        error = proc_status_parse(buffer_text(&file), &status);
    buffer_free(&file);
    // A zombie has ended; a kernel thread is there, and nothing that could be reclaimed.
    if (!error && !status.has_memory)
        error = status.state == 'Z' ? -ESRCH : -ENOEXEC;
    if (error)
        return lever_refuse(report, error,
                            status.state == 'Z' ? "it has ended and waits for its parent: a zombie "
                                                  "has no memory"
                                                : "it has no memory of its own (a kernel thread?)",
                            "");
    return 0;
}

// A call for nothing at all tells whether calls are allowed, before anything is done.
static int check_call(struct process *process, struct lever_report *report)
{
    // Without a pidfd (before 5.3) there is no call either.
    int pid_fd = process_pid_fd(process);
    int error = -ENOSYS;
    if (pid_fd >= 0)
        error = (int)sweep_advise_process(&pid_fd, NULL, 0, SWEEP_PAGEOUT);
    if (error >= 0)
        return 0;
    switch (error) {
    case -ENOSYS:
        return lever_refuse(report, error,
                            "there is no process_madvise() here: the kernel is older than 5.10, "
                            "or a filter hides it",
                            "a newer kernel, or ebb balloon, or ebb tune");
    case -EPERM:
        return lever_refuse(report, error,
                            "the kernel lets nobody advise another process without CAP_SYS_NICE "
                            "(since 5.12)",
                            "root, or CAP_SYS_NICE and CAP_SYS_ADMIN");
    case -EACCES:
        return lever_refuse(report, error, "no right to look into this process",
                            "root, or CAP_SYS_PTRACE, CAP_SYS_NICE and CAP_SYS_ADMIN");
    default:
        return lever_refuse(report, error, "process_madvise() refuses this process", "");
    }
}

// The list of mappings chooses where to look: without it nothing can be done.
static int check_look(struct process *process, struct lever_report *report)
{
    struct mappings mappings = {0};
    int error = mappings_list(process, &mappings);
    mappings_free(&mappings);
    if (error == -EACCES || error == -EPERM)
        return lever_refuse(report, -EACCES, "no right to see the mappings of this process",
                            "root, or CAP_SYS_PTRACE, CAP_SYS_NICE and CAP_SYS_ADMIN");
    return error == -ENOMEM ? error : 0;
}

// Frame numbers choose the pages: without them something can be done, sometimes.
static int check_frames(struct reclaim *reclaim, struct process *process,
                        struct lever_report *report)
{
    int error = pagemap_probe_frames(process);
    if (!error)
        return 0;
    char why[COARSE_WHY_MAX];
    if (coarse_check(reclaim->options.force, why) < 0)
        return lever_refuse(report, -EPERM, why,
                            "root: CAP_SYS_ADMIN for frame numbers, and the right to read "
                            "/proc/kpageflags");
    reclaim->is_coarse = true;
    // Which mappings have free pages only smaps can tell then.
    reclaim->is_gentle = false;
    error = lever_read(process, &report->before);
    if (error)
        return lever_refuse(report, error, "its memory could not be read", "");
    return lever_add_note(
        report, "Frame numbers are hidden (CAP_SYS_ADMIN, and root for "
                "/proc/kpageflags): ebb cannot tell free pages from live ones here, so "
                "the whole of each mapping that has lazily freed pages is offered to the "
                "kernel, which drops the free ones. There is no swap, so live ones stay.");
}

static int add_kernel_warning(struct reclaim *reclaim, struct lever_report *report)
{
    struct host host;
    if (host_read("/proc", &host) < 0)
        return 0;
    // MADV_COLLAPSE came with 6.1.
    reclaim->can_collapse = kernel_at_least(host.kernel, 6, 1);
    if (kernel_at_least(host.kernel, 5, 18))
        return 0;
    // What ebb does here the kernel does by itself when memory runs short, so a warning will do.
    return lever_add_warning(
        report, "Before 5.18, unless the fix was backported, the kernel could "
                "lose what was being read with O_DIRECT into memory that had been freed lazily, "
                "while it took it. Databases that use O_DIRECT and MADV_FREE: not on this kernel.");
}

// The kernel holds the lock that mmap waits for over the largest mapping while it counts it.
static void add_reading_wait(const struct mappings *mappings, uint64_t read_ns,
                             struct lever_report *report)
{
    uint64_t largest_kib = 0;
    for (size_t i = 0; i < mappings->count; i++) {
        if (mappings->items[i].rss_kib > largest_kib)
            largest_kib = mappings->items[i].rss_kib;
    }
    double share =
        mappings->total.rss_kib ? (double)largest_kib / (double)mappings->total.rss_kib : 0;
    lever_add_wait(report, mmap_and_munmap, (uint64_t)((double)read_ns * share), read_ns);
}

// smaps, with the wait that it costs the target.
static int read_sizes(struct process *process, struct lever_report *report,
                      struct mappings *ret_mappings)
{
    struct urgent urgent;
    urgent_begin(&urgent);
    uint64_t read_ns = lever_now_ns();
    int error = mappings_read(process, ret_mappings);
    read_ns = lever_now_ns() - read_ns;
    urgent_end(&urgent);
    if (!error)
        add_reading_wait(ret_mappings, read_ns, report);
    return error;
}

// Huge pages that carry the mark: whether they are free only LazyFree of smaps tells, which is read
// quickly where pages are huge. Then it tells the figures too: what is gone, and what is there.
static int walk_huge(struct reclaim *reclaim, struct walk *walk, struct lever_report *report)
{
    struct mappings mappings = {0};
    // Before smaps is read: what is gone by then it does not count.
    uint64_t gone_bytes = walk->tally.results.gone * walk->page_bytes;
    int error = read_sizes(walk->process, report, &mappings);
    if (error)
        return error;
    struct walk second = {.reclaim = reclaim,
                          .process = walk->process,
                          .is_acting = walk->is_acting,
                          .only_huge = true};
    error = walk_mappings(&second, &mappings);
    report->before.lazy_bytes = number_least(
        gone_bytes + mappings.total.lazy_free_kib * UINT64_C(1024), report->before.rss_bytes);
    report->before.has_details = true;
    // What is left among live huge pages the walk cannot count.
    reclaim->is_gentle = false;
    mappings_free(&mappings);
    walk_join(walk, &second);
    return error;
}

// What was marked when it was looked at and had not been written again.
static void complete_readings(struct reclaim *reclaim, const struct walk *walk,
                              struct lever_report *report)
{
    // In pages until the end, where they become bytes once.
    const struct tally *tally = &walk->tally;
    uint64_t left = tally->results.kept + tally->fates.shared + tally->fates.locked;
    uint64_t there = left + (walk->is_acting ? tally->results.gone : tally->fates.taken);
    reclaim->has_walked = true;
    reclaim->lazy_left_bytes = left * walk->page_bytes;
    report->before.lazy_bytes = number_least(there * walk->page_bytes, report->before.rss_bytes);
    report->before.has_details = true;
}

// All of it, from the list of mappings to the figures of the report. A walk that was stopped has
// not seen all: then what is lazily freed stays unknown.
static int walk_target(struct reclaim *reclaim, struct walk *walk, struct lever_report *report)
{
    struct mappings mappings = {0};
    int error = reclaim->is_gentle ? mappings_list(walk->process, &mappings)
                                   : read_sizes(walk->process, report, &mappings);
    if (!error)
        error = walk_mappings(walk, &mappings);
    mappings_free(&mappings);
    if (error || !reclaim->is_gentle)
        return error;
    if (walk->tally.fates.unsure > 0)
        return walk_huge(reclaim, walk, report);
    complete_readings(reclaim, walk, report);
    return 0;
}

// RSS that stays is what brings people here: it need not be lazily freed.
static int add_way_on(struct process *process, struct lever_report *report)
{
    if (!report->before.has_details || report->before.lazy_bytes > 0)
        return 0;
    return lever_add_note(
        report,
        "Nothing of it is lazily freed. `ebb explain %d` says who owns its memory; "
        "what its malloc keeps goes with --runtime",
        (int)process_pid(process));
}

// The walk for --dry-run: counts what would be taken.
static int plan_closely(struct reclaim *reclaim, struct process *process,
                        struct lever_report *report)
{
    struct walk walk = {.reclaim = reclaim, .process = process};
    int error = walk_target(reclaim, &walk, report);
    if (error == -ENOMEM || error == -EINTR)
        return error;
    if (error)
        return lever_refuse(report, error, "it could not be looked at", "");
    char size[UNITS_TEXT_MAX];
    // Coarse mode takes no count of its own; the kernel's is there in any case.
    // A figure that errs upwards: pages are written again until it comes to it.
    uint64_t bytes = reclaim->is_coarse ? walk.total_bytes - walk.tally.huge_bytes
                                        : walk.tally.fates.taken * walk.page_bytes;
    units_format_bytes(bytes, size, sizeof size);
    if (bytes > 0)
        error = lever_add_step(report, "%s: up to %s",
                               reclaim->is_coarse ? mapping_wise : page_wise, size);
    if (!error)
        error = tally_report(&walk.tally, process, walk.page_bytes, false, report);
    return error ? error : add_way_on(process, report);
}

// The cheap questions first; none of them changes anything.
static int check_pages(struct reclaim *reclaim, struct process *process,
                       struct lever_report *report)
{
    int error = check_call(process, report);
    return error ? error : check_frames(reclaim, process, report);
}

// What the mallocs do needs no more than the right to attach, which the owner has; a refusal of the
// pages becomes a step that is skipped, with its reason. It stands where no malloc has anything to
// give back.
static int plan_mallocs(struct reclaim *reclaim, int refused, struct process *process,
                        struct lever_report *report)
{
    int error = purge_plan(reclaim->options.purge, process, report);
    bool has_plan = false;
    for (size_t i = 0; i < report->step_count && !error; i++)
        has_plan = has_plan || report->steps[i].state == LEVER_STEP_PLANNED;
    if (error || !refused)
        return error;
    // Neither half can do anything: the refusal of the pages is the answer.
    if (!has_plan)
        return refused;
    error = lever_add_step(report, "%s", page_wise);
    if (error)
        return error;
    lever_end_step(lever_last_step(report), LEVER_STEP_SKIPPED, "%s; what would help: %s",
                   report->refusal, report->needs);
    report->refusal[0] = report->needs[0] = '\0';
    report->error = 0;
    return 0;
}

// Only --dry-run looks at every page here: otherwise act() looks in any case, and twice is slow.
static int reclaim_plan(void *context, struct process *process, struct lever_report *report)
{
    struct reclaim *reclaim = context;
    reclaim->huge_pages = read_huge_pages();
    reclaim->step = SIZE_MAX;
    int error = check_memory(process, report);
    if (!error)
        error = check_look(process, report);
    if (error)
        return error;
    // Rights are asked for before the target's mallocs are: what cannot be done is known by then.
    int refused = check_pages(reclaim, process, report);
    if (refused && (!reclaim->options.purge || (refused != -EPERM && refused != -EACCES)))
        return refused;
    if (!refused)
        error = add_kernel_warning(reclaim, report);
    if (!error && reclaim->options.purge)
        error = plan_mallocs(reclaim, refused, process, report);
    if (error || refused)
        return error;
    // What the mallocs will give back cannot be looked at yet.
    bool may_grow = reclaim->options.purge && report->step_count > 0;
    if (reclaim->options.is_dry_run && !may_grow)
        return plan_closely(reclaim, process, report);
    if (report->before.has_details && report->before.lazy_bytes == 0 && !may_grow)
        return add_way_on(process, report);
    reclaim->step = report->step_count;
    return lever_add_step(report, "%s", reclaim->is_coarse ? mapping_wise : page_wise);
}

// What the second look found gone counts, not what was asked for.
static void end_step(const struct walk *walk, int error, uint64_t took_ns, struct lever_step *step)
{
    const char *how = walk->reclaim->is_coarse ? "" : " lazily freed";
    char size[UNITS_TEXT_MAX];
    units_format_bytes(walk->tally.results.gone * walk->page_bytes, size, sizeof size);
    step->took_ns = took_ns;
    if (error == -EINTR)
        lever_end_step(step, LEVER_STEP_FAILED, "stopped after %s in %llu bites", size,
                       (unsigned long long)walk->sweep.bites);
    else if (error)
        lever_end_step(step, LEVER_STEP_FAILED, "it ended or refused after %s", size);
    else if (walk->sweep.bites == 0)
        lever_end_step(step, LEVER_STEP_NOTHING, "nothing of it can be taken");
    else
        lever_end_step(step, LEVER_STEP_DONE, "%s%s in %llu bites", size, how,
                       (unsigned long long)walk->sweep.bites);
}

// Ends that are no mistake of anybody are told in words of their own.
static int fail(struct lever_report *report, int error)
{
    switch (error) {
    case -ESRCH:
        return lever_refuse(report, error, "it ended meanwhile", "");
    case -ESTALE:
        return lever_refuse(report, error, "it has called exec meanwhile: another program now", "");
    case -ENOMEM:
        return error;
    default:
        return lever_refuse(report, error, "the kernel refused in the middle",
                            "ebb doctor shows what is allowed here");
    }
}

// The mappings are read here and not in the plan: mallocs that were asked meanwhile have changed
// them.
static int take_pages(struct reclaim *reclaim, struct process *process, struct lever_report *report)
{
    uint64_t started_ns = lever_now_ns();
    struct walk walk = {.reclaim = reclaim, .process = process, .is_acting = true};
    // Timed with the looking that it takes.
    int error = walk_target(reclaim, &walk, report);
    end_step(&walk, error, lever_now_ns() - started_ns, &report->steps[reclaim->step]);
    lever_add_wait(report, mmap_and_munmap, walk.sweep.longest_ns, walk.sweep.total_ns);
    // What was done before a failure is told as well.
    int told = tally_report(&walk.tally, process, (uint64_t)sysconf(_SC_PAGESIZE), true, report);
    if (error && error != -EINTR)
        return fail(report, error);
    return told || reclaim->options.purge ? told : add_way_on(process, report);
}

// The order matters: what the mallocs give back lazily is there to be taken afterwards.
static int reclaim_act(void *context, struct process *process, struct lever_report *report)
{
    struct reclaim *reclaim = context;
    int error = 0;
    if (reclaim->options.purge)
        error = purge_act(reclaim->options.purge, process, report);
    if (error || reclaim->step == SIZE_MAX)
        return error;
    return take_pages(reclaim, process, report);
}

const struct lever reclaim_lever = {
    .name = "reclaim",
    .plan = reclaim_plan,
    .act = reclaim_act,
    .read = reclaim_read,
};
