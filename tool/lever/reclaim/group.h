// SPDX-License-Identifier: Apache-2.0
// The processes of a control group and of those below it, and the kernel's own way to reclaim a
// group. Tool world; no state.
//
// Sources: Documentation/admin-guide/cgroup-v2.rst (memory.reclaim), cgroup-v1/memory.rst
// (memory.force_empty).
#ifndef EBB_LEVER_RECLAIM_GROUP_H
#define EBB_LEVER_RECLAIM_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lever/lever.h"

enum { GROUP_PATH_MAX = 1024, GROUP_DEPTH_MAX = 64 };

struct group {
    int version; // 1 or 2
    char directory[GROUP_PATH_MAX];
};

// Finds a group by its directory ("/sys/fs/cgroup/x") or by its path as in /proc/PID/cgroup ("/x").
// 0; -ENOENT; -ENAMETOOLONG; -errno.
int group_find(const char *path, struct group *ret_group);

// All its processes, ascending and each once; a group that is removed meanwhile has none.
// malloc'ed. 0, -ENOMEM, -errno when the group itself cannot be read.
int group_list(const struct group *group, pid_t **ret_pids, size_t *ret_count);

// A lever's report on asking the kernel to reclaim the group: page cache goes too. Without
// `is_dry_run`, does it. Refuses where swap would be used, unless the kernel can be told not to
// (swappiness=0, 6.9) or `force`. 0, -ENOMEM.
int group_ask_kernel(const struct group *group, bool is_dry_run, bool force,
                     struct lever_report *report);

// Writes one request into a file of the group. 0 or -errno. For group_ask_kernel() and its tests.
int group_write(const struct group *group, const char *file, const char *request);

#endif
