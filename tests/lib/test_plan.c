// SPDX-License-Identifier: Apache-2.0
// Unit tests of the release plan: each rule, and sequences of looks under a clock of the test's
// own. Test code; no state.
#include "release_test.h"

#include "release/plan.h"

static struct plan plan_of(enum wire_policy policy, uint32_t within_ms)
{
    return (struct plan){
        .settings = {.policy = policy, .return_within_ms = within_ms, .can_free_lazily = true},
        .pressure = WIRE_PRESSURE_NONE,
    };
}

static enum plan_advice advise(const struct plan *plan, enum plan_kind kind, uint64_t age_ms)
{
    struct plan_item item = {.kind = kind, .group = 3, .age_ms = age_ms, .bytes = 65536};
    return plan_advise(plan, &item);
}

static void test_times(void **state)
{
    (void)state;
    struct plan plan = plan_of(WIRE_POLICY_AUTO, 1000);
    assert_int_equal(plan_age_ms(&plan), 375);
    assert_int_equal(plan_period_ms(&plan), 125);
    plan.settings.return_within_ms = 10;
    assert_int_equal(plan_period_ms(&plan), 5);
    assert_int_equal(plan_age_ms(&plan), 5);
    plan.settings.return_within_ms = 3600000;
    assert_int_equal(plan_period_ms(&plan), 250);
    assert_int_equal(plan_age_ms(&plan), 1350000);
    plan.pressure = WIRE_PRESSURE_SHORT;
    assert_int_equal(plan_period_ms(&plan), 20);
    plan.settings.return_within_ms = 10;
    assert_int_equal(plan_period_ms(&plan), 5);
}

// Records wait for one look, and under no policy but `keep` for more.
static void test_records(void **state)
{
    (void)state;
    struct plan plan = plan_of(WIRE_POLICY_FREE, 1000);
    assert_int_equal(advise(&plan, PLAN_RECORDS, 0), PLAN_WAIT);
    assert_int_equal(advise(&plan, PLAN_RECORDS, 1), PLAN_NOW);
    plan.settings.policy = WIRE_POLICY_KEEP;
    assert_int_equal(advise(&plan, PLAN_RECORDS, 1000), PLAN_WAIT);
    plan.settings.policy = WIRE_POLICY_AUTO;
    plan.pressure = WIRE_PRESSURE_SHORT;
    assert_int_equal(advise(&plan, PLAN_RECORDS, 0), PLAN_NOW);
}

static void test_next_period(void **state)
{
    (void)state;
    struct plan plan = plan_of(WIRE_POLICY_AUTO, 1000);
    assert_int_equal(plan_next_period_ms(&plan, 0), 125);
    assert_int_equal(plan_next_period_ms(&plan, 1250000), 125);
    assert_int_equal(plan_next_period_ms(&plan, 2000000), 200);
    assert_int_equal(plan_age_ms(&plan), 375);
    // The bound in time wins, until looking is all that there is time for.
    assert_int_equal(plan_next_period_ms(&plan, 9000000), 375);
    assert_int_equal(plan_age_ms(&plan), 125);
    assert_int_equal(plan_next_period_ms(&plan, 150000000), 275);
    assert_int_equal(plan_next_period_ms(&plan, 700000000), 700);
    assert_int_equal(plan_age_ms(&plan), 5);
    assert_true(plan_next_period_ms(&plan, UINT64_MAX) >= 1000);
    // And back again.
    assert_int_equal(plan_next_period_ms(&plan, 100000), 125);
    assert_int_equal(plan_age_ms(&plan), 375);
    plan.pressure = WIRE_PRESSURE_SHORT;
    assert_int_equal(plan_next_period_ms(&plan, 9000000), 20);
    assert_int_equal(plan_next_period_ms(&plan, 30000000), 30);
}

