// SPDX-License-Identifier: Apache-2.0
// Processes by number or name, see find.h. Tool world; no state.
//
// Everything is read through a descriptor of PROC_ROOT. A process that ends while it is looked at
// is left out, as is one that hidepid hides: neither is an error.
#include "proc/find.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/array.h"
#include "base/buffer.h"
#include "proc/status.h"

enum {
    FIND_KERNEL_THREAD = 0x00200000, // PF_KTHREAD
    FIND_FILE_MAX_BYTES = 4096,      // stat whole; of cmdline only argv[0] counts
    FIND_ENTRIES_MAX = 1 << 22,      // PID_MAX_LIMIT
};

struct find_list {
    struct proc_entry *items;
    size_t count, capacity;
};

// What is known of one process while it is looked at.
struct find_candidate {
    struct proc_stat stat;
    char argv0[FIND_FILE_MAX_BYTES];
    char exe[FIND_FILE_MAX_BYTES];
};

// A directory entry's PID, or 0 for anything else.
// Only plain digits: "12x" and "self" are no processes.
static pid_t find_pid(struct text name)
{
    uint64_t pid;
    if (!text_take_u64(&name, &pid) || name.len > 0 || pid == 0 || pid > INT32_MAX)
        return 0;
    return (pid_t)pid;
}

// Reads the head of PROC_ROOT/PID/NAME; "" where that cannot be read.
static struct text find_file(struct buffer *scratch, int root_fd, pid_t pid, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "%d/%s", (int)pid, name);
    buffer_clear(scratch);
    int error = buffer_read_at(scratch, root_fd, path);
    // The head of a long command line is all that is needed.
    if (error < 0 && error != -EFBIG)
        buffer_clear(scratch);
    return buffer_text(scratch);
}

// The base name of the executable, without the mark of a deleted file; "" where it may not be seen.
static void find_exe(int root_fd, pid_t pid, char *ret_exe, size_t size)
{
    // The link leads through the target's mount namespace, so it is read and never followed.
    char path[64], link[FIND_FILE_MAX_BYTES];
    snprintf(path, sizeof path, "%d/exe", (int)pid);
    ssize_t len = readlinkat(root_fd, path, link, sizeof link);
    struct text target = {link, len > 0 ? (size_t)len : 0};
    if (text_ends_with(target, " (deleted)"))
        target.len -= sizeof " (deleted)" - 1;
    text_copy(text_base_name(target), ret_exe, size);
}

// Fills in a candidate. False for what has no memory (kernel threads, zombies) and for what has
// ended.
static bool find_look(struct buffer *scratch, int root_fd, pid_t pid,
                      struct find_candidate *candidate)
{
    // It ended, or it is being torn down.
    if (proc_stat_parse(find_file(scratch, root_fd, pid, "stat"), &candidate->stat) < 0)
        return false;
    // A zombie keeps its name until its parent looks; it must not make a name ambiguous.
    char state = candidate->stat.state;
    if ((candidate->stat.flags & FIND_KERNEL_THREAD) || state == 'Z' || state == 'X')
        return false;
    struct text argv0 = {"", 0}, cmdline = find_file(scratch, root_fd, pid, "cmdline");
    text_next_field(&cmdline, '\0', &argv0);
    text_copy(text_base_name(argv0), candidate->argv0, sizeof candidate->argv0);
    return true;
}

// In order of cost: what was read already comes first.
static bool find_matches(const struct find_candidate *candidate, int root_fd, pid_t pid,
                         const char *name, char *scratch_exe, size_t size)
{
    // What cannot be read looks like an empty name.
    if (name[0] == '\0')
        return false;
    if (text_equals(text_of(candidate->stat.comm), name) ||
        text_equals(text_of(candidate->argv0), name))
        return true;
    // The link needs rights and costs a path walk, so it comes last.
    find_exe(root_fd, pid, scratch_exe, size);
    return text_equals(text_of(scratch_exe), name);
}

