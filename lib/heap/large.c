// SPDX-License-Identifier: Apache-2.0
// Large blocks, ordinary and guarded. Library world; the space's lock guards what is shared.
#include "heap/large.h"

#include "base/atomic.h"
#include "base/bits.h"

// The kernel allows 65,530 mappings by default, and a guarded block makes two.
#define GUARDED_MAX 16384u

// What is kept of guarded blocks: 16 to 128 MiB.
#define KEPT_LEAST_SLOTS 256u
#define KEPT_MOST_SLOTS  3072u

// A guard costs two system calls and a mapping, which only a block of this size is worth.
static enum space_area area_for(size_t bytes)
{
    return bytes >= LARGE_GUARDED_MIN ? SPACE_GUARDED : SPACE_ORDINARY;
}

// A guarded block leaves room for its inaccessible page.
static uint32_t slots_for(enum space_area area, size_t bytes)
{
    size_t all = area == SPACE_GUARDED ? bytes + space.page_bytes : bytes;
    return (uint32_t)bits_ceil_div(all, WIRE_SLOT_BYTES);
}

static bool is_guarded(const struct wire_record *record)
{
    return wire_run_kind(record->run) == WIRE_GUARDED;
}

// At most so many guarded blocks at a time; beyond, blocks are ordinary.
static bool count_guarded(void)
{
    uint32_t count = __atomic_add_fetch(&space.guarded, 1, __ATOMIC_RELAXED);
    if (count <= GUARDED_MAX)
        return true;
    __atomic_sub_fetch(&space.guarded, 1, __ATOMIC_RELAXED);
    return false;
}

static void uncount_guarded(void)
{
    __atomic_sub_fetch(&space.guarded, 1, __ATOMIC_RELAXED);
}

// What the record of an earlier run at this slot said must not be believed.
static void *begin_block(struct wire_record *record, size_t bytes)
{
    atomic_poke64(&record->fast_owner, 0);
    record->heap = 0;
    record->bytes = bytes;
    record->freed_bytes = 0;
    // No sample of guard.c.
    record->free = 0;
    return (void *)space_address(record);
}

// What follows the block in its run becomes inaccessible. Clean slots are so already.
static int close_behind(const struct wire_record *record, size_t bytes)
{
    size_t run = (size_t)wire_run_slots(record->run) * WIRE_SLOT_BYTES;
    return space.os->decommit(space.os, space_address(record) + bytes, run - bytes);
}

// A kept run where one will do: to make pages resident costs more than all else here.
static struct wire_record *take_guarded(size_t bytes, uint32_t align_slots, enum space_pages *pages)
{
    struct wire_record *record;
    uint32_t slots = slots_for(SPACE_GUARDED, bytes);
    if (*pages == SPACE_DIRTY && atomic_peek32(&space.guarded_kept) != 0 &&
        space_take_kept(slots, align_slots, WIRE_GUARDED, &record) == 0)
        return record;
    int error = space_take(SPACE_GUARDED, slots, align_slots, WIRE_GUARDED, &record, pages);
    return error ? NULL : record;
}

// `pages`: whether what is kept will do, and what it was. Committing exactly the block leaves the
// rest inaccessible.
static void *allocate_guarded(size_t bytes, uint32_t align_slots, enum space_pages pages,
                              bool *is_zero)
{
    struct wire_record *record = NULL;
    if (count_guarded()) {
        record = take_guarded(bytes, align_slots, &pages);
        if (!record)
            uncount_guarded();
    }
    if (!record)
        return NULL;
    bool is_clean = pages == SPACE_CLEAN;
    if (space.os->commit(space.os, space_address(record), bytes) != 0 ||
        (!is_clean && close_behind(record, bytes) != 0)) {
        space_give(record, pages);
        uncount_guarded();
        return NULL;
    }
    *is_zero = is_clean;
    return begin_block(record, bytes);
}

// Whole slots in address space, but only what is written becomes resident.
static void *allocate_ordinary(size_t bytes, uint32_t align_slots, bool *is_zero)
{
    struct wire_record *record;
    enum space_pages pages;
    if (space_take(SPACE_ORDINARY, slots_for(SPACE_ORDINARY, bytes), align_slots, WIRE_LARGE,
                   &record, &pages) != 0)
        return NULL;
    *is_zero = pages == SPACE_CLEAN;
    return begin_block(record, bytes);
}

// SPACE_CLEAN: only slots without pages will do.
static void *allocate(size_t size, size_t align, enum space_pages pages, bool *is_zero)
{
    size_t align_slots = align <= WIRE_SLOT_BYTES ? 1 : align / WIRE_SLOT_BYTES;
    // What cannot fit is refused before anything is rounded up to it.
    if (size > space_bytes || align > space_bytes)
        return NULL;
    // No bytes at a large alignment are a block too.
    size_t bytes = bits_round_up(size ? size : 1, space.page_bytes);
    *is_zero = true;
    void *block = NULL;
    if (area_for(bytes) == SPACE_GUARDED)
        block = allocate_guarded(bytes, (uint32_t)align_slots, pages, is_zero);
    return block ? block : allocate_ordinary(bytes, (uint32_t)align_slots, is_zero);
}

void *large_allocate(size_t size, size_t align, bool *is_zero)
{
    return allocate(size, align, SPACE_DIRTY, is_zero);
}

