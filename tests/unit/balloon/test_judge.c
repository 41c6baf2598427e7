// SPDX-License-Identifier: Apache-2.0
// Unit tests of the balloon's decisions: a made-up group with a made-up kernel and clock, and each
// brake by itself. Test world; pure.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lever/balloon/judge.h"

static const uint64_t mib = 1 << 20, ms = 1000000, page = 4096;

// A group at a moment. All in bytes.
struct world {
    uint64_t limit, live, lazy, phantom, cache, balloon;
    uint64_t reserve, start_cache, cache_taken, lazy_taken;
    uint64_t rewrite_per_round; // the target writes to its lazily freed pages: lazy becomes phantom
    bool cache_first;           // the kernel takes cache before lazily freed pages
    bool oom;
    uint64_t now_ns;
    unsigned walks;
    uint64_t walked, walked_ns;
};

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t usage(const struct world *world)
{
    return world->live + world->lazy + world->phantom + world->cache + world->balloon;
}

static void take(uint64_t *from, uint64_t *need, uint64_t *taken)
{
    uint64_t part = least(*from, *need);
    *from -= part;
    *need -= part;
    *taken += part;
}

// The kernel makes room at the limit, or calls the OOM killer. Phantoms turn out to be live.
static void charge(struct world *world, uint64_t bytes)
{
    world->balloon += bytes;
    uint64_t used = usage(world), need = used > world->limit ? used - world->limit : 0;
    if (world->cache_first)
        take(&world->cache, &need, &world->cache_taken);
    take(&world->lazy, &need, &world->lazy_taken);
    take(&world->cache, &need, &world->cache_taken);
    if (need > 0)
        world->oom = true;
}

static struct balloon_reading look(const struct world *world)
{
    uint64_t used = usage(world), room = world->limit > used ? world->limit - used : 0;
    return (struct balloon_reading){
        .now_ns = world->now_ns,
        .is_complete = true,
        .balloon_bytes = world->balloon,
        .free_bytes = room,
        .slack_bytes = (int64_t)(room + world->cache / 2) - (int64_t)world->reserve,
        .host_bytes = UINT64_MAX,
        .lazy_bytes = world->lazy + world->phantom,
        .cache_bytes = world->cache,
        .walks = world->walks,
        .walked_ns = world->walked_ns,
        .sure_bytes = world->walked,
        .target_bytes = world->walked,
        .has_sure = true,
        .has_target = true,
    };
}

static struct world new_world(uint64_t limit, uint64_t live, uint64_t lazy, uint64_t phantom,
                              uint64_t cache)
{
    return (struct world){
        .limit = limit * mib,
        .live = live * mib,
        .lazy = lazy * mib,
        .phantom = phantom * mib,
        .cache = cache * mib,
        .reserve = balloon_reserve(limit * mib, 16 * mib, UINT64_MAX),
        .now_ns = 1000 * ms,
        .walks = 1,
        .walked = lazy * mib,
        .walked_ns = 1000 * ms,
    };
}

static const struct balloon_limits no_wish = {
    .until_bytes = BALLOON_NO_LIMIT,
    .size_bytes = BALLOON_NO_LIMIT,
    .time_ns = 30000000000,
};

// The engine without a system. The reason of the end.
static enum balloon_stop run(struct world *world, const struct balloon_limits *limits,
                             struct balloon_state *state)
{
    for (unsigned round = 0; round < 100000; round++) {
        struct balloon_reading reading = look(world);
        struct balloon_decision decision = balloon_judge(limits, state, &reading);
        switch (decision.action) {
        case BALLOON_GROW:
            assert_in_range(decision.step_bytes, mib, 16 * mib);
            charge(world, decision.step_bytes);
            break;
        case BALLOON_WALK:
            world->walks++;
            world->walked = world->lazy;
            world->walked_ns = world->now_ns + 5 * ms;
            break;
        case BALLOON_WAIT:
            break;
        case BALLOON_STOP:
            return decision.stop;
        }
        uint64_t rewritten = least(world->rewrite_per_round, world->lazy);
        world->lazy -= rewritten;
        world->phantom += rewritten;
        world->now_ns += 5 * ms;
    }
    fail_msg("it did not stop");
    return BALLOON_GOES_ON;
}