// The comm is cut at 15 bytes; argv[0] often still holds the whole name.
static void find_name(const struct find_candidate *candidate, struct proc_entry *entry)
{
    struct text argv0 = text_of(candidate->argv0);
    struct text comm = text_of(candidate->stat.comm);
    bool is_longer = comm.len > 0 && argv0.len > comm.len && text_starts_with(argv0, comm.data);
    text_copy(is_longer ? argv0 : comm, entry->name, sizeof entry->name);
}

// readdir() gives them in order on a real proc, but not in a tree of files.
static int find_compare(const void *left, const void *right)
{
    pid_t a = ((const struct proc_entry *)left)->pid, b = ((const struct proc_entry *)right)->pid;
    return (a > b) - (a < b);
}

// The caller's own PID as this tree numbers it, 0 in a tree without "self".
static pid_t find_self(int root_fd)
{
    char link[32];
    ssize_t len = readlinkat(root_fd, "self", link, sizeof link);
    return len > 0 ? find_pid((struct text){link, (size_t)len}) : 0;
}

// Looks at one directory entry and appends it where it is wanted. `name` may be NULL: all but none.
static int find_visit(struct find_list *list, struct buffer *scratch, int root_fd, pid_t pid,
                      const char *name)
{
    struct find_candidate candidate;
    if (!find_look(scratch, root_fd, pid, &candidate))
        return 0;
    if (name && !find_matches(&candidate, root_fd, pid, name, candidate.exe, sizeof candidate.exe))
        return 0;
    // More than there can be PIDs: a hostile file system.
    if (list->count >= FIND_ENTRIES_MAX)
        return -E2BIG;
    int error = array_reserve_one(&list->items, &list->capacity, list->count, sizeof *list->items);
    if (error)
        return error;
    struct proc_entry *entry = &list->items[list->count++];
    entry->pid = pid;
    find_name(&candidate, entry);
    return 0;
}

// The walk itself never fails for one process: it ends early only without memory.
static int find_walk(DIR *root, const char *name, struct find_list *list)
{
    struct buffer scratch = {.limit = FIND_FILE_MAX_BYTES};
    int root_fd = dirfd(root), error = 0;
    pid_t self = name ? find_self(root_fd) : 0;
    while (!error) {
        // readdir() tells its end and its failure apart by errno alone.
        errno = 0;
        struct dirent *entry = readdir(root);
        if (!entry) {
            error = -errno;
            break;
        }
        pid_t pid = find_pid(text_of(entry->d_name));
        if (pid != 0 && pid != self)
            error = find_visit(list, &scratch, root_fd, pid, name);
    }
    buffer_free(&scratch);
    return error;
}

// Nothing is handed out before all of it is there.
static int find_all(const char *proc_root, const char *name, struct proc_entry **ret_entries,
                    size_t *ret_count)
{
    DIR *root = opendir(proc_root);
    if (!root)
        return -errno;
    struct find_list list = {0};
    int error = find_walk(root, name, &list);
    closedir(root);
    if (error) {
        free(list.items);
        return error;
    }
    // qsort() must not be given NULL.
    if (list.count > 0)
        qsort(list.items, list.count, sizeof *list.items, find_compare);
    *ret_entries = list.items;
    *ret_count = list.count;
    return 0;
}

int proc_list(const char *proc_root, struct proc_entry **ret_entries, size_t *ret_count)
{
    return find_all(proc_root, NULL, ret_entries, ret_count);
}

int proc_find_by_name(const char *proc_root, const char *name, struct proc_entry **ret_entries,
                      size_t *ret_count)
{
    return find_all(proc_root, name, ret_entries, ret_count);
}

// "self" is answered for who asks, in the numbering of the mount.
pid_t proc_self(const char *proc_root)
{
    int root_fd = open(proc_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return 0;
    pid_t self = find_self(root_fd);
    close(root_fd);
    return self;
}
