// SPDX-License-Identifier: Apache-2.0
// Unit tests of what renderers share: units, escaping, bars, wrapping. Test world; pure.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/units.h"
#include "render/text.h"

static void assert_bytes(uint64_t bytes, const char *expected)
{
    char text[UNITS_TEXT_MAX];
    units_format_bytes(bytes, text, sizeof text);
    assert_string_equal(text, expected);
}

static void test_bytes(void **state)
{
    (void)state;
    assert_bytes(0, "0 B");
    assert_bytes(999, "999 B");
    assert_bytes(1000, "0.98 KiB");
    assert_bytes(8192, "8.00 KiB");
    assert_bytes(431 << 20, "431 MiB");
    assert_bytes(1023ull << 20, "1.00 GiB");
    assert_bytes(2759454556, "2.57 GiB");
    assert_bytes(UINT64_MAX, "16.0 EiB");
}

static void test_other_units(void **state)
{
    (void)state;
    char text[UNITS_TEXT_MAX];
    units_format_change(-1536, text, sizeof text);
    assert_string_equal(text, "-1.50 KiB");
    units_format_change(INT64_MIN, text, sizeof text);
    assert_string_equal(text, "-8.00 EiB");
    units_format_seconds(0.84, text, sizeof text);
    assert_string_equal(text, "0.8 s");
    units_format_seconds(302, text, sizeof text);
    assert_string_equal(text, "5 min 2 s");
    units_format_seconds(273600, text, sizeof text);
    assert_string_equal(text, "3 d 4 h");
    units_format_seconds(-5, text, sizeof text);
    assert_string_equal(text, "0.0 s");
    units_format_percent(79, 100, text, sizeof text);
    assert_string_equal(text, "79 %");
    units_format_percent(1, 250, text, sizeof text);
    assert_string_equal(text, "0.4 %");
    units_format_percent(5, 0, text, sizeof text);
    assert_string_equal(text, "0 %");
}

static void assert_escaped(const char *name, size_t limit, const char *expected)
{
    struct buffer buffer = {0};
    assert_int_equal(format_escaped(&buffer, name, limit), 0);
    assert_string_equal(buffer_text(&buffer).data, expected);
    buffer_free(&buffer);
}

static void test_escaping(void **state)
{
    (void)state;
    assert_escaped("redis-server", 0, "redis-server");
    assert_escaped("\033[2Jgone\n", 0, "\\x1b[2Jgone\\x0a");
    assert_escaped("a\\b", 0, "a\\\\b");
    assert_escaped("größe", 0, "größe");
    assert_escaped("\xff\xfe", 0, "\\xff\\xfe");
    assert_escaped("\xe2\x82", 0, "\\xe2\\x82");          // cut short
    assert_escaped("\xc0\xaf", 0, "\\xc0\\xaf");          // overlong
    assert_escaped("\xed\xa0\x80", 0, "\\xed\\xa0\\x80"); // a surrogate
    assert_escaped("\xc2\x9b"
                   "31m",
                   0, "\\xc2\\x9b31m"); // C1 control
    assert_escaped("a\xe2\x80\xae"
                   "b",
                   0, "a\\xe2\\x80\\xaeb"); // right-to-left override
    assert_escaped("\xe2\x82\xac", 0, "\xe2\x82\xac");
    assert_escaped("\x7f", 0, "\\x7f");
    assert_escaped("abcdef", 3, "abc...");
    // Columns, not bytes: wide characters take two, marks none.
    assert_escaped("größer", 5, "größe...");
    assert_escaped("中文名字", 5, "中文...");
    assert_escaped("e\xcc\x81t\xc3\xa9x", 2, "e\xcc\x81t..."); // a mark is no column
}

static void assert_bar(bool unicode, uint64_t part, uint64_t whole, const char *expected)
{
    struct render_style style = {.unicode = unicode};
    struct buffer buffer = {0};
    assert_int_equal(format_bar(&style, part, whole, 4, &buffer), 0);
    assert_string_equal(buffer_text(&buffer).data, expected);
    buffer_free(&buffer);
}

static void test_bars(void **state)
{
    (void)state;
    assert_bar(true, 0, 100, "");
    assert_bar(true, 1, 1000000, "▏");
    assert_bar(true, 50, 100, "██");
    assert_bar(true, 40, 100, "█▋");
    assert_bar(true, 200, 100, "████");
    assert_bar(true, 5, 0, "▏");
    assert_bar(false, 40, 100, "##");
    assert_bar(false, 1, 1000, "#");
}

static void test_wrapping(void **state)
{
    (void)state;
    struct render_style style = {.width = 40};
    struct buffer buffer = {0};
    struct writer writer = {.buffer = &buffer, .style = &style};
    write_wrapped(&writer, "one two three four five six seven eight nine ten", 2, 4);
    assert_int_equal(writer.error, 0);
    assert_string_equal(buffer_text(&buffer).data,
                        "one two three four five six seven\n    eight nine ten\n");
    buffer_free(&buffer);
}

// A field of a table is never wider than its columns, whatever stands in it.
static void test_names_fit_their_columns(void **state)
{
    (void)state;
    static const char *const names[] = {
        "redis-server",          "中文名字很长的进程",       "größe", "",
        "\033[2J\033[2J\033[2J", "e\xcc\x81\xcc\x81\xcc\x81"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        for (size_t columns = 0; columns < 24; columns++) {
            struct buffer buffer = {0};
            assert_int_equal(format_name(&buffer, names[i], columns), 0);
            assert_true(format_columns(buffer_text(&buffer)) <= columns);
            buffer_free(&buffer);
        }
    }
    struct buffer buffer = {0};
    assert_int_equal(format_name(&buffer, "中文名字很长", 10), 0);
    assert_string_equal(buffer.data, "中文名...");
    buffer_free(&buffer);
    // A message's room is in bytes.
    assert_int_equal(format_escaped_bytes(&buffer, "中文名字", 7), 0);
    assert_string_equal(buffer.data, "中文...");
    buffer_free(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_fit_their_columns),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_other_units),
        cmocka_unit_test(test_escaping),
        cmocka_unit_test(test_bars),
        cmocka_unit_test(test_wrapping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
