// SPDX-License-Identifier: Apache-2.0
// Processes by number or name. Tool world.
#ifndef EBB_PROC_FIND_H
#define EBB_PROC_FIND_H

#include <stddef.h>
#include <sys/types.h>

struct proc_entry {
    pid_t pid;
    // Raw bytes: renderers must escape it.
    char name[64]; // comm, or the base name of argv[0] where that is longer and begins with comm
};

// All processes below `proc_root`, ascending. Kernel threads and zombies have no memory and are
// left out; so is what ends meanwhile or is hidden (hidepid). malloc'ed, free() it (NULL when there
// is none). 0 or -errno. Cost: about 20 µs per process.
int proc_list(const char *proc_root, struct proc_entry **ret_entries, size_t *ret_count);

// Those whose comm, base name of the executable or base name of argv[0] equals `name`; the caller
// itself is left out. malloc'ed, ascending. 0 (the count may be 0) or -errno.
int proc_find_by_name(const char *proc_root, const char *name, struct proc_entry **ret_entries,
                      size_t *ret_count);

// The caller's own PID as this tree numbers it; 0 in a tree that is no proc file system. The number
// is the caller's own also where the tree shows another PID namespace than getpid() speaks of.
pid_t proc_self(const char *proc_root);

#endif
