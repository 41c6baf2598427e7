// SPDX-License-Identifier: Apache-2.0
// Who holds lazily freed memory in a group or on the host. Tool world; one thread.
#ifndef EBB_LEVER_BALLOON_HOLDERS_H
#define EBB_LEVER_BALLOON_HOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lever/balloon/reading.h"

struct balloon_holder {
    pid_t pid;
    uint64_t rss_bytes;
    uint64_t lazy_bytes; // LazyFree
    uint64_t sure_bytes; // of it: surely not shared with a fork
    bool is_known;       // its smaps may be read
};

struct balloon_holders {
    struct balloon_holder *items;
    size_t count, capacity;
    uint64_t lazy_bytes, sure_bytes;
    size_t unknown;                // processes that may not be read
    uint64_t longest_ns, total_ns; // of walks, during which a target's mmap and munmap wait
};

// Lists the processes of the place: a group's with those of the groups below it; of the host the
// largest ones. 0 or -errno. Cost: 20 µs per process.
int balloon_holders_find(struct balloon_holders *holders, const struct balloon_place *place);

// Adds one more, to be walked like the others. 0 or -ENOMEM.
int balloon_holders_add(struct balloon_holders *holders, pid_t pid);

// Walks the smaps of each and sums up. A process that has ended holds nothing. Shared pages: what
// is lazily freed and private is at most what is private and clean; the other clean pages of that
// sum are files', which the kernel can take just as well. Cost: 12 ms per GiB of small pages.
void balloon_holders_walk(struct balloon_holders *holders, const char *proc_root);

// The one with the most lazily freed memory, or the most RSS where none is known. NULL without any.
const struct balloon_holder *balloon_holders_largest(const struct balloon_holders *holders);

void balloon_holders_free(struct balloon_holders *holders);

#endif
