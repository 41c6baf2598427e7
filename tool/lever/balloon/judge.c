// SPDX-License-Identifier: Apache-2.0
// The balloon's decisions, see judge.h. Tool world; pure.
//
// Every difference saturates at 0: a gauge that went the other way is no progress and no harm. The
// clock and the count of OOM kills stop it instead: their brakes would be blind.
#include "lever/balloon/judge.h"

#include "base/number.h"

static const uint64_t mib = 1 << 20, page_bytes = 4096, ns_per_ms = 1000000, us_per_ms = 1000;

// a - b, or 0.
static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

// No figure of a fake tree may wrap a sum to something small, or large.
static uint64_t plus(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

// Divides first: a hostile total times 100 would wrap.
static uint64_t percent_of(uint64_t bytes, unsigned percent)
{
    return bytes / 100 * percent;
}

// A floor, since 5 % of a small limit is less than a busy program writes in a millisecond.
uint64_t balloon_reserve(uint64_t total_bytes, uint64_t least_bytes, uint64_t most_bytes)
{
    uint64_t reserve = percent_of(total_bytes, BALLOON_RESERVE_PERCENT);
    if (reserve < least_bytes)
        return least_bytes;
    return number_least(reserve, most_bytes);
}

// What the balloon took beyond the room that there was: that much the kernel had to find elsewhere.
static uint64_t pressed_since(const struct balloon_reading *then, const struct balloon_reading *now)
{
    return less(less(now->balloon_bytes, then->balloon_bytes), then->free_bytes);
}

// How long the reserve covers what the target writes.
static uint64_t covered_ns(const struct balloon_reading *now)
{
    return now->reserve_bytes / (BALLOON_WRITE_MIB_PER_MS * mib) * ns_per_ms;
}

uint64_t balloon_walk_pause(const struct balloon_reading *reading)
{
    return number_least(reading->walk_took_ns, less(covered_ns(reading), reading->walk_took_ns));
}

// What the target may have written to since the last walk, at worst.
static uint64_t worn_since_walk(const struct balloon_reading *now)
{
    uint64_t worn, passed_us = less(now->now_ns, now->walked_ns) / 1000;
    if (__builtin_mul_overflow(passed_us, BALLOON_WRITE_MIB_PER_MS * mib / 1000, &worn))
        return UINT64_MAX;
    return worn;
}

// What may be gone of what the last walk found. The bound also falls when the target itself needs
// memory, or unmaps some.
static uint64_t taken_since_walk(const struct balloon_state *state,
                                 const struct balloon_reading *now)
{
    uint64_t pressed = pressed_since(&state->walk, now);
    uint64_t fallen = less(state->walk.lazy_bytes, now->lazy_bytes);
    return pressed > fallen ? pressed : fallen;
}

// Lazily freed bytes that are surely left.
static uint64_t sure_now(const struct balloon_state *state, const struct balloon_reading *now)
{
    if (!now->has_sure)
        return now->lazy_bytes;
    uint64_t gone = plus(taken_since_walk(state, now), worn_since_walk(now));
    return number_least(less(now->sure_bytes, gone), now->lazy_bytes);
}

// How far it is to the reserve, when lazily freed pages count in full and page cache in half: what
// the kernel can find before it would have to call the OOM killer.
static uint64_t margin(const struct balloon_reading *now, uint64_t sure_bytes)
{
    if (now->slack_bytes >= 0)
        return plus((uint64_t)now->slack_bytes, sure_bytes);
    // The magnitude of INT64_MIN has no signed form.
    return less(sure_bytes, (uint64_t)0 - (uint64_t)now->slack_bytes);
}

// Room that the size asked for leaves.
static uint64_t size_left(const struct balloon_limits *limits, const struct balloon_reading *now)
{
    return less(limits->size_bytes, now->balloon_bytes);
}

// Never into live page cache, never into a reserve, never at the cost of the host, never beyond
// what was asked for.
static uint64_t may_take(const struct balloon_limits *limits, const struct balloon_reading *now,
                         uint64_t sure_bytes)
{
    uint64_t own = plus(now->free_bytes, sure_bytes);
    uint64_t least = number_least(own, margin(now, sure_bytes));
    least = number_least(least, now->host_bytes);
    return number_least(least, size_left(limits, now));
}

// The same sum as before a step, so that a dry run promises no more than a run takes.
uint64_t balloon_allowance(const struct balloon_limits *limits,
                           const struct balloon_reading *reading)
{
    // Before the first step nothing can have gone since the walk.
    uint64_t sure = reading->has_sure ? number_least(reading->sure_bytes, reading->lazy_bytes)
                                      : reading->lazy_bytes;
    return may_take(limits, reading, sure);
}

// By the bound, which is there in every kind of place, walked or not.
uint64_t balloon_lazy_taken(const struct balloon_state *state)
{
    return less(state->start.lazy_bytes, state->last.lazy_bytes);
}

// Two witnesses, each of which errs upwards: the group's cache also falls when a file is deleted,
// the host's counters also count what others do. Where both are there, the smaller is closer.
uint64_t balloon_cache_taken(const struct balloon_state *state)
{
    const struct balloon_reading *start = &state->start, *last = &state->last;
    uint64_t fallen = less(start->cache_bytes, last->cache_bytes);
    if (!start->has_taken || !last->has_taken)
        return fallen;
    // pgsteal_file counts lazily freed pages too, since they lie on the same list.
    uint64_t files = less(last->file_taken_pages, start->file_taken_pages);
    uint64_t lazy = less(last->lazy_taken_pages, start->lazy_taken_pages);
    uint64_t counted_pages = less(files, lazy);
    uint64_t counted =
        counted_pages > UINT64_MAX / page_bytes ? UINT64_MAX : counted_pages * page_bytes;
    return number_least(fallen, counted);
}

// More than a little, and more than its share of all that went.
static bool is_too_much_cache(const struct balloon_state *state, uint64_t cache_bytes)
{
    if (cache_bytes <= BALLOON_CACHE_LEAST_MIB * mib)
        return false;
    uint64_t all = plus(cache_bytes, balloon_lazy_taken(state));
    return cache_bytes > percent_of(all, BALLOON_CACHE_PERCENT);
}

// Cache that was taken, or that was taken and is missed.
static bool takes_cache(const struct balloon_state *state)
{
    uint64_t refaults = less(state->last.refault_pages, state->start.refault_pages);
    uint64_t missed = refaults > UINT64_MAX / page_bytes ? UINT64_MAX : refaults * page_bytes;
    return is_too_much_cache(state, balloon_cache_taken(state)) || is_too_much_cache(state, missed);
}

// The share of time since `then` in which some task waited is above `percent`.
static bool waits_too_much(const struct balloon_psi *then, const struct balloon_psi *now,
                           uint64_t passed_ns, unsigned percent)
{
    if (!then->is_known || !now->is_known)
        return false;
    // Microseconds on both sides.
    uint64_t waited_us = less(now->some_us, then->some_us);
    return waited_us > percent_of(passed_ns / (ns_per_ms / us_per_ms), percent);
}

// The kernel updates its own averages every two seconds: too late for a brake. Totals are exact.
static bool is_under_pressure(struct balloon_state *state, const struct balloon_reading *now)
{
    uint64_t passed_ns = less(now->now_ns, state->psi.now_ns);
    if (passed_ns < BALLOON_PSI_LEAST_MS * ns_per_ms)
        return false;
    if (waits_too_much(&state->psi.host_psi, &now->host_psi, passed_ns, BALLOON_HOST_PSI_PERCENT) ||
        waits_too_much(&state->psi.group_psi, &now->group_psi, passed_ns,
                       BALLOON_GROUP_PSI_PERCENT))
        return true;
    // A longer time would hide a new wait among old seconds.
    if (passed_ns >= BALLOON_PSI_MOST_MS * ns_per_ms)
        state->psi = *now;
    return false;
}

// With --force, page cache that goes is progress too.
static uint64_t what_may_go(const struct balloon_limits *limits, const struct balloon_reading *now)
{
    return limits->force ? plus(now->lazy_bytes, now->cache_bytes) : now->lazy_bytes;
}

// Under pressure each byte has to come from somewhere. If not from lazily freed pages, more of the
// same does not help.
static bool has_stalled(const struct balloon_limits *limits, struct balloon_state *state,
                        const struct balloon_reading *now)
{
    uint64_t grown = pressed_since(&state->start, now);
    uint64_t step = less(grown, state->stall_grown_bytes);
    if (step < BALLOON_STALL_MIB * mib)
        return false;
    uint64_t left = what_may_go(limits, now), fallen = less(state->stall_left_bytes, left);
    state->stall_grown_bytes = grown;
    state->stall_left_bytes = left;
    return fallen < percent_of(step, BALLOON_STALL_PERCENT);
}

// What stops it whatever it has reached: harm, or readings that cannot be trusted.
static enum balloon_stop find_harm(const struct balloon_limits *limits, struct balloon_state *state,
                                   const struct balloon_reading *now)
{
    const struct balloon_reading *start = &state->start;
    // A clock that runs backwards would lift the time limit.
    if (now->now_ns < state->last.now_ns)
        return BALLOON_UNREADABLE;
    // Neither of these is ever forced.
    if (now->oom_kills != start->oom_kills)
        return now->oom_kills > start->oom_kills ? BALLOON_OOM : BALLOON_UNREADABLE;
    if (now->can_swap)
        return BALLOON_SWAP;
    if (now->swapped_pages > start->swapped_pages)
        return BALLOON_SWAPPED;
    // Last of all, since what went wrong says more than that time is up.
    if (!limits->force && is_under_pressure(state, now))
        return BALLOON_PRESSURE;
    if (!limits->force && now->step_took_ns > BALLOON_SLOW_STEP_MS * ns_per_ms)
        return BALLOON_SLOW;
    return now->now_ns - start->now_ns >= limits->time_ns ? BALLOON_TIME : BALLOON_GOES_ON;
}

// Is what the last walk found still there, as far as can be known? Where nothing is walked there is
// no better figure to be had.
static bool is_walk_exact(const struct balloon_state *state, const struct balloon_reading *now)
{
    if (!now->has_sure && !now->has_target)
        return true;
    return taken_since_walk(state, now) == 0 &&
           less(now->now_ns, now->walked_ns) <= BALLOON_WRITE_MS * ns_per_ms;
}

// An end is final: the engine never asks again after it.
static struct balloon_decision stop_for(enum balloon_stop stop)
{
    return (struct balloon_decision){.action = BALLOON_STOP, .stop = stop};
}

static struct balloon_decision go_on(enum balloon_action action)
{
    return (struct balloon_decision){.action = action};
}

// Is the goal reached, as far as is known? A walk asks for more certainty.
static struct balloon_decision judge_goal(const struct balloon_limits *limits,
                                          const struct balloon_state *state,
                                          const struct balloon_reading *now)
{
    uint64_t target = now->lazy_bytes;
    if (now->has_target)
        target = less(now->target_bytes, taken_since_walk(state, now));
    // Less than the smallest step cannot be pressed for.
    uint64_t wanted = limits->until_bytes != BALLOON_NO_LIMIT ? limits->until_bytes
                                                              : BALLOON_STEP_LEAST_MIB * mib;
    if (target < wanted) {
        // The estimate errs towards the goal: it ends nothing by itself.
        if (now->has_target && !is_walk_exact(state, now))
            return go_on(BALLOON_WALK);
        return stop_for(limits->until_bytes != BALLOON_NO_LIMIT ? BALLOON_REACHED : BALLOON_EMPTY);
    }
    if (size_left(limits, now) < BALLOON_STEP_LEAST_MIB * mib)
        return stop_for(BALLOON_SIZED);
    return go_on(BALLOON_GROW);
}

// Where background reclaim has to make the room first, it gets a second for it.
static struct balloon_decision wait_for_room(struct balloon_state *state,
                                             const struct balloon_reading *now)
{
    if (state->waits_since_ns == 0)
        state->waits_since_ns = now->now_ns;
    if (now->now_ns - state->waits_since_ns > BALLOON_WAIT_MOST_MS * ns_per_ms)
        return stop_for(BALLOON_BEHIND);
    return go_on(BALLOON_WAIT);
}

// How long the reading holds for a step: until the target could have written to all that is left
// above the reserve. Within the room that there is, nothing is taken from anybody.
static uint64_t time_for(const struct balloon_reading *now, uint64_t sure_bytes,
                         uint64_t step_bytes)
{
    const uint64_t most_ns = BALLOON_SLOW_STEP_MS * ns_per_ms;
    if (!now->has_sure || now->free_bytes >= step_bytes)
        return most_ns;
    // The reserve is not spent here: it is what covers the reading and the last moments.
    uint64_t spare = less(margin(now, sure_bytes), step_bytes);
    uint64_t ms = spare / (BALLOON_WRITE_MIB_PER_MS * mib) + BALLOON_WRITE_MS;
    return ms >= BALLOON_SLOW_STEP_MS ? most_ns : ms * ns_per_ms;
}

// How large the next step is, or what stands in its way.
static struct balloon_decision judge_step(const struct balloon_limits *limits,
                                          struct balloon_state *state,
                                          const struct balloon_reading *now)
{
    const uint64_t least = BALLOON_STEP_LEAST_MIB * mib;
    uint64_t sure = sure_now(state, now), may = may_take(limits, now, sure);
    if (now->host_bytes < least)
        return stop_for(BALLOON_HOST);
    // Filling the room would take nothing. While there is room, an old walk is good enough to go
    // on; without, it is not.
    bool is_exact = is_walk_exact(state, now);
    if (sure < least && !limits->force && is_exact)
        return stop_for(BALLOON_SHARED);
    if (sure < least && !limits->force && now->free_bytes < BALLOON_STEP_LARGEST_MIB * mib)
        return go_on(BALLOON_WALK);
    if (may < least)
        return is_exact ? stop_for(BALLOON_RESERVE) : go_on(BALLOON_WALK);
    uint64_t step = number_least(may / BALLOON_STEP_PART, BALLOON_STEP_LARGEST_MIB * mib);
    if (limits->in_background) {
        // Half of the room: another may want the rest before the kernel has made more.
        if (now->free_bytes / 2 < least)
            return wait_for_room(state, now);
        step = number_least(step, now->free_bytes / 2);
    }
    state->waits_since_ns = 0;
    step = step < least ? least : step / mib * mib;
    return (struct balloon_decision){
        .action = BALLOON_GROW,
        .step_bytes = step,
        .until_ns = plus(now->now_ns, time_for(now, sure, step)),
    };
}

// The first reading is what all later ones are compared with.
static void take_start(const struct balloon_limits *limits, struct balloon_state *state,
                       const struct balloon_reading *reading)
{
    *state = (struct balloon_state){
        .has_start = true,
        .start = *reading,
        .last = *reading,
        .walk = *reading,
        .psi = *reading,
        .stall_left_bytes = what_may_go(limits, reading),
    };
}

// What the target has written again between two walks: what is no longer there, and was not taken.
static uint64_t rewritten_between(const struct balloon_reading *then,
                                  const struct balloon_reading *now)
{
    if (!now->has_sure)
        return 0;
    uint64_t taken = less(then->lazy_bytes, now->lazy_bytes);
    if (then->has_taken && now->has_taken) {
        uint64_t pages = less(now->lazy_taken_pages, then->lazy_taken_pages);
        taken = pages > UINT64_MAX / page_bytes ? UINT64_MAX : pages * page_bytes;
    }
    return less(less(then->sure_bytes, now->sure_bytes), taken);
}

// What later readings are compared with.
static void note_walk(struct balloon_state *state, const struct balloon_reading *now)
{
    if (now->walks == state->walk.walks)
        return;
    state->rewritten_bytes = rewritten_between(&state->walk, now);
    state->walk = *now;
}

// A target that is at it will go on: at that speed the margin lasts for a few walks more, and what
// it takes back it needs.
static bool is_rewritten(const struct balloon_state *state, const struct balloon_reading *now)
{
    return state->rewritten_bytes >= BALLOON_STEP_LEAST_MIB * mib &&
           state->rewritten_bytes > margin(now, sure_now(state, now)) / BALLOON_REWRITE_PARTS;
}

bool balloon_must_let_go(struct balloon_state *state, const struct balloon_reading *reading)
{
    note_walk(state, reading);
    return !reading->is_complete || is_rewritten(state, reading) ||
           margin(reading, sure_now(state, reading)) < BALLOON_STEP_LEAST_MIB * mib;
}

// The order is the safety: nothing that may harm is weighed against a goal.
struct balloon_decision balloon_judge(const struct balloon_limits *limits,
                                      struct balloon_state *state,
                                      const struct balloon_reading *reading)
{
    // What is missing in it is 0, which would look like peace.
    if (!reading->is_complete)
        return stop_for(BALLOON_UNREADABLE);
    if (!state->has_start)
        take_start(limits, state, reading);
    note_walk(state, reading);
    // Harm first, then the goal, then what would make the next step wrong.
    enum balloon_stop harm = find_harm(limits, state, reading);
    state->last = *reading;
    if (harm != BALLOON_GOES_ON)
        return stop_for(harm);
    struct balloon_decision decision = judge_goal(limits, state, reading);
    if (decision.action != BALLOON_GROW)
        return decision;
    // Behind the goal: what is reached needs no brake.
    if (is_rewritten(state, reading))
        return stop_for(BALLOON_REWRITTEN);
    if (!limits->force && takes_cache(state))
        return stop_for(BALLOON_CACHE);
    if (has_stalled(limits, state, reading))
        return stop_for(BALLOON_STALLED);
    return judge_step(limits, state, reading);
}
