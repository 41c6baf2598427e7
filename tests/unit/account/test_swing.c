// SPDX-License-Identifier: Apache-2.0
// Unit tests of lows: leaks of all kinds are growth, waves of any period and phase are none, nor
// are steps, warm-ups, noise and decay. Test world.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "account/swing.h"

static const double mib = 1 << 20;

// What a figure does, in MiB: at each second.
struct shape {
    double base, leak_per_min, swing, period_s, phase;
    double step, step_every_s; // once where 0
    double warm, warm_s;       // rises by `warm`, and levels off
    double noise;
    int form; // of the wave: 0 a sine, 1 a saw, 2 a square
};

static double wave_at(const struct shape *shape, double time_s)
{
    if (shape->period_s <= 0)
        return 0;
    double turn = fmod(time_s / shape->period_s + shape->phase, 1);
    if (shape->form == 0)
        return shape->swing * (1 - cos(turn * 2 * 3.14159265358979)) / 2;
    return shape->swing * (shape->form == 1 ? turn : (turn < 0.5 ? 0 : 1));
}

static double shape_at(const struct shape *shape, double time_s, unsigned *random)
{
    double steps = shape->step_every_s > 0 ? floor(time_s / shape->step_every_s) : time_s >= 150;
    *random = *random * 1664525 + 1013904223;
    double noise = shape->noise * (double)(*random >> 8) / (1 << 24);
    double warm = shape->warm_s > 0 ? shape->warm * (1 - exp(-time_s / shape->warm_s)) : 0;
    return (shape->base + shape->leak_per_min * time_s / 60 + wave_at(shape, time_s) +
            shape->step * steps + warm + noise) *
           mib;
}

// The second at which it is first called growth, within so long; -1: never. Windows as a trend's.
static int told_at(const struct shape *shape, int seconds, int every_s)
{
    struct swings swings = {.spacing_s = 1};
    unsigned random = 7;
    for (int i = 0; i <= seconds; i += every_s) {
        uint64_t bytes = (uint64_t)shape_at(shape, i, &random);
        swings_drop_before(&swings, i - 1800);
        swings_add(&swings, &(struct swing){i, bytes, bytes, 0, SWING_UNKNOWN});
        assert_true(swings.count <= SWINGS_MAX);
        if (swings_rise(&swings, swings.items[0].time_s, i) ||
            (i > 480 && swings_rise(&swings, i - 480, i)))
            return i;
    }
    return -1;
}

static void assert_told(const struct shape *shape, int within_s)
{
    for (int every_s = 1; every_s <= 25; every_s += 8) {
        int at = told_at(shape, within_s, every_s);
        assert_true(at >= swings_least_s() && at <= within_s);
    }
}

static void test_leaks_are_told(void **state)
{
    (void)state;
    assert_told(&(struct shape){.base = 100, .leak_per_min = 1}, 400);
    assert_told(&(struct shape){.base = 2000, .leak_per_min = 1}, 600);
    assert_told(&(struct shape){.base = 100, .leak_per_min = 60}, 330);
    assert_told(&(struct shape){.base = 100, .leak_per_min = 2, .noise = 3}, 900);
    // In steps of a minute and a half.
    assert_told(&(struct shape){.base = 100, .step = 8, .step_every_s = 90}, 700);
}

// The valleys rise: told late, but told.
static void test_leaks_under_waves_are_told(void **state)
{
    (void)state;
    for (int form = 0; form < 3; form++)
        assert_told(
            &(struct shape){
                .base = 100, .leak_per_min = 4, .swing = 60, .period_s = 90, .form = form},
            1500);
}

