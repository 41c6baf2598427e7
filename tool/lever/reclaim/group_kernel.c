// SPDX-License-Identifier: Apache-2.0
// Asking the kernel to reclaim a whole group, see group.h. Tool world; no state.
#include "lever/reclaim/group.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/text.h"
#include "base/units.h"
#include "lever/journal.h"
#include "proc/cgroup.h"
#include "proc/host.h"

enum { GROUP_STAT_MAX_BYTES = 1 << 20 };

// What the two versions call it.
struct kernel_way {
    const char *usage, *request;
};
static const struct kernel_way ways[] = {
    {NULL, NULL},
    {"memory.usage_in_bytes", "memory.force_empty"},
    {"memory.current", "memory.reclaim"},
};

// A group's file, whole.
static int read_file(const struct group *group, const char *name, struct buffer *ret_file)
{
    char path[GROUP_PATH_MAX + 64];
    text_format(path, sizeof path, "%s/%s", group->directory, name);
    buffer_clear(ret_file);
    ret_file->limit = GROUP_STAT_MAX_BYTES;
    return buffer_read_at(ret_file, AT_FDCWD, path);
}

// In one write: the kernel acts on each.
int group_write(const struct group *group, const char *file, const char *request)
{
    char path[GROUP_PATH_MAX + 64];
    text_format(path, sizeof path, "%s/%s", group->directory, file);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    size_t len = strlen(request);
    ssize_t written = write(fd, request, len);
    int error = written < 0 ? -errno : 0;
    // The rest must not be written: the kernel would take it for another request.
    if (!error && (size_t)written != len)
        error = -EIO;
    close(fd);
    return error;
}

// Usage and statistics of the group and those below it.
static int read_figures(const struct group *group, struct cgroup *ret_figures)
{
    struct buffer file = {0};
    struct cgroup figures = {0};
    int error = read_file(group, ways[group->version].usage, &file);
    if (!error)
        error = cgroup_parse_limit(buffer_text(&file), &figures.usage_bytes);
    if (!error)
        // The same buffer again: the first text has been parsed.
        error = read_file(group, "memory.stat", &file);
    if (!error)
        error = cgroup_parse_memory_stat(buffer_text(&file), group->version, &figures);
    buffer_free(&file);
    if (!error)
        *ret_figures = figures;
    return error;
}

// A group's memory takes the place of RSS, as its limit counts it.
static void set_reading(const struct cgroup *figures, struct lever_reading *ret_reading)
{
    *ret_reading = (struct lever_reading){
        .rss_bytes = figures->usage_bytes,
        .swap_bytes = figures->swap_bytes,
    };
}

// Lazily freed pages lie on the lists of file pages without being any: at most this much.
static uint64_t lazy_bound(const struct cgroup *figures)
{
    uint64_t lists = figures->inactive_file_bytes + figures->active_file_bytes;
    uint64_t files =
        figures->file_bytes > figures->shmem_bytes ? figures->file_bytes - figures->shmem_bytes : 0;
    return lists > files ? lists - files : 0;
}

// Version 1 takes whatever it can; version 2 an amount, which without swap comes from the lists
// that hold lazily freed pages and page cache alike.
static int ask(const struct group *group, uint64_t bytes, bool force)
{
    if (group->version == 1)
        return group_write(group, ways[1].request, "0");
    char request[64];
    text_format(request, sizeof request, "%llu swappiness=0", (unsigned long long)bytes);
    // swappiness=0 asks for no swap at all, also where there is some.
    int error = group_write(group, ways[2].request, request);
    // Before 6.9 there is no swappiness to give.
    if (error == -EINVAL && (force || !host_has_swap("/proc"))) {
        text_format(request, sizeof request, "%llu", (unsigned long long)bytes);
        error = group_write(group, ways[2].request, request);
    }
    // Less than was asked for is what a bound is for.
    return error == -EAGAIN ? 0 : error;
}

// Each reason with the way that is still open.
static int refuse(struct lever_report *report, int error)
{
    report->outcome = LEVER_REFUSED;
    switch (error) {
    case -EACCES:
    case -EPERM:
    case -EROFS:
        return lever_refuse(report, -EACCES, "the group's files may not be written",
                            "root, or ebb reclaim --cgroup without --kernel");
    case -ENOENT:
        return lever_refuse(report, error, "this kernel cannot be asked to reclaim a group",
                            "a kernel of 5.19 or later, or ebb reclaim --cgroup without --kernel");
    default:
        return lever_refuse(report, error, "the kernel refused",
                            "ebb reclaim --cgroup without --kernel");
    }
}

// What the group lost meanwhile is the result; the kernel itself answers yes or no only.
static int act(const struct group *group, bool force, const struct cgroup *figures,
               struct lever_report *report)
{
    uint64_t started_ns = lever_now_ns();
    // The figures are those of the plan, a moment ago.
    // A bound of 0 still is worth a try: the figures lag.
    uint64_t bytes = lazy_bound(figures);
    int error = ask(group, bytes ? bytes : figures->inactive_file_bytes, force);
    if (error) {
        refuse(report, error);
        return 0;
    }
    struct cgroup after;
    report->has_after = read_figures(group, &after) == 0;
    char size[UNITS_TEXT_MAX] = "an unknown size";
    if (report->has_after) {
        set_reading(&after, &report->after);
        uint64_t gone =
            figures->usage_bytes > after.usage_bytes ? figures->usage_bytes - after.usage_bytes : 0;
        units_format_bytes(gone, size, sizeof size);
    }
    struct lever_step *step = lever_last_step(report);
    lever_end_step(step, LEVER_STEP_DONE, "%s, page cache included", size);
    step->took_ns = lever_now_ns() - started_ns;
    report->outcome = LEVER_DONE;
    return 0;
}

// Whoever writes out live pages to free dead ones has done harm.
static bool would_swap(const struct group *group)
{
    return group->version == 1 && host_has_swap("/proc");
}

// The protocol of lever_pull(), for a target that is no process.
int group_ask_kernel(const struct group *group, bool is_dry_run, bool force,
                     struct lever_report *report)
{
    struct cgroup figures;
    uint64_t started_ns = lever_now_ns();
    report->lever = "reclaim";
    text_copy(text_of(group->directory), report->name, sizeof report->name);
    int error = read_figures(group, &figures);
    if (error) {
        refuse(report, error);
        return 0;
    }
    set_reading(&figures, &report->before);
    report->has_before = true;
    if (would_swap(group) && !force) {
        lever_refuse(report, -ENOTSUP, "memory.force_empty would swap live pages out",
                     "ebb reclaim --cgroup without --kernel; --force accepts it");
        report->outcome = LEVER_REFUSED;
        return 0;
    }
    // One step, whatever the kernel does inside of it.
    error = lever_add_step(report, "ask the kernel for the group's memory (%s)",
                           ways[group->version].request);
    if (!error)
        error = lever_add_warning(report, "The kernel takes page cache as well: what is read again "
                                          "from files comes from the disk.");
    report->outcome = LEVER_PLANNED;
    if (!error && !is_dry_run)
        error = act(group, force, &figures, report);
    report->took_ns = lever_now_ns() - started_ns;
    if (!error && report->outcome == LEVER_DONE)
        journal_append(report, 0);
    return error;
}
