// SPDX-License-Identifier: Apache-2.0
// Large blocks, ordinary and guarded. Library world; the space's lock guards what is shared.
#include "heap/large.h"

#include <string.h>

#include "base/atomic.h"
#include "base/bits.h"
#include "base/die.h"
#include "heap/kept.h"

// The kernel allows 65,530 mappings by default, and a guarded block makes two.
#define GUARDED_MAX 16384u

// What is kept of guarded blocks: 24 to 192 MiB.
#define KEPT_LEAST_SLOTS 384u
#define KEPT_MOST_SLOTS  3072u

// And a GiB where it would be faulted in again soon: there it goes by the plan, as all else does.
#define KEPT_REUSED_SLOTS 16384u

// While there are more guarded blocks no pages are moved into them: every piece is a mapping.
#define FILL_BLOCKS 1024u
#define FILL_BYTES  (UINT64_C(64) << 20)

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

// What follows the block in its run becomes inaccessible. Where it is a sixteenth of the block or
// less, as the guard's slot is, its pages stay all the same, and are the next block's: a buffer
// that doubles wants them with its next step.
static int close_behind(const struct wire_record *record, size_t bytes)
{
    const struct os *os = space.os;
    uintptr_t end = space_address(record) + bytes;
    size_t rest = (size_t)wire_run_slots(record->run) * WIRE_SLOT_BYTES - bytes;
    if (rest > bytes / 16)
        (void)os->purge_now(os, end, rest);
    return os->hide(os, end, rest);
}

// Much larger blocks are often not written to at all, and as long as they live what came to them
// does not go back: they get pages where half of what they lack can be had.
static bool may_fill(size_t bytes)
{
    size_t kept = (size_t)atomic_peek32(&space.guarded_kept) * WIRE_SLOT_BYTES;
    return atomic_peek32(&space.guarded) <= FILL_BLOCKS &&
           (bytes <= FILL_BYTES || kept >= bytes / 2);
}

// Kept pages come to where a block has none: `*filled` bytes of them, at the front.
static bool fill_cold(struct wire_record *record, size_t offset, size_t bytes, size_t *filled)
{
    size_t moved = 0;
    if (may_fill(bytes) && kept_fill(record, offset, bytes, &moved) != 0)
        return false;
    space_spend(bytes - moved);
    *filled = moved;
    return true;
}

// What is reserved space of a block becomes memory; kept pages come to its last `cold` bytes.
static bool open_cold(struct wire_record *record, size_t offset, size_t bytes, size_t cold)
{
    size_t filled;
    return space.os->commit(space.os, space_address(record) + offset, bytes) == 0 &&
           fill_cold(record, offset + bytes - cold, cold, &filled);
}

// Pages of a new block that hold anything are to read as zeros where they are few: to write to all
// others would be worse.
static void wipe(const struct wire_record *record, size_t offset, size_t bytes)
{
    memset((void *)(space_address(record) + offset), 0, bytes);
}

// Makes the block of its parts. `*is_zero`: it reads as zeros.
static bool open_block(const struct kept_place *place, size_t bytes, bool *is_zero)
{
    struct wire_record *record = place->record;
    size_t dirty[KEPT_PARTS_MAX];
    size_t dirty_bytes = 0;
    size_t at = 0;
    if (space.os->commit(space.os, space_address(record), bytes) != 0)
        return false;
    for (unsigned i = 0; i < place->count; i++) {
        size_t part = (size_t)place->parts[i].slots * WIRE_SLOT_BYTES;
        size_t inside = part < bytes - at ? part : bytes - at;
        dirty[i] = inside;
        if (!place->parts[i].is_kept && !fill_cold(record, at, inside, &dirty[i]))
            return false;
        dirty_bytes += dirty[i];
        at += inside;
    }
    if (place->parts[place->count - 1].is_kept && close_behind(record, bytes) != 0)
        return false;
    *is_zero = dirty_bytes < bytes / 4;
    at = 0;
    for (unsigned i = 0; i < place->count && *is_zero; i++) {
        wipe(record, at, dirty[i]);
        at += (size_t)place->parts[i].slots * WIRE_SLOT_BYTES;
    }
    return true;
}

