// SPDX-License-Identifier: Apache-2.0
// Finds the group that the balloon goes into, and what would make it dangerous there. Tool world;
// no state.
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lever/balloon/files.h"
#include "lever/balloon/reading.h"
#include "proc/cgroup.h"
#include "proc/process.h"

// Mounts of thousands of containers.
enum { MOUNTINFO_MAX_BYTES = 16 << 20 };

// Which version a directory is of shows in its files. The root of version 2 has none: no process
// can be limited by it.
static int find_version(const char *directory)
{
    uint64_t usage;
    if (balloon_file_number(directory, "memory.usage_in_bytes", &usage) == 0)
        return 1;
    return balloon_file_number(directory, "memory.current", &usage) == 0 ? 2 : 0;
}

// Takes a directory of the file system. realpath() because the levels above are found by cutting.
static int take_directory(const char *proc_root, const char *path, struct balloon_place *ret_place)
{
    char real[PATH_MAX];
    if (!realpath(path, real))
        return -errno;
    struct balloon_place place = {.proc_root = proc_root};
    if (strlen(real) >= sizeof place.directory)
        return -ENAMETOOLONG;
    struct stat status;
    if (stat(real, &status) < 0)
        return -errno;
    if (!S_ISDIR(status.st_mode))
        return -ENOTDIR;
    text_copy(text_of(real), place.directory, sizeof place.directory);
    // Any folder can be named: what makes it a group are its files.
    place.version = find_version(place.directory);
    if (place.version == 0)
        return -ENODATA;
    *ret_place = place;
    return 0;
}

// A path as /proc/PID/cgroup writes it, below the mount of either version.
static int find_below_mount(const char *proc_root, int version, const char *path,
                            struct balloon_place *ret_place)
{
    char name[PATH_MAX], mount[512], root[512], directory[512];
    struct buffer file = {.limit = MOUNTINFO_MAX_BYTES};
    text_format(name, sizeof name, "%s/self/mountinfo", proc_root);
    int error = balloon_file_read(name, &file);
    if (!error)
        error = cgroup_parse_mountinfo(buffer_text(&file), version, path, mount, sizeof mount, root,
                                       sizeof root);
    buffer_free(&file);
    if (!error)
        error = cgroup_join(mount, root, path, directory, sizeof directory);
    return error ? error : take_directory(proc_root, directory, ret_place);
}

// What the user typed, in either spelling; nothing is guessed when neither exists.
int balloon_place_find(const char *proc_root, const char *path, struct balloon_place *ret_place)
{
    // A name of the file system first: it is what completion gives.
    int error = take_directory(proc_root, path, ret_place);
    if (error == 0 || error == -ENAMETOOLONG || error == -EACCES)
        return error;
    // On a hybrid host the memory controller is in version 1, if that is mounted with it at all.
    for (int version = 1; version <= 2; version++) {
        int other = find_below_mount(proc_root, version, path, ret_place);
        if (other == 0)
            return 0;
    }
    return error;
}

// Where the kernel says that the process is now; the balloon stays there when the process is moved.
int balloon_place_of(const char *proc_root, struct process *process,
                     struct balloon_place *ret_place)
{
    // Some ten small files more than needed, once.
    struct cgroup cgroup;
    int error = cgroup_read(process, &cgroup);
    if (error)
        return error;
    // Outside of this mount namespace.
    if (!cgroup.directory[0])
        return -ENODATA;
    return take_directory(proc_root, cgroup.directory, ret_place);
}

// vm.panic_on_oom: 1 spares limits of groups, 2 does not.
static bool panics(const struct balloon_place *place)
{
    char name[PATH_MAX];
    uint64_t value = 0;
    text_format(name, sizeof name, "%s/sys/vm", place->proc_root);
    if (balloon_file_number(name, "panic_on_oom", &value) < 0)
        return false;
    return value >= (place->version == 0 ? 1U : 2U);
}

// --host presses on the host only where nothing stops the balloon before.
static enum balloon_danger find_host_danger(const struct balloon_place *place)
{
    struct process *self = NULL;
    struct balloon_place own;
    struct balloon_room room;
    enum balloon_danger danger = BALLOON_SAFE;
    if (process_open(place->proc_root, getpid(), &self) == 0 &&
        balloon_place_of(place->proc_root, self, &own) == 0 && balloon_place_room(&own, &room) == 0)
        danger = BALLOON_CONFINED;
    process_close(self);
    return danger;
}

// The balloon must be what dies first, and alone, should the OOM killer be called after all.
static enum balloon_danger find_level_danger(int version, const char *directory)
{
    struct buffer file = {.limit = BALLOON_FILE_MAX_BYTES};
    uint64_t value = 0;
    enum balloon_danger danger = BALLOON_SAFE;
    if (version == 1 && balloon_file_below(directory, "memory.oom_control", &file) == 0 &&
        balloon_parse_key(buffer_text(&file), "oom_kill_disable", &value) && value != 0)
        danger = BALLOON_OOM_DISABLED;
    if (version == 2 && balloon_file_number(directory, "memory.oom.group", &value) == 0 &&
        value != 0)
        danger = BALLOON_OOM_GROUP;
    buffer_free(&file);
    return danger;
}

// Version 2 has processes at the leaves only; threaded groups have no memory controller.
static bool is_inner(const struct balloon_place *place)
{
    struct buffer file = {.limit = BALLOON_FILE_MAX_BYTES};
    bool inner = place->version == 2 &&
                 balloon_file_below(place->directory, "cgroup.subtree_control", &file) == 0 &&
                 text_contains(buffer_text(&file), "memory");
    buffer_free(&file);
    return inner;
}

enum balloon_danger balloon_place_danger(const struct balloon_place *place)
{
    if (panics(place))
        return BALLOON_OOM_PANICS;
    if (place->version == 0)
        return find_host_danger(place);
    // The walk up cuts the directory.
    struct balloon_place copy = *place;
    struct balloon_room room;
    if (balloon_place_room(&copy, &room) == -ENODATA)
        return BALLOON_WITHOUT_LIMIT;
    if (is_inner(place))
        return BALLOON_NOT_A_LEAF;
    // A setting of any level above reaches down to the balloon.
    do {
        enum balloon_danger danger = find_level_danger(copy.version, copy.directory);
        if (danger != BALLOON_SAFE)
            return danger;
    } while (balloon_level_up(copy.directory));
    return BALLOON_SAFE;
}
