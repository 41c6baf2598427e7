// SPDX-License-Identifier: Apache-2.0
// A tree of processes by their parents' numbers, see watch_tree.h. Tool world; no state.
#include "lever/run/watch_tree.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/buffer.h"
#include "proc/process.h"
#include "proc/status.h"

enum { FILE_MAX = 64 << 10, TREE_MAX = 4096 };

struct node {
    int pid, parent;
};

// A growing list.
struct nodes {
    struct node *items;
    size_t count, capacity;
};

// All processes of the host with their parents: the file that lists children is not compiled into
// every kernel.
static int list_all(struct nodes *nodes)
{
    // A snapshot that may tear: who forks meanwhile is seen the next time.
    DIR *proc = opendir("/proc");
    if (!proc)
        return -errno;
    int error = 0;
    for (struct dirent *entry; !error && (entry = readdir(proc)) != NULL;) {
        // What ends between listing and reading is left out.
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        char path[300];
        uint64_t pid;
        struct text name = text_of(entry->d_name);
        struct buffer file = {.limit = FILE_MAX};
        struct proc_stat stat;
        text_format(path, sizeof path, "%s/stat", entry->d_name);
        if (text_take_u64(&name, &pid) && pid <= INT_MAX &&
            buffer_read_at(&file, dirfd(proc), path) == 0 &&
            proc_stat_parse(buffer_text(&file), &stat) == 0) {
            error = array_reserve_one(&nodes->items, &nodes->capacity, nodes->count,
                                      sizeof *nodes->items);
            if (!error)
                nodes->items[nodes->count++] = (struct node){(int)pid, stat.ppid};
        }
        buffer_free(&file);
    }
    closedir(proc);
    return error;
}

// Moves the root and its descendants to the front, in order of their depth. Returns how many.
static size_t gather(struct nodes *nodes, int root)
{
    // The list is sorted in place: what is found stands in front.
    size_t found = 0;
    // The root first.
    for (size_t i = 0; i < nodes->count; i++) {
        if (nodes->items[i].pid == root) {
            struct node swap = nodes->items[0];
            nodes->items[0] = nodes->items[i];
            nodes->items[i] = swap;
            found = 1;
        }
    }
    // Each of the found takes its children in behind it.
    for (size_t parent = 0; parent < found && found < TREE_MAX; parent++) {
        for (size_t i = found; i < nodes->count; i++) {
            if (nodes->items[i].parent != nodes->items[parent].pid)
                continue;
            struct node swap = nodes->items[found];
            nodes->items[found++] = nodes->items[i];
            nodes->items[i] = swap;
        }
    }
    return found;
}

// 0 and the name and lazily freed bytes; -ENODATA on a kernel that does not count them; -errno.
static int read_one(struct process *process, char ret_name[64], uint64_t *ret_lazy_bytes)
{
    struct buffer file = {0};
    struct proc_stat stat;
    struct proc_rollup rollup;
    // stat first: a name is needed where the rest may not be read, too.
    int error = process_read_file(process, "stat", FILE_MAX, &file);
    if (!error)
        error = proc_stat_parse(buffer_text(&file), &stat);
    if (!error)
        text_copy(text_of(stat.comm), ret_name, 64);
    if (!error)
        error = process_read_file(process, "smaps_rollup", FILE_MAX, &file);
    if (!error)
        error = proc_rollup_parse(buffer_text(&file), &rollup);
    buffer_free(&file);
    if (error)
        return error;
    if (!rollup.has_lazy_free)
        return -ENODATA;
    *ret_lazy_bytes = rollup.lazy_free_kib << 10;
    return 0;
}

// The worst of them is what a message can name.
static void take(int pid, const char *name, uint64_t lazy_bytes, struct watch_result *result)
{
    if (lazy_bytes <= result->lazy_bytes)
        return;
    result->lazy_bytes = lazy_bytes;
    result->lazy_pid = pid;
    text_copy(text_of(name), result->lazy_name, sizeof result->lazy_name);
}

static void read_descendant(int pid, struct watch_result *result)
{
    struct process *process;
    char name[64];
    uint64_t lazy_bytes;
    // What ended meanwhile, or may not be read, is no answer for the others.
    if (process_open("/proc", pid, &process))
        return;
    if (read_one(process, name, &lazy_bytes) == 0)
        take(pid, name, lazy_bytes, result);
    process_close(process);
}

void watch_tree_read(struct process *process, struct watch_result *result)
{
    uint64_t lazy_bytes = 0;
    int error = read_one(process, result->name, &lazy_bytes);
    // It has ended: the watcher sees that as well.
    if (error == -ESRCH)
        return;
    if (error) {
        result->error = error;
        return;
    }
    result->error = 0;
    result->readings++;
    take(process_pid(process), result->name, lazy_bytes, result);
    // Without the list at least the command itself is told of.
    struct nodes nodes = {0};
    // Descendants behind the root, which was read above.
    size_t count = list_all(&nodes) == 0 ? gather(&nodes, process_pid(process)) : 1;
    for (size_t i = 1; i < count; i++)
        read_descendant(nodes.items[i].pid, result);
    free(nodes.items);
    if (count > result->processes)
        result->processes = (unsigned)count;
}