// Up to 1 % wherever the bound in time leaves room for that.
static void test_cost_of_looking(void **state)
{
    (void)state;
    struct plan plan = plan_of(WIRE_POLICY_AUTO, 60000);
    for (uint64_t look_ns = 1; look_ns < 200000000; look_ns = look_ns * 3 / 2 + 1) {
        uint64_t period = plan_next_period_ms(&plan, look_ns);
        assert_true(look_ns * 100 <= period * 1000000);
        assert_true(period <= 30000);
    }
}

static void test_policies(void **state)
{
    (void)state;
    struct plan plan = plan_of(WIRE_POLICY_AUTO, 1000);
    assert_int_equal(advise(&plan, PLAN_RUN, 374), PLAN_WAIT);
    assert_int_equal(advise(&plan, PLAN_RUN, 375), PLAN_NOW);
    assert_int_equal(advise(&plan, PLAN_PAGES, 375), PLAN_NOW);
    plan.settings.policy = WIRE_POLICY_FREE;
    assert_int_equal(advise(&plan, PLAN_PAGES, 374), PLAN_WAIT);
    assert_int_equal(advise(&plan, PLAN_PAGES, 375), PLAN_LAZILY);
    plan.settings.can_free_lazily = false;
    assert_int_equal(advise(&plan, PLAN_PAGES, 375), PLAN_NOW);
    plan.settings.policy = WIRE_POLICY_DONTNEED;
    plan.settings.can_free_lazily = true;
    assert_int_equal(advise(&plan, PLAN_RUN, 374), PLAN_WAIT);
    assert_int_equal(advise(&plan, PLAN_RUN, 375), PLAN_NOW);
    plan.settings.policy = WIRE_POLICY_KEEP;
    assert_int_equal(advise(&plan, PLAN_RUN, UINT64_MAX), PLAN_WAIT);
    plan.pressure = WIRE_PRESSURE_SHORT;
    assert_int_equal(advise(&plan, PLAN_RUN, UINT64_MAX), PLAN_WAIT);
}

static void test_lazy_items(void **state)
{
    (void)state;
    for (int policy = WIRE_POLICY_AUTO; policy <= WIRE_POLICY_KEEP; policy++) {
        struct plan plan = plan_of((enum wire_policy)policy, 1000);
        assert_int_equal(advise(&plan, PLAN_LAZY_RUN, 3600000), PLAN_WAIT);
        assert_int_equal(advise(&plan, PLAN_LAZY_PAGES, 3600000), PLAN_WAIT);
    }
}

// At once, whatever is expected.
static void test_pressure(void **state)
{
    (void)state;
    for (int policy = WIRE_POLICY_AUTO; policy <= WIRE_POLICY_DONTNEED; policy++) {
        struct plan plan = plan_of((enum wire_policy)policy, 3600000);
        plan_note_returned(&plan, 3, GIB);
        plan_note_reused(&plan, 3, GIB);
        plan.pressure = WIRE_PRESSURE_SHORT;
        for (int kind = PLAN_RUN; kind <= PLAN_LAZY_PAGES; kind++)
            assert_int_equal(advise(&plan, (enum plan_kind)kind, 0), PLAN_NOW);
        struct plan_item nothing = {.kind = PLAN_RUN, .age_ms = 1000};
        assert_int_equal(plan_advise(&plan, &nothing), PLAN_WAIT);
        plan.pressure = WIRE_PRESSURE_UNKNOWN;
        assert_int_equal(advise(&plan, PLAN_RUN, 0), PLAN_WAIT);
    }
}

