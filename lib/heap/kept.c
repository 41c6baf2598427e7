// SPDX-License-Identifier: Apache-2.0
// Where a guarded block stands, and which kept pages come to it. Library world; runs are changed
// under space.lock, the system is called without it.
#include "heap/kept.h"

#include <errno.h>

#include "base/atomic.h"
#include "base/bits.h"
#include "heap/bins.h"
#include "heap/run.h"

#define PIECES_MAX   16u   // moved into one block
#define PIECE_SLOTS  4u    // shorter ones are not worth three system calls and a mapping,
#define PIECE_SHARE  16u   // nor are those below a sixteenth of what is missing
#define RUNS_TRIED   24u   // kept runs whose surroundings are looked at,
#define RUNS_ASIDE   4u    // and so many free runs on each side
#define SPARSE_SLOTS 1024u // from here on a block is not put where less than half of it is kept
#define SEAMS_MAX    4096u // the kernel allows 65,530 mappings by default
#define SEAMS_MANY   2048u // from here on what is in many pieces goes back

// In this order: what is lazily freed the kernel may have taken.
static const enum space_pages kept_sorts[] = {SPACE_DIRTY, SPACE_LAZY};

// Free runs side by side; the last may end at the frontier, behind which is all that one can want.
struct range {
    struct wire_record *first;
    uint32_t begin;
    uint32_t end;
};

// Where a block could stand.
struct window {
    struct range range;
    uint32_t begin;
    uint32_t kept; // of its slots
};

static bool is_kept(const struct wire_record *run)
{
    return run_pages_of(run) != SPACE_CLEAN;
}

static uint32_t end_of(const struct wire_record *run)
{
    return space_slot(run) + wire_run_slots(run->run);
}

static struct range range_around(struct wire_record *run, uint32_t slots)
{
    const struct wire_area *area = &space.ledger->areas[SPACE_GUARDED];
    struct range range = {.first = run};
    struct wire_record *last = run;
    struct wire_record *next;
    for (unsigned i = 0; i < RUNS_ASIDE && (next = run_free_before(range.first)); i++)
        range.first = next;
    for (unsigned i = 0; i < RUNS_ASIDE && (next = run_free_behind(last)); i++)
        last = next;
    range.begin = space_slot(range.first);
    range.end = end_of(last);
    if (range.end == area->frontier)
        range.end += area->end - range.end < slots ? area->end - range.end : slots;
    return range;
}

static uint32_t count_kept(const struct range *range, uint32_t begin, uint32_t end)
{
    uint32_t kept = 0;
    for (struct wire_record *run = range->first; run && space_slot(run) < end;
         run = run_free_behind(run)) {
        uint32_t from = space_slot(run) > begin ? space_slot(run) : begin;
        uint32_t to = end_of(run) < end ? end_of(run) : end;
        if (is_kept(run) && to > from)
            kept += to - from;
    }
    return kept;
}

// Where a block may begin, at `begin` or before: not inside a kept run, whose pages in front of it
// would not be inaccessible.
static uint32_t begin_at(const struct range *range, uint32_t begin)
{
    struct wire_record *run = range->first;
    while (run && end_of(run) <= begin)
        run = run_free_behind(run);
    return run && is_kept(run) ? space_slot(run) : begin;
}

// More kept slots; or as many in a shorter range, so that long ones stay whole. `begin` is in the
// range.
static void consider(struct window *best, const struct range *range, uint32_t begin, uint32_t slots)
{
    if (begin > range->end - slots)
        begin = range->end - slots;
    begin = begin_at(range, begin);
    uint32_t kept = count_kept(range, begin, begin + slots);
    uint32_t length = range->end - range->begin;
    if (kept > best->kept ||
        (kept && kept == best->kept && length < best->range.end - best->range.begin))
        *best = (struct window){*range, begin, kept};
}

