// SPDX-License-Identifier: Apache-2.0
// Unit tests of alarms: they begin once, end once, do not flap, and are not told too often. Test
// code; pure.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "alarm/alarm.h"

static const uint64_t mib = 1048576;

// One alarm over one or two processes, and a clock that the test turns.
struct scene {
    struct alarm *alarm;
    struct subject subjects[2];
    struct digest digest;
    struct batch batch;
    struct sample samples[2];
    struct event gap;
    uint64_t now_ms;
    const struct alarm_message *messages;
    size_t message_count;
};

static void scene_open(struct scene *scene, const char *expression)
{
    struct alarm_condition condition;
    char error[ALARM_ERROR_MAX];
    memset(scene, 0, sizeof *scene);
    assert_int_equal(alarm_condition_parse(text_of(expression), &condition, error), 0);
    assert_int_equal(alarm_new(&condition, &scene->alarm), 0);
    scene->subjects[0] = (struct subject){.id = 3, .pid = 4121, .name = "redis-server"};
    scene->subjects[1] = (struct subject){.id = 8, .pid = 4122, .name = "etcd"};
    scene->digest.group_limit_bytes = 1000 * mib;
    scene->batch.samples = scene->samples;
    scene->batch.host.total_bytes = 4000 * mib;
    scene->now_ms = 1000;
}

static void step(struct scene *scene)
{
    assert_int_equal(alarm_step(scene->alarm, &scene->batch, scene->subjects, 2, &scene->messages,
                                &scene->message_count),
                     0);
}

// One round of the first process; -1: none of it.
static size_t look(struct scene *scene, uint64_t ms, uint64_t rss_mib, uint64_t lazy_mib)
{
    scene->now_ms += ms;
    scene->batch.time_ms = (int64_t)scene->now_ms;
    scene->batch.sample_count = 1;
    scene->samples[0] = (struct sample){
        .subject = 3,
        .boot_ms = scene->now_ms,
        .kind = SAMPLE_ACCOUNT,
        .rss_bytes = rss_mib * mib,
        .lazy_bytes = lazy_mib * mib,
        .effective_bytes = (rss_mib - lazy_mib) * mib,
        .digest = &scene->digest,
    };
    step(scene);
    return scene->message_count;
}

static void test_lazy_memory_is_no_alarm(void **state)
{
    (void)state;
    struct scene effective, rss;
    scene_open(&effective, "effective>80%limit for 10s");
    scene_open(&rss, "rss>80%limit for 10s");
    size_t told_effective = 0, told_rss = 0;
    for (int i = 0; i < 20; i++) {
        told_effective += look(&effective, 1000, 950, 700);
        told_rss += look(&rss, 1000, 950, 700);
    }
    assert_int_equal(told_effective, 0);
    assert_int_equal(told_rss, 1);
    alarm_free(effective.alarm);
    alarm_free(rss.alarm);
}

static void test_it_begins_and_ends_once(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, "effective>80%limit for 10s");
    for (int i = 0; i < 10; i++)
        assert_int_equal(look(&scene, 1000, 810, 0), 0);
    assert_int_equal(look(&scene, 1000, 820, 0), 1);
    const struct alarm_message *message = &scene.messages[0];
    assert_int_equal(message->state, ALARM_BEGAN);
    assert_int_equal(message->lasted_ms, 10000);
    assert_string_equal(message->subject.name, "redis-server");
    assert_null(message->sample.digest);
    char text[200];
    alarm_describe(message, text, sizeof text);
    assert_string_equal(text,
                        "effective RSS is 820 MiB: above 80 % of the limit (800 MiB), for 10 s");
    struct event event;
    alarm_event(message, &event);
    assert_int_equal(event.kind, EVENT_ALARM);
    assert_int_equal(event.value, 1);
    // About the threshold nothing happens.
    for (int i = 0; i < 100; i++)
        assert_int_equal(look(&scene, 1000, i % 2 ? 730 : 900, 0), 0);
    assert_int_equal(look(&scene, 1000, 719, 0), 1);
    assert_int_equal(scene.messages[0].state, ALARM_ENDED);
    alarm_describe(&scene.messages[0], text, sizeof text);
    assert_string_equal(text, "effective RSS is 719 MiB: below 72 % of the limit (720 MiB) again, "
                              "after 1 min 51 s");
    assert_int_equal(look(&scene, 1000, 719, 0), 0);
    alarm_free(scene.alarm);
}