// Where kept pages are, as far as there are any: to make pages resident costs more than all else
// here.
static int take_guarded(size_t bytes, uint32_t align_slots, struct kept_place *place)
{
    enum space_pages pages;
    uint32_t slots = slots_for(SPACE_GUARDED, bytes);
    if (kept_take(slots, align_slots, place) == 0)
        return 0;
    place->count = 1;
    place->parts[0] = (struct kept_part){slots, false};
    return space_take(SPACE_GUARDED, slots, align_slots, WIRE_GUARDED, &place->record, &pages);
}

// What is behind an offset goes back, to the run's end. Where the system refuses that it is as good
// as kept.
static enum space_pages close_end(const struct wire_record *record, size_t offset)
{
    size_t run = (size_t)wire_run_slots(record->run) * WIRE_SLOT_BYTES;
    return space_close(space_address(record) + offset, run - offset);
}

// A run that has become no block, or whose pages went elsewhere. A refused move may have left
// nothing of it: kept.h.
static void drop_guarded(struct wire_record *record)
{
    if (is_guarded(record))
        space_give(record, close_end(record, 0));
    uncount_guarded();
}

// Committing exactly the block leaves the rest inaccessible.
static void *allocate_guarded(size_t bytes, uint32_t align_slots, bool *is_zero)
{
    struct kept_place place;
    if (!count_guarded())
        return NULL;
    if (take_guarded(bytes, align_slots, &place) != 0) {
        uncount_guarded();
        return NULL;
    }
    if (!open_block(&place, bytes, is_zero)) {
        drop_guarded(place.record);
        return NULL;
    }
    return begin_block(place.record, bytes);
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

void *large_allocate(size_t size, size_t align, bool *is_zero)
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
        block = allocate_guarded(bytes, (uint32_t)align_slots, is_zero);
    return block ? block : allocate_ordinary(bytes, (uint32_t)align_slots, is_zero);
}

// While it lives a large block counts itself: see count.c.
static void note_gone(struct wire_record *record)
{
    // Block sizes of spans are smaller: this one says "large" to whoever frees it again. Of two
    // threads that free it at the same moment one gets through.
    if (atomic_swap32(&record->freed_bytes, WIRE_SLOT_BYTES * 16))
        die_at("double free of", space_address(record), "large block", 0);
    atomic_add64(&space.ledger->mallocs, 1);
    atomic_add64(&space.ledger->frees, 1);
    record->bytes = 0;
}

// Of what guarded blocks leave, a quarter more is kept for the next ones than the living have,
// within bounds.
static uint32_t most_to_keep(void)
{
    const struct wire_area *area = &space.ledger->areas[SPACE_GUARDED];
    uint32_t live =
        atomic_peek32(&area->frontier) - area->first - atomic_peek32(&space.guarded_free);
    uint32_t limit = live < KEPT_LEAST_SLOTS ? KEPT_LEAST_SLOTS : live + live / 4;
    if (atomic_peek32(&space.expects_reuse))
        return KEPT_REUSED_SLOTS;
    return limit < KEPT_MOST_SLOTS ? limit : KEPT_MOST_SLOTS;
}

// So many slots of this run.
static uint32_t slots_to_keep(const struct wire_record *record)
{
    uint32_t slots = wire_run_slots(record->run);
    uint32_t kept = atomic_peek32(&space.guarded_kept);
    uint32_t limit = most_to_keep();
    if (kept_is_patchwork(record) || kept >= limit)
        return 0;
    return slots < limit - kept ? slots : limit - kept;
}

// Gives back slots of a guarded block whose pages are worth to be kept, as far as there is room.
static void give_guarded(struct wire_record *record)
{
    uint32_t kept = slots_to_keep(record);
    if (kept < wire_run_slots(record->run)) {
        size_t offset = (size_t)kept * WIRE_SLOT_BYTES;
        size_t bytes = (size_t)wire_run_slots(record->run) * WIRE_SLOT_BYTES - offset;
        enum space_pages pages = close_end(record, offset);
        struct wire_record *rest = kept ? space_cut(record, kept) : record;
        space_note_purge(bytes, false);
        if (kept)
            space_hide_end(record);
        space_give(rest, pages);
    }
    if (kept)
        space_give(record, SPACE_DIRTY);
}

void large_free(struct wire_record *record)
{
    bool was_guarded = is_guarded(record);
    note_gone(record);
    if (!was_guarded) {
        space_give(record, SPACE_DIRTY);
        return;
    }
    give_guarded(record);
    uncount_guarded();
}

