// SPDX-License-Identifier: Apache-2.0
// Unit tests of selections: what a TARGET means, and which processes match it. Test world.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sample/select.h"

static struct selection parsed(const char *text)
{
    struct selection selection;
    assert_int_equal(selection_parse(text_of(text), &selection), 0);
    return selection;
}

static void assert_parsed(const char *text, enum select_kind kind, const char *pattern)
{
    struct selection selection = parsed(text);
    assert_int_equal(selection.kind, kind);
    assert_string_equal(selection.text, pattern);
}

static void test_kinds(void **state)
{
    (void)state;
    assert_int_equal(parsed("4121").pid, 4121);
    assert_parsed("4121", SELECT_PID, "");
    assert_parsed("redis-server", SELECT_NAME, "redis-server");
    assert_parsed("redis*", SELECT_GLOB, "redis*");
    assert_parsed("name:4121", SELECT_GLOB, "4121");
    assert_parsed("cmdline:*--port 6379*", SELECT_LINE, "*--port 6379*");
    assert_parsed("cgroup:/system.slice/x.service/", SELECT_CGROUP, "/system.slice/x.service");
    assert_parsed("cgroup:/", SELECT_CGROUP, "");
    // A colon elsewhere is part of a name, and so are digits that are not all.
    assert_parsed("kworker/0:1", SELECT_NAME, "kworker/0:1");
    assert_parsed("12x", SELECT_NAME, "12x");
    assert_parsed("-1", SELECT_NAME, "-1");
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",        "name:", "cmdline:", "cgroup:", "0", "00", "2147483648", "99999999999999999999",
        "cgroup:x"};
    struct selection untouched = {.kind = SELECT_ALL, .pid = 7};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(selection_parse(text_of(bad[i]), &untouched), -EINVAL);
    assert_int_equal(selection_parse((struct text){"a\0b", 3}, &untouched), -EINVAL);
    char endless[300];
    memset(endless, 'x', sizeof endless);
    assert_int_equal(selection_parse((struct text){endless, 255}, &untouched), 0);
    untouched.kind = SELECT_ALL;
    assert_int_equal(selection_parse((struct text){endless, 256}, &untouched), -ENAMETOOLONG);
    assert_int_equal(untouched.kind, SELECT_ALL);
}

static bool matches(const char *target, const struct subject *subject)
{
    struct selection selection = parsed(target);
    return selection_matches(&selection, 1, subject);
}

static const struct subject redis = {
    .pid = 4121,
    .name = "redis-server",
    .exe = "redis-check-rdb",
    .cmdline = "/usr/bin/redis-prefork --port 6379",
    .cgroup = "/system.slice/redis.service/worker",
};

static void test_names(void **state)
{
    (void)state;
    assert_true(matches("4121", &redis));
    assert_false(matches("4122", &redis));
    // comm, executable, argv[0].
    assert_true(matches("redis-server", &redis));
    assert_true(matches("redis-check-rdb", &redis));
    assert_true(matches("redis-prefork", &redis));
    assert_false(matches("redis", &redis));
    assert_false(matches("--port", &redis));
    assert_true(matches("redis-*", &redis));
    assert_true(matches("*[r]db", &redis));
    assert_false(matches("redis-?", &redis));
    assert_true(matches("name:redis-server", &redis));
    assert_true(matches("cmdline:*--port 6379", &redis));
    assert_false(matches("cmdline:--port 6379", &redis));
}

static void test_groups(void **state)
{
    (void)state;
    assert_true(matches("cgroup:/system.slice/redis.service", &redis));
    assert_true(matches("cgroup:/system.slice", &redis));
    assert_true(matches("cgroup:/", &redis));
    assert_true(matches("cgroup:*/redis.service", &redis));
    assert_true(matches("cgroup:/*/redis.service/*", &redis));
    assert_false(matches("cgroup:/system.slice/redis", &redis));
    assert_false(matches("cgroup:/user.slice", &redis));
}

// A process that hides everything matches nothing but its PID, and all.
static void test_hidden_process(void **state)
{
    (void)state;
    const struct subject hidden = {.pid = 9};
    assert_true(matches("9", &hidden));
    assert_false(matches("x", &hidden));
    assert_false(matches("*", &hidden));
    assert_false(matches("cgroup:/", &hidden));
    const struct selection all = {.kind = SELECT_ALL};
    assert_true(selection_matches(&all, 1, &hidden));
    assert_false(selection_matches(&all, 0, &hidden));
}

static void test_any_of_several(void **state)
{
    (void)state;
    const struct selection several[] = {parsed("1"), parsed("nobody"), parsed("redis-server")};
    assert_true(selection_matches(several, 3, &redis));
    assert_false(selection_matches(several, 2, &redis));
}

// Patterns that make a naive matcher try every split.
static void test_patterns_of_many_stars(void **state)
{
    (void)state;
    struct subject subject = {.pid = 9};
    memset(subject.cmdline, 'a', sizeof subject.cmdline - 1);
    assert_false(matches("cmdline:*a*a*a*a*a*a*a*a*a*a*a*a*b", &subject));
    assert_true(matches("cmdline:*a*a*a*a*a*a*a*a*a*a*a*a*", &subject));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_hidden_process),
        cmocka_unit_test(test_any_of_several),
        cmocka_unit_test(test_patterns_of_many_stars),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