static void test_a_short_peak_is_none(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, "rss>500MiB for 10s");
    for (int i = 0; i < 50; i++)
        assert_int_equal(look(&scene, 1000, i % 9 ? 600 : 400, 0), 0);
    alarm_free(scene.alarm);
}

static void test_it_is_told_seldom(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, "rss>500MiB");
    size_t begun = 0, ended = 0;
    // Up and down each second for ten minutes.
    for (int i = 0; i < 600; i++) {
        if (look(&scene, 1000, i % 2 ? 100 : 600, 0) == 0)
            continue;
        begun += scene.messages[0].state == ALARM_BEGAN;
        ended += scene.messages[0].state == ALARM_ENDED;
        if (begun == 2 && scene.messages[0].state == ALARM_BEGAN)
            assert_int_equal(scene.messages[0].held_back, 149);
    }
    assert_int_equal(begun, 2);
    assert_int_equal(ended, 2);
    alarm_free(scene.alarm);
}

static void test_one_held_back_is_told_later(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, "rss>500MiB every 1m");
    assert_int_equal(look(&scene, 1000, 600, 0), 1);
    assert_int_equal(look(&scene, 1000, 100, 0), 1);
    for (int i = 0; i < 58; i++)
        assert_int_equal(look(&scene, 1000, 600, 0), 0);
    assert_int_equal(look(&scene, 1000, 600, 0), 1);
    assert_int_equal(scene.messages[0].state, ALARM_BEGAN);
    assert_int_equal(scene.messages[0].held_back, 0);
    assert_int_equal(look(&scene, 1000, 600, 0), 0);
    alarm_free(scene.alarm);
}

static void test_the_end_of_a_process(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, "rss>500MiB");
    assert_int_equal(look(&scene, 1000, 600, 0), 1);
    scene.subjects[0].has_ended = true;
    scene.batch.sample_count = 0;
    step(&scene);
    assert_int_equal(scene.message_count, 1);
    assert_true(scene.messages[0].process_ended);
    step(&scene);
    assert_int_equal(scene.message_count, 0);
    alarm_free(scene.alarm);
}

static void test_processes_are_apart(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, "rss>500MiB for 2s");
    scene.batch.sample_count = 2;
    for (unsigned i = 0; i < 5; i++) {
        uint64_t now_ms = 1000 * (i + 1);
        // In any order; the second is above later than the first.
        scene.samples[1] = (struct sample){.subject = 3, .boot_ms = now_ms, .rss_bytes = 600 * mib};
        scene.samples[0] =
            (struct sample){.subject = 8, .boot_ms = now_ms, .rss_bytes = (i > 1 ? 600 : 1) * mib};
        step(&scene);
        assert_int_equal(scene.message_count, i == 2 || i == 4);
        if (i == 2)
            assert_int_equal(scene.messages[0].subject.id, 3);
        if (i == 4)
            assert_int_equal(scene.messages[0].subject.id, 8);
    }
    alarm_free(scene.alarm);
}

// A figure that leaks, before that a steady one: told once, after the judged time and not before.
static void watch_growth(const char *expression, uint64_t every_ms, uint64_t window_ms)
{
    struct scene scene;
    scene_open(&scene, expression);
    size_t told = 0, rounds = (size_t)(3 * window_ms / every_ms);
    uint64_t mib_each = every_ms / 1000 * 2;
    for (size_t i = 0; i < rounds; i++)
        assert_int_equal(look(&scene, every_ms, 100, 0), 0);
    // Half of the rate, and then twice of it.
    for (size_t i = 0; i < rounds; i++)
        assert_int_equal(look(&scene, every_ms, 100 + i * mib_each / 4, 0), 0);
    uint64_t before = 100 + rounds * mib_each / 4;
    for (size_t i = 0; i < rounds; i++) {
        if (look(&scene, every_ms, before + i * mib_each, 0) == 0)
            continue;
        told++;
        assert_int_equal(scene.messages[0].state, ALARM_BEGAN);
        assert_true(i * every_ms > window_ms / 4 && i * every_ms <= window_ms * 3 / 2);
        assert_true(scene.messages[0].lasted_ms >= window_ms * 9 / 10);
        assert_true(scene.messages[0].error < scene.messages[0].value / 2);
    }
    assert_int_equal(told, 1);
    // Lazily freed memory that piles up is no growth.
    before += rounds * mib_each;
    for (size_t i = 0; i < rounds; i++)
        told += look(&scene, every_ms, before + 3 * i * mib_each, 3 * i * mib_each);
    assert_int_equal(told, 2);
    alarm_free(scene.alarm);
}