static enum balloon_stop run_once(struct world *world, const struct balloon_limits *limits)
{
    struct balloon_state state = {0};
    enum balloon_stop stop = run(world, limits, &state);
    assert_false(world->oom);
    return stop;
}

static void test_takes_all_but_the_reserve(void **unused)
{
    (void)unused;
    struct world world = new_world(400, 60, 200, 0, 0);
    assert_int_equal(run_once(&world, &no_wish), BALLOON_RESERVE);
    assert_in_range(world.lazy, 20 * mib, 22 * mib);
}

static void test_takes_all_where_cache_is_a_cushion(void **unused)
{
    (void)unused;
    struct world world = new_world(400, 60, 200, 0, 100);
    assert_int_equal(run_once(&world, &no_wish), BALLOON_EMPTY);
    assert_true(world.lazy < mib);
    assert_int_equal(world.cache, 100 * mib);
}

static void test_until(void **unused)
{
    (void)unused;
    struct balloon_limits limits = no_wish;
    limits.until_bytes = 100 * mib;
    struct world world = new_world(400, 60, 200, 0, 0);
    assert_int_equal(run_once(&world, &limits), BALLOON_REACHED);
    assert_in_range(world.lazy, 95 * mib, 100 * mib);
}

static void test_until_is_reached_already(void **unused)
{
    (void)unused;
    struct balloon_limits limits = no_wish;
    limits.until_bytes = 300 * mib;
    struct world world = new_world(400, 60, 200, 0, 0);
    assert_int_equal(run_once(&world, &limits), BALLOON_REACHED);
    assert_int_equal(world.balloon, 0);
}

static void test_size(void **unused)
{
    (void)unused;
    struct balloon_limits limits = no_wish;
    limits.size_bytes = 50 * mib + 1;
    struct world world = new_world(400, 60, 200, 0, 0);
    assert_int_equal(run_once(&world, &limits), BALLOON_SIZED);
    assert_int_equal(world.balloon, 50 * mib);
}

static void test_nothing_lazy(void **unused)
{
    (void)unused;
    struct world world = new_world(400, 350, 0, 0, 10);
    assert_int_equal(run_once(&world, &no_wish), BALLOON_EMPTY);
    assert_int_equal(world.balloon, 0);
}

// 300 MiB look lazily freed, but were written again: pressing for them would end in the OOM killer.
static void test_phantoms_are_not_counted_on(void **unused)
{
    (void)unused;
    struct world world = new_world(400, 60, 20, 300, 0);
    run_once(&world, &no_wish);
    assert_true(world.balloon < 30 * mib);
}

static void test_a_target_that_writes_again(void **unused)
{
    (void)unused;
    for (uint64_t rate = 0; rate < 4; rate++) {
        struct world world = new_world(1000, 60, 800, 0, 0);
        world.rewrite_per_round = rate * mib;
        run_once(&world, &no_wish);
        assert_true(world.lazy + world.limit - usage(&world) > 0);
    }
}

// An older page cache stands before lazily freed pages on the list.
static void test_stops_when_cache_goes_first(void **unused)
{
    (void)unused;
    struct world world = new_world(1000, 60, 400, 0, 400);
    world.cache_first = true;
    assert_int_equal(run_once(&world, &no_wish), BALLOON_CACHE);
    assert_true(world.cache_taken < 40 * mib);
    struct balloon_limits limits = no_wish;
    limits.force = true;
    world = new_world(1000, 60, 400, 0, 400);
    world.cache_first = true;
    assert_int_not_equal(run_once(&world, &limits), BALLOON_CACHE);
    assert_true(world.cache_taken > 100 * mib);
}

// Usage above the limit, as when the limit was lowered: no room, nothing wraps.
static void test_limit_below_usage(void **unused)
{
    (void)unused;
    struct world world = new_world(100, 150, 0, 40, 0);
    assert_int_equal(run_once(&world, &no_wish), BALLOON_EMPTY);
    world = new_world(100, 150, 40, 0, 0);
    struct balloon_state state = {0};
    struct balloon_reading reading = look(&world);
    struct balloon_decision decision = balloon_judge(&no_wish, &state, &reading);
    assert_true(decision.action == BALLOON_STOP || decision.step_bytes <= 32 * mib);
}

