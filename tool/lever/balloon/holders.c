// SPDX-License-Identifier: Apache-2.0
// Who holds lazily freed memory, see holders.h. Tool world; no state.
#include "lever/balloon/holders.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "lever/balloon/files.h"
#include "lever/lever.h"
#include "proc/find.h"
#include "proc/status.h"

enum {
    HOLDERS_MAX = 4096,    // of a group
    HOST_HOLDERS_MAX = 16, // of the host: its largest
    GROUPS_DEPTH_MAX = 16, // below the group
    ROLLUP_MAX_BYTES = 64 << 10,
};
static const uint64_t kib = 1 << 10;

// Not ourselves: what ebb holds is not lazily freed, and its walk would be one more.
int balloon_holders_add(struct balloon_holders *holders, pid_t pid)
{
    // Beyond that, walking would take longer than it is worth: fewer are known to be there.
    if (holders->count >= HOLDERS_MAX || pid == getpid())
        return 0;
    int error = array_reserve_one(&holders->items, &holders->capacity, holders->count,
                                  sizeof *holders->items);
    if (error)
        return error;
    holders->items[holders->count++] = (struct balloon_holder){.pid = pid};
    return 0;
}

// The processes of one level. PID 0 stands for one of another namespace.
static int add_level(struct balloon_holders *holders, const char *directory)
{
    struct buffer file = {.limit = BALLOON_FILE_MAX_BYTES};
    int error = balloon_file_below(directory, "cgroup.procs", &file);
    struct text rest = buffer_text(&file), line;
    while (!error && text_next_line(&rest, &line)) {
        uint64_t pid;
        if (text_take_u64(&line, &pid) && pid > 0 && pid <= INT_MAX)
            error = balloon_holders_add(holders, (pid_t)pid);
    }
    buffer_free(&file);
    return error;
}

// The groups below are charged to this one too. Recursion ends at a depth no real tree has.
static int add_tree(struct balloon_holders *holders, const char *directory, unsigned depth)
{
    int error = add_level(holders, directory);
    if (error || depth >= GROUPS_DEPTH_MAX)
        return error;
    DIR *stream = opendir(directory);
    if (!stream)
        return -errno;
    const struct dirent *entry;
    while (!error && (entry = readdir(stream))) {
        char below[PATH_MAX];
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        text_format(below, sizeof below, "%s/%s", directory, entry->d_name);
        error = add_tree(holders, below, depth + 1);
        // A group that has gone meanwhile is no failure of the ones that stay.
        if (error == -ENOENT || error == -ENODEV)
            error = 0;
    }
    closedir(stream);
    return error;
}

// A process is only a number here: one that takes the number of another is counted as what it is.
static int read_small(const char *proc_root, pid_t pid, const char *name, struct buffer *file)
{
    char path[PATH_MAX];
    text_format(path, sizeof path, "%s/%d/%s", proc_root, (int)pid, name);
    file->limit = ROLLUP_MAX_BYTES;
    return balloon_file_read(path, file);
}

