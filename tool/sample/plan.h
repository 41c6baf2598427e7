// SPDX-License-Identifier: Apache-2.0
// When a process is read, and how deep. Tool world. Pure: no input, no output, no clock; who calls
// tells the time.
//
// Two budgets bound the deep readings. All of them together get a share of one core, kept as tokens
// of nanoseconds that flow in with time: a reading begins when there are tokens for what it will
// cost (or as many as can be), and is charged what it did cost, so that the share holds in the long
// run whatever the guess was. And each target gets a rest after a walk of its smaps, so long that
// its own share holds as well. Among those that wish for a reading goes first who has waited
// longest, weighted by how much has changed, and less urgently who costs more: by the square root
// of it, which keeps the age of all figures together smallest.
#ifndef EBB_SAMPLE_PLAN_H
#define EBB_SAMPLE_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "sample/sample.h"

// What a process does cheaply tell of itself, and the host with it.
struct plan_figures {
    uint64_t now_ns; // CLOCK_MONOTONIC
    uint64_t rss_bytes, minor_faults, cpu_ms;
    uint64_t lazy_bytes;         // at the last deep reading; SAMPLE_UNKNOWN where nobody knows
    uint64_t lazily_freed_pages; // of the host: somebody called MADV_FREE
};

// What a kind of reading costs: a part for itself, and one for the memory that it walks.
struct plan_cost {
    double fixed_ns, ns_per_byte;
};

struct plan {
    double share;
    double tokens_ns, capacity_ns;
    uint64_t began_ns, refilled_ns; // since when; when the tokens were counted last
    bool has_begun;                 // somebody has had an account
    struct plan_cost lazy, account; // learnt from every reading
};

// One process. Zero-initialised but for since_ns it is new.
struct plan_subject {
    uint64_t since_ns;                          // followed since
    uint64_t rest_until_ns;                     // no walk before
    uint64_t account_until_ns;                  // no account on demand before
    struct plan_figures deep, account;          // at the last reading of at least that depth
    uint64_t lazy_cost_ns, account_cost_ns;     // what its own last ones took; 0 none yet
    uint64_t lazy_rss_bytes, account_rss_bytes; // its RSS then
    bool has_deep, has_account;
    bool no_lazy, no_account; // such a reading is not possible here
    bool lazy_is_denied;      // for want of rights: until an account shows that they have come
    unsigned denials;         // accounts that were not possible, one after the other
    uint64_t denied_until_ns; // no other try before
    uint64_t again_ns; // an account then, to see whether the last one's verdict stands; 0 none
    bool is_wanted;    // an account, whatever the budget says
};

// What a process should get next. SAMPLE_CHEAP: nothing more than it has.
struct plan_wish {
    enum sample_kind kind;
    double urgency;   // who has more goes first
    uint64_t cost_ns; // the guess
    bool is_wanted;
};

// `share` of one core in (0, 1]. The tokens of some seconds are there from the start, and the very
// first account needs none: one process is not kept waiting, and hundreds are not read in one go.
void plan_init(struct plan *plan, double share, uint64_t now_ns);
// Lets tokens flow in. A clock that goes back adds none.
void plan_refill(struct plan *plan, uint64_t now_ns);

// Nothing here fails.
struct plan_wish plan_wish(const struct plan *plan, const struct plan_subject *subject,
                           const struct plan_figures *now);
// May a reading that costs so much begin?
bool plan_affords(const struct plan *plan, uint64_t cost_ns);

// Puts wishes in the order of their turns: the most urgent first, and of equals the first one.
// Who goes through them stops at the first that may not begin, so that it is saved up for, and
// whoever is cheaper does not overtake it for ever.
struct plan_turn {
    size_t index; // the caller's
    struct plan_wish wish;
};
void plan_sort(struct plan_turn *turns, size_t count);
bool plan_may_begin(const struct plan *plan, const struct plan_wish *wish);

// What the next one of this kind will cost a process.
uint64_t plan_guess(const struct plan *plan, const struct plan_subject *subject,
                    enum sample_kind kind, uint64_t rss_bytes);

// A reading was made, or tried: charges it to both budgets and learns from it. `cpu_ns` is what it
// took of a core, `walk_ns` how long it may have held up the target, `now` its figures before it
// with the time after it.
void plan_spend(struct plan *plan, struct plan_subject *subject, enum sample_kind kind,
                const struct plan_figures *now, uint64_t cpu_ns, uint64_t walk_ns);
// A reading failed: it is charged, and the process left alone for a second.
void plan_fail(struct plan *plan, struct plan_subject *subject, uint64_t now_ns, uint64_t cpu_ns);
// No account is possible of it: tried again after a second, two, four, and so on up to five
// minutes. Rights may come, and what was in the middle of an exec or of its start gets through it.
void plan_deny(struct plan_subject *subject, uint64_t now_ns);

// The last account of all: first who has none, then who has changed since its last one, and of
// these who has waited longest and changed most, as in other rounds. SAMPLE_CHEAP where none is
// possible.
struct plan_wish plan_wish_last(const struct plan *plan, const struct plan_subject *subject,
                                const struct plan_figures *now);
// What the end may spend on those that have an account already: a quarter more than the share
// gave so far, and enough for some dozens however short the time was. So few processes always get
// one of the end, and many do not make a recording dearer than was promised.
uint64_t plan_last_budget_ns(const struct plan *plan, uint64_t now_ns);

#endif