// 4 TiB: steps stay small, no sum wraps.
static void test_a_huge_host(void **unused)
{
    (void)unused;
    struct balloon_limits limits = no_wish;
    limits.time_ns = UINT64_MAX;
    struct world world = new_world(4 << 20, 100, 600 << 10, 0, 0);
    world.balloon = (3 << 20) * mib;
    run_once(&world, &limits);
    assert_in_range(world.lazy, world.reserve, world.reserve + 64 * mib);
}

// Many groups by a fixed seed: never an OOM, always an end, the cache within its share.
static void test_any_group(void **unused)
{
    (void)unused;
    uint64_t seed = 42;
    for (unsigned i = 0; i < 3000; i++) {
        uint64_t parts[6];
        for (unsigned j = 0; j < 6; j++) {
            seed = seed * 6364136223846793005U + 1442695040888963407U;
            parts[j] = seed >> 33;
        }
        uint64_t limit = 16 + parts[0] % 4000;
        struct world world =
            new_world(limit, parts[1] % limit, parts[2] % limit, 0, parts[3] % (limit / 4));
        // What is more than the limit could not be there.
        while (usage(&world) > world.limit) {
            world.live /= 2;
            world.lazy = world.lazy * 3 / 4;
            world.cache /= 2;
        }
        world.walked = world.lazy;
        world.rewrite_per_round = i % 3 == 0 ? parts[4] % (mib / 4) : 0;
        world.cache_first = parts[5] % 2;
        run_once(&world, &no_wish);
        assert_true(world.cache_taken <= 40 * mib || world.cache_taken * 2 < world.lazy_taken);
    }
}

// One reading after a first one: what the judge says to it.
static struct balloon_reading ordinary(void)
{
    struct world world = new_world(400, 60, 200, 0, 50);
    struct balloon_reading reading = look(&world);
    reading.host_psi.is_known = true;
    reading.has_taken = true;
    // Always fresh.
    reading.walked_ns = UINT64_MAX;
    return reading;
}

static struct balloon_decision second(const struct balloon_limits *limits,
                                      const struct balloon_reading *first,
                                      const struct balloon_reading *then)
{
    struct balloon_state state = {0};
    struct balloon_decision decision = balloon_judge(limits, &state, first);
    assert_int_equal(decision.action, BALLOON_GROW);
    return balloon_judge(limits, &state, then);
}

// Each brake: what a second reading with one difference leads to.
static void test_brakes_one_by_one(void **unused)
{
    (void)unused;
    struct balloon_reading first = ordinary(), then = first;
    first.oom_kills = first.swapped_pages = 7;
    then = first;
    then.now_ns += 300 * ms;
    assert_int_equal(second(&no_wish, &first, &then).action, BALLOON_GROW);
    struct balloon_reading base = then;
    then.oom_kills++;
    assert_int_equal(second(&no_wish, &first, &then).stop, BALLOON_OOM);
    then = base;
    then.swapped_pages++;
    assert_int_equal(second(&no_wish, &first, &then).stop, BALLOON_SWAPPED);
    then = base;
    then.can_swap = true;
    assert_int_equal(second(&no_wish, &first, &then).stop, BALLOON_SWAP);
    then = base;
    then.is_complete = false;
    assert_int_equal(second(&no_wish, &first, &then).stop, BALLOON_UNREADABLE);
    then = base;
    then.host_bytes = mib / 2;
    assert_int_equal(second(&no_wish, &first, &then).stop, BALLOON_HOST);
    then = base;
    then.step_took_ns = 1001 * ms;
    assert_int_equal(second(&no_wish, &first, &then).stop, BALLOON_SLOW);
    then = base;
    then.now_ns = first.now_ns + 30000 * ms;
    assert_int_equal(second(&no_wish, &first, &then).stop, BALLOON_TIME);
    then = base;
    then.refault_pages = 17 * mib / page;
    assert_int_equal(second(&no_wish, &first, &then).stop, BALLOON_CACHE);
}