// Whatever the rounds are in the window.
static void test_growth(void **state)
{
    (void)state;
    watch_growth("growth>1MiB/s for 30s", 1000, 300000);
    watch_growth("growth>1MiB/s for 30s", 2000, 300000);
    watch_growth("growth>1MiB/s", 4000, 300000);
    watch_growth("growth>1MiB/s for 10m", 1000, 600000);
    watch_growth("growth>60MiB/min for 30m", 10000, 1800000);
    watch_growth("growth>60MiB/min for 5m", 25000, 300000);
}

// A load that comes and goes, of `height_mib`, and a leak below it.
static uint64_t wave_mib(uint64_t second, uint64_t period_s, uint64_t height_mib,
                         double leak_mib_per_s)
{
    uint64_t turn = second % period_s;
    uint64_t up = turn * 2 < period_s ? turn : period_s - turn;
    return 200 + 2 * up * height_mib / period_s + (uint64_t)((double)second * leak_mib_per_s);
}

// Hours of waves, from minutes to half an hour long, begun at any moment: half of one is no growth.
static void test_waves_are_no_growth(void **state)
{
    (void)state;
    static const char *const expressions[] = {"growth>100KiB/s", "growth>100KiB/s for 10m",
                                              "growth>1MiB/min for 30m"};
    static const uint64_t periods_s[] = {60, 90, 130, 240, 300, 420, 600, 700, 900, 1200};
    for (size_t e = 0; e < 3; e++) {
        for (size_t p = 0; p < sizeof periods_s / sizeof periods_s[0]; p++) {
            struct scene scene;
            scene_open(&scene, expressions[e]);
            size_t told = 0;
            for (uint64_t second = 0; second < 4 * 3600; second += 2) {
                uint64_t at = second + p * 37;
                told += look(&scene, 2000, wave_mib(at, periods_s[p], 400, 0), 0);
            }
            alarm_free(scene.alarm);
            if (told)
                print_message("%s, a wave of %d s\n", expressions[e], (int)periods_s[p]);
            assert_int_equal(told, 0);
        }
    }
}

// A leak below a wave is told, and not over and over.
static void test_leaks_below_waves(void **state)
{
    (void)state;
    static const uint64_t periods_s[] = {60, 130, 300};
    for (size_t p = 0; p < sizeof periods_s / sizeof periods_s[0]; p++) {
        struct scene scene;
        uint64_t first_s = 0;
        size_t told = 0;
        scene_open(&scene, "growth>50KiB/s");
        for (uint64_t second = 0; second < 2 * 3600; second += 2) {
            size_t now = look(&scene, 2000, wave_mib(second, periods_s[p], 100, 0.2), 0);
            first_s = now && !told ? second : first_s;
            told += now;
        }
        alarm_free(scene.alarm);
        if (told < 1 || told > 3 || first_s > 2400)
            print_message("period %d: %d told, first at %d\n", (int)periods_s[p], (int)told,
                          (int)first_s);
        assert_true(told >= 1 && told <= 3);
        assert_true(first_s <= 2400);
    }
}

// A beginning without `for` has lasted for no time, and says nothing of it.
static void test_no_time_is_not_told(void **state)
{
    (void)state;
    struct scene scene;
    char text[200];
    scene_open(&scene, "rss>100MiB");
    assert_int_equal(look(&scene, 1000, 150, 0), 1);
    alarm_describe(&scene.messages[0], text, sizeof text);
    assert_string_equal(text, "RSS is 150 MiB: above 100 MiB");
    assert_int_equal(look(&scene, 2500, 10, 0), 1);
    alarm_describe(&scene.messages[0], text, sizeof text);
    assert_string_equal(text, "RSS is 10.0 MiB: below 90.0 MiB again, after 2.5 s");
    alarm_free(scene.alarm);
}

