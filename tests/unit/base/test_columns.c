// SPDX-License-Identifier: Apache-2.0
// Unit tests of columns: our table against the C library's, and characters that are cut or broken.
// Test world; pure but for the locale.
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <wchar.h>

#include <cmocka.h>

#include "base/columns.h"

// What the library calls unprintable has no meaning yet, or is none of a name.
static void test_columns_are_those_of_the_library(void **state)
{
    (void)state;
    const char *version = "glibc 2.36";
    if (!setlocale(LC_CTYPE, "C.UTF-8") || wcwidth(0x4E00) != 2) {
        print_message("no locale C.UTF-8 here\n");
        skip();
    }
    unsigned differ = 0;
    for (uint32_t c = 1; c < 0x110000; c++) {
        int columns = wcwidth((wchar_t)c);
        if (columns >= 0 && (unsigned)columns != columns_of_character(c))
            differ++;
    }
    // Another library may know another Unicode: some characters change with each.
    print_message("%u characters differ from %s's\n", differ, version);
    assert_true(differ < 300);
}

static void test_characters(void **state)
{
    (void)state;
    struct text rest = text_of("a\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80");
    assert_int_equal(columns_next_character(&rest), 'a');
    assert_int_equal(columns_next_character(&rest), 0xE9);
    assert_int_equal(columns_next_character(&rest), 0x4E2D);
    assert_int_equal(columns_next_character(&rest), 0x1F600);
    assert_int_equal(rest.len, 0);
    assert_int_equal(columns_of_character(0xE9), 1);
    assert_int_equal(columns_of_character(0x0301), 0);
    assert_int_equal(columns_of_character(0x4E2D), 2);
    assert_int_equal(columns_of_character(0x1F600), 2);
}

// Every cut of a text ends, and takes all of its bytes.
static void test_broken_text_ends(void **state)
{
    (void)state;
    const char bytes[] = "\xF0\x9F\x98\xE4\xB8\xFF\x80\xC3";
    for (size_t len = 1; len < sizeof bytes; len++) {
        struct text rest = {bytes, len};
        size_t steps = 0;
        while (rest.len > 0 && steps++ < sizeof bytes)
            (void)columns_next_character(&rest);
        assert_int_equal(rest.len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_are_those_of_the_library),
        cmocka_unit_test(test_characters),
        cmocka_unit_test(test_broken_text_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