// Whole slots behind the new end are free; in the last slot a guarded block gets a new guard.
static void shrink(struct wire_record *record, size_t bytes)
{
    bool guarded = is_guarded(record);
    uint32_t slots = slots_for(guarded ? SPACE_GUARDED : SPACE_ORDINARY, bytes);
    struct wire_record *rest =
        slots < wire_run_slots(record->run) ? space_cut(record, slots) : NULL;
    record->bytes = bytes;
    if (guarded && close_behind(record, bytes) != 0)
        (void)close_end(record, bytes);
    if (rest && guarded)
        give_guarded(rest);
    else if (rest)
        space_give(rest, SPACE_DIRTY);
}

// The block's new pages; what was kept behind it has no guard where it ends now. Pages are moved to
// new slots alone: to lose one that the block has now would be to lose the block.
static bool open_grown(struct wire_record *record, size_t old, size_t bytes, uint32_t present,
                       enum space_pages pages)
{
    size_t had = (size_t)present * WIRE_SLOT_BYTES;
    if (pages == SPACE_CLEAN)
        return open_cold(record, old, bytes - old, bytes > had ? bytes - had : 0);
    return space.os->commit(space.os, space_address(record) + old, bytes - old) == 0 &&
           close_behind(record, bytes) == 0;
}

// What follows is free or was never used: the block only gets longer.
static bool grow_in_place(struct wire_record *record, size_t bytes)
{
    size_t old = (size_t)record->bytes;
    bool guarded = is_guarded(record);
    uint32_t present = wire_run_slots(record->run);
    uint32_t slots = slots_for(guarded ? SPACE_GUARDED : SPACE_ORDINARY, bytes);
    enum space_pages pages = SPACE_CLEAN;
    if (slots > present && space_grow(record, slots, &pages) != 0)
        return false;
    if (guarded && !open_grown(record, old, bytes, present, pages)) {
        pages = close_end(record, old);
        if (wire_run_slots(record->run) > present)
            space_give(space_cut(record, present), pages);
        return false;
    }
    // As space_take() does; a guarded block has done so where it was opened.
    if (!guarded && slots > present && pages != SPACE_DIRTY)
        space_spend((size_t)(slots - present) * WIRE_SLOT_BYTES);
    record->bytes = bytes;
    return true;
}

// Slots without pages for a block that grows: what has grown once may grow again, so half as many
// more stay free behind it, as long as nobody needs them.
static int take_growing(uint32_t slots, struct wire_record **record)
{
    enum space_pages pages;
    uint32_t wanted = slots + slots / 2;
    if (space_take(SPACE_GUARDED, wanted, 1, WIRE_GUARDED, record, &pages) != 0)
        return space_take(SPACE_GUARDED, slots, 1, WIRE_GUARDED, record, &pages);
    if (wanted > slots)
        space_give(space_cut(*record, slots), SPACE_CLEAN);
    return 0;
}

// A guarded block of which `old` bytes at its front are left for the pages of another.
static struct wire_record *begin_moved(size_t old, size_t bytes)
{
    struct wire_record *record;
    if (!count_guarded())
        return NULL;
    if (take_growing(slots_for(SPACE_GUARDED, bytes), &record) != 0) {
        uncount_guarded();
        return NULL;
    }
    // Memory in front, too, though it will be replaced: what the system counts is less then, and
    // not more, when it has unmapped it, so that no limit of memory is left to refuse the rest.
    if (space.os->commit(space.os, space_address(record), old) == 0 &&
        open_cold(record, old, bytes - old, bytes - old))
        return record;
    drop_guarded(record);
    return NULL;
}

// Moves the pages instead of their bytes: what a growing buffer costs is then its growth.
static void *move_guarded(struct wire_record *record, size_t bytes)
{
    size_t old = (size_t)record->bytes;
    struct wire_record *target = kept_can_move() ? begin_moved(old, bytes) : NULL;
    if (!target)
        return NULL;
    if (kept_move(space_address(record), target, 0, old) != 0) {
        drop_guarded(target);
        return NULL;
    }
    void *moved = begin_block(target, bytes);
    // Its mappings came along.
    target->recip += record->recip + 1;
    record->recip = 0;
    atomic_add32(&space.seams, 1);
    note_gone(record);
    drop_guarded(record);
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
