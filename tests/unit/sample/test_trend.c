// SPDX-License-Identifier: Apache-2.0
// Unit tests of trends: what is remembered of a process over a minute and over days, and whether it
// grows. Test world.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sample/trend.h"

static const double mib = 1 << 20;

static void add(struct trend *trend, double time_s, double bytes, bool has_rows)
{
    struct growth_sample now = {
        .time_s = time_s,
        .effective_bytes = (uint64_t)bytes,
        .rss_bytes = (uint64_t)bytes,
        .has_rows = has_rows,
        .busy_bytes = (uint64_t)bytes,
    };
    struct sample sample = {.minor_faults = (uint64_t)time_s, .major_faults = 3};
    trend_add(trend, &now, &sample);
}

static void test_too_little_to_judge(void **state)
{
    (void)state;
    struct trend trend = {0};
    struct growth growth;
    assert_int_equal(trend_fit(&trend, &growth), -ENODATA);
    for (int i = 0; i < 5; i++)
        add(&trend, 100 + 20 * i, (100 + i) * mib, true);
    assert_int_equal(trend_fit(&trend, &growth), -ENODATA);
    trend_free(&trend);
    // Many within a few seconds are not enough either.
    for (int i = 0; i < 100; i++)
        add(&trend, 100 + 0.2 * i, (100 + i) * mib, true);
    assert_int_equal(trend_fit(&trend, &growth), -ENODATA);
    trend_free(&trend);
}

static void test_leak_and_steady(void **state)
{
    (void)state;
    struct trend trend = {0};
    struct growth growth;
    for (int i = 0; i <= 40; i++)
        add(&trend, 1000 + i, (100 + i) * mib, i % 5 == 0);
    assert_int_equal(trend_fit(&trend, &growth), 0);
    // Half a wave looks the same.
    assert_true(growth.is_doubted && !growth.is_growing && growth.has_busy);
    assert_true(growth.seconds == 40);
    assert_int_equal(growth.effective.change_bytes, 40 << 20);
    assert_int_equal(growth.minor_faults, 40);
    assert_int_equal(growth.major_faults, 0);
    for (int i = 41; i <= 310; i++)
        add(&trend, 1000 + i, (100 + i) * mib, i % 5 == 0);
    assert_int_equal(trend_fit(&trend, &growth), 0);
    assert_true(growth.is_growing && !growth.is_doubted && growth.swing_count == 0);
    trend_free(&trend);
    // A saw whose lows rise.
    for (int i = 0; i <= 900; i++)
        add(&trend, 1000 + i, (100 + i / 3 + i % 100) * mib, true);
    assert_int_equal(trend_fit(&trend, &growth), 0);
    assert_true(growth.is_growing);
    assert_int_equal(growth.swing_count, 9);
    trend_free(&trend);
    for (int i = 0; i <= 310; i++)
        add(&trend, 1000 + i, (100 + i % 7) * mib, true);
    assert_int_equal(trend_fit(&trend, &growth), 0);
    assert_false(growth.is_growing);
    trend_free(&trend);
}

// A load that comes and goes, read at a rhythm near its own: the beat of the two is no growth.
static void test_waves(void **state)
{
    (void)state;
    for (int period_s = 60; period_s <= 120; period_s += 4) {
        struct trend trend = {0};
        struct growth growth;
        for (int i = 0; i < 3600; i++) {
            int turn = (i + period_s / 3) % period_s;
            int height = turn * 2 < period_s ? turn : period_s - turn;
            add(&trend, i, (50 + 8 * height) * mib, i % 20 == 0);
            if (trend_fit(&trend, &growth) == 0)
                assert_false(growth.is_growing);
        }
        trend_free(&trend);
    }
}

// A day at one reading a second: bounded, even, and of the last half hour.
static void test_a_day(void **state)
{
    (void)state;
    struct trend trend = {0};
    struct growth growth;
    for (int i = 0; i < 86400; i++) {
        add(&trend, i, 100 * mib, i % 3 == 0);
        assert_true(trend.count <= TREND_SAMPLES);
    }
    assert_int_equal(trend_fit(&trend, &growth), 0);
    assert_true(growth.seconds > 1700 && growth.seconds <= 1900);
    assert_true(growth.sample_count >= TREND_SAMPLES - 6);
    // The leak that begins now is seen within minutes, not after another day.
    int minutes = 0;
    while (!growth.is_growing && minutes < 60) {
        minutes++;
        for (int i = 0; i < 60; i++)
            add(&trend, 86400 + minutes * 60 + i, 100 * mib + (minutes * 60 + i) * mib / 20, true);
        assert_int_equal(trend_fit(&trend, &growth), 0);
    }
    assert_true(minutes <= 10);
    trend_free(&trend);
}

// After hours without a reading the old ones tell of another time, but for the last.
static void test_old_ones_go(void **state)
{
    (void)state;
    struct trend trend = {0};
    for (int i = 0; i < 20; i++)
        add(&trend, i, 100 * mib, true);
    add(&trend, 20000, 100 * mib, true);
    assert_int_equal(trend.count, 2);
    trend_free(&trend);
}

// What is newer by a moment takes the place of the last one, unless it knows less.
static void test_close_ones(void **state)
{
    (void)state;
    struct trend trend = {0};
    add(&trend, 0, 1 * mib, true);
    add(&trend, 0.5, 2 * mib, true);
    add(&trend, 0.6, 3 * mib, false);
    assert_int_equal(trend.count, 2);
    add(&trend, 0.7, 4 * mib, true);
    assert_int_equal(trend.count, 2);
    add(&trend, 1.6, 5 * mib, false);
    assert_int_equal(trend.count, 2);
    // Later, accounts or not, it counts.
    add(&trend, 1.8, 5 * mib, false);
    assert_int_equal(trend.count, 3);
    trend_free(&trend);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_too_little_to_judge),
        cmocka_unit_test(test_leak_and_steady),
        cmocka_unit_test(test_waves),
        cmocka_unit_test(test_a_day),
        cmocka_unit_test(test_old_ones_go),
        cmocka_unit_test(test_close_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
