// SPDX-License-Identifier: Apache-2.0
// Fastbin links collected while a heap is gone through in order. Tool world; one thread.
//
// A fastbin is a chain of single links all over the heap; following it costs a lonely peek per
// chunk. What looks like such a link is noted in passing; the chains are then followed here. An
// entry that is none does no harm, since only what hangs on a fastbin's head is followed.
#ifndef EBB_RUNTIME_GLIBC_LINKS_H
#define EBB_RUNTIME_GLIBC_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GLIBC_LINKS_SLOTS_MAX = 1 << 19 }; // 4 MiB

struct glibc_link {
    uint32_t from, to; // 1 + distance from the base, in units of 16 bytes; 0: an empty slot
};

struct glibc_links {
    uint64_t base; // the lowest address of the arena
    struct glibc_link *slots;
    size_t count, slot_count; // slots: a power of two
};

// Notes that the chunk at `from` leads to the one at `to`. What lies too far from the base or finds
// no room is left out: the caller must ask the target's memory for what it does not find. 0 or
// -ENOMEM.
int glibc_links_add(struct glibc_links *links, uint64_t from, uint64_t to);
bool glibc_links_find(const struct glibc_links *links, uint64_t from, uint64_t *ret_to);
void glibc_links_free(struct glibc_links *links);

#endif
