// SPDX-License-Identifier: Apache-2.0
// Unit tests of alarm expressions: what they mean, and what is refused. Test code; pure.
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "alarm/expression.h"
#include "support/fixture.h"

static struct alarm_condition parse(const char *text)
{
    struct alarm_condition condition;
    char error[ALARM_ERROR_MAX] = "";
    if (alarm_condition_parse(text_of(text), &condition, error) != 0)
        fail_msg("%s: %s", text, error);
    return condition;
}

static bool is_near(double a, double b)
{
    return fabs(a - b) < 1e-6 * (fabs(b) + 1);
}

static void test_the_usual(void **state)
{
    (void)state;
    struct alarm_condition condition = parse("effective>80%limit for 30s");
    assert_int_equal(condition.metric, ALARM_EFFECTIVE);
    assert_true(condition.is_above);
    assert_false(condition.or_equal);
    assert_int_equal(condition.threshold.base, ALARM_OF_LIMIT);
    assert_true(is_near(condition.threshold.number, 80));
    assert_true(is_near(condition.clear.number, 72));
    assert_int_equal(condition.for_ms, 30000);
    assert_int_equal(condition.every_ms, 300000);
    assert_string_equal(condition.text, "effective>80%limit for 30s");
}

static void test_other_spellings(void **state)
{
    (void)state;
    struct alarm_condition condition =
        parse(" in_use  >=  80.5 % of host clear 512MiB every 1h for 1m30s ");
    assert_int_equal(condition.metric, ALARM_IN_USE);
    assert_true(condition.or_equal);
    assert_int_equal(condition.threshold.base, ALARM_OF_HOST);
    assert_true(is_near(condition.threshold.number, 80.5));
    assert_int_equal(condition.clear.base, ALARM_BYTES);
    assert_true(is_near(condition.clear.number, 512.0 * 1048576));
    assert_int_equal(condition.for_ms, 90000);
    assert_int_equal(condition.every_ms, 3600000);
    condition = parse("lazy>30%rss");
    assert_int_equal(condition.threshold.base, ALARM_OF_RSS);
    assert_int_equal(condition.for_ms, 0);
    condition = parse("rss>1.5G");
    assert_true(is_near(condition.threshold.number, 1.5 * 1073741824));
}

static void test_growth_is_a_rate(void **state)
{
    (void)state;
    assert_true(is_near(parse("growth>1MiB/s").threshold.number, 1048576));
    assert_true(is_near(parse("growth>60MiB/min for 10m").threshold.number, 1048576));
    assert_true(is_near(parse("growth > 1M/h").threshold.number, 1048576.0 / 3600));
}

static void test_below(void **state)
{
    (void)state;
    struct alarm_condition condition = parse("in_use<100MiB");
    assert_false(condition.is_above);
    assert_true(is_near(condition.clear.number, 110.0 * 1048576));
}

static void test_every_metric_has_its_name(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ALARM_METRIC_COUNT; i++) {
        char text[64];
        text_format(text, sizeof text, "%s>1MiB%s", alarm_metric_name(i),
                    i == ALARM_GROWTH ? "/s" : "");
        assert_int_equal(parse(text).metric, i);
        assert_true(strlen(alarm_metric_title(i)) > 0);
    }
}

// What people write most often, and how it is meant.
static void test_blank_before_a_unit(void **state)
{
    (void)state;
    static const char *const parted[] = {"rss>50 MiB", "growth>1 MiB/s for 5m",
                                         "rss>50MiB clear 40 MiB", "rss>50MiB for 5s clear 4 kB"};
    for (size_t i = 0; i < sizeof parted / sizeof parted[0]; i++) {
        struct alarm_condition condition;
        char error[ALARM_ERROR_MAX] = "";
        assert_int_equal(alarm_condition_parse(text_of(parted[i]), &condition, error), -EINVAL);
        assert_non_null(strstr(error, "no blank between the number and its unit: 50MiB"));
    }
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "effective",
        "effective>",
        "effective=80%limit",
        "effective>80%",
        "effective>80%of limit x",
        "effective>0%limit",
        "effective>20000%limit",
        "effective>99999999999999999999%limit",
        "effective>80%limits",
        "effective>1MiB/s",
        "effective>1MB",
        "growth>1MiB",
        "growth>5%limit",
        "speed>1MiB",
        "rss>1MiB for",
        "rss>1MiB for x",
        "rss>1MiB for 1s for 2s",
        "rss>1MiB clear 2MiB",
        "rss<1MiB clear 1KiB",
        "rss>1MiB clear",
        "rss>1MiB else",
        "rss>1MiB\n",
        "rss>1MiB \x80",
        "rss>18446744073709551616",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct alarm_condition condition = {.for_ms = 7};
        char error[ALARM_ERROR_MAX] = "";
        if (alarm_condition_parse(text_of(bad[i]), &condition, error) != -EINVAL)
            fail_msg("taken: '%s'", bad[i]);
        assert_int_equal(condition.for_ms, 7);
        assert_true(strlen(error) > 10);
    }
}

static void parse_prefix(struct text text)
{
    struct alarm_condition condition;
    char error[ALARM_ERROR_MAX];
    (void)alarm_condition_parse(text, &condition, error);
}

static void test_cut_anywhere(void **state)
{
    (void)state;
    fixture_text_prefixes(text_of("effective > 80.25 % of limit for 1m30s clear 70%limit every 5m"),
                          parse_prefix);
    fixture_text_prefixes(text_of("growth<=1.5MiB/min for 10m"), parse_prefix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_usual),
        cmocka_unit_test(test_blank_before_a_unit),
        cmocka_unit_test(test_other_spellings),
        cmocka_unit_test(test_growth_is_a_rate),
        cmocka_unit_test(test_below),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_every_metric_has_its_name),
        cmocka_unit_test(test_cut_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