static void test_history(void **state)
{
    (void)state;
    struct plan plan = plan_of(WIRE_POLICY_AUTO, 1000);
    assert_int_equal(plan_reuse_permille(&plan, 5), 0);
    // Little evidence is none.
    plan_note_returned(&plan, 5, MIB - 1);
    plan_note_reused(&plan, 5, MIB - 1);
    assert_int_equal(plan_reuse_permille(&plan, 5), 0);
    plan_note_returned(&plan, 5, 1);
    assert_int_equal(plan_reuse_permille(&plan, 5), 999);
    // What was not returned cannot be reused.
    plan_note_reused(&plan, 5, GIB);
    assert_int_equal(plan_reuse_permille(&plan, 5), 1000);
    plan_note_returned(&plan, 5, MIB);
    assert_int_equal(plan_reuse_permille(&plan, 5), 500);
    plan_note_reused(&plan, 4, GIB);
    assert_int_equal(plan_reuse_permille(&plan, 4), 0);
    assert_true(plan_expects_reuse(&plan, 5));
    // All together say so as well, until one group returns much that is not used again.
    assert_true(plan_expects_reuse(&plan, 4));
    plan_note_returned(&plan, 6, GIB);
    assert_true(plan_expects_reuse(&plan, 5));
    assert_false(plan_expects_reuse(&plan, 4));
    assert_false(plan_expects_reuse(&plan, 6));
    // 35 % is where both cost the same.
    struct plan even = plan_of(WIRE_POLICY_AUTO, 1000);
    plan_note_returned(&even, 0, 1000 * MIB);
    plan_note_reused(&even, 0, 350 * MIB);
    assert_false(plan_expects_reuse(&even, 0));
    plan_note_reused(&even, 0, 2 * MIB);
    assert_true(plan_expects_reuse(&even, 0));
}

static void test_history_is_bounded(void **state)
{
    (void)state;
    struct plan plan = plan_of(WIRE_POLICY_AUTO, 1000);
    for (int i = 0; i < 5; i++) {
        plan_note_returned(&plan, 2, UINT64_MAX);
        plan_note_reused(&plan, 2, UINT64_MAX);
        assert_int_equal(plan_reuse_permille(&plan, 2), 1000);
    }
    // Nor does a sum wrap: the most, and so much that it would be little again.
    const uint64_t most = plan.history.groups[2].returned;
    plan_note_returned(&plan, 2, UINT64_MAX - most + 2);
    assert_int_equal(plan.history.groups[2].returned, most);
    // A group that there is not is some other's, and no write behind the array.
    plan_note_returned(&plan, UINT32_MAX, MIB);
    plan_note_reused(&plan, UINT32_MAX, MIB);
    assert_true(plan_reuse_permille(&plan, UINT32_MAX) <= 1000);
}

static void test_decay(void **state)
{
    (void)state;
    struct plan plan = plan_of(WIRE_POLICY_AUTO, 1000);
    const uint64_t start = UINT64_C(1) << 40; // a machine that has been up for long
    plan_note_returned(&plan, 1, 64 * MIB);
    plan_note_reused(&plan, 1, 32 * MIB);
    plan_decay(&plan, start);
    assert_int_equal(plan.history.groups[1].returned, 64 * MIB);
    plan_decay(&plan, start + 4999);
    assert_int_equal(plan.history.groups[1].returned, 64 * MIB);
    plan_decay(&plan, start + 5000);
    assert_int_equal(plan.history.groups[1].returned, 32 * MIB);
    // Steps are counted from the last halving, not from the last call.
    plan_decay(&plan, start + 9000);
    plan_decay(&plan, start + 14000);
    assert_int_equal(plan.history.groups[1].returned, 16 * MIB);
    assert_int_equal(plan.history.groups[1].reused, 8 * MIB);
    plan_decay(&plan, start + 15000);
    assert_int_equal(plan.history.groups[1].returned, 8 * MIB);
    // Back in time: nothing is lost, and the clock goes on from there.
    plan_decay(&plan, start);
    assert_int_equal(plan.history.groups[1].returned, 8 * MIB);
    plan_decay(&plan, start + 5000);
    assert_int_equal(plan.history.groups[1].returned, 4 * MIB);
    plan_decay(&plan, UINT64_MAX);
    assert_int_equal(plan.history.groups[1].returned, 0);
    assert_int_equal(plan_reuse_permille(&plan, 1), 0);
}

