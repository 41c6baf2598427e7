// SPDX-License-Identifier: Apache-2.0
// Following the ring of arenas and their heaps, see arenas.h. Tool world; one thread.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "runtime/glibc/arenas.h"

// One read for all of it: fields of two moments would not fit each other.
int glibc_arena_read(struct glibc_memory *memory, enum glibc_arena_kind kind, uint64_t address,
                     struct glibc_arena *ret_arena)
{
    uint8_t data[GLIBC_ARENA_BYTES_MAX];
    size_t len = glibc_arena_size(kind);
    int error = glibc_memory_read(memory, address, data, len);
    return error ? error : glibc_arena_decode(kind, address, data, len, ret_arena);
}

// The ring is bounded by its reader, not here.
static int ring_add(struct glibc_ring *ring, uint64_t address)
{
    int error =
        array_reserve_one(&ring->addresses, &ring->capacity, ring->count, sizeof *ring->addresses);
    if (!error)
        ring->addresses[ring->count++] = address;
    return error;
}

// Goes round once. Every arena has its own place, so a ring that does not come back to its start
// runs into the limit at the latest.
// Source: _int_new_arena() of malloc/arena.c puts a new arena behind the main one, under list_lock:
// the ring is whole at every moment.
static int ring_follow(struct glibc_memory *memory, uint64_t start, struct glibc_ring *ring)
{
    uint64_t address = start;
    // Coming back to the start is the only good end: a ring that closes elsewhere leaves arenas
    // out.
    do {
        struct glibc_arena arena;
        int error = ring->count < GLIBC_ARENAS_MAX ? 0 : -EBADMSG;
        if (!error)
            error = glibc_arena_read(memory, ring->kind, address, &arena);
        if (!error)
            error = ring_add(ring, address);
        if (error)
            return error;
        address = arena.next;
    } while (address != start);
    return 0;
}

int glibc_ring_read(struct glibc_memory *memory, uint64_t bins_address, struct glibc_ring *ret_ring)
{
    static const enum glibc_arena_kind kinds[] = {GLIBC_ARENA_2_27, GLIBC_ARENA_2_17,
                                                  GLIBC_ARENA_2_43};
    int error = -EBADMSG;
    // A wrong kind puts the fields elsewhere, so that its ring does not close.
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct glibc_ring ring = {.kind = kinds[i]};
        error = ring_follow(memory, bins_address - (uint64_t)kinds[i], &ring);
        if (!error) {
            *ret_ring = ring;
            return 0;
        }
        glibc_ring_free(&ring);
        // These say nothing of the kind, and the next would meet them too.
        if (error == -ENOMEM || error == -EPERM || error == -ESRCH)
            return error;
    }
    return error;
}

void glibc_ring_free(struct glibc_ring *ring)
{
    free(ring->addresses);
    *ring = (struct glibc_ring){0};
}

// Index of the first region that ends above `address`.
static size_t region_lower_bound(const struct glibc_regions *regions, uint64_t address)
{
    size_t low = 0, high = regions->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (regions->items[middle].end > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

int glibc_regions_add(struct glibc_regions *regions, const struct glibc_region *region)
{
    int error = array_reserve_one(&regions->items, &regions->capacity, regions->count,
                                  sizeof *regions->items);
    if (error)
        return error;
    size_t index = region_lower_bound(regions, region->start);
    // Few regions: moving them costs less than a tree would.
    struct glibc_region *place = &regions->items[index];
    memmove(place + 1, place, (regions->count - index) * sizeof *place);
    *place = *region;
    regions->count++;
    return 0;
}

void glibc_regions_free(struct glibc_regions *regions)
{
    free(regions->items);
    *regions = (struct glibc_regions){0};
}

const struct glibc_region *glibc_regions_find(const struct glibc_regions *regions, uint64_t address,
                                              uint64_t len)
{
    size_t index = region_lower_bound(regions, address);
    if (index == regions->count)
        return NULL;
    // Regions do not overlap, so that no other one can hold the address.
    const struct glibc_region *region = &regions->items[index];
    bool is_inside = region->start <= address && len <= region->end - address;
    return is_inside ? region : NULL;
}

uint64_t glibc_regions_bytes(const struct glibc_regions *regions)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < regions->count; i++)
        bytes += regions->items[i].end - regions->items[i].start;
    return bytes;
}

