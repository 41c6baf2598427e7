// SPDX-License-Identifier: Apache-2.0
// The memory cgroup of a process, version 1 or 2. Tool world.
//
// Sources: Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst, proc_pid_mountinfo(5).
#ifndef EBB_PROC_CGROUP_H
#define EBB_PROC_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

struct process;

#define CGROUP_NO_LIMIT UINT64_MAX

struct cgroup {
    int version;         // 1 or 2; 0: none found
    char path[512];      // as /proc/PID/cgroup names it: raw bytes, renderers must escape it
    char directory[512]; // where its files are in this mount namespace; "" if not reachable
    // The tightest limit from the group up to the mount; version 1 names those above a mount as
    // well.
    uint64_t limit_bytes;
    // The group that sets it; "" without limit, ".." when it lies above what is mounted here.
    char limit_path[512];
    // Of the nearest group, from here up, that has the memory controller; the root group has no
    // figures. Version 1: with its descendants, as version 2 always counts.
    uint64_t usage_bytes, anon_bytes, file_bytes, inactive_file_bytes, active_file_bytes;
    uint64_t shmem_bytes, swap_bytes;
    uint64_t working_set_bytes; // usage - inactive_file, as cAdvisor and the kubelet compute it
    uint64_t lazily_freed_pages, lazily_taken_pages; // version 2 only: pglazyfree, pglazyfreed
    bool has_usage, has_lazy;
};

// Picks the memory group out of /proc/PID/cgroup. 0, -ENOENT, -ENAMETOOLONG.
int cgroup_parse_membership(struct text file, int *ret_version, char *ret_path, size_t size);

// Finds a mount of the hierarchy that shows the group `path`, in /proc/self/mountinfo; of several,
// the one that shows most groups above it. `ret_root` is the mount's root inside the hierarchy. 0,
// -ENOENT when none is mounted or none shows the group.
int cgroup_parse_mountinfo(struct text file, int version, const char *path, char *ret_mount,
                           size_t mount_size, char *ret_root, size_t root_size);

// The directory of the group `path` where `root` of the hierarchy is mounted at `mount`. 0, -ENOENT
// when the group lies outside of `root` (a cgroup namespace shows such a path as "/../..."),
// -ENAMETOOLONG.
int cgroup_join(const char *mount, const char *root, const char *path, char *ret_directory,
                size_t size);

// Parses memory.max or memory.limit_in_bytes: "max" and what version 1 prints for none are
// CGROUP_NO_LIMIT. 0, -EBADMSG.
int cgroup_parse_limit(struct text file, uint64_t *ret_limit_bytes);

// Fills in the fields that memory.stat has (version 1: the total_ ones, and limit_bytes from
// hierarchical_memory_limit). 0, or -EBADMSG when none of them is there.
int cgroup_parse_memory_stat(struct text file, int version, struct cgroup *cgroup);

// All of it. The mounts are those of PROC_ROOT/self/mountinfo. Where the tree is not this system's
// live proc, the hierarchy is looked for beside it: mount point /sys/fs/cgroup means
// PROC_ROOT/../sys/fs/cgroup. 0 (whatever could not be reached is "" or 0), -ENOENT when there is
// no memory controller, -errno when /proc/PID/cgroup cannot be read. Cost: about ten small files,
// 0.1 ms.
int cgroup_read(struct process *process, struct cgroup *ret_cgroup);

#endif
