// SPDX-License-Identifier: Apache-2.0
// Unit tests of the plan of readings, under a clock of its own: budgets over random costs, turns,
// first accounts, quiet processes, wishes of users. Test world.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sample/plan.h"

static const uint64_t second_ns = 1000000000, ms_ns = 1000000;
static const uint64_t mib = 1 << 20;

enum { HERD_MAX = 256 };

// A host of processes, and a plan for them; time passes only here.
struct herd {
    struct plan plan;
    uint64_t now_ns, spent_ns, random;
    size_t count;
    struct {
        struct plan_subject plan;
        struct plan_figures figures;
        uint64_t lazy_ns, account_ns; // what readings of it cost
        uint64_t walked_ns, readings, accounts, longest_wait_ns, last_end_ns, last_walk_ns;
    } items[HERD_MAX];
    bool is_restless; // costs vary tenfold
};

// xorshift64: the same costs in every run.
static uint64_t herd_random(struct herd *herd, uint64_t below)
{
    herd->random ^= herd->random << 13;
    herd->random ^= herd->random >> 7;
    herd->random ^= herd->random << 17;
    return herd->random % below;
}

static struct herd *herd_new(double share, size_t count, uint64_t rss_bytes)
{
    struct herd *herd = calloc(1, sizeof *herd);
    assert_non_null(herd);
    herd->now_ns = 1000 * second_ns;
    herd->random = 88172645463325252u;
    herd->count = count;
    plan_init(&herd->plan, share, herd->now_ns);
    for (size_t i = 0; i < count; i++) {
        herd->items[i].plan.since_ns = herd->now_ns;
        herd->items[i].figures.rss_bytes = rss_bytes;
        herd->items[i].lazy_ns = 30000 + rss_bytes * 12 * ms_ns / (1024 * mib);
        herd->items[i].account_ns = 4 * ms_ns + rss_bytes * 20 * ms_ns / (1024 * mib);
    }
    return herd;
}

// Everybody works: sizes move by a fifth.
static void herd_work(struct herd *herd)
{
    for (size_t i = 0; i < herd->count; i++) {
        struct plan_figures *figures = &herd->items[i].figures;
        figures->rss_bytes += herd->random % 2 ? figures->rss_bytes / 5 : 0;
        figures->rss_bytes -= herd->random % 2 ? 0 : figures->rss_bytes / 6;
        figures->minor_faults += 1000;
        figures->cpu_ms += 10;
    }
    herd_random(herd, 2);
}

static void herd_read(struct herd *herd, size_t index, enum sample_kind kind)
{
    uint64_t cost_ns =
        kind == SAMPLE_ACCOUNT ? herd->items[index].account_ns : herd->items[index].lazy_ns;
    if (herd->is_restless)
        cost_ns = cost_ns / 3 + herd_random(herd, cost_ns * 10);
    // Between two walks of one target lies its rest.
    if (herd->items[index].readings > 0) {
        uint64_t rest_ns = (uint64_t)((double)herd->items[index].last_walk_ns / herd->plan.share);
        assert_true(herd->now_ns + 1 >= herd->items[index].last_end_ns + rest_ns);
        uint64_t waited_ns = herd->now_ns - herd->items[index].last_end_ns;
        if (waited_ns > herd->items[index].longest_wait_ns)
            herd->items[index].longest_wait_ns = waited_ns;
    }
    herd->now_ns += cost_ns;
    herd->spent_ns += cost_ns;
    struct plan_figures now = herd->items[index].figures;
    now.now_ns = herd->now_ns;
    plan_spend(&herd->plan, &herd->items[index].plan, kind, &now, cost_ns, cost_ns);
    herd->items[index].readings++;
    herd->items[index].accounts += kind == SAMPLE_ACCOUNT;
    herd->items[index].last_end_ns = herd->now_ns;
    herd->items[index].last_walk_ns = cost_ns;
}

