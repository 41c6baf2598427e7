// SPDX-License-Identifier: Apache-2.0
// Unit tests of growth: slopes, their spread, and what counts as growing. Test world; pure.
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "account/growth.h"

static const double mib = 1048576;

// Samples of a line with a saw tooth of `noise` bytes on it.
static void fill(struct growth_sample *samples, size_t count, double start, double slope,
                 double noise)
{
    for (size_t i = 0; i < count; i++) {
        double value = start + slope * (double)i + (i % 2 ? noise : -noise);
        samples[i] = (struct growth_sample){
            .time_s = (double)i, .effective_bytes = (uint64_t)value, .rss_bytes = (uint64_t)value};
    }
}

static void test_a_straight_line(void **state)
{
    (void)state;
    struct growth_sample samples[10];
    struct growth growth;
    fill(samples, 10, 100 * mib, 2 * mib, 0);
    assert_int_equal(growth_fit(samples, 10, &growth), 0);
    assert_true(fabs(growth.effective.slope_bytes_per_s - 2 * mib) < 1);
    assert_true(growth.effective.slope_error_bytes_per_s < 1);
    assert_int_equal(growth.effective.change_bytes, (int64_t)(18 * mib));
    assert_true(growth.is_growing);
}

static void test_noise_is_not_growth(void **state)
{
    (void)state;
    struct growth_sample samples[20];
    struct growth growth;
    fill(samples, 20, 100 * mib, 0.05 * mib, 10 * mib);
    assert_int_equal(growth_fit(samples, 20, &growth), 0);
    assert_true(growth.effective.slope_error_bytes_per_s > 0);
    assert_false(growth.is_growing);
}

static void test_falling_is_not_growth(void **state)
{
    (void)state;
    struct growth_sample samples[5];
    struct growth growth;
    fill(samples, 5, 100 * mib, -2 * mib, 0);
    assert_int_equal(growth_fit(samples, 5, &growth), 0);
    assert_false(growth.is_growing);
}

static void rows_at_ends(struct growth_sample *samples, size_t count, uint64_t busy_change)
{
    samples[0].has_rows = samples[count - 1].has_rows = true;
    samples[0].busy_bytes = samples[0].in_use_bytes = 50 << 20;
    samples[count - 1].busy_bytes = samples[count - 1].in_use_bytes = (50 << 20) + busy_change;
}

// RSS that rises while nothing that can be leaked does is a runtime filling up its heap.
static void test_busy_memory_must_rise_too(void **state)
{
    (void)state;
    struct growth_sample samples[5];
    struct growth growth;
    fill(samples, 5, 100 * mib, 2 * mib, 0);
    rows_at_ends(samples, 5, 0);
    assert_int_equal(growth_fit(samples, 5, &growth), 0);
    assert_true(growth.has_busy);
    assert_true(growth.is_rising);
    assert_false(growth.is_growing);
    // A page more of 8 MiB is not "with it".
    rows_at_ends(samples, 5, 4096);
    assert_int_equal(growth_fit(samples, 5, &growth), 0);
    assert_false(growth.is_growing);
    rows_at_ends(samples, 5, 8 << 20);
    assert_int_equal(growth_fit(samples, 5, &growth), 0);
    assert_int_equal(growth.busy.change_bytes, 8 << 20);
    assert_int_equal(growth.in_use.change_bytes, 8 << 20);
    assert_true(growth.is_growing);
}

// A runtime whose inside nobody can read leaks too: what is in use elsewhere stands still.
static void test_growth_of_what_cannot_be_read(void **state)
{
    (void)state;
    struct growth_sample samples[5];
    struct growth growth;
    fill(samples, 5, 100 * mib, 2 * mib, 0);
    rows_at_ends(samples, 5, 8 << 20);
    samples[4].in_use_bytes = samples[0].in_use_bytes;
    assert_int_equal(growth_fit(samples, 5, &growth), 0);
    assert_true(growth.is_growing);
}

static void test_two_samples_tell_no_spread(void **state)
{
    (void)state;
    struct growth_sample samples[3];
    struct growth growth;
    fill(samples, 3, 100 * mib, 2 * mib, 0);
    rows_at_ends(samples, 3, 4 << 20);
    assert_int_equal(growth_fit(samples, 2, &growth), 0);
    assert_false(growth.effective.has_error);
    assert_false(growth.has_busy);
    assert_int_equal(growth_fit(samples, 3, &growth), 0);
    assert_true(growth.effective.has_error);
    assert_false(growth.busy.has_error);
}

static void test_too_little_to_judge(void **state)
{
    (void)state;
    struct growth_sample samples[2] = {{.time_s = 1}, {.time_s = 1}};
    struct growth growth;
    assert_int_equal(growth_fit(samples, 0, &growth), -EINVAL);
    assert_int_equal(growth_fit(samples, 1, &growth), -EINVAL);
    assert_int_equal(growth_fit(samples, 2, &growth), -EINVAL);
}

// Ten minutes, in which a cache fills up for three.
static void test_long_looks_tell_caches_from_leaks(void **state)
{
    (void)state;
    enum { COUNT = 600 };
    static struct growth_sample samples[COUNT];
    struct growth growth;
    fill(samples, COUNT, 100 * mib, 0.2 * mib, 0);
    assert_int_equal(growth_fit(samples, COUNT, &growth), 0);
    growth_doubt(samples, COUNT, &growth);
    assert_true(growth.is_growing && !growth.is_doubted);
    for (size_t i = 180; i < COUNT; i++)
        samples[i].effective_bytes = samples[i].rss_bytes = samples[180].rss_bytes;
    assert_int_equal(growth_fit(samples, COUNT, &growth), 0);
    assert_true(growth.is_growing);
    growth_doubt(samples, COUNT, &growth);
    assert_true(!growth.is_growing && growth.is_doubted && growth.is_rising);
    // A minute is too short to tell.
    assert_int_equal(growth_fit(samples, 60, &growth), 0);
    growth_doubt(samples, 60, &growth);
    assert_true(growth.is_growing && !growth.is_doubted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_straight_line),
        cmocka_unit_test(test_noise_is_not_growth),
        cmocka_unit_test(test_falling_is_not_growth),
        cmocka_unit_test(test_busy_memory_must_rise_too),
        cmocka_unit_test(test_growth_of_what_cannot_be_read),
        cmocka_unit_test(test_two_samples_tell_no_spread),
        cmocka_unit_test(test_too_little_to_judge),
        cmocka_unit_test(test_long_looks_tell_caches_from_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
