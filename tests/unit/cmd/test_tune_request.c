// SPDX-License-Identifier: Apache-2.0
// Unit tests of what `ebb tune` takes as values. Test world; pure.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cmd/tune_request.h"
#include "wire/ledger.h"
#include "cmd/verbs.h"

enum { WORDS_MAX = 8 };

// Parses a line of tune's options. 0 or -EINVAL.
static int parse(struct tune_request *request, char *error, const char *const *words)
{
    char *argv[WORDS_MAX + 1] = {0};
    size_t count = 0;
    for (; words[count]; count++)
        argv[count] = (char *)(uintptr_t)words[count];
    struct options options;
    assert_int_equal(options_parse(tune_options, NULL, count, argv, &options, error), 0);
    return tune_request_parse(&options, request, error);
}

static void test_percent(void **state)
{
    (void)state;
    int64_t value = 7;
    assert_int_equal(tune_parse_percent(text_of("100"), &value), 0);
    assert_int_equal(value, 100);
    assert_int_equal(tune_parse_percent(text_of("off"), &value), 0);
    assert_int_equal(value, -1);
    static const char *const wrong[] = {"", "-1", "-5", "1.5", "100%", "100000001", "OFF", "1G"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(tune_parse_percent(text_of(wrong[i]), &value), -EINVAL);
    assert_int_equal(value, -1);
}

static void test_limit(void **state)
{
    (void)state;
    int64_t value = 7;
    assert_int_equal(tune_parse_limit(text_of("2GiB"), &value), 0);
    assert_true(value == (int64_t)2 << 30);
    assert_int_equal(tune_parse_limit(text_of("off"), &value), 0);
    assert_true(value == INT64_MAX);
    static const char *const wrong[] = {"", "0", "-1", "big", "18446744073709551615"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(tune_parse_limit(text_of(wrong[i]), &value), -EINVAL);
}

static void test_decay(void **state)
{
    (void)state;
    int64_t value = 7;
    assert_int_equal(tune_parse_decay(text_of("10s"), &value), 0);
    assert_int_equal(value, 10000);
    assert_int_equal(tune_parse_decay(text_of("250ms"), &value), 0);
    assert_int_equal(value, 250);
    assert_int_equal(tune_parse_decay(text_of("now"), &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(tune_parse_decay(text_of("off"), &value), 0);
    assert_int_equal(value, -1);
    // It would become "now" unseen.
    assert_int_equal(tune_parse_decay(text_of("0.5ms"), &value), -EINVAL);
    assert_int_equal(tune_parse_decay(text_of("soon"), &value), -EINVAL);
    assert_int_equal(tune_parse_decay(text_of("-1"), &value), -EINVAL);
}

static void test_return_within(void **state)
{
    (void)state;
    int64_t value = 7;
    assert_int_equal(tune_parse_return_within(text_of("10ms"), &value), 0);
    assert_int_equal(value, 10);
    assert_int_equal(tune_parse_return_within(text_of("1h"), &value), 0);
    assert_int_equal(value, 3600000);
    static const char *const wrong[] = {"", "9ms", "0", "off", "61min", "1d", "-1s", "soon"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(tune_parse_return_within(text_of(wrong[i]), &value), -EINVAL);
    assert_int_equal(value, 3600000);
}

static void test_settings(void **state)
{
    (void)state;
    struct tune_settings settings = {0};
    assert_int_equal(
        tune_parse_settings(text_of("arena_max=2,trim_threshold=128K,top_pad=-1"), &settings), 0);
    assert_int_equal(settings.count, 3);
    assert_string_equal(settings.items[0].name, "arena_max");
    assert_int_equal(settings.items[1].value, 128 << 10);
    assert_int_equal(settings.items[2].value, -1);
    static const char *const wrong[] = {
        "", "=", "a", "a=", "=1", "A=1", "a b=1", "a=1,", "a=1,,b=2", "a=-2", "a=x", "a\x1b[0m=1",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        // A comma at the end is no item more.
        int wanted = strcmp(wrong[i], "a=1,") == 0 ? 0 : -EINVAL;
        assert_int_equal(tune_parse_settings(text_of(wrong[i]), &settings), wanted);
    }
    assert_int_equal(
        tune_parse_settings(text_of("a=1,a=1,a=1,a=1,a=1,a=1,a=1,a=1,a=1,a=1,a=1,a=1,a=1,a=1,a=1,"
                                    "a=1,a=1"),
                            &settings),
        -E2BIG);
}

static void test_request(void **state)
{
    (void)state;
    struct tune_request request;
    char error[OPTIONS_ERROR_MAX] = "";
    assert_int_equal(parse(&request, error, (const char *const[]){"4121", NULL}), 0);
    assert_false(tune_request_has_change(&request));
    assert_int_equal(
        parse(&request, error,
              (const char *const[]){"--madv-free=off", "--gogc=off", "--memory-limit=1G",
                                    "--dirty-decay=now", "--background-thread=on", NULL}),
        0);
    assert_true(tune_request_has_change(&request));
    assert_int_equal(request.madv_free, TUNE_OFF);
    assert_true(request.gogc.is_given && request.gogc.value == -1);
    assert_true(request.memory_limit.value == 1 << 30);
    assert_true(request.dirty_decay_ms.is_given && request.dirty_decay_ms.value == 0);
    assert_false(request.muzzy_decay_ms.is_given);
    assert_int_equal(request.background_thread, TUNE_ON);
    // Either of libebb's is a change by itself.
    assert_int_equal(parse(&request, error, (const char *const[]){"--policy=dontneed", NULL}), 0);
    assert_true(tune_request_has_change(&request) && request.policy == WIRE_POLICY_DONTNEED);
    assert_int_equal(parse(&request, error, (const char *const[]){"--return-within=2s", NULL}), 0);
    assert_true(tune_request_has_change(&request) && request.return_within_ms == 2000);
    assert_int_equal(request.policy, WIRE_POLICY_NONE);
    assert_int_equal(parse(&request, error, (const char *const[]){"--gogc=many", NULL}), -EINVAL);
    assert_string_equal(error, "--gogc wants a percentage or off");
    assert_int_equal(parse(&request, error, (const char *const[]){"--mallopt=arena=2", NULL}),
                     -EINVAL);
    assert_non_null(strstr(error, "arena_max"));
    assert_int_equal(
        parse(&request, error, (const char *const[]){"--mallopt=mmap_threshold=1G", NULL}),
        -EINVAL);
    assert_non_null(strstr(error, "does not take this mmap_threshold"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percent),  cmocka_unit_test(test_limit),
        cmocka_unit_test(test_decay),    cmocka_unit_test(test_return_within),
        cmocka_unit_test(test_settings), cmocka_unit_test(test_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
