// SPDX-License-Identifier: Apache-2.0
// When and how free pages go back: see plan.h. Library world; pure.
#include "release/plan.h"

#include "base/bits.h"

enum {
    PERIOD_MIN_MS = 5,
    PERIOD_MAX_MS = 250,
    PERIOD_SHORT_MS = 20, // while memory is short
    AGE_MIN_MS = 5,
    HALF_LIFE_MS = 5000,
    REUSE_PERMILLE = 350, // from here on lazy is the cheaper one: the costs are in plan.h
};

// Less than this given back says nothing about what will come of the next.
#define EVIDENCE_MIN_BYTES (UINT64_C(1) << 20)
// Sums stop here, so that a thousandfold still fits; no address space holds as much.
#define EVIDENCE_MAX_BYTES (UINT64_C(1) << 53)

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t period_in_force(const struct plan *plan)
{
    return plan->period_ms ? plan->period_ms : plan_period_ms(plan);
}

// Three looks at the usual pace: with four, half of the bound, spikes every 2 s stayed above 0.4 of
// their peak on average, and cost as much. The worst case: changed right after a look, seen one
// period later, and old enough right after another. So age and two periods must fit, with an eighth
// left for the purge itself.
uint64_t plan_age_ms(const struct plan *plan)
{
    uint64_t within = plan->settings.return_within_ms;
    uint64_t taken = within / 8 + 2 * period_in_force(plan);
    uint64_t left = within > taken ? within - taken : 0;
    return most(least(within * 3 / 8, left), AGE_MIN_MS);
}

// Eight looks in the time that is promised; but a helper that wakes more than 200 times a second
// costs more than it can save, and one that sleeps for long does not see pressure come.
uint64_t plan_period_ms(const struct plan *plan)
{
    uint64_t period = plan->settings.return_within_ms / 8;
    period = most(least(period, PERIOD_MAX_MS), PERIOD_MIN_MS);
    return plan->pressure == WIRE_PRESSURE_SHORT ? least(period, PERIOD_SHORT_MS) : period;
}

// So that return_within holds: see plan_age_ms(); three looks are in that worst case, too.
static uint64_t longest_period_ms(const struct plan *plan, uint64_t look_ms)
{
    uint64_t within = plan->settings.return_within_ms;
    uint64_t shortest = plan_period_ms(plan);
    if (plan->pressure == WIRE_PRESSURE_SHORT)
        return shortest;
    uint64_t left = (within - least(within, 3 * look_ms)) / 2;
    return most(least(within * 3 / 8, left), shortest);
}

uint64_t plan_next_period_ms(struct plan *plan, uint64_t look_took_ns)
{
    look_took_ns = least(look_took_ns, UINT32_MAX * UINT64_C(1000000));
    uint64_t look_ms = bits_ceil_div(look_took_ns, 1000000);
    // A hundredth of the time: 1 ms of looking is paid for by 100 ms of not looking.
    uint64_t wanted = bits_ceil_div(look_took_ns, 10000);
    uint64_t period = most(wanted, plan_period_ms(plan));
    period = most(least(period, longest_period_ms(plan, look_ms)), look_ms);
    plan->period_ms = (uint32_t)period;
    return period;
}

// Lazy pages have been paid for: another call would only cost, unless somebody needs them now.
static bool is_lazy(enum plan_kind kind)
{
    return kind == PLAN_LAZY_RUN || kind == PLAN_LAZY_PAGES;
}

// `dontneed` is what people choose who watch RSS, so no forecast counts there.
static bool prefers_lazily(const struct plan *plan, unsigned group)
{
    if (!plan->settings.can_free_lazily)
        return false;
    return plan->settings.policy == WIRE_POLICY_FREE ||
           (plan->settings.policy == WIRE_POLICY_AUTO && plan_expects_reuse(plan, group));
}

enum plan_advice plan_advise(const struct plan *plan, const struct plan_item *item)
{
    // `keep` is a promise, and holds under pressure as well.
    if (plan->settings.policy == WIRE_POLICY_KEEP || item->bytes == 0)
        return PLAN_WAIT;
    if (plan->pressure == WIRE_PRESSURE_SHORT)
        return PLAN_NOW;
    if (item->kind == PLAN_RECORDS)
        return item->age_ms ? PLAN_NOW : PLAN_WAIT;
    if (is_lazy(item->kind) || item->age_ms < plan_age_ms(plan))
        return PLAN_WAIT;
    return prefers_lazily(plan, item->group) ? PLAN_LAZILY : PLAN_NOW;
}

// Saturating: a wrong figure from elsewhere makes a wrong forecast, and no wrong sum.
void plan_note_returned(struct plan *plan, unsigned group, uint64_t bytes)
{
    uint64_t *returned = &plan->history.groups[group % PLAN_GROUPS].returned;
    *returned = least(*returned + least(bytes, EVIDENCE_MAX_BYTES), EVIDENCE_MAX_BYTES);
}

static uint64_t returned_in_all(const struct plan *plan)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < PLAN_GROUPS; i++)
        sum += plan->history.groups[i].returned;
    return sum;
}

// In a group this can be more than it returned: memory that went by pages comes back by runs. In
// all it cannot: what was returned long ago weighs little by now, and its reuse cannot weigh more.
void plan_note_reused(struct plan *plan, unsigned group, uint64_t bytes)
{
    uint64_t *reused = &plan->history.groups[group % PLAN_GROUPS].reused;
    *reused = least(*reused + least(bytes, EVIDENCE_MAX_BYTES), returned_in_all(plan));
}

void plan_decay(struct plan *plan, uint64_t now_ms)
{
    struct plan_history *history = &plan->history;
    // The first call only starts the clock: a monotonic one may have run for years.
    if (history->decayed_at_ms == 0 || now_ms < history->decayed_at_ms) {
        history->decayed_at_ms = now_ms;
        return;
    }
    uint64_t steps = (now_ms - history->decayed_at_ms) / HALF_LIFE_MS;
    history->decayed_at_ms += steps * HALF_LIFE_MS;
    // Both by the same: the share stays, and only its weight against what is new goes down.
    unsigned shift = (unsigned)least(steps, 63);
    for (unsigned i = 0; i < PLAN_GROUPS; i++) {
        history->groups[i].returned >>= shift;
        history->groups[i].reused >>= shift;
    }
}

static unsigned permille(uint64_t reused, uint64_t returned, uint64_t evidence)
{
    if (returned < evidence)
        return 0;
    return (unsigned)(least(reused, returned) * 1000 / returned);
}

unsigned plan_reuse_permille(const struct plan *plan, unsigned group)
{
    return permille(plan->history.groups[group % PLAN_GROUPS].reused,
                    plan->history.groups[group % PLAN_GROUPS].returned, EVIDENCE_MIN_BYTES);
}

// Of everything: pages come back in another group than they went in where a span that was empty is
// taken for another class.
static unsigned reuse_permille_of_all(const struct plan *plan)
{
    uint64_t reused = 0;
    for (unsigned i = 0; i < PLAN_GROUPS; i++)
        reused += plan->history.groups[i].reused / PLAN_GROUPS;
    return permille(reused, returned_in_all(plan) / PLAN_GROUPS, EVIDENCE_MIN_BYTES / PLAN_GROUPS);
}

bool plan_expects_reuse(const struct plan *plan, unsigned group)
{
    return plan_reuse_permille(plan, group) > REUSE_PERMILLE ||
           reuse_permille_of_all(plan) > REUSE_PERMILLE;
}