static void test_what_is_not_known(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, "kept>1MiB");
    scene.digest.row_bytes[ROW_KEPT] = 2 * mib;
    scene.samples[0] = (struct sample){.subject = 3, .boot_ms = 5};
    scene.batch.sample_count = 1;
    step(&scene);
    assert_int_equal(scene.message_count, 0);
    assert_int_equal(look(&scene, 1000, 10, 0), 1);
    alarm_free(scene.alarm);
    // Without a limit of its own, the host's memory is the limit.
    scene_open(&scene, "rss>50%limit");
    scene.digest.group_limit_bytes = SAMPLE_UNKNOWN;
    assert_int_equal(look(&scene, 1000, 1999, 0), 0);
    assert_int_equal(look(&scene, 1000, 2001, 0), 1);
    alarm_free(scene.alarm);
}

// Lazy figures of cheap samples are old: neither the beginning nor the end rests on them.
static void test_old_figures_wait_for_a_look(void **state)
{
    (void)state;
    struct scene scene;
    const unsigned *wants;
    scene_open(&scene, "effective>500MiB for 2s");
    scene.batch.sample_count = 1;
    for (int i = 0; i < 6; i++) {
        // What it freed lazily at the start is seen at the end.
        scene.now_ms += 1000;
        scene.samples[0] = (struct sample){
            .subject = 3,
            .boot_ms = scene.now_ms,
            .rss_bytes = 600 * mib,
            .effective_bytes = 600 * mib,
        };
        step(&scene);
        assert_int_equal(scene.message_count, 0);
        assert_int_equal(alarm_wants(scene.alarm, &wants), i >= 2);
    }
    assert_int_equal(wants[0], 3);
    assert_int_equal(look(&scene, 1000, 600, 590), 0);
    assert_int_equal(alarm_wants(scene.alarm, &wants), 0);
    // A look that confirms it, and then one that never comes.
    for (int i = 0; i < 2; i++)
        assert_int_equal(look(&scene, 1000, 600, 0), 0);
    assert_int_equal(look(&scene, 1000, 600, 0), 1);
    for (int i = 0; i < 31; i++) {
        scene.now_ms += 1000;
        scene.samples[0].boot_ms = scene.now_ms;
        scene.samples[0].kind = SAMPLE_CHEAP;
        scene.samples[0].effective_bytes = 1;
        step(&scene);
        assert_int_equal(scene.message_count, i == 30);
    }
    alarm_free(scene.alarm);
}

static void test_a_gap_starts_anew(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, "rss>500MiB for 1m");
    assert_int_equal(look(&scene, 1000, 600, 0), 0);
    scene.gap = (struct event){.kind = EVENT_GAP, .value = 7200000};
    scene.batch.events = &scene.gap;
    scene.batch.event_count = 1;
    assert_int_equal(look(&scene, 7200000, 600, 0), 0);
    scene.batch.event_count = 0;
    assert_int_equal(look(&scene, 59000, 600, 0), 0);
    assert_int_equal(look(&scene, 1000, 600, 0), 1);
    alarm_free(scene.alarm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lazy_memory_is_no_alarm),
        cmocka_unit_test(test_it_begins_and_ends_once),
        cmocka_unit_test(test_a_short_peak_is_none),
        cmocka_unit_test(test_it_is_told_seldom),
        cmocka_unit_test(test_one_held_back_is_told_later),
        cmocka_unit_test(test_the_end_of_a_process),
        cmocka_unit_test(test_processes_are_apart),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_waves_are_no_growth),
        cmocka_unit_test(test_leaks_below_waves),
        cmocka_unit_test(test_no_time_is_not_told),
        cmocka_unit_test(test_what_is_not_known),
        cmocka_unit_test(test_old_figures_wait_for_a_look),
        cmocka_unit_test(test_a_gap_starts_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
