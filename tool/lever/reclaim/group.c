// SPDX-License-Identifier: Apache-2.0
// Finding a control group and its processes, see group.h. Tool world; no state.
#include "lever/reclaim/group.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/buffer.h"
#include "base/text.h"
#include "proc/cgroup.h"

// A group of a million processes lists them in 8 MiB.
enum { GROUP_FILE_MAX_BYTES = 64 << 20 };

struct pid_list {
    pid_t *items;
    size_t count, capacity;
};

// Files tell what a directory is; the types of file systems would not cover copies of trees.
static bool has_file(const char *directory, const char *name)
{
    char path[GROUP_PATH_MAX + 64];
    text_format(path, sizeof path, "%s/%s", directory, name);
    return access(path, F_OK) == 0;
}

// Which hierarchy a directory belongs to; 0: it is no group.
static int version_of(const char *directory)
{
    if (!has_file(directory, "cgroup.procs"))
        return 0;
    // Version 2 has it in every group, version 1 in none.
    return has_file(directory, "cgroup.controllers") ? 2 : 1;
}

// Looks for a path of /proc/PID/cgroup in one hierarchy.
static int find_in_hierarchy(struct text mountinfo, int version, const char *path,
                             struct group *ret_group)
{
    char mount[GROUP_PATH_MAX], root[GROUP_PATH_MAX];
    struct group group = {.version = version};
    int error =
        cgroup_parse_mountinfo(mountinfo, version, path, mount, sizeof mount, root, sizeof root);
    if (!error)
        error = cgroup_join(mount, root, path, group.directory, sizeof group.directory);
    // What mountinfo promises may be hidden by a mount above it.
    if (!error && version_of(group.directory) == 0)
        error = -ENOENT;
    if (!error)
        *ret_group = group;
    return error;
}

// Version 1 first: where its memory controller is mounted, version 2 has no memory to tell of.
static int find_by_path(const char *path, struct group *ret_group)
{
    struct buffer file = {.limit = GROUP_FILE_MAX_BYTES};
    int error = buffer_read_at(&file, AT_FDCWD, "/proc/self/mountinfo");
    if (!error)
        error = find_in_hierarchy(buffer_text(&file), 1, path, ret_group);
    if (error == -ENOENT)
        error = find_in_hierarchy(buffer_text(&file), 2, path, ret_group);
    buffer_free(&file);
    return error;
}

// A directory is tried first: a path of the hierarchy hardly ever is one by accident.
int group_find(const char *path, struct group *ret_group)
{
    struct group group = {.version = version_of(path)};
    // A path of the hierarchy begins at its root.
    if (group.version == 0)
        return path[0] == '/' ? find_by_path(path, ret_group) : -ENOENT;
    if (!text_copy(text_of(path), group.directory, sizeof group.directory))
        return -ENAMETOOLONG;
    *ret_group = group;
    return 0;
}

// Lines that make no sense are passed over: the file is read while it changes.
static int add_pids(struct text file, struct pid_list *pids)
{
    struct text line;
    uint64_t pid;
    while (text_next_line(&file, &line)) {
        // A process of another PID namespace shows as 0.
        if (!text_take_u64(&line, &pid) || pid == 0 || pid > INT32_MAX)
            continue;
        int error =
            array_reserve_one(&pids->items, &pids->capacity, pids->count, sizeof *pids->items);
        if (error)
            return error;
        pids->items[pids->count++] = (pid_t)pid;
    }
    return 0;
}

// One level's processes; threads have the file "tasks".
static int read_pids(int directory_fd, struct pid_list *pids)
{
    struct buffer file = {.limit = GROUP_FILE_MAX_BYTES};
    int error = buffer_read_at(&file, directory_fd, "cgroup.procs");
    if (!error)
        error = add_pids(buffer_text(&file), pids);
    buffer_free(&file);
    return error;
}

// The next group below, opened; -1 at the end.
static int next_child(DIR *directory)
{
    for (struct dirent *entry; (entry = readdir(directory));) {
        // cgroupfs tells the type with each entry; files are skipped without a call.
        if (entry->d_name[0] == '.' || entry->d_type != DT_DIR)
            continue;
        int fd = openat(dirfd(directory), entry->d_name,
                        O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0)
            return fd;
    }
    return -1;
}

// One level down; the descriptor is taken over.
static int descend(int fd, DIR **stack, size_t *depth, struct pid_list *pids)
{
    int error = read_pids(fd, pids);
    // Threaded groups (version 2) answer EOPNOTSUPP: their processes stand above.
    bool is_gone = error == -ENOENT || error == -ENODEV || error == -EOPNOTSUPP;
    if ((error && !is_gone) || *depth == GROUP_DEPTH_MAX) {
        close(fd);
        return error;
    }
    // A group that has just gone is an empty directory, and ends at its first entry.
    DIR *directory = fdopendir(fd);
    if (!directory) {
        close(fd);
        return -ENOMEM;
    }
    stack[(*depth)++] = directory;
    return 0;
}

// Depth first, one descriptor for each level: groups nest a few levels deep.
static int collect(const char *path, struct pid_list *pids)
{
    DIR *stack[GROUP_DEPTH_MAX];
    size_t depth = 0;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int error = descend(fd, stack, &depth, pids);
    // After a failure only what is open is closed.
    while (depth > 0) {
        fd = error ? -1 : next_child(stack[depth - 1]);
        if (fd >= 0)
            error = descend(fd, stack, &depth, pids);
        else
            closedir(stack[--depth]);
    }
    return error;
}

static int compare_pids(const void *a, const void *b)
{
    pid_t first = *(const pid_t *)a, second = *(const pid_t *)b;
    return first < second ? -1 : first > second;
}

// A process that moved meanwhile may have been seen twice.
static void make_unique(struct pid_list *pids)
{
    size_t kept = 0;
    if (pids->count == 0)
        return;
    qsort(pids->items, pids->count, sizeof *pids->items, compare_pids);
    for (size_t i = 0; i < pids->count; i++) {
        if (kept == 0 || pids->items[kept - 1] != pids->items[i])
            pids->items[kept++] = pids->items[i];
    }
    pids->count = kept;
}

// Sorted, so that two runs list alike.
int group_list(const struct group *group, pid_t **ret_pids, size_t *ret_count)
{
    struct pid_list pids = {0};
    int error = collect(group->directory, &pids);
    if (error) {
        free(pids.items);
        return error;
    }
    make_unique(&pids);
    *ret_pids = pids.items;
    *ret_count = pids.count;
    return 0;
}
