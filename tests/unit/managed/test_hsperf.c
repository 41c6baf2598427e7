// SPDX-License-Identifier: Apache-2.0
// Unit tests of the parser of the JVM's performance data, and of its settings. Test world; pure.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "runtime/managed/hsperf.h"
#include "runtime/managed/jvm.h"

static void put_u32(char *at, uint32_t value)
{
    memcpy(at, &value, sizeof value);
}

// A file with one long ("a.long", 4711) and one string ("b.text", "hello").
static size_t make_file(char *data)
{
    static const unsigned char prologue[8] = {0xca, 0xfe, 0xc0, 0xc0, 1, 2, 0, 1};
    memset(data, 0, 256);
    memcpy(data, prologue, sizeof prologue);
    put_u32(data + 24, 32);
    put_u32(data + 28, 2);
    char *entry = data + 32;
    put_u32(entry, 40);
    put_u32(entry + 4, 20);
    entry[12] = 'J';
    put_u32(entry + 16, 32);
    memcpy(entry + 20, "a.long", 7);
    int64_t value = 4711;
    memcpy(entry + 32, &value, sizeof value);
    entry += 40;
    put_u32(entry, 48);
    put_u32(entry + 4, 20);
    put_u32(entry + 8, 16);
    entry[12] = 'B';
    put_u32(entry + 16, 32);
    memcpy(entry + 20, "b.text", 7);
    memcpy(entry + 32, "hello", 6);
    return 32 + 40 + 48;
}

static void test_counters_are_found(void **state)
{
    (void)state;
    char data[256];
    size_t len = make_file(data);
    struct hsperf hsperf;
    int64_t value = 0;
    struct text text;
    assert_int_equal(hsperf_open((struct text){data, len}, &hsperf), 0);
    assert_int_equal(hsperf_find_long(&hsperf, "a.long", &value), 0);
    assert_int_equal(value, 4711);
    assert_int_equal(hsperf_find_string(&hsperf, "b.text", &text), 0);
    assert_true(text_equals(text, "hello"));
    assert_int_equal(hsperf_find_long(&hsperf, "c.none", &value), -ENOENT);
    assert_int_equal(hsperf_find_long(&hsperf, "b.text", &value), -EBADMSG);
}

static void test_foreign_files_are_refused(void **state)
{
    (void)state;
    char data[256];
    size_t len = make_file(data);
    struct hsperf hsperf;
    data[0] = 0;
    assert_int_equal(hsperf_open((struct text){data, len}, &hsperf), -EBADMSG);
    make_file(data);
    data[5] = 3;
    assert_int_equal(hsperf_open((struct text){data, len}, &hsperf), -EPROTONOSUPPORT);
    make_file(data);
    data[7] = 0;
    assert_int_equal(hsperf_open((struct text){data, len}, &hsperf), -EAGAIN);
}

// Every truncation, on the heap so that a sanitizer sees a read behind the end.
static void test_truncations(void **state)
{
    (void)state;
    char data[256];
    size_t len = make_file(data);
    for (size_t cut = 0; cut < len; cut++) {
        char *copy = malloc(cut ? cut : 1);
        memcpy(copy, data, cut);
        struct hsperf hsperf;
        struct text text;
        if (hsperf_open((struct text){copy, cut}, &hsperf) == 0)
            assert_int_not_equal(hsperf_find_string(&hsperf, "b.text", &text), 0);
        free(copy);
    }
}

// Each word of both entries' heads, on the heap again. A string that is found lies in the file.
static void test_damaged_entries(void **state)
{
    (void)state;
    static const uint32_t bad[] = {0, 1, 19, 20, 47, 48, 49, 0x7fffffff, 0xffffffff};
    char data[256];
    size_t len = make_file(data);
    for (size_t offset = 32; offset < 92; offset += 4) {
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
            make_file(data);
            put_u32(data + offset, bad[i]);
            char *copy = malloc(len);
            memcpy(copy, data, len);
            struct hsperf hsperf;
            struct text text;
            if (hsperf_open((struct text){copy, len}, &hsperf) == 0 &&
                hsperf_find_string(&hsperf, "b.text", &text) == 0)
                assert_true(text.data >= copy && text.data + text.len <= copy + len);
            free(copy);
        }
    }
}

static const char *setting(const struct runtime_report *report, const char *name)
{
    for (size_t i = 0; i < report->setting_count; i++)
        if (strcmp(report->settings[i].name, name) == 0)
            return report->settings[i].value;
    return NULL;
}

static void test_arguments(void **state)
{
    (void)state;
    static const char cmdline[] =
        "java\0-Xmx2g\0-cp\0-Xmx1g\0-XX:+UseZGC\0-XX:MaxMetaspaceSize=64m\0-Dx=-Xmx3g\0Main\0"
        "-Xmx4g";
    struct runtime_report report = {0};
    assert_int_equal(
        jvm_settings_from_arguments(&report, (struct text){cmdline, sizeof cmdline - 1}), 0);
    assert_string_equal(setting(&report, "-Xmx"), "2g");
    assert_string_equal(setting(&report, "UseZGC"), "true");
    assert_string_equal(setting(&report, "MaxMetaspaceSize"), "64m");
    // The class path's value and the program's own arguments are not the JVM's.
    assert_int_equal(report.setting_count, 3);
    runtime_report_free(&report);
}

static void test_variable(void **state)
{
    (void)state;
    struct runtime_report report = {0};
    assert_int_equal(jvm_settings_from_variable(
                         &report, text_of("-Dname='a b' \"-Xmx1g\"  -XX:-UseG1GC"), "here"),
                     0);
    assert_string_equal(setting(&report, "-Xmx"), "1g");
    assert_string_equal(setting(&report, "UseG1GC"), "false");
    assert_int_equal(report.setting_count, 2);
    runtime_report_free(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters_are_found), cmocka_unit_test(test_foreign_files_are_refused),
        cmocka_unit_test(test_truncations),        cmocka_unit_test(test_damaged_entries),
        cmocka_unit_test(test_arguments),          cmocka_unit_test(test_variable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