// Around the longest kept runs: a window begins or ends with one of them.
static struct window find_around(uint32_t slots)
{
    struct window best = {.kept = 0};
    unsigned tries = 0;
    for (int i = 0; i < 2; i++) {
        const struct bins *bins = &space.bins[SPACE_GUARDED][kept_sorts[i]];
        struct wire_record *run = bins_find_longest(bins);
        for (; run && tries < RUNS_TRIED; run = bins_next(bins, run), tries++) {
            struct range range = range_around(run, slots);
            if (range.end - range.begin < slots)
                continue;
            consider(&best, &range, space_slot(run), slots);
            if (end_of(run) - range.begin > slots)
                consider(&best, &range, end_of(run) - slots, slots);
        }
    }
    return best;
}

// The shortest kept run that has room for all; or else what has most of it.
static struct window find_window(uint32_t slots)
{
    for (int i = 0; i < 2; i++) {
        struct wire_record *run = bins_find(&space.bins[SPACE_GUARDED][kept_sorts[i]], slots);
        if (run)
            return (struct window){{run, space_slot(run), end_of(run)}, space_slot(run), slots};
    }
    return find_around(slots);
}

// What went back lazily is used again. Whether clean slots ever will be nobody knows.
static void note_reuse(enum space_pages pages, size_t bytes)
{
    if (pages == SPACE_LAZY)
        space_note_reuse(CLASS_GROUP_RUNS, bytes);
}

// Cuts the runs at both ends of the window, notes what is in between, and makes it one run.
static void take_window(const struct window *window, uint32_t slots, struct kept_place *place)
{
    uint32_t end = window->begin + slots;
    struct wire_record *run = window->range.first;
    while (end_of(run) <= window->begin)
        run = run_free_behind(run);
    if (space_slot(run) < window->begin) {
        run_split(run, window->begin - space_slot(run));
        run = space_record(window->begin);
    }
    place->record = run;
    place->count = 0;
    for (; run; run = end_of(run) < end ? run_free_behind(run) : NULL) {
        if (end_of(run) > end)
            run_split(run, end - space_slot(run));
        note_reuse(run_pages_of(run), (size_t)wire_run_slots(run->run) * WIRE_SLOT_BYTES);
        place->parts[place->count++] = (struct kept_part){wire_run_slots(run->run), is_kept(run)};
    }
    run_unite(place->record, slots, WIRE_GUARDED);
}

static int take_locked(uint32_t slots, struct kept_place *place)
{
    struct window window = find_window(slots);
    // What is so large is often not written to at all, and its pages would not go back.
    if (!window.kept || (slots > SPARSE_SLOTS && window.kept < slots / 2))
        return -ENOMEM;
    uint32_t frontier = space.ledger->areas[SPACE_GUARDED].frontier;
    uint32_t end = window.begin + slots;
    int error = end > frontier ? run_extend(SPACE_GUARDED, end - frontier) : 0;
    if (error)
        return error;
    take_window(&window, slots, place);
    return 0;
}

int kept_take(uint32_t slots, uint32_t align_slots, struct kept_place *place)
{
    // What is aligned is rare enough to be put anywhere.
    if (align_slots > 1 || atomic_peek32(&space.guarded_kept) == 0)
        return -ENOMEM;
    lock_take(&space.lock);
    int error = take_locked(slots, place);
    lock_release(&space.lock);
    return error;
}

// The shortest kept run that has all that is wanted, or else the longest: in as few pieces as can
// be. Out of the bins, as a busy one, with what it has too much where that is no piece by itself:
// it would be a mapping more for whom it goes to next. NULL: none.
static struct wire_record *take_piece(uint32_t slots, uint32_t least, enum space_pages *pages)
{
    struct wire_record *run = NULL;
    lock_take(&space.lock);
    for (int i = 0; i < 2 && !run; i++) {
        const struct bins *bins = &space.bins[SPACE_GUARDED][kept_sorts[i]];
        run = bins_find(bins, slots);
        if (!run)
            run = bins_find_longest(bins);
        if (run && wire_run_slots(run->run) < least)
            run = NULL;
        *pages = kept_sorts[i];
    }
    if (run) {
        uint32_t present = wire_run_slots(run->run);
        run = run_take_busy(run, present < slots + PIECE_SLOTS ? present : slots);
    }
    lock_release(&space.lock);
    return run;
}