// As the sampler's rounds.
static void herd_round(struct herd *herd)
{
    struct plan_turn turns[HERD_MAX];
    size_t count = 0;
    plan_refill(&herd->plan, herd->now_ns);
    for (size_t i = 0; i < herd->count; i++) {
        struct plan_figures now = herd->items[i].figures;
        now.now_ns = herd->now_ns;
        struct plan_wish wish = plan_wish(&herd->plan, &herd->items[i].plan, &now);
        if (wish.kind != SAMPLE_CHEAP)
            turns[count++] = (struct plan_turn){i, wish};
    }
    plan_sort(turns, count);
    for (size_t i = 0; i < count && plan_may_begin(&herd->plan, &turns[i].wish); i++)
        herd_read(herd, turns[i].index, turns[i].wish.kind);
}

static void herd_run(struct herd *herd, unsigned seconds, bool works)
{
    uint64_t start_ns = herd->now_ns;
    for (unsigned i = 1; i <= seconds; i++) {
        if (works)
            herd_work(herd);
        herd_round(herd);
        // A grid, as the sampler keeps it.
        uint64_t line_ns = start_ns + i * second_ns;
        if (herd->now_ns < line_ns)
            herd->now_ns = line_ns;
    }
}

// At every moment: the share of the time so far, what is there at the start, and one reading that
// was begun with too small a guess.
static void test_share_holds_over_random_costs(void **state)
{
    (void)state;
    struct herd *herd = herd_new(0.01, 200, 40 * mib);
    herd->is_restless = true;
    uint64_t start_ns = herd->now_ns;
    for (int minute = 0; minute < 60; minute++) {
        herd_run(herd, 60, true);
        double most_ns = 0.01 * (double)(herd->now_ns - start_ns + 20 * second_ns) + 60e6;
        assert_true((double)herd->spent_ns <= most_ns);
    }
    // It is used, too: half of it at least.
    assert_true((double)herd->spent_ns >= 0.005 * (double)(herd->now_ns - start_ns));
    free(herd);
}

// A reading that costs more than can be saved up is paid off before the next one.
static void test_giant_is_paid_off(void **state)
{
    (void)state;
    struct herd *herd = herd_new(0.01, 1, 100 * 1024 * mib);
    uint64_t start_ns = herd->now_ns;
    herd_run(herd, 3600, true);
    assert_true(herd->items[0].readings >= 5);
    double most_ns = 0.01 * (double)(herd->now_ns - start_ns + 20 * second_ns) + 3e9;
    assert_true((double)herd->spent_ns <= most_ns);
    free(herd);
}

static void test_equals_get_equal_turns(void **state)
{
    (void)state;
    struct herd *herd = herd_new(0.01, 100, 100 * mib);
    herd_run(herd, 3600, true);
    uint64_t least = UINT64_MAX, most = 0;
    for (size_t i = 0; i < herd->count; i++) {
        least = herd->items[i].accounts < least ? herd->items[i].accounts : least;
        most = herd->items[i].accounts > most ? herd->items[i].accounts : most;
    }
    assert_true(least >= 10);
    assert_true(most <= least + least / 4 + 1);
    free(herd);
}

// Neither the one giant nor the many small ones are left out.
static void test_nobody_starves(void **state)
{
    (void)state;
    struct herd *herd = herd_new(0.01, 200, 20 * mib);
    herd->items[77].figures.rss_bytes = 50 * 1024 * mib;
    herd->items[77].lazy_ns = 600 * ms_ns;
    herd->items[77].account_ns = 1000 * ms_ns;
    herd_run(herd, 2 * 3600, true);
    for (size_t i = 0; i < herd->count; i++) {
        assert_true(herd->items[i].accounts >= 3);
        assert_true(herd->items[i].longest_wait_ns <= 2400 * second_ns);
    }
    free(herd);
}

// One that is quiet among busy ones gets its turn as well.
static void test_quiet_ones_get_first_accounts(void **state)
{
    (void)state;
    struct herd *herd = herd_new(0.01, 100, 100 * mib);
    herd_run(herd, 180, false);
    for (size_t i = 0; i < herd->count; i++)
        assert_true(herd->items[i].accounts >= 1);
    // A lazy figure comes sooner: within the first rounds.
    free(herd);
    herd = herd_new(0.01, 100, 100 * mib);
    herd_run(herd, 20, false);
    for (size_t i = 0; i < herd->count; i++)
        assert_true(herd->items[i].readings >= 1);
    free(herd);
}