static void test_counters_that_go_backwards(void **unused)
{
    (void)unused;
    struct balloon_reading first = ordinary(), then;
    first.oom_kills = first.swapped_pages = first.refault_pages = 7;
    first.lazy_taken_pages = first.file_taken_pages = 100;
    first.host_psi.some_us = 1000000;
    then = first;
    then.now_ns += 300 * ms;
    // Without harm: there is less of it than before.
    then.swapped_pages = then.refault_pages = then.lazy_taken_pages = then.file_taken_pages = 0;
    then.host_psi.some_us = 0;
    assert_int_equal(second(&no_wish, &first, &then).action, BALLOON_GROW);
    // Blind without them.
    then.oom_kills = 6;
    assert_int_equal(second(&no_wish, &first, &then).stop, BALLOON_UNREADABLE);
    then = first;
    then.now_ns -= 1;
    assert_int_equal(second(&no_wish, &first, &then).stop, BALLOON_UNREADABLE);
}

// What a fork shares is lazily freed, and cannot be taken: there is room, but no use for it.
static void test_shared_with_a_fork(void **unused)
{
    (void)unused;
    struct balloon_state state = {0};
    struct balloon_reading reading = ordinary();
    reading.sure_bytes = 0;
    assert_int_equal(balloon_judge(&no_wish, &state, &reading).stop, BALLOON_SHARED);
    // An old walk is good enough while there is room, and not where pressure begins.
    reading.walked_ns = 0;
    assert_int_equal(balloon_judge(&no_wish, &state, &reading).action, BALLOON_GROW);
    reading.free_bytes = mib;
    assert_int_equal(balloon_judge(&no_wish, &state, &reading).action, BALLOON_WALK);
}

// A target that takes its pages back would meet its limit before the margin is used up.
static void test_target_writes_again(void **unused)
{
    (void)unused;
    struct balloon_state state = {0};
    struct balloon_reading reading = ordinary();
    reading.free_bytes = 0;
    reading.slack_bytes = 0;
    reading.sure_bytes = 200 * mib;
    assert_int_equal(balloon_judge(&no_wish, &state, &reading).action, BALLOON_GROW);
    // What was taken meanwhile was not written again.
    reading.walks++;
    reading.sure_bytes = 100 * mib;
    reading.lazy_taken_pages = 80 * mib / page;
    assert_int_equal(balloon_judge(&no_wish, &state, &reading).action, BALLOON_GROW);
    reading.walks++;
    reading.sure_bytes = 79 * mib;
    assert_int_equal(balloon_judge(&no_wish, &state, &reading).stop, BALLOON_REWRITTEN);
    // Kernels without these counters: what the bound has lost was taken.
    state = (struct balloon_state){0};
    reading.has_taken = false;
    assert_int_equal(balloon_judge(&no_wish, &state, &reading).action, BALLOON_GROW);
    reading.walks++;
    reading.sure_bytes = 50 * mib;
    reading.lazy_bytes -= 15 * mib;
    assert_int_equal(balloon_judge(&no_wish, &state, &reading).stop, BALLOON_REWRITTEN);
}

// In the middle of a step.
static void test_lets_go_at_once(void **unused)
{
    (void)unused;
    struct balloon_state state = {0};
    struct balloon_reading reading = ordinary();
    reading.slack_bytes = -20 * (int64_t)mib;
    reading.sure_bytes = 60 * mib;
    balloon_judge(&no_wish, &state, &reading);
    assert_false(balloon_must_let_go(&state, &reading));
    reading.walks++;
    reading.lazy_taken_pages = 40 * mib / page;
    reading.sure_bytes = 21 * mib;
    assert_false(balloon_must_let_go(&state, &reading));
    reading.walks++;
    reading.lazy_taken_pages += mib / page;
    reading.sure_bytes = 20 * mib;
    assert_true(balloon_must_let_go(&state, &reading));
    reading.sure_bytes = 60 * mib;
    reading.is_complete = false;
    assert_true(balloon_must_let_go(&state, &reading));
}

