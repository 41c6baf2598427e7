// SPDX-License-Identifier: Apache-2.0
// When and how free pages go back: decisions without a clock, a thread or a system call of their
// own. Library world; pure: the engine hands in the time, the pressure and what it found.
//
// Costs per 4 KiB page on the machines this was made on: MADV_DONTNEED 260 ns, and 1,300 to fault
// the page in again; MADV_FREE 225, 190 for the first write, and 690 more where the kernel takes
// the page. So lazy pays where the page is used again before that with more than about 35 %
// likelihood. Both leave effective RSS at once.
//
// Reuse is predicted per group of sizes, from what came of the pages given back before: the share
// that was used again soon, weighted towards the last ten seconds.
#ifndef EBB_RELEASE_PLAN_H
#define EBB_RELEASE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/ledger.h"

// What goes back falls into groups that are predicted by themselves: see class_group().
#define PLAN_GROUPS 8u

enum plan_kind {
    PLAN_RUN,      // a kept free run
    PLAN_PAGES,    // free pages in a span that also has live blocks
    PLAN_LAZY_RUN, // given back lazily before
    PLAN_LAZY_PAGES,
    PLAN_RECORDS, // what the table holds of a returned run: as cheap to have again as to give
};

enum plan_advice {
    PLAN_WAIT = 0,
    PLAN_LAZILY = 1,
    PLAN_NOW = 2,
};

// One thing that could go back.
struct plan_item {
    enum plan_kind kind;
    unsigned group;  // below PLAN_GROUPS
    uint64_t age_ms; // since it changed last
    uint64_t bytes;
};

struct plan_settings {
    enum wire_policy policy;
    uint32_t return_within_ms;
    bool can_free_lazily; // false once the kernel has refused MADV_FREE
};

// What came of earlier purges. All zero at the start.
struct plan_history {
    struct {
        uint64_t returned; // bytes, decaying
        uint64_t reused;
    } groups[PLAN_GROUPS];
    uint64_t decayed_at_ms;
};

struct plan {
    struct plan_settings settings;
    struct plan_history history;
    enum wire_pressure pressure;
    uint32_t period_ms; // between looks, as plan_next_period_ms() said last; 0: not yet asked
};

// What to do with an item. Under `keep` always PLAN_WAIT. Under pressure at once and regardless of
// age, with lazy items first worth turning into returned ones. Otherwise when the item has stood
// still for plan_age_ms(). A lazily freed item is left to the kernel unless there is pressure;
// records go at once when they have stood still from one look to the next.
enum plan_advice plan_advise(const struct plan *plan, const struct plan_item *item);

// How long something must have stood still: 3/8 of return_within; less where that, two times the
// present time between looks and the purge would not fit in; at least 5.
uint64_t plan_age_ms(const struct plan *plan);

// The shortest time between two looks while there is something to look at: an eighth of
// return_within, 5 to 250; up to 20 while memory is short.
uint64_t plan_period_ms(const struct plan *plan);

// The time to the next look. Grows so that looking takes at most 1 % of one processor, to 3/8 of
// return_within: that bound is kept even where looks are dear. While memory is short it does not
// grow. It is never less than the look took.
uint64_t plan_next_period_ms(struct plan *plan, uint64_t look_took_ns);

// Tells the history what was given back or used again.
void plan_note_returned(struct plan *plan, unsigned group, uint64_t bytes);
void plan_note_reused(struct plan *plan, unsigned group, uint64_t bytes);

// Halves the weights for every five seconds that have gone by. The first call starts the clock.
void plan_decay(struct plan *plan, uint64_t now_ms);

// 0 to 1000: of what this group gave back, how much was used again soon. 0 while less than 1 MiB
// is remembered.
unsigned plan_reuse_permille(const struct plan *plan, unsigned group);

// More than 35 % likely, by this group or by all together: what is worth giving back lazily.
bool plan_expects_reuse(const struct plan *plan, unsigned group);

#endif