// What is denied is tried again, ever more seldom, and as often as before once it went well.
static void test_denied_is_tried_again(void **state)
{
    (void)state;
    struct herd *herd = herd_new(0.01, 1, 100 * mib);
    struct plan_subject *subject = &herd->items[0].plan;
    uint64_t tries[20], count = 0;
    for (int i = 0; i < 20 * 60; i++) {
        struct plan_figures now = herd->items[0].figures;
        now.now_ns = herd->now_ns;
        if (plan_wish(&herd->plan, subject, &now).kind == SAMPLE_ACCOUNT) {
            tries[count++] = herd->now_ns / second_ns - 1000;
            plan_deny(subject, herd->now_ns);
        }
        herd->now_ns += second_ns;
    }
    static const uint64_t wanted[] = {0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 811, 1111};
    assert_int_equal(count, sizeof wanted / sizeof wanted[0]);
    assert_memory_equal(tries, wanted, sizeof wanted);
    herd_read(herd, 0, SAMPLE_ACCOUNT);
    assert_int_equal(subject->denials, 0);
    free(herd);
}

static void test_one_process_has_an_account_at_once(void **state)
{
    (void)state;
    struct herd *herd = herd_new(0.01, 1, 100 * mib);
    herd_run(herd, 1, false);
    assert_int_equal(herd->items[0].accounts, 1);
    free(herd);
}

// What does not run is read every ten minutes and no oftener.
static void test_quiet_ones_are_left_alone(void **state)
{
    (void)state;
    struct herd *herd = herd_new(0.01, 10, 100 * mib);
    herd_run(herd, 60, false);
    for (size_t i = 0; i < herd->count; i++)
        assert_int_equal(herd->items[i].readings, 1);
    herd_run(herd, 1200, false);
    for (size_t i = 0; i < herd->count; i++)
        assert_int_equal(herd->items[i].readings, 3);
    free(herd);
}

static void age_by(struct herd *herd, uint64_t ns)
{
    herd->now_ns += ns;
    plan_refill(&herd->plan, herd->now_ns);
}

static struct plan_wish wish_of(struct herd *herd, size_t index)
{
    struct plan_figures now = herd->items[index].figures;
    now.now_ns = herd->now_ns;
    return plan_wish(&herd->plan, &herd->items[index].plan, &now);
}

static void test_what_wakes_a_reading(void **state)
{
    (void)state;
    struct herd *herd = herd_new(0.01, 1, 100 * mib);
    herd_run(herd, 3, false);
    struct plan_figures *figures = &herd->items[0].figures;
    assert_int_equal(wish_of(herd, 0).kind, SAMPLE_CHEAP);
    // Less than a mebibyte, or than a hundredth, is nothing.
    figures->rss_bytes += mib;
    assert_int_equal(wish_of(herd, 0).kind, SAMPLE_CHEAP);
    figures->rss_bytes += mib;
    assert_int_equal(wish_of(herd, 0).kind, SAMPLE_ACCOUNT);
    double little = wish_of(herd, 0).urgency;
    figures->rss_bytes += 90 * mib;
    assert_true(wish_of(herd, 0).urgency > little);
    figures->rss_bytes -= 92 * mib;
    // Somebody freed lazily: it may have been this one, if it ran.
    figures->lazily_freed_pages += 100000;
    assert_int_equal(wish_of(herd, 0).kind, SAMPLE_CHEAP);
    figures->minor_faults++;
    assert_int_equal(wish_of(herd, 0).kind, SAMPLE_LAZY);
    figures->lazily_freed_pages -= 100000;
    assert_int_equal(wish_of(herd, 0).kind, SAMPLE_CHEAP);
    age_by(herd, 10 * second_ns);
    assert_int_equal(wish_of(herd, 0).kind, SAMPLE_ACCOUNT);
    free(herd);
}

