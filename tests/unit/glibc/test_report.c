// SPDX-License-Identifier: Apache-2.0
// Unit tests of what a glibc report says of arenas. Test world; pure.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/glibc/result.h"

enum { MIB = 1 << 20 };

// The facts of a main arena and two others, with free memory as given.
static uint32_t facts_of(uint64_t main_free, uint64_t other_free, uint64_t other_resident)
{
    struct glibc_arena_survey arenas[3] = {
        {.system_bytes = 900 * MIB,
         .free_bytes = main_free,
         .whole_bytes = main_free,
         .resident_bytes = main_free},
        {.system_bytes = 64 * MIB},
        {.system_bytes = 900 * MIB,
         .free_bytes = other_free,
         .whole_bytes = other_free,
         .resident_bytes = other_resident},
    };
    struct glibc_result result = {.version = 236, .arenas = arenas, .arena_count = 3};
    struct target target = {0};
    struct runtime_report report = {0};
    assert_int_equal(glibc_report_fill(&target, &result, &report), 0);
    uint32_t facts = report.facts;
    runtime_report_free(&report);
    return facts;
}

static void test_many_arenas_is_about_their_memory(void **state)
{
    (void)state;
    // Three arenas, all of them in use: nothing is kept from anybody.
    assert_false(facts_of(0, 0, 0) & FACT_MANY_ARENAS);
    // The main arena's free memory is not what several arenas cost.
    assert_false(facts_of(800 * MIB, 0, 0) & FACT_MANY_ARENAS);
    // Free, but given back or never touched.
    assert_false(facts_of(0, 800 * MIB, MIB) & FACT_MANY_ARENAS);
    assert_false(facts_of(0, 16 * MIB - 1, 16 * MIB - 1) & FACT_MANY_ARENAS);
    assert_true(facts_of(0, 16 * MIB, 16 * MIB) & FACT_MANY_ARENAS);
}

// Every text completes "X needs ...": none is a sentence of its own.
static void test_unread_texts(void **state)
{
    (void)state;
    struct glibc_arena_survey arena = {.system_bytes = MIB, .is_late = true, .is_absent = true};
    struct glibc_result result = {.arenas = &arena,
                                  .arena_count = 1,
                                  .unread_arenas = 2,
                                  .outside_bytes = 4096,
                                  .state = {.has_par = true, .par = {.mmapped_bytes = 8192}}};
    struct target target = {0};
    struct runtime_report report = {0};
    assert_int_equal(glibc_report_fill(&target, &result, &report), 0);
    assert_int_equal(report.unread_count, 5);
    for (size_t i = 0; i < report.unread_count; i++)
        assert_true(strlen(report.unread[i].needs) > 0);
    assert_string_equal(report.unread[3].what, "4096 bytes of the main arena outside of the heap");
    assert_string_equal(report.unread[4].what,
                        "where all of glibc's mapped blocks lie: found 0 B of 8.00 KiB");
    runtime_report_free(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_arenas_is_about_their_memory),
        cmocka_unit_test(test_unread_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