// While it lives a large block counts itself: see count.c.
static void note_gone(struct wire_record *record)
{
    atomic_add64(&space.ledger->mallocs, 1);
    atomic_add64(&space.ledger->frees, 1);
    // Block sizes of spans are smaller: this one says "large" to whoever frees it again.
    record->freed_bytes = WIRE_SLOT_BYTES * 16;
    record->bytes = 0;
}

// Pages of a guarded run become inaccessible and go back. Where the system refuses the former they
// are as good as kept: accessible, and zero or not.
static enum space_pages close_pages(uintptr_t address, size_t bytes)
{
    if (space.os->decommit(space.os, address, bytes) == 0)
        return SPACE_CLEAN;
    (void)space.os->purge_now(space.os, address, bytes);
    return SPACE_DIRTY;
}

static void give_guarded(struct wire_record *record, size_t bytes)
{
    enum space_pages pages = close_pages(space_address(record), bytes);
    if (pages == SPACE_CLEAN)
        space_note_purge(bytes, false);
    space_give(record, pages);
}

// Of what guarded blocks leave, a quarter more is kept for the next ones than the living have,
// within bounds.
static bool may_keep(const struct wire_record *record)
{
    uint32_t live = space.ledger->areas[SPACE_GUARDED].frontier -
                    space.ledger->areas[SPACE_GUARDED].first - atomic_peek32(&space.guarded_free);
    uint32_t slots = wire_run_slots(record->run);
    uint32_t limit = live < KEPT_LEAST_SLOTS ? KEPT_LEAST_SLOTS : live + live / 4;
    if (limit > KEPT_MOST_SLOTS)
        limit = KEPT_MOST_SLOTS;
    return atomic_peek32(&space.guarded_kept) + slots <= limit;
}

// `keeps`: its pages are worth it. Those that were moved away are gone already.
static void free_block(struct wire_record *record, bool keeps)
{
    size_t bytes = (size_t)record->bytes;
    bool was_guarded = is_guarded(record);
    note_gone(record);
    if (was_guarded && !(keeps && may_keep(record)))
        give_guarded(record, bytes);
    else
        space_give(record, SPACE_DIRTY);
    if (was_guarded)
        uncount_guarded();
}

void large_free(struct wire_record *record)
{
    free_block(record, true);
}

// Whole slots behind the new end go back; of the last slot a guarded block keeps none of the pages.
static void shrink(struct wire_record *record, size_t bytes)
{
    size_t old = (size_t)record->bytes;
    bool guarded = is_guarded(record);
    uint32_t slots = slots_for(guarded ? SPACE_GUARDED : SPACE_ORDINARY, bytes);
    uintptr_t end = space_address(record) + bytes;
    enum space_pages pages = SPACE_DIRTY;
    record->bytes = bytes;
    if (guarded)
        pages = close_pages(end, old - bytes);
    if (slots < wire_run_slots(record->run))
        space_give(space_cut(record, slots), pages);
}

// The block's new pages; what was kept behind it has no guard where it ends now.
static bool open_grown(const struct wire_record *record, size_t old, size_t bytes,
                       enum space_pages pages)
{
    return space.os->commit(space.os, space_address(record) + old, bytes - old) == 0 &&
           (pages == SPACE_CLEAN || close_behind(record, bytes) == 0);
}

// What follows is free or was never used: the block only gets longer.
static bool grow_in_place(struct wire_record *record, size_t bytes)
{
    size_t old = (size_t)record->bytes;
    bool guarded = is_guarded(record);
    uint32_t present = wire_run_slots(record->run);
    uint32_t slots = slots_for(guarded ? SPACE_GUARDED : SPACE_ORDINARY, bytes);
    enum space_pages pages;
    if (slots > present && space_grow(record, slots, &pages) != 0)
        return false;
    if (guarded && !open_grown(record, old, bytes, slots > present ? pages : SPACE_CLEAN)) {
        if (slots > present)
            space_give(space_cut(record, present), pages);
        (void)close_behind(record, old);
        return false;
    }
    record->bytes = bytes;
    return true;
}

// Moves the pages instead of their bytes: what a growing buffer costs is then its growth.
static void *move_guarded(struct wire_record *record, size_t bytes)
{
    bool is_zero;
    size_t old = (size_t)record->bytes;
    // Where no pages are: those of the old block come there.
    char *moved = allocate(bytes, WIRE_SLOT_BYTES, SPACE_CLEAN, &is_zero);
    if (!moved)
        return NULL;
    struct wire_record *target = space_record_at((uintptr_t)moved);
    uintptr_t from = space_address(record);
    if (!is_guarded(target) || space.os->move(space.os, from, (uintptr_t)moved, old) != 0) {
        // The kernel may have unmapped the target before it refused.
        if (is_guarded(target))
            (void)space.os->decommit(space.os, (uintptr_t)moved, bytes);
        free_block(target, false);
        return NULL;
    }
    free_block(record, false);
    return moved;
}

void *large_resize(struct wire_record *record, size_t size)
{
    if (size > space_bytes)
        return NULL;
    size_t bytes = bits_round_up(size, space.page_bytes);
    if (bytes <= record->bytes) {
        if (bytes < record->bytes)
            shrink(record, bytes);
        return (void *)space_address(record);
    }
    if (grow_in_place(record, bytes))
        return (void *)space_address(record);
    return is_guarded(record) ? move_guarded(record, bytes) : NULL;
}