// Pages that were lazily freed are written again, which nothing but time of a core tells: it is
// looked for each second, while others need not wait.
static void test_rewriting_is_looked_for(void **state)
{
    (void)state;
    struct herd *herd = herd_new(0.01, 1, 100 * mib);
    struct plan_figures *figures = &herd->items[0].figures;
    figures->lazy_bytes = 60 * mib;
    herd_run(herd, 3, false);
    age_by(herd, 2 * second_ns);
    assert_int_equal(wish_of(herd, 0).kind, SAMPLE_CHEAP);
    figures->cpu_ms += 10;
    assert_int_equal(wish_of(herd, 0).kind, SAMPLE_LAZY);
    herd->plan.tokens_ns = 0;
    assert_int_equal(wish_of(herd, 0).kind, SAMPLE_CHEAP);
    free(herd);
    // Little of it, or unknown, is not worth it.
    herd = herd_new(0.01, 1, 100 * mib);
    herd->items[0].figures.lazy_bytes = SAMPLE_UNKNOWN;
    herd_run(herd, 3, false);
    herd->items[0].figures.cpu_ms += 10;
    age_by(herd, 2 * second_ns);
    assert_int_equal(wish_of(herd, 0).kind, SAMPLE_CHEAP);
    free(herd);
}

static void test_what_is_not_possible_is_not_wished_for(void **state)
{
    (void)state;
    struct herd *herd = herd_new(0.01, 1, 100 * mib);
    herd->items[0].plan.no_account = true;
    assert_int_equal(wish_of(herd, 0).kind, SAMPLE_LAZY);
    herd->items[0].plan.is_wanted = true;
    assert_int_equal(wish_of(herd, 0).kind, SAMPLE_LAZY);
    herd->items[0].plan.no_lazy = true;
    assert_int_equal(wish_of(herd, 0).kind, SAMPLE_CHEAP);
    herd->items[0].plan.no_account = false;
    assert_int_equal(wish_of(herd, 0).kind, SAMPLE_ACCOUNT);
    free(herd);
}

// A user's wish goes before the budgets, but the target has ten times as long without a walk.
static void test_wanted_goes_first(void **state)
{
    (void)state;
    struct herd *herd = herd_new(0.01, 2, 100 * mib);
    herd_run(herd, 3, false);
    herd->plan.tokens_ns = -1e12;
    herd->items[1].plan.is_wanted = true;
    struct plan_wish wish = wish_of(herd, 1);
    assert_true(wish.is_wanted && plan_may_begin(&herd->plan, &wish));
    struct plan_figures now = herd->items[1].figures;
    now.now_ns = herd->now_ns;
    plan_spend(&herd->plan, &herd->items[1].plan, SAMPLE_ACCOUNT, &now, 5 * ms_ns, 5 * ms_ns);
    assert_false(herd->items[1].plan.is_wanted);
    herd->items[1].plan.is_wanted = true;
    age_by(herd, 49 * ms_ns);
    assert_int_equal(wish_of(herd, 1).kind, SAMPLE_CHEAP);
    age_by(herd, 1 * ms_ns);
    assert_int_equal(wish_of(herd, 1).kind, SAMPLE_ACCOUNT);
    free(herd);
}

static void test_failures_are_charged_and_rest(void **state)
{
    (void)state;
    struct herd *herd = herd_new(0.01, 1, 100 * mib);
    double before = herd->plan.tokens_ns;
    plan_fail(&herd->plan, &herd->items[0].plan, herd->now_ns, 7 * ms_ns);
    assert_true(herd->plan.tokens_ns == before - 7e6);
    assert_int_equal(wish_of(herd, 0).kind, SAMPLE_CHEAP);
    age_by(herd, second_ns);
    assert_int_equal(wish_of(herd, 0).kind, SAMPLE_ACCOUNT);
    free(herd);
}

static void test_clocks_that_jump(void **state)
{
    (void)state;
    struct herd *herd = herd_new(0.01, 1, 100 * mib);
    herd->plan.tokens_ns = 0;
    plan_refill(&herd->plan, herd->now_ns - second_ns);
    assert_true(herd->plan.tokens_ns == 0);
    // A week asleep gives no more than what is saved at most.
    plan_refill(&herd->plan, herd->now_ns + 604800 * second_ns);
    assert_true(herd->plan.tokens_ns == herd->plan.capacity_ns);
    free(herd);
}

