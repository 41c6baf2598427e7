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

// The worst case: changed right after a look, seen one period later, and old enough right after
// another. So age and two periods must fit, with an eighth left for the purge itself.
uint64_t plan_age_ms(const struct plan *plan)
{
    uint64_t within = plan->settings.return_within_ms;
    uint64_t taken = within / 8 + 2 * period_in_force(plan);
    uint64_t left = within > taken ? within - taken : 0;
    return most(least(within / 2, left), AGE_MIN_MS);
}

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

static bool is_lazy(enum plan_kind kind)
{
    return kind == PLAN_LAZY_RUN || kind == PLAN_LAZY_PAGES;
}

static bool prefers_lazily(const struct plan *plan, unsigned group)
{
    if (!plan->settings.can_free_lazily)
        return false;
    return plan->settings.policy == WIRE_POLICY_FREE ||
           (plan->settings.policy == WIRE_POLICY_AUTO && plan_expects_reuse(plan, group));
}

enum plan_advice plan_advise(const struct plan *plan, const struct plan_item *item)
{
    if (plan->settings.policy == WIRE_POLICY_KEEP || item->bytes == 0)
        return PLAN_WAIT;
    if (plan->pressure == WIRE_PRESSURE_SHORT)
        return PLAN_NOW;
    if (is_lazy(item->kind) || item->age_ms < plan_age_ms(plan))
        return PLAN_WAIT;
    return prefers_lazily(plan, item->group) ? PLAN_LAZILY : PLAN_NOW;
}

void plan_note_returned(struct plan *plan, unsigned group, uint64_t bytes)
{
    uint64_t *returned = &plan->history.groups[group % PLAN_GROUPS].returned;
    *returned = least(*returned + least(bytes, EVIDENCE_MAX_BYTES), EVIDENCE_MAX_BYTES);
}

// What was returned long ago weighs little by now, and its reuse cannot weigh more.
void plan_note_reused(struct plan *plan, unsigned group, uint64_t bytes)
{
    uint64_t returned = plan->history.groups[group % PLAN_GROUPS].returned;
    uint64_t *reused = &plan->history.groups[group % PLAN_GROUPS].reused;
    *reused = least(*reused + least(bytes, EVIDENCE_MAX_BYTES), returned);
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
    unsigned shift = (unsigned)least(steps, 63);
    for (unsigned i = 0; i < PLAN_GROUPS; i++) {
        history->groups[i].returned >>= shift;
        history->groups[i].reused >>= shift;
    }
}

unsigned plan_reuse_permille(const struct plan *plan, unsigned group)
{
    uint64_t returned = plan->history.groups[group % PLAN_GROUPS].returned;
    uint64_t reused = plan->history.groups[group % PLAN_GROUPS].reused;
    return returned < EVIDENCE_MIN_BYTES ? 0 : (unsigned)(reused * 1000 / returned);
}

bool plan_expects_reuse(const struct plan *plan, unsigned group)
{
    return plan_reuse_permille(plan, group) > REUSE_PERMILLE;
}
