// SPDX-License-Identifier: Apache-2.0
// The memory cgroup of a process, version 1 or 2. Tool world.
#ifndef EBB_PROC_CGROUP_H
#define EBB_PROC_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

struct process;

#define CGROUP_NO_LIMIT UINT64_MAX

struct cgroup {
    int version;         // 1 or 2; 0: none found
    char path[512];      // as /proc/PID/cgroup names it
    char directory[512]; // where its files are in this mount namespace; "" if not reachable
    uint64_t limit_bytes; // the tightest memory.max / limit_in_bytes from here up to the root
    char limit_path[512]; // the group that sets it; "" without limit
    uint64_t usage_bytes, anon_bytes, file_bytes, inactive_file_bytes, active_file_bytes, shmem_bytes, swap_bytes;
    uint64_t working_set_bytes; // usage - inactive_file, as cAdvisor and the kubelet compute it
    uint64_t lazily_freed_pages, lazily_taken_pages; // version 2 only
    bool has_usage, has_lazy;
};

// Picks the memory group out of /proc/PID/cgroup. 0, -ENOENT.
int cgroup_parse_membership(struct text file, int *ret_version, char *ret_path, size_t size);
// Finds where the hierarchy is mounted, from /proc/self/mountinfo. `ret_root` is the mount's root inside the
// hierarchy. 0, -ENOENT.
int cgroup_parse_mountinfo(struct text file, int version, char *ret_mount, size_t mount_size, char *ret_root,
                           size_t root_size);
// Fills in the fields that memory.stat has (version 1: the total_ ones).
int cgroup_parse_memory_stat(struct text file, int version, struct cgroup *cgroup);

// All of it. 0, or -ENOENT when there is no memory controller; -errno.
int cgroup_read(struct process *process, struct cgroup *ret_cgroup);

#endif