// Walk and rest together are no longer than the reserve covers.
static void test_rests_between_walks(void **unused)
{
    (void)unused;
    struct balloon_reading reading = {.walk_took_ns = 3 * ms, .reserve_bytes = 40 * mib};
    assert_int_equal(balloon_walk_pause(&reading), 3 * ms);
    reading.walk_took_ns = 6 * ms;
    assert_int_equal(balloon_walk_pause(&reading), 4 * ms);
    reading.walk_took_ns = 60 * ms;
    assert_int_equal(balloon_walk_pause(&reading), 0);
}

// Each bound by itself is the tightest once.
static void test_allowance(void **unused)
{
    (void)unused;
    struct balloon_limits limits = no_wish;
    struct balloon_reading reading = ordinary();
    assert_int_equal(balloon_allowance(&limits, &reading), reading.free_bytes + 200 * mib);
    reading.host_bytes = 30 * mib;
    assert_int_equal(balloon_allowance(&limits, &reading), 30 * mib);
    limits.size_bytes = 20 * mib;
    assert_int_equal(balloon_allowance(&limits, &reading), 20 * mib);
    reading.slack_bytes = 10 * (int64_t)mib - 200 * (int64_t)mib;
    assert_int_equal(balloon_allowance(&limits, &reading), 10 * mib);
    reading.slack_bytes = INT64_MIN;
    assert_int_equal(balloon_allowance(&limits, &reading), 0);
}

// 25 % of 400 ms; the same in a group is allowed, since the balloon waits there itself.
static void test_pressure(void **unused)
{
    (void)unused;
    struct balloon_reading first = ordinary(), then;
    first.group_psi.is_known = true;
    then = first;
    then.now_ns += 400 * ms;
    then.host_psi.some_us = 100000;
    assert_int_equal(second(&no_wish, &first, &then).stop, BALLOON_PRESSURE);
    struct balloon_limits limits = no_wish;
    limits.force = true;
    assert_int_equal(second(&limits, &first, &then).action, BALLOON_GROW);
    then.host_psi.some_us = 60000;
    then.group_psi.some_us = 100000;
    assert_int_equal(second(&no_wish, &first, &then).action, BALLOON_GROW);
    then.group_psi.some_us = 200000;
    assert_int_equal(second(&no_wish, &first, &then).stop, BALLOON_PRESSURE);
    // Too short a time to say: one wait of 30 ms within 50.
    then = first;
    then.now_ns += 50 * ms;
    then.host_psi.some_us = 30000;
    assert_int_equal(second(&no_wish, &first, &then).action, BALLOON_GROW);
    // No PSI in this kernel.
    then.now_ns += 400 * ms;
    then.host_psi = (struct balloon_psi){.is_known = false, .some_us = UINT64_MAX};
    assert_int_equal(second(&no_wish, &first, &then).action, BALLOON_GROW);
}

// The bound alone is known, and does not move whatever is taken: it must end all the same.
static void test_stalls(void **unused)
{
    (void)unused;
    struct balloon_state state = {0};
    struct balloon_reading reading = ordinary();
    reading.has_sure = reading.has_target = false;
    reading.free_bytes = 0;
    reading.slack_bytes = 100 * (int64_t)mib;
    for (unsigned i = 0; i < 100; i++) {
        struct balloon_decision decision = balloon_judge(&no_wish, &state, &reading);
        if (decision.action == BALLOON_STOP) {
            assert_int_equal(decision.stop, BALLOON_STALLED);
            assert_in_range(reading.balloon_bytes, 32 * mib, 36 * mib);
            return;
        }
        reading.balloon_bytes += decision.step_bytes;
        reading.now_ns += 5 * ms;
    }
    fail_msg("it did not stop");
}

