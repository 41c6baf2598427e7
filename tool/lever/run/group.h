// SPDX-License-Identifier: Apache-2.0
// A memory cgroup of its own for a command, for --limit. Tool world; no state.
//
// Where it goes: version 1 knows no rule about it, so below the present group. Version 2 gives
// limits only to groups whose parent holds no process: below the present one where that is the
// case, else beside it. Where systemd rules a version 2 tree, it alone makes groups: it would take
// the controller away from those that it does not know.
//
// Sources: Documentation/admin-guide/cgroup-v2.rst ("No Internal Process Constraint",
// "Delegation"), cgroup-v1/memory.rst, systemd's docs/CGROUP_DELEGATION.md.
#ifndef EBB_LEVER_RUN_GROUP_H
#define EBB_LEVER_RUN_GROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

enum group_way { GROUP_OWN, GROUP_SYSTEMD, GROUP_SYSTEMD_USER };

enum { GROUP_TEXT_MAX = 200 };

struct group {
    enum group_way way;
    int version;
    char parent[PATH_MAX]; // for GROUP_OWN: the folder that it is made in
    char path[PATH_MAX];   // and itself, once made; before, as it will be called
};

// What of the host decides; group_surroundings() fills it in for the present process.
struct group_surroundings {
    int version; // 0: no memory controller
    char directory[PATH_MAX];
    bool has_systemd;      // systemd rules this host, and its systemd-run is there
    bool has_user_systemd; // the user's own instance answers
    bool is_root;
    // Version 1 without use_hierarchy, below a limit: a new group would not count towards it.
    bool would_escape;
};
void group_surroundings(const char *search_path, struct group_surroundings *ret_surroundings);

// Chooses the way and the place; changes nothing. 0; -errno with why not and what would help.
int group_plan(const struct group_surroundings *around, struct group *ret_group,
               char ret_why[GROUP_TEXT_MAX], char ret_needs[GROUP_TEXT_MAX]);

// Makes the group with its limit. 0, -errno; nothing is left behind after a failure.
int group_make(const struct group *group, uint64_t limit_bytes);
// Moves the calling process into it. 0, -errno.
int group_join(const struct group *group);
// Removes it once nobody is in it. 0; -EBUSY somebody is; -errno.
int group_remove(const struct group *group);

// The parts of group_make(), for folders that are there: 0, -errno.
int group_set_limit(int version, const char *directory, uint64_t limit_bytes);

// Removes empty groups in `parent` that an earlier run left, since its watcher was killed.
void group_sweep(const char *parent);

#endif