// 4 µs whatever its size; 0 when it has gone.
static uint64_t read_rss(const char *proc_root, pid_t pid)
{
    struct buffer file = {0};
    struct proc_statm statm = {0};
    if (read_small(proc_root, pid, "statm", &file) == 0)
        proc_statm_parse(buffer_text(&file), &statm);
    buffer_free(&file);
    return statm.resident_pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

// Most first.
static int compare_rss(const void *a, const void *b)
{
    uint64_t left = ((const struct balloon_holder *)a)->rss_bytes;
    uint64_t right = ((const struct balloon_holder *)b)->rss_bytes;
    return (left < right) - (left > right);
}

// The largest of those that are listed.
static void keep_largest(struct balloon_holders *holders)
{
    if (holders->count > 0)
        qsort(holders->items, holders->count, sizeof *holders->items, compare_rss);
    if (holders->count > HOST_HOLDERS_MAX)
        holders->count = HOST_HOLDERS_MAX;
}

// Walking every process of a host would hold up all of them: the largest say enough, because here
// the sum is not relied on. Sorted out as the list fills up, so that no host has too many.
static int add_host(struct balloon_holders *holders, const char *proc_root)
{
    struct proc_entry *entries = NULL;
    size_t count = 0;
    int error = proc_list(proc_root, &entries, &count);
    for (size_t i = 0; !error && i < count; i++) {
        size_t before = holders->count;
        error = balloon_holders_add(holders, entries[i].pid);
        if (holders->count > before)
            holders->items[before].rss_bytes = read_rss(proc_root, entries[i].pid);
        if (holders->count == HOLDERS_MAX)
            keep_largest(holders);
    }
    free(entries);
    keep_largest(holders);
    return error;
}

// The host's sum is never acted on, a group's is: hence two ways to list.
int balloon_holders_find(struct balloon_holders *holders, const struct balloon_place *place)
{
    holders->count = 0;
    if (place->version == 0)
        return add_host(holders, place->proc_root);
    return add_tree(holders, place->directory, 0);
}

// smaps_rollup and not smaps: one walk in the kernel, and no text for each mapping.
static void walk_one(struct balloon_holder *holder, const char *proc_root)
{
    struct buffer file = {0};
    struct proc_rollup rollup = {0};
    int error = read_small(proc_root, holder->pid, "smaps_rollup", &file);
    if (!error)
        error = proc_rollup_parse(buffer_text(&file), &rollup);
    buffer_free(&file);
    // Ended: it holds nothing, and that is known.
    bool gone = error == -ENOENT || error == -ESRCH;
    *holder = (struct balloon_holder){.pid = holder->pid, .is_known = error == 0 || gone};
    if (error) {
        holder->rss_bytes = gone ? 0 : read_rss(proc_root, holder->pid);
        return;
    }
    // See holders.h: what is not private is shared with a fork.
    uint64_t sure_kib = rollup.lazy_free_kib;
    if (rollup.private_clean_kib < sure_kib)
        sure_kib = rollup.private_clean_kib;
    holder->rss_bytes = rollup.rss_kib * kib;
    holder->lazy_bytes = rollup.lazy_free_kib * kib;
    holder->sure_bytes = sure_kib * kib;
}

// Anew from 0 each time: a process that has gone takes its share with it.
void balloon_holders_walk(struct balloon_holders *holders, const char *proc_root)
{
    holders->lazy_bytes = holders->sure_bytes = 0;
    holders->unknown = 0;
    for (size_t i = 0; i < holders->count; i++) {
        struct balloon_holder *holder = &holders->items[i];
        // Per process: no target waits for the walk of another.
        uint64_t began_ns = lever_now_ns();
        walk_one(holder, proc_root);
        uint64_t took_ns = lever_now_ns() - began_ns;
        holders->total_ns += took_ns;
        if (took_ns > holders->longest_ns)
            holders->longest_ns = took_ns;
        holders->lazy_bytes += holder->lazy_bytes;
        holders->sure_bytes += holder->sure_bytes;
        holders->unknown += !holder->is_known;
    }
}

// By RSS where nothing is known of lazily freed pages: the largest is the likeliest to hold some.
const struct balloon_holder *balloon_holders_largest(const struct balloon_holders *holders)
{
    const struct balloon_holder *best = NULL;
    for (size_t i = 0; i < holders->count; i++) {
        const struct balloon_holder *item = &holders->items[i];
        if (!best || item->lazy_bytes > best->lazy_bytes ||
            (item->lazy_bytes == best->lazy_bytes && item->rss_bytes > best->rss_bytes))
            best = item;
    }
    return best;
}

// Leaves an empty list, which may be filled again.
void balloon_holders_free(struct balloon_holders *holders)
{
    free(holders->items);
    *holders = (struct balloon_holders){0};
}
