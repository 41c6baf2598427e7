// SPDX-License-Identifier: Apache-2.0
// Unit tests of the text views. Test code; no state.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"

static void test_lines_and_fields(void **state)
{
    (void)state;
    struct text rest = text_of("one\n\ntwo"), line;
    assert_true(text_next_line(&rest, &line));
    assert_true(text_equals(line, "one"));
    assert_true(text_next_line(&rest, &line));
    assert_int_equal(line.len, 0);
    assert_true(text_next_line(&rest, &line));
    assert_true(text_equals(line, "two"));
    assert_false(text_next_line(&rest, &line));
    // A separator at the very end leaves no empty field behind.
    rest = text_of("a:");
    assert_true(text_next_field(&rest, ':', &line));
    assert_false(text_next_field(&rest, ':', &line));
}

static void test_numbers(void **state)
{
    (void)state;
    uint64_t value = 7;
    struct text rest = text_of("18446744073709551615 x");
    assert_true(text_take_u64(&rest, &value));
    assert_true(value == UINT64_MAX);
    assert_true(text_equals(rest, " x"));
    // Overflow, no digit, a sign: nothing is taken and nothing is set.
    const char *const bad[] = {"18446744073709551616", "99999999999999999999999", "", " 1", "-1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rest = text_of(bad[i]);
        value = 7;
        assert_false(text_take_u64(&rest, &value));
        assert_true(text_equals(rest, bad[i]));
        assert_int_equal(value, 7);
    }
    rest = text_of("DeadBeefg");
    assert_true(text_take_hex(&rest, &value));
    assert_int_equal(value, 0xdeadbeef);
    assert_true(text_equals(rest, "g"));
}

static void test_signed_numbers(void **state)
{
    (void)state;
    int64_t value = 7;
    struct text rest = text_of("-512 -");
    assert_true(text_take_i64(&rest, &value));
    assert_int_equal(value, -512);
    text_skip_blanks(&rest);
    assert_false(text_take_i64(&rest, &value));
    assert_true(text_equals(rest, "-"));
    rest = text_of("-9223372036854775808");
    assert_true(text_take_i64(&rest, &value));
    assert_true(value == INT64_MIN);
    rest = text_of("9223372036854775807");
    assert_true(text_take_i64(&rest, &value));
    assert_true(value == INT64_MAX);
    rest = text_of("9223372036854775808");
    assert_false(text_take_i64(&rest, &value));
    rest = text_of("-9223372036854775809");
    assert_false(text_take_i64(&rest, &value));
}

static void test_comparisons(void **state)
{
    (void)state;
    struct text text = {"memory.max\0x", 12};
    assert_true(text_starts_with(text, "memory"));
    assert_false(text_equals(text, "memory.max"));
    assert_true(text_contains(text, ".m"));
    assert_false(text_contains(text, "maxx"));
    assert_true(text_ends_with(text_of("a (deleted)"), " (deleted)"));
    assert_false(text_ends_with(text_of("d)"), " (deleted)"));
    assert_true(text_equals(text_base_name(text_of("/usr/bin/etcd")), "etcd"));
    assert_true(text_equals(text_base_name(text_of("etcd")), "etcd"));
    assert_int_equal(text_base_name(text_of("/usr/")).len, 0);
}

static void test_copies(void **state)
{
    (void)state;
    char out[8];
    assert_true(text_copy(text_of("1234567"), out, sizeof out));
    assert_string_equal(out, "1234567");
    assert_false(text_copy(text_of("12345678"), out, sizeof out));
    assert_string_equal(out, "1234567");
    assert_true(text_copy(text_of("gone"), out, 8));
    assert_false(text_copy(text_of("gone"), out, 1));
    assert_string_equal(out, "");
}

static void test_octal_escapes(void **state)
{
    (void)state;
    char out[32];
    assert_true(text_copy_unescaped(text_of("a\\040b\\011c\\012d\\134e"), out, sizeof out));
    assert_string_equal(out, "a b\tc\nd\\e");
    // What is no escape stays: too short, not octal, beyond a byte, and the NUL that would cut the
    // name.
    assert_true(text_copy_unescaped(text_of("\\04 \\089 \\777 \\000"), out, sizeof out));
    assert_string_equal(out, "\\04 \\089 \\777 \\000");
    assert_false(text_copy_unescaped(text_of("\\040\\040\\040"), out, 3));
    assert_string_equal(out, "  ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_and_fields), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_signed_numbers),   cmocka_unit_test(test_comparisons),
        cmocka_unit_test(test_copies),           cmocka_unit_test(test_octal_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
