// SPDX-License-Identifier: Apache-2.0
// Where the balloon presses, and fresh readings of it. Tool world; one thread.
//
// Sources: Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst, accounting/psi.rst;
// mm/vmscan.c for what pgsteal_file counts (5.8 and later).
#ifndef EBB_LEVER_BALLOON_READING_H
#define EBB_LEVER_BALLOON_READING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "lever/balloon/judge.h"

struct process;

// A group, or the host. Held by its directory's name: a group that is removed and made again under
// the same name is another one with the same role, and its readings tell.
struct balloon_place {
    int version;         // 1 or 2; 0: the host
    char directory[512]; // "" for the host
    size_t tightest_len; // how much of `directory` names the level with the tightest limit
    const char *proc_root;
};

// Finds the group: a directory below a mount of the hierarchy ("/sys/fs/cgroup/memory/pod7"), or a
// path inside it ("/pod7"). 0; -ENOENT no such group, -ENOTDIR, -EACCES, -ENODATA when it has no
// memory controller, -ENAMETOOLONG.
int balloon_place_find(const char *proc_root, const char *path, struct balloon_place *ret_place);
// The group of a process. 0, -ENOENT, -ENODATA or as process_read_file().
int balloon_place_of(const char *proc_root, struct process *process,
                     struct balloon_place *ret_place);

// What does not change from step to step, and would make the balloon dangerous. 0 or an enum:
enum balloon_danger {
    BALLOON_SAFE,
    BALLOON_WITHOUT_LIMIT, // pressure in this group would be the host's
    BALLOON_OOM_DISABLED,  // version 1: at its limit the group would hang
    BALLOON_OOM_GROUP,     // version 2: the OOM killer takes the whole group
    BALLOON_OOM_PANICS,    // vm.panic_on_oom
    BALLOON_CONFINED,      // --host, but ebb itself is in a group with a limit
    BALLOON_NOT_A_LEAF, // version 2: a group with children that have controllers takes no process
};
enum balloon_danger balloon_place_danger(const struct balloon_place *place);

// The tightest limit and its level's usage. 0, -ENODATA without a limit, -errno.
struct balloon_room {
    uint64_t limit_bytes, usage_bytes;
    uint64_t reserve_bytes;
    char directory[512]; // the group that sets it
};
int balloon_place_room(struct balloon_place *place, struct balloon_room *ret_room);

// Fills in all that the place and the host tell; balloon, walks and step are the caller's. When
// something that must be known cannot be read, is_complete is false. Cost: about 0.3 ms.
void balloon_read(const struct balloon_place *place, struct balloon_reading *reading);

// Parsers, for tests and fuzzing. Missing lines leave their fields as they are.
struct balloon_vmstat {
    uint64_t lazy_taken_pages, file_taken_pages, refault_pages, swapped_pages, oom_kills;
    bool has_taken;
};
void balloon_parse_vmstat(struct text file, struct balloon_vmstat *vmstat);
struct balloon_group {
    uint64_t inactive_file_bytes, active_file_bytes, cache_bytes, shmem_bytes;
    uint64_t dirty_bytes, writeback_bytes, mapped_bytes, swap_bytes, refault_pages;
};
// 0, or -EBADMSG when it has no cache figures.
int balloon_parse_group(struct text file, int version, struct balloon_group *ret_group);
// oom_kill of memory.oom_control and memory.events. False when there is none.
bool balloon_parse_key(struct text file, const char *key, uint64_t *ret_value);

#endif