// Twenty things that the program uses and frees together, and looks at them, as the engine makes
// them: an item's age is known since the look that first saw it so.
enum { ITEMS = 20 };
enum item_state { IN_USE, KEPT, LAZY, RETURNED };

struct world {
    struct plan plan;
    uint64_t now_ms;
    uint64_t look_ms;
    uint64_t next_look_ms;
    enum item_state states[ITEMS];
    uint64_t seen_ms[ITEMS]; // 0: not since it was freed
    unsigned advised[3];     // how often each advice was obeyed
};

static const uint64_t item_bytes = 40 * MIB;
static const unsigned item_group = 6;

static struct world world_of(enum wire_policy policy, uint32_t within_ms, uint64_t look_ms)
{
    return (struct world){.plan = plan_of(policy, within_ms),
                          .now_ms = 1000000,
                          .next_look_ms = 1000000,
                          .look_ms = look_ms};
}

static void look_at(struct world *world, unsigned i)
{
    enum item_state *one = &world->states[i];
    if (*one != KEPT && *one != LAZY)
        return;
    if (world->seen_ms[i] == 0)
        world->seen_ms[i] = world->now_ms;
    struct plan_item item = {.kind = *one == KEPT ? PLAN_RUN : PLAN_LAZY_RUN,
                             .group = item_group,
                             .age_ms = world->now_ms - world->seen_ms[i],
                             .bytes = item_bytes};
    enum plan_advice advice = plan_advise(&world->plan, &item);
    world->advised[advice]++;
    if (advice == PLAN_WAIT)
        return;
    if (*one == KEPT)
        plan_note_returned(&world->plan, item_group, item_bytes);
    *one = advice == PLAN_NOW ? RETURNED : LAZY;
    world->seen_ms[i] = 0;
}

static void run_until(struct world *world, uint64_t end_ms)
{
    for (; world->next_look_ms <= end_ms;) {
        world->now_ms = world->next_look_ms;
        plan_decay(&world->plan, world->now_ms);
        for (unsigned i = 0; i < ITEMS; i++)
            look_at(world, i);
        world->now_ms += world->look_ms;
        world->next_look_ms =
            world->now_ms + plan_next_period_ms(&world->plan, world->look_ms * 1000000);
    }
    world->now_ms = end_ms;
}

static void use_all(struct world *world)
{
    for (unsigned i = 0; i < ITEMS; i++) {
        if (world->states[i] == LAZY || world->states[i] == RETURNED)
            plan_note_reused(&world->plan, item_group, item_bytes);
        world->states[i] = IN_USE;
    }
}

static void free_all(struct world *world)
{
    for (unsigned i = 0; i < ITEMS; i++) {
        world->states[i] = KEPT;
        world->seen_ms[i] = 0;
    }
}

static unsigned count(const struct world *world, enum item_state wanted)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < ITEMS; i++)
        sum += world->states[i] == wanted;
    return sum;
}

// Whenever it comes between two looks, and whatever a look costs: gone within the bound.
static void test_one_off_drop(void **state)
{
    (void)state;
    static const uint32_t bounds_ms[] = {20, 100, 500, 1000, 10000, 60000};
    for (size_t b = 0; b < sizeof bounds_ms / sizeof *bounds_ms; b++) {
        uint64_t within = bounds_ms[b];
        for (uint64_t look_ms = 0; look_ms <= within / 8; look_ms += within / 40 + 1) {
            for (uint64_t phase = 0; phase < within; phase += within / 17 + 1) {
                struct world world = world_of(WIRE_POLICY_AUTO, (uint32_t)within, look_ms);
                run_until(&world, world.now_ms + 10 * within + phase);
                free_all(&world);
                uint64_t freed_ms = world.now_ms;
                run_until(&world, freed_ms + within / 8);
                assert_int_equal(count(&world, RETURNED), 0);
                run_until(&world, freed_ms + within);
                if (count(&world, RETURNED) != ITEMS)
                    fail_msg("within %d ms, looks of %d, freed after %d", (int)within, (int)look_ms,
                             (int)phase);
                assert_int_equal(world.advised[PLAN_LAZILY], 0);
            }
        }
    }
}

