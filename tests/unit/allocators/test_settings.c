// SPDX-License-Identifier: Apache-2.0
// Unit tests of allocators' settings: read as the allocator reads them, whatever the user wrote.
// Test world; pure.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/allocators/jemalloc_settings.h"
#include "runtime/settings.h"

static const char *setting(const struct runtime_report *report, const char *name)
{
    for (size_t i = 0; i < report->setting_count; i++)
        if (strcmp(report->settings[i].name, name) == 0)
            return report->settings[i].value;
    return NULL;
}

static const char *source(const struct runtime_report *report, const char *name)
{
    for (size_t i = 0; i < report->setting_count; i++)
        if (strcmp(report->settings[i].name, name) == 0)
            return report->settings[i].source;
    return NULL;
}

// The report of one environment string under a version; the caller frees it.
static struct runtime_report read_conf(const char *version_text, const char *conf)
{
    struct runtime_report report = {0};
    struct setting_version version;
    bool known = setting_version_parse(text_of(version_text), &version);
    struct jemalloc_source sources[] = {{text_of(conf), "environment MALLOC_CONF"}};
    assert_int_equal(jemalloc_settings_add(&report, known ? &version : NULL, sources, 1), 0);
    return report;
}

static void test_conf_is_read(void **state)
{
    (void)state;
    struct runtime_report report =
        read_conf("5.3.0", "muzzy_decay_ms:-1,background_thread:true,narenas:0x10,tcache:false");
    assert_string_equal(setting(&report, "muzzy_decay_ms"), "-1");
    assert_string_equal(source(&report, "muzzy_decay_ms"), "environment MALLOC_CONF");
    assert_string_equal(setting(&report, "background_thread"), "true");
    assert_string_equal(setting(&report, "narenas"), "0x10");
    assert_string_equal(setting(&report, "tcache"), "false");
    assert_string_equal(setting(&report, "dirty_decay_ms"), "10000");
    assert_string_equal(source(&report, "dirty_decay_ms"), "default of 5.3");
    assert_true(report.facts & FACT_JEMALLOC_MUZZY);
    runtime_report_free(&report);
}

static void test_defaults_by_version(void **state)
{
    (void)state;
    struct runtime_report report = read_conf("5.1.0", "");
    assert_string_equal(setting(&report, "muzzy_decay_ms"), "10000");
    assert_true(report.facts & FACT_GIVES_LAZILY);
    runtime_report_free(&report);
    report = read_conf("5.2.1", "");
    assert_string_equal(setting(&report, "muzzy_decay_ms"), "0");
    assert_false(report.facts & FACT_GIVES_LAZILY);
    runtime_report_free(&report);
    report = read_conf("3.6.0", "");
    assert_null(setting(&report, "muzzy_decay_ms"));
    assert_string_equal(setting(&report, "lg_dirty_mult"), "3");
    runtime_report_free(&report);
    // A version that is not known has no defaults to speak of.
    report = read_conf("0.0.0", "");
    assert_null(setting(&report, "dirty_decay_ms"));
    runtime_report_free(&report);
}

static void test_last_valid_value_wins(void **state)
{
    (void)state;
    struct runtime_report report = read_conf(
        "5.3.0", "muzzy_decay_ms:5,muzzy_decay_ms:7,muzzy_decay_ms:soon,muzzy_decay_ms:-2,"
                 "background_thread:yes");
    assert_string_equal(setting(&report, "muzzy_decay_ms"), "7");
    assert_string_equal(setting(&report, "background_thread"), "false");
    runtime_report_free(&report);
}

static void test_later_source_wins(void **state)
{
    (void)state;
    struct runtime_report report = {0};
    struct setting_version version = {5, 3, 0};
    struct jemalloc_source sources[] = {
        {text_of("muzzy_decay_ms:1,dirty_decay_ms:2"), "linked malloc_conf"},
        {text_of("muzzy_decay_ms:0"), "environment MALLOC_CONF"}};
    assert_int_equal(jemalloc_settings_add(&report, &version, sources, 2), 0);
    assert_string_equal(setting(&report, "muzzy_decay_ms"), "0");
    assert_string_equal(source(&report, "dirty_decay_ms"), "linked malloc_conf");
    assert_false(report.facts & FACT_JEMALLOC_MUZZY);
    runtime_report_free(&report);
}