// Few swings are a doubt, and whoever rises without any has none.
static void test_swings_are_counted(void **state)
{
    (void)state;
    unsigned random = 7;
    for (int form = 1; form < 3; form++) {
        const struct shape saw = {
            .base = 100, .leak_per_min = 20, .swing = 60, .period_s = 90, .form = form};
        const struct shape line = {.base = 100, .leak_per_min = 20};
        struct swings swings = {.spacing_s = 1}, steady = {.spacing_s = 1};
        for (int i = 0; i <= 890; i++) {
            uint64_t bytes = (uint64_t)shape_at(&saw, i, &random);
            swings_add(&swings, &(struct swing){i, bytes, bytes, 0, SWING_UNKNOWN});
            bytes = (uint64_t)shape_at(&line, i, &random);
            swings_add(&steady, &(struct swing){i, bytes, bytes, 0, SWING_UNKNOWN});
        }
        assert_true(swings_rise(&swings, 0, 890) && swings_rise(&steady, 0, 890));
        assert_int_equal(swings_count(&swings, 0, 890), 9);
        assert_int_equal(swings_count(&steady, 0, 890), 0);
        // Where nothing is judged nothing is counted.
        assert_int_equal(swings_count(&swings, 700, 890), 0);
    }
}

static void test_waves_are_not_told(void **state)
{
    (void)state;
    static const double periods_s[] = {2,  7,   20,  45,  60,  64,  65, 75,
                                       90, 100, 120, 150, 180, 240, 300};
    for (size_t i = 0; i < sizeof periods_s / sizeof *periods_s; i++) {
        for (int form = 0; form < 3; form++) {
            for (double phase = 0; phase < 1; phase += 0.125) {
                const struct shape shape = {.base = 50,
                                            .swing = 400,
                                            .period_s = periods_s[i],
                                            .phase = phase,
                                            .form = form};
                for (int every_s = 1; every_s <= 11; every_s += 5) {
                    int at = told_at(&shape, 3000, every_s);
                    if (at >= 0)
                        print_message("period %g form %d phase %g every %d: told at %d\n",
                                      periods_s[i], form, phase, every_s, at);
                    assert_int_equal(at, -1);
                }
            }
        }
    }
}

static void test_what_is_no_leak(void **state)
{
    (void)state;
    const struct shape shapes[] = {
        {.base = 100},
        {.base = 100, .step = 300},
        {.base = 100, .warm = 400, .warm_s = 20},
        {.base = 100, .warm = 400, .warm_s = 60},
        {.base = 100, .warm = 400, .warm_s = 120},
        {.base = 100, .noise = 40},
        {.base = 800, .leak_per_min = -4},
        {.base = 800, .warm = -400, .warm_s = 100},
        {.base = 100, .leak_per_min = 0.02},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int every_s = 1; every_s <= 10; every_s += 3)
            assert_int_equal(told_at(&shapes[i], 3000, every_s), -1);
}

// RSS that rises while what can be leaked does not is a runtime filling up its reserves.
static void test_busy_memory_must_rise_too(void **state)
{
    (void)state;
    struct swings reserves = {.spacing_s = 1}, leak = {.spacing_s = 1};
    for (int i = 0; i <= 400; i++) {
        uint64_t bytes = (uint64_t)((100 + i) * mib);
        uint64_t busy = i % 10 ? SWING_UNKNOWN : 50 << 20;
        swings_add(&reserves, &(struct swing){i, bytes, bytes, 0, busy});
        busy = i % 10 ? SWING_UNKNOWN : bytes / 2;
        swings_add(&leak, &(struct swing){i, bytes, bytes, 0, busy});
    }
    assert_false(swings_rise(&reserves, 0, 400));
    assert_true(swings_rise(&leak, 0, 400));
    // Too short, or where nothing is known of a part of the time.
    assert_false(swings_rise(&leak, 150, 400));
    assert_false(swings_rise(&leak, -1000, 400));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaks_are_told),
        cmocka_unit_test(test_leaks_under_waves_are_told),
        cmocka_unit_test(test_swings_are_counted),
        cmocka_unit_test(test_waves_are_not_told),
        cmocka_unit_test(test_what_is_no_leak),
        cmocka_unit_test(test_busy_memory_must_rise_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
