// SPDX-License-Identifier: Apache-2.0
// Unit tests of verdicts that change: told once they stand, and seldom at the border of two. Test
// world.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sample/settle.h"

static void test_a_change_that_stands(void **state)
{
    (void)state;
    struct settle settle = {0};
    uint64_t told_at = 0, told = 0;
    for (uint64_t second = 1; second <= 100; second++) {
        if (!settle_verdict(&settle, second < 30 ? VERDICT_KEPT : VERDICT_LAZY, second * 1000))
            continue;
        told++;
        told_at = second;
    }
    assert_int_equal(told, 1);
    assert_int_equal(told_at, 40);
    assert_int_equal(settle.next_ms, 30000);
    assert_int_equal(settle_hold_ms(&settle), 0);
}

// Every other account says something else: nothing to tell in an hour.
static void test_flapping(void **state)
{
    (void)state;
    struct settle settle = {0};
    for (uint64_t second = 1; second <= 3600; second++)
        assert_false(
            settle_verdict(&settle, second % 6 < 3 ? VERDICT_KEPT : VERDICT_IN_USE, second * 1000));
}

// One that stands for twenty seconds each time is told a few times an hour, not a hundred.
static void test_slow_flapping(void **state)
{
    (void)state;
    struct settle settle = {0};
    int told = 0;
    for (uint64_t second = 1; second <= 3600; second++)
        told += settle_verdict(&settle, second % 40 < 20 ? VERDICT_KEPT : VERDICT_IN_USE,
                               second * 1000);
    assert_true(told >= 1 && told <= 12);
}

// The first account of all tells nothing new; a third verdict begins its own trial.
static void test_first_and_third(void **state)
{
    (void)state;
    struct settle settle = {0};
    assert_false(settle_verdict(&settle, VERDICT_LAZY, 0));
    assert_false(settle_verdict(&settle, VERDICT_LAZY, 60000));
    assert_false(settle_verdict(&settle, VERDICT_KEPT, 61000));
    assert_int_equal(settle_hold_ms(&settle), 10000);
    assert_false(settle_verdict(&settle, VERDICT_IN_USE, 72000));
    assert_true(settle_verdict(&settle, VERDICT_IN_USE, 82000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_change_that_stands),
        cmocka_unit_test(test_flapping),
        cmocka_unit_test(test_slow_flapping),
        cmocka_unit_test(test_first_and_third),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