// Where the first chunk of a heap lies: behind the heap's header and, in the first heap, the arena
// itself; a chunk's header ends at a multiple of 16.
static uint64_t heap_first_chunk(const struct glibc_arena *arena, enum glibc_arena_kind kind,
                                 uint64_t heap, uint64_t header_bytes)
{
    if (heap + header_bytes != arena->address)
        return heap + header_bytes;
    return (arena->address + glibc_arena_size(kind) + 15) & ~(uint64_t)15;
}

// Follows the heaps from the newest on. Sizes that sum to the arena's own figure end it, which also
// bounds it.
// Source: heap_info, heap_for_ptr() and new_heap() of malloc/arena.c. Its words are ar_ptr, prev,
// size, mprotect_size, and from 2.35 on the page size, then padding.
static int heaps_follow(struct glibc_memory *memory, const struct glibc_arena *arena,
                        enum glibc_arena_kind kind, uint64_t heap_limit,
                        struct glibc_regions *regions)
{
    enum { AR_PTR, PREV, SIZE, WORDS };
    uint64_t oldest = arena->address & ~(uint64_t)(GLIBC_PAGE_BYTES - 1);
    // The arena itself lies right behind the first heap's header, whose size differs by version.
    uint64_t header_bytes = arena->address - oldest;
    uint64_t heap = arena->top & ~(heap_limit - 1), seen_bytes = 0;
    for (;;) {
        uint64_t info[WORDS];
        int error = glibc_memory_read(memory, heap, info, sizeof info);
        if (error)
            return error;
        uint64_t size = info[SIZE];
        bool is_sound = info[AR_PTR] == arena->address && size % GLIBC_PAGE_BYTES == 0 &&
                        size > 0 && size <= heap_limit && info[PREV] % heap_limit == 0;
        // More than the arena says it has: another arena's heap, a loop, or a moving target.
        if (!is_sound || size > arena->system_bytes - seen_bytes)
            return -EBADMSG;
        struct glibc_region region = {heap, heap_first_chunk(arena, kind, heap, header_bytes),
                                      heap + size};
        error = glibc_regions_add(regions, &region);
        if (error)
            return error;
        seen_bytes += size;
        if (info[PREV] == 0)
            break;
        heap = info[PREV];
    }
    // The chain must end at the heap that holds the arena, with nothing missing.
    return heap == oldest && seen_bytes == arena->system_bytes ? 0 : -EBADMSG;
}

// From the newest heap back, as glibc itself links them.
int glibc_heaps_read(struct glibc_memory *memory, const struct glibc_arena *arena,
                     enum glibc_arena_kind kind, uint64_t huge_page_bytes,
                     struct glibc_regions *ret_regions)
{
    // Without huge pages the second is 0 and left out.
    // HEAP_MAX_SIZE is 2 * DEFAULT_MMAP_THRESHOLD_MAX, 64 MiB; heap_max_size() of 2.35 makes it
    // four huge pages where those are asked for.
    uint64_t limits[] = {GLIBC_HEAP_BYTES, huge_page_bytes * 4};
    int error = -EBADMSG;
    for (size_t i = 0; i < 2; i++) {
        if (limits[i] < GLIBC_PAGE_BYTES || (limits[i] & (limits[i] - 1)) != 0)
            continue;
        struct glibc_regions regions = {0};
        error = heaps_follow(memory, arena, kind, limits[i], &regions);
        if (!error) {
            *ret_regions = regions;
            return 0;
        }
        glibc_regions_free(&regions);
    }
    return error;
}