// Takes slots out of a run in use for good. What another thread may have mapped there is no longer
// ours to touch, so the chain steps over it as over the heap's own.
static void lose_slots(struct wire_record *run, size_t offset, size_t bytes)
{
    uint32_t first = (uint32_t)(offset / WIRE_SLOT_BYTES);
    uint32_t slots = (uint32_t)bits_ceil_div(offset + bytes, WIRE_SLOT_BYTES) - first;
    struct wire_record *lost = first ? space_cut(run, first) : run;
    if (slots < wire_run_slots(lost->run)) {
        struct wire_record *rest = space_cut(lost, slots);
        size_t rest_bytes = (size_t)wire_run_slots(rest->run) * WIRE_SLOT_BYTES;
        space_give(rest, space_close(space_address(rest), rest_bytes));
    }
    lock_take(&space.lock);
    atomic_add32(&space.seams, -lost->recip);
    lost->recip = 0;
    run_set(lost, WIRE_META, slots);
    lock_release(&space.lock);
}

// Who has as many mappings as it may have, or a filter against moves, is refused again and again;
// and each refusal may lose a place.
int kept_move(uintptr_t from, struct wire_record *run, size_t offset, size_t bytes)
{
    int error = space.os->move(space.os, from, space_address(run) + offset, bytes);
    if (!error)
        return 0;
    atomic_store32(&space.has_no_moves, 1);
    if (error == -ENOTRECOVERABLE)
        lose_slots(run, offset, bytes);
    return error;
}

// All of a run, or what is wanted of it. Not the reservation's last page: something has to follow.
static size_t bytes_of(const struct wire_record *run, size_t wanted)
{
    size_t present = (size_t)wire_run_slots(run->run) * WIRE_SLOT_BYTES;
    if (space_address(run) + present == space_base + space_bytes)
        present -= space.page_bytes;
    return present < wanted ? present : wanted;
}

// Moves one piece, whose guards inside become memory before; its old place is reserved space
// afterwards. `*bytes` is 0 where the system refuses and the block has its memory all the same.
static int move_piece(struct wire_record *run, enum space_pages pages, struct wire_record *block,
                      size_t offset, size_t *bytes)
{
    const struct os *os = space.os;
    uintptr_t from = space_address(run);
    size_t moved = bytes_of(run, *bytes);
    int error = 0;
    if (os->commit(os, from, moved) != 0) {
        moved = 0;
    } else if ((error = kept_move(from, block, offset, moved)) != 0) {
        if (error != -ENOTRECOVERABLE)
            error = os->commit(os, space_address(block) + offset, moved);
        moved = 0;
    } else {
        note_reuse(pages, moved);
        // Its mappings came along.
        block->recip += run->recip + 1;
        run->recip = 0;
        atomic_add32(&space.seams, 1);
        if (os->decommit(os, from, (size_t)wire_run_slots(run->run) * WIRE_SLOT_BYTES) == 0)
            pages = SPACE_CLEAN;
    }
    run_give_busy(run, pages);
    *bytes = moved;
    return error;
}

int kept_fill(struct wire_record *record, size_t offset, size_t bytes, size_t *filled)
{
    size_t done = 0;
    uint32_t missing = (uint32_t)bits_ceil_div(bytes, WIRE_SLOT_BYTES);
    uint32_t least = missing / PIECE_SHARE > PIECE_SLOTS ? missing / PIECE_SHARE : PIECE_SLOTS;
    for (unsigned pieces = 0; pieces < PIECES_MAX; pieces++) {
        enum space_pages pages;
        size_t moved = bytes - done;
        uint32_t slots = (uint32_t)bits_ceil_div(moved, WIRE_SLOT_BYTES);
        if (slots < least || atomic_peek32(&space.guarded_kept) < least ||
            atomic_peek32(&space.seams) >= SEAMS_MAX || !kept_can_move())
            break;
        struct wire_record *run = take_piece(slots, least, &pages);
        if (!run)
            break;
        int error = move_piece(run, pages, record, offset + done, &moved);
        if (error)
            return error;
        if (!moved)
            break;
        done += moved;
    }
    *filled = done;
    return 0;
}

bool kept_is_patchwork(const struct wire_record *record)
{
    return atomic_peek32(&space.seams) >= SEAMS_MANY &&
           record->recip > wire_run_slots(record->run) / PIECE_SLOTS + PIECE_SLOTS;
}
