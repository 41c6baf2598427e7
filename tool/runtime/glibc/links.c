// SPDX-License-Identifier: Apache-2.0
// A hash table of fastbin links, see links.h. Tool world; one thread.
#include <errno.h>
#include <stdlib.h>

#include "runtime/glibc/links.h"

// A unit is what chunk addresses are multiples of.
enum { SLOTS_MIN = 1024, UNIT_BYTES = 16 };

// False where the address lies too far from the base to be kept in 32 bits.
static bool index_of(const struct glibc_links *links, uint64_t address, uint32_t *ret_index)
{
    uint64_t index = (address - links->base) / UNIT_BYTES + 1;
    if (address < links->base || index > UINT32_MAX)
        return false;
    *ret_index = (uint32_t)index;
    return true;
}

// The slot that holds `from`, or the empty one where it belongs. There is always an empty one.
static struct glibc_link *slot_of(struct glibc_link *slots, size_t slot_count, uint32_t from)
{
    // Knuth's multiplicative hash; neighbours in the heap spread over the table.
    size_t at = (from * UINT32_C(2654435761)) & (slot_count - 1);
    while (slots[at].from != 0 && slots[at].from != from)
        at = (at + 1) & (slot_count - 1);
    return &slots[at];
}

static int links_grow(struct glibc_links *links)
{
    size_t slot_count = links->slot_count ? links->slot_count * 2 : SLOTS_MIN;
    // Both tables live for a moment: 6 MiB at the most.
    struct glibc_link *slots = calloc(slot_count, sizeof *slots);
    if (!slots)
        return -ENOMEM;
    for (size_t i = 0; i < links->slot_count; i++) {
        if (links->slots[i].from != 0)
            *slot_of(slots, slot_count, links->slots[i].from) = links->slots[i];
    }
    free(links->slots);
    links->slots = slots;
    links->slot_count = slot_count;
    return 0;
}

int glibc_links_add(struct glibc_links *links, uint64_t from, uint64_t to)
{
    struct glibc_link link;
    if (!index_of(links, from, &link.from) || !index_of(links, to, &link.to))
        return 0;
    // At most seven eighths full.
    if (links->count >= links->slot_count - links->slot_count / 8) {
        if (links->slot_count >= GLIBC_LINKS_SLOTS_MAX)
            return 0;
        int error = links_grow(links);
        if (error)
            return error;
    }
    struct glibc_link *slot = slot_of(links->slots, links->slot_count, link.from);
    // A chunk that is met twice, as in a second pass, replaces itself.
    links->count += slot->from == 0;
    *slot = link;
    return 0;
}

bool glibc_links_find(const struct glibc_links *links, uint64_t from, uint64_t *ret_to)
{
    uint32_t index;
    if (links->slot_count == 0 || !index_of(links, from, &index))
        return false;
    const struct glibc_link *slot = slot_of(links->slots, links->slot_count, index);
    if (slot->from != index)
        return false;
    *ret_to = links->base + (uint64_t)(slot->to - 1) * UNIT_BYTES;
    return true;
}

void glibc_links_free(struct glibc_links *links)
{
    free(links->slots);
    *links = (struct glibc_links){.base = links->base};
}