// On the host it grows no faster than kswapd makes room, and gives up after a second without.
static void test_waits_for_background_reclaim(void **unused)
{
    (void)unused;
    struct balloon_limits limits = no_wish;
    limits.in_background = true;
    struct balloon_state state = {0};
    struct balloon_reading reading = ordinary();
    reading.has_sure = reading.has_target = false;
    reading.lazy_bytes = 4096 * mib;
    reading.slack_bytes = 0;
    reading.free_bytes = 9 * mib;
    struct balloon_decision decision = balloon_judge(&limits, &state, &reading);
    assert_int_equal(decision.action, BALLOON_GROW);
    assert_int_equal(decision.step_bytes, 4 * mib);
    reading.free_bytes = mib;
    reading.now_ns += ms;
    assert_int_equal(balloon_judge(&limits, &state, &reading).action, BALLOON_WAIT);
    reading.now_ns += 900 * ms;
    assert_int_equal(balloon_judge(&limits, &state, &reading).action, BALLOON_WAIT);
    reading.free_bytes = 64 * mib;
    assert_int_equal(balloon_judge(&limits, &state, &reading).action, BALLOON_GROW);
    reading.free_bytes = 0;
    assert_int_equal(balloon_judge(&limits, &state, &reading).action, BALLOON_WAIT);
    reading.now_ns += 1001 * ms;
    assert_int_equal(balloon_judge(&limits, &state, &reading).stop, BALLOON_BEHIND);
}

// Any bytes as a reading: an answer that makes sense, and no trap of the sanitizers.
static void test_nonsense(void **unused)
{
    (void)unused;
    uint64_t seed = 7;
    for (unsigned i = 0; i < 20000; i++) {
        struct balloon_state state = {0};
        struct balloon_reading readings[2];
        for (size_t j = 0; j < sizeof readings; j++) {
            seed = seed * 6364136223846793005U + 1442695040888963407U;
            ((unsigned char *)readings)[j] = (unsigned char)(i % 4 == 0 ? 0xff : seed >> 40);
        }
        for (unsigned j = 0; j < 2; j++) {
            readings[j].is_complete = true;
            readings[j].has_sure = readings[j].has_target = i & 1;
            readings[j].has_taken = i & 2;
            readings[j].can_swap = false;
            readings[j].host_psi.is_known = readings[j].group_psi.is_known = i & 4;
            readings[j].host_psi.some_avg10 = readings[j].group_psi.some_avg10 = 0;
            readings[j].oom_kills = 1;
            struct balloon_decision decision = balloon_judge(&no_wish, &state, &readings[j]);
            assert_true(decision.action != BALLOON_GROW || decision.step_bytes <= 16 * mib);
            assert_true(decision.action != BALLOON_GROW || decision.step_bytes >= mib);
        }
    }
}

static void test_every_end_has_words(void **unused)
{
    (void)unused;
    for (int stop = 0; stop < BALLOON_STOP_COUNT; stop++)
        assert_true(strlen(balloon_stop_words((enum balloon_stop)stop)) > 5);
    struct balloon_limits limits = no_wish;
    assert_true(balloon_stop_is_good(BALLOON_RESERVE, &limits));
    assert_false(balloon_stop_is_good(BALLOON_CACHE, &limits));
    limits.until_bytes = mib;
    assert_true(balloon_stop_is_good(BALLOON_REACHED, &limits));
    assert_false(balloon_stop_is_good(BALLOON_RESERVE, &limits));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_all_but_the_reserve),
        cmocka_unit_test(test_takes_all_where_cache_is_a_cushion),
        cmocka_unit_test(test_until),
        cmocka_unit_test(test_until_is_reached_already),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_nothing_lazy),
        cmocka_unit_test(test_phantoms_are_not_counted_on),
        cmocka_unit_test(test_a_target_that_writes_again),
        cmocka_unit_test(test_stops_when_cache_goes_first),
        cmocka_unit_test(test_limit_below_usage),
        cmocka_unit_test(test_a_huge_host),
        cmocka_unit_test(test_any_group),
        cmocka_unit_test(test_brakes_one_by_one),
        cmocka_unit_test(test_counters_that_go_backwards),
        cmocka_unit_test(test_shared_with_a_fork),
        cmocka_unit_test(test_target_writes_again),
        cmocka_unit_test(test_lets_go_at_once),
        cmocka_unit_test(test_rests_between_walks),
        cmocka_unit_test(test_allowance),
        cmocka_unit_test(test_pressure),
        cmocka_unit_test(test_stalls),
        cmocka_unit_test(test_waits_for_background_reclaim),
        cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_every_end_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