// What is used again before it is old stays as it is.
static void test_busy_items_stay(void **state)
{
    (void)state;
    struct world world = world_of(WIRE_POLICY_AUTO, 1000, 1);
    for (int i = 0; i < 100; i++) {
        free_all(&world);
        run_until(&world, world.now_ms + 300);
        use_all(&world);
        run_until(&world, world.now_ms + 100);
    }
    assert_int_equal(world.advised[PLAN_NOW] + world.advised[PLAN_LAZILY], 0);
}

// Spikes teach, and what they taught is forgotten.
static void test_spikes(void **state)
{
    (void)state;
    struct world world = world_of(WIRE_POLICY_AUTO, 1000, 1);
    for (int i = 0; i < 6; i++) {
        use_all(&world);
        run_until(&world, world.now_ms + 500);
        free_all(&world);
        run_until(&world, world.now_ms + 1500);
        // The first time nothing is known.
        assert_int_equal(count(&world, i ? LAZY : RETURNED), ITEMS);
    }
    // Quiet: what is lazy stays so. A minute later a drop is a drop again.
    run_until(&world, world.now_ms + 60000);
    assert_int_equal(count(&world, LAZY), ITEMS);
    for (unsigned i = 0; i < ITEMS; i++)
        world.states[i] = IN_USE;
    free_all(&world);
    run_until(&world, world.now_ms + 1000);
    assert_int_equal(count(&world, RETURNED), ITEMS);
}

// Where the kernel knows no lazy freeing, spikes go back at once.
static void test_spikes_without_lazy(void **state)
{
    (void)state;
    struct world world = world_of(WIRE_POLICY_AUTO, 1000, 1);
    world.plan.settings.can_free_lazily = false;
    for (int i = 0; i < 6; i++) {
        use_all(&world);
        run_until(&world, world.now_ms + 500);
        free_all(&world);
        run_until(&world, world.now_ms + 1500);
        assert_int_equal(count(&world, RETURNED), ITEMS);
    }
}

static void test_keep_never(void **state)
{
    (void)state;
    struct world world = world_of(WIRE_POLICY_KEEP, 10, 1);
    free_all(&world);
    run_until(&world, world.now_ms + 60000);
    world.plan.pressure = WIRE_PRESSURE_SHORT;
    run_until(&world, world.now_ms + 1000);
    assert_int_equal(count(&world, KEPT), ITEMS);
}

// The next look after memory ran short takes all, lazy ones too.
static void test_pressure_comes(void **state)
{
    (void)state;
    struct world world = world_of(WIRE_POLICY_FREE, 10000, 1);
    free_all(&world);
    run_until(&world, world.now_ms + 10000);
    assert_int_equal(count(&world, LAZY), ITEMS);
    for (unsigned i = 0; i < ITEMS / 2; i++)
        world.states[i] = KEPT;
    world.plan.pressure = WIRE_PRESSURE_SHORT;
    run_until(&world, world.next_look_ms);
    assert_int_equal(count(&world, RETURNED), ITEMS);
    assert_true(world.next_look_ms <= world.now_ms + world.look_ms + 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_next_period),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_cost_of_looking),
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_lazy_items),
        cmocka_unit_test(test_pressure),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_history_is_bounded),
        cmocka_unit_test(test_decay),
        cmocka_unit_test(test_one_off_drop),
        cmocka_unit_test(test_busy_items_stay),
        cmocka_unit_test(test_spikes),
        cmocka_unit_test(test_spikes_without_lazy),
        cmocka_unit_test(test_keep_never),
        cmocka_unit_test(test_pressure_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