// A blank ends the reading: what is behind it was never in force.
static void test_blank_stops_the_reading(void **state)
{
    (void)state;
    struct runtime_report report = read_conf("5.3.0", "dirty_decay_ms:3, muzzy_decay_ms:4");
    assert_string_equal(setting(&report, "dirty_decay_ms"), "3");
    assert_string_equal(setting(&report, "muzzy_decay_ms"), "0");
    assert_string_equal(setting(&report, "not read by jemalloc"), " muzzy_decay_ms:4");
    runtime_report_free(&report);
}

static void test_hostile_conf(void **state)
{
    (void)state;
    static const char *const confs[] = {"",
                                        ",",
                                        ":",
                                        "a",
                                        "a:",
                                        ":a",
                                        ",,,,",
                                        "a:b:c,d:",
                                        "\xff\xfe:1",
                                        "narenas:",
                                        "narenas:99999999999999999999999999",
                                        "muzzy_decay_ms:--1",
                                        "muzzy_decay_ms:08",
                                        "dirty_decay_ms:0x"};
    for (size_t i = 0; i < sizeof confs / sizeof confs[0]; i++) {
        struct runtime_report report = read_conf("5.3.0", confs[i]);
        assert_string_equal(setting(&report, "muzzy_decay_ms"), "0");
        assert_string_equal(setting(&report, "narenas"), "4 per processor");
        runtime_report_free(&report);
    }
}

static void test_version_string_is_found(void **state)
{
    (void)state;
    static const char data[] = "text-g\0"
                               "5.3.0-0-g54eaed1d8b56b1aa528be3bdd1877e59c56fa90c\0more";
    static const char plain[] = "a program that names jemalloc 5.3.0-0-g54ea and -g and 5.3.0-0-g";
    struct text version;
    assert_true(settings_find_jemalloc_version(data, sizeof data, &version));
    assert_true(text_starts_with(version, "5.3.0-0-g54ea"));
    assert_int_equal(version.len, 9 + 40);
    assert_false(settings_find_jemalloc_version(plain, sizeof plain, &version));
    // No cut of it is taken for a version, and none is read beyond its end.
    for (size_t len = 0; len < 7 + 9 + 40; len++)
        assert_false(settings_find_jemalloc_version(data, len, &version));
}

static void test_numbers(void **state)
{
    (void)state;
    int64_t value = 0;
    assert_true(setting_number(text_of("0x1f"), &value) && value == 31);
    assert_true(setting_number(text_of("017"), &value) && value == 15);
    assert_true(setting_number(text_of("-1"), &value) && value == -1);
    assert_false(setting_number(text_of("1 "), &value));
    assert_false(setting_number(text_of(""), &value));
    assert_false(setting_number(text_of("99999999999999999999"), &value));
    assert_true(setting_mimalloc_value(text_of("on"), &value) && value == 1);
    assert_true(setting_mimalloc_value(text_of("False"), &value) && value == 0);
    assert_true(setting_mimalloc_value(text_of("2MiB"), &value) && value == 2048);
    assert_false(setting_mimalloc_value(text_of("2 apples"), &value));
    assert_true(setting_gperftools_bool(text_of("true")));
    assert_false(setting_gperftools_bool(text_of("0")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conf_is_read),
        cmocka_unit_test(test_defaults_by_version),
        cmocka_unit_test(test_last_valid_value_wins),
        cmocka_unit_test(test_later_source_wins),
        cmocka_unit_test(test_blank_stops_the_reading),
        cmocka_unit_test(test_hostile_conf),
        cmocka_unit_test(test_version_string_is_found),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
