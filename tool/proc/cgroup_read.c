// SPDX-License-Identifier: Apache-2.0
// Reads the memory group of a process, see cgroup_read() in cgroup.h. Tool world; no state.
//
// Groups come and go while they are read: a file that is missing leaves its fields at 0.
#include "proc/cgroup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "proc/process.h"

enum {
    CGROUP_FILE_MAX_BYTES = 1 << 20,
    CGROUP_MOUNTINFO_MAX_BYTES = 16 << 20, // hosts with thousands of containers
    CGROUP_OPEN_PATH_MAX = 1024,
};

// The files' names per version.
struct cgroup_files {
    const char *limit, *usage, *swap;
};
static const struct cgroup_files cgroup_files[] = {
    {NULL, NULL, NULL},
    {"memory.limit_in_bytes", "memory.usage_in_bytes", NULL}, // swap is in memory.stat
    {"memory.max", "memory.current", "memory.swap.current"},
};

// What the walk up the hierarchy works with.
struct cgroup_walk {
    struct process *process;
    const struct cgroup_files *files;
    struct buffer scratch;
    char mount[512];
    char directory[512]; // the level looked at; between the group and the mount
};

// Reads one file of the level. 0 or -errno.
static int cgroup_file(struct cgroup_walk *walk, const char *name)
{
    char path[CGROUP_OPEN_PATH_MAX];
    // A tree of plain files has its hierarchy beside it, seen from PROC_ROOT/PID.
    const char *base = process_is_procfs(walk->process) ? "" : "../..";
    int len = snprintf(path, sizeof path, "%s%s/%s", base, walk->directory, name);
    if (len < 0 || (size_t)len >= sizeof path)
        return -ENAMETOOLONG;
    buffer_clear(&walk->scratch);
    return buffer_read_at(&walk->scratch, process_dir_fd(walk->process), path);
}

// Moves one level up. False when the walk is at the mount already.
static bool cgroup_up(struct cgroup_walk *walk)
{
    char *slash = strrchr(walk->directory, '/');
    if (!slash || strlen(walk->directory) <= strlen(walk->mount))
        return false;
    *slash = '\0';
    return true;
}

// Usage is a number as well, so one reader serves for all three files.
static int cgroup_number(struct cgroup_walk *walk, const char *name, uint64_t *ret_value)
{
    int error = cgroup_file(walk, name);
    if (error)
        return error;
    return cgroup_parse_limit(buffer_text(&walk->scratch), ret_value);
}

// Usage and statistics, of the nearest level that has the controller.
static void cgroup_read_usage(struct cgroup_walk *walk, struct cgroup *cgroup)
{
    // The walk starts at the group itself.
    text_copy(text_of(cgroup->directory), walk->directory, sizeof walk->directory);
    while (cgroup_number(walk, walk->files->usage, &cgroup->usage_bytes) < 0) {
        if (!cgroup_up(walk))
            return;
    }
    cgroup->has_usage = true;
    if (cgroup_file(walk, "memory.stat") == 0)
        cgroup_parse_memory_stat(buffer_text(&walk->scratch), cgroup->version, cgroup);
    // Only version 2 has a file for it, and only where swap is compiled in.
    if (walk->files->swap)
        cgroup_number(walk, walk->files->swap, &cgroup->swap_bytes);
    // The two are read one after the other and may disagree.
    if (cgroup->usage_bytes > cgroup->inactive_file_bytes)
        cgroup->working_set_bytes = cgroup->usage_bytes - cgroup->inactive_file_bytes;
}

// The name of the level that the walk is at: the path and the directory end alike.
static void cgroup_level_path(const struct cgroup_walk *walk, const struct cgroup *cgroup,
                              char *ret_path, size_t size)
{
    struct text path = text_of(cgroup->path);
    size_t cut = strlen(cgroup->directory) - strlen(walk->directory);
    path.len = path.len > cut ? path.len - cut : 0;
    // At the hierarchy's root nothing is left of the path.
    text_copy(path.len > 0 ? path : text_of("/"), ret_path, size);
}

// Looks for the tightest limit on the way up to the mount.
static void cgroup_read_limit(struct cgroup_walk *walk, struct cgroup *cgroup)
{
    // Version 1 says what counts; a level with less has no say (use_hierarchy 0).
    uint64_t told = cgroup->limit_bytes, floor = told == CGROUP_NO_LIMIT ? 0 : told;
    uint64_t best = CGROUP_NO_LIMIT, limit;
    text_copy(text_of(cgroup->directory), walk->directory, sizeof walk->directory);
    do {
        if (cgroup_number(walk, walk->files->limit, &limit) == 0 && limit >= floor &&
            limit < best) {
            best = limit;
            cgroup_level_path(walk, cgroup, cgroup->limit_path, sizeof cgroup->limit_path);
        }
    } while (cgroup_up(walk));
    if (told < best) {
        best = told;
        text_copy(text_of(".."), cgroup->limit_path, sizeof cgroup->limit_path);
    }
    cgroup->limit_bytes = best;
}

// Finds the group's directory through the mounts that this process sees.
static int cgroup_locate(struct cgroup_walk *walk, struct cgroup *cgroup)
{
    char root[512];
    // The mounts of the caller, not of the target: the files are opened from here.
    walk->scratch.limit = CGROUP_MOUNTINFO_MAX_BYTES;
    buffer_clear(&walk->scratch);
    int error = buffer_read_at(&walk->scratch, process_dir_fd(walk->process), "../self/mountinfo");
    walk->scratch.limit = CGROUP_FILE_MAX_BYTES;
    if (error)
        return error;
    error = cgroup_parse_mountinfo(buffer_text(&walk->scratch), cgroup->version, cgroup->path,
                                   walk->mount, sizeof walk->mount, root, sizeof root);
    if (error)
        return error;
    return cgroup_join(walk->mount, root, cgroup->path, cgroup->directory,
                       sizeof cgroup->directory);
}

// Every step that fails leaves less to show, but what was found stays.
int cgroup_read(struct process *process, struct cgroup *ret_cgroup)
{
    struct cgroup_walk walk = {.process = process};
    struct cgroup cgroup = {.limit_bytes = CGROUP_NO_LIMIT};
    int error = process_read_file(process, "cgroup", CGROUP_FILE_MAX_BYTES, &walk.scratch);
    if (!error)
        error = cgroup_parse_membership(buffer_text(&walk.scratch), &cgroup.version, cgroup.path,
                                        sizeof cgroup.path);
    // A group that cannot be reached is still worth its name.
    if (!error && cgroup_locate(&walk, &cgroup) == 0) {
        walk.files = &cgroup_files[cgroup.version];
        cgroup_read_usage(&walk, &cgroup);
        cgroup_read_limit(&walk, &cgroup);
    }
    buffer_free(&walk.scratch);
    if (!error)
        *ret_cgroup = cgroup;
    return error;
}
