// SPDX-License-Identifier: Apache-2.0
// Unit tests of alarm messages: what people read, what programs read, hostile names. Test code.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "render/alarm.h"
#include "support/hostile.h"

#ifdef EBB_WITH_JSON
#include <jansson.h>
#endif

static const uint64_t mib = 1048576;

static struct alarm_condition condition;
static struct digest digest;

// An alarm that began; everything in it is known.
static struct alarm_message message_of(const char *name)
{
    char error[ALARM_ERROR_MAX];
    assert_int_equal(
        alarm_condition_parse(text_of("effective>80%limit for 30s"), &condition, error), 0);
    digest = (struct digest){.verdict = VERDICT_IN_USE, .headline = "in use. 90 % of RSS"};
    digest.row_bytes[ROW_IN_USE] = 700 * mib;
    digest.row_bytes[ROW_LAZY] = 130 * mib;
    digest.group_limit_bytes = 1000 * mib;
    digest.group_working_set_bytes = SAMPLE_UNKNOWN;
    struct alarm_message message = {
        .condition = &condition,
        .time_ms = 1700000000000,
        .subject = {.id = 3, .pid = 4121},
        .sample = {.rss_bytes = 950 * mib, .lazy_bytes = 130 * mib, .effective_bytes = 820 * mib},
        .value = 820.0 * 1048576,
        .level = 800.0 * 1048576,
        .lasted_ms = 31000,
        .held_back = 2,
    };
    text_copy(text_of(name), message.subject.name, sizeof message.subject.name);
    return message;
}

static void test_what_people_read(void **state)
{
    (void)state;
    const struct alarm_message message = message_of("redis-server");
    const struct alarm_context context = {"db7", &digest};
    struct buffer text = {0};
    assert_int_equal(render_alarm_text(&message, &context, &text), 0);
    assert_string_equal(text.data,
                        "Alarm: redis-server (4121) on db7\n"
                        "effective RSS is 820 MiB: above 80 % of the limit (800 MiB), for 31 s\n"
                        "(effective>80%limit for 30s)\n"
                        "\n"
                        "RSS                   950 MiB\n"
                        "lazily freed          130 MiB\n"
                        "effective RSS         820 MiB\n"
                        "\n"
                        "Who owns it, at the last full reading:\n"
                        "in use                700 MiB\n"
                        "lazily freed          130 MiB\n"
                        "\n"
                        "Verdict: in use. 90 % of RSS\n"
                        "\n"
                        "2 more of this process came since the last message.\n");
    buffer_clear(&text);
    assert_int_equal(render_alarm_line(&message, &text), 0);
    assert_string_equal(text.data, "redis-server (4121): effective RSS is 820 MiB: above 80 % of "
                                   "the limit (800 MiB), for 31 s");
    buffer_free(&text);
}

static void test_without_an_account(void **state)
{
    (void)state;
    struct alarm_message message = message_of("");
    const struct alarm_context context = {"", NULL};
    struct buffer text = {0};
    message.sample.lazy_bytes = SAMPLE_UNKNOWN;
    message.held_back = 0;
    assert_int_equal(render_alarm_text(&message, &context, &text), 0);
    assert_non_null(strstr(text.data, "Alarm: ? (4121)\n"));
    assert_non_null(strstr(text.data, "lazily freed          unknown\n"));
    assert_null(strstr(text.data, "Who owns it"));
    assert_null(strstr(text.data, "more of this"));
    buffer_free(&text);
}

// The value of a variable, or NULL.
static const char *find(const struct buffer *environment, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = environment->data; at < environment->data + environment->len;
         at += strlen(at) + 1) {
        assert_int_equal(strncmp(at, "EBB_ALARM_", 10), 0);
        if (strncmp(at + 10, name, len) == 0 && at[10 + len] == '=')
            return at + 11 + len;
    }
    return NULL;
}

static void test_the_environment(void **state)
{
    (void)state;
    struct alarm_message message = message_of("a b\n\x1b[1m");
    const struct alarm_context context = {"db7", &digest};
    struct buffer environment = {0};
    message.sample.lazy_bytes = SAMPLE_UNKNOWN;
    assert_int_equal(render_alarm_environment(&message, &context, &environment), 0);
    assert_int_equal(environment.data[environment.len - 1], '\0');
    assert_string_equal(find(&environment, "STATE"), "began");
    assert_string_equal(find(&environment, "NAME"), "a b\\x0a\\x1b[1m");
    assert_string_equal(find(&environment, "PID"), "4121");
    assert_string_equal(find(&environment, "VALUE"), "859832320");
    assert_string_equal(find(&environment, "LAZY_BYTES"), "");
    assert_string_equal(find(&environment, "VERDICT"), "in-use");
    assert_string_equal(find(&environment, "HELD_BACK"), "2");
    buffer_free(&environment);
}

#ifdef EBB_WITH_JSON

static void test_json(void **state)
{
    (void)state;
    const struct alarm_message message = message_of(hostile_text);
    const struct alarm_context context = {hostile_text, &digest};
    struct buffer text = {0};
    assert_int_equal(render_alarm_json(&message, &context, &text), 0);
    json_t *object = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(object);
    // EBB_ALARM_JSON is one line, whatever a name has in it.
    assert_null(memchr(text.data, '\n', text.len));
    assert_string_equal(json_string_value(json_object_get(object, "state")), "began");
    json_t *process = json_object_get(object, "process");
    assert_int_equal(json_integer_value(json_object_get(process, "rss_bytes")), 950 * mib);
    assert_null(strchr(json_string_value(json_object_get(process, "name")), '\x1b'));
    json_t *account = json_object_get(object, "account");
    assert_true(json_is_null(json_object_get(account, "working_set_bytes")));
    json_t *rows = json_object_get(account, "rows");
    assert_int_equal(json_object_size(rows), ROW_COUNT);
    assert_int_equal(json_integer_value(json_object_get(rows, "in_use")), 700 * mib);
    assert_int_equal(strncmp(json_string_value(json_object_get(object, "text")), "Alarm: ", 7), 0);
    assert_null(strchr(json_string_value(json_object_get(object, "text")), '\x1b'));
    json_decref(object);
    buffer_free(&text);
}

#else

static void test_json(void **state)
{
    (void)state;
    print_message("built without JSON\n");
    skip();
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_people_read),
        cmocka_unit_test(test_without_an_account),
        cmocka_unit_test(test_the_environment),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
