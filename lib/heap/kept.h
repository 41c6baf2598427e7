// SPDX-License-Identifier: Apache-2.0
// What freed guarded blocks leave behind: places and pages for the next ones. Library world; no
// state but the space.
//
// To fault a page in costs 1.3 to 2.3 µs, more than all else about a block. So a block is put where
// most of its pages are kept; and kept pages from elsewhere are moved to where it has none, for
// 0.025 µs each (measured on Linux 6.18): free memory in many places is as good as in one. A moved
// piece is a mapping that does not become one with its neighbours again: these seams are counted,
// and bounded.
#ifndef EBB_HEAP_KEPT_H
#define EBB_HEAP_KEPT_H

#include "heap/space.h"

#define KEPT_PARTS_MAX 12u

// A run in use, made of parts: their pages are kept, accessible or not, and hold anything; or they
// are reserved space.
struct kept_place {
    struct wire_record *record;
    unsigned count;
    struct kept_part {
        uint32_t slots;
        bool is_kept;
    } parts[KEPT_PARTS_MAX];
};

// Takes guarded slots of which some are kept: as many as can be had, by a bounded search. -ENOMEM
// where there are none, or not at this alignment.
int kept_take(uint32_t slots, uint32_t align_slots, struct kept_place *place);

// Moves kept pages to a block that is being made: to `bytes` from `offset` on, which are memory and
// have not been written to; from the front on, until all is filled or nothing is left that is worth
// it. `*filled`: so many bytes hold anything now. Any error: these pages mean nothing, some of them
// are inaccessible, and the run may have become shorter, as after kept_move().
int kept_fill(struct wire_record *record, size_t offset, size_t bytes, size_t *filled);

// os.move() into a run, from `offset` on. After its first failure kept_can_move() is false for
// good. -ENOTRECOVERABLE: the slots moved to are nobody's for ever, those behind them are given
// back, and the run ends before them; with none before them it is no guarded run any more.
int kept_move(uintptr_t from, struct wire_record *run, size_t offset, size_t bytes);

// Whether moves are worth to be tried.
static inline bool kept_can_move(void)
{
    return !atomic_peek32(&space.has_no_moves);
}

// Whether a run is in so many mappings, and the process too, that it had better become one again,
// by going back.
bool kept_is_patchwork(const struct wire_record *record);

#endif
