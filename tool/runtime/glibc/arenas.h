// SPDX-License-Identifier: Apache-2.0
// The ring of arenas and the memory of each: what hangs together from the main arena on. Tool
// world; one thread.
//
// Every arena names the next; a non-main arena's newest heap is found from its top chunk, since
// heaps are aligned to their greatest size, and each heap names the one before it. Whatever does
// not agree is -EBADMSG: the target may be moving, so that a second try can succeed, or hostile.
#ifndef EBB_RUNTIME_GLIBC_ARENAS_H
#define EBB_RUNTIME_GLIBC_ARENAS_H

#include "runtime/glibc/layout.h"
#include "runtime/glibc/memory.h"

enum { GLIBC_ARENAS_MAX = 16384, GLIBC_HEAP_BYTES = 64 << 20 };

struct glibc_ring {
    enum glibc_arena_kind kind;
    uint64_t *addresses; // the main arena first
    size_t count, capacity;
};

// Reads the arena at `address`. 0 or -errno.
int glibc_arena_read(struct glibc_memory *memory, enum glibc_arena_kind kind, uint64_t address,
                     struct glibc_arena *ret_arena);

// Follows the ring from the main arena whose bins lie at `bins_address`; the kind is the one with
// which the ring closes. 0 with a ring that glibc_ring_free() frees; -EBADMSG, -ENOMEM, -errno of
// the peek.
int glibc_ring_read(struct glibc_memory *memory, uint64_t bins_address,
                    struct glibc_ring *ret_ring);
void glibc_ring_free(struct glibc_ring *ring);

// A stretch of addresses in which chunks of one arena lie.
struct glibc_region {
    uint64_t start;       // the heap's own header included
    uint64_t first_chunk; // 0: unknown
    uint64_t end;
};

struct glibc_regions {
    struct glibc_region *items; // ascending
    size_t count, capacity;
};

// 0 or -ENOMEM.
int glibc_regions_add(struct glibc_regions *regions, const struct glibc_region *region);
void glibc_regions_free(struct glibc_regions *regions);
// The region that holds [address, address + len), or NULL.
const struct glibc_region *glibc_regions_find(const struct glibc_regions *regions, uint64_t address,
                                              uint64_t len);
uint64_t glibc_regions_bytes(const struct glibc_regions *regions);

// The heaps of a non-main arena. `huge_page_bytes` is of malloc_par: 2.35 to 2.41 derive the heaps'
// size from it. 0; -EBADMSG, -errno. Their sizes sum to the arena's system_bytes.
int glibc_heaps_read(struct glibc_memory *memory, const struct glibc_arena *arena,
                     enum glibc_arena_kind kind, uint64_t huge_page_bytes,
                     struct glibc_regions *ret_regions);

#endif