static void test_guesses_learn(void **state)
{
    (void)state;
    struct herd *herd = herd_new(1, 1, 10240 * mib);
    struct plan_subject stranger = {0}, *own = &herd->items[0].plan;
    struct plan_figures now = {.now_ns = herd->now_ns, .rss_bytes = 10240 * mib};
    for (int i = 0; i < 64; i++)
        plan_spend(&herd->plan, own, SAMPLE_LAZY, &now, 1000 * ms_ns, 1000 * ms_ns);
    // A byte costs eight times as much here as was thought at first: of others as well.
    uint64_t guess = plan_guess(&herd->plan, &stranger, SAMPLE_LAZY, 5120 * mib);
    assert_true(guess > 450 * ms_ns && guess < 550 * ms_ns);
    assert_int_equal(plan_guess(&herd->plan, own, SAMPLE_LAZY, 10240 * mib), 1000 * ms_ns);
    assert_true(plan_guess(&herd->plan, own, SAMPLE_LAZY, 20480 * mib) > 1900 * ms_ns);
    free(herd);
}

// An account of the end: the wish of one that had its last one so long ago, at so many bytes.
static double last_urgency(const struct plan *plan, uint64_t age_s, uint64_t then_bytes,
                           uint64_t faults)
{
    const uint64_t now_ns = plan->began_ns + 100 * second_ns;
    struct plan_figures now = {.now_ns = now_ns, .rss_bytes = 100 * mib, .minor_faults = faults};
    struct plan_subject subject = {.since_ns = plan->began_ns, .has_account = age_s > 0};
    subject.account = (struct plan_figures){now_ns - age_s * second_ns, .rss_bytes = then_bytes};
    struct plan_wish wish = plan_wish_last(plan, &subject, &now);
    assert_int_equal(wish.kind, SAMPLE_ACCOUNT);
    return wish.urgency;
}

// Who has none goes first, and who stood still last; a quarter of the share is for those between.
static void test_the_end_has_turns_and_a_budget(void **state)
{
    (void)state;
    struct plan plan;
    plan_init(&plan, 0.01, 1000 * second_ns);
    double none = last_urgency(&plan, 0, 0, 0);
    double much = last_urgency(&plan, 10, 10 * mib, 1),
           little = last_urgency(&plan, 10, 99 * mib, 1);
    double older = last_urgency(&plan, 90, 99 * mib, 1),
           ran = last_urgency(&plan, 10, 100 * mib, 1);
    double still = last_urgency(&plan, 99, 100 * mib, 0);
    assert_true(none > much && much > little && older > little && little >= ran && ran > still);
    assert_int_equal(plan_last_budget_ns(&plan, plan.began_ns), 100 * ms_ns);
    assert_int_equal(plan_last_budget_ns(&plan, plan.began_ns - 1), 100 * ms_ns);
    assert_int_equal(plan_last_budget_ns(&plan, plan.began_ns + 60 * second_ns), 150 * ms_ns);
    assert_int_equal(plan_last_budget_ns(&plan, plan.began_ns + 3600 * second_ns), 9 * second_ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_share_holds_over_random_costs),
        cmocka_unit_test(test_giant_is_paid_off),
        cmocka_unit_test(test_equals_get_equal_turns),
        cmocka_unit_test(test_nobody_starves),
        cmocka_unit_test(test_quiet_ones_get_first_accounts),
        cmocka_unit_test(test_denied_is_tried_again),
        cmocka_unit_test(test_one_process_has_an_account_at_once),
        cmocka_unit_test(test_quiet_ones_are_left_alone),
        cmocka_unit_test(test_what_wakes_a_reading),
        cmocka_unit_test(test_rewriting_is_looked_for),
        cmocka_unit_test(test_what_is_not_possible_is_not_wished_for),
        cmocka_unit_test(test_wanted_goes_first),
        cmocka_unit_test(test_failures_are_charged_and_rest),
        cmocka_unit_test(test_clocks_that_jump),
        cmocka_unit_test(test_guesses_learn),
        cmocka_unit_test(test_the_end_has_turns_and_a_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
