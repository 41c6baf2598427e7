// SPDX-License-Identifier: Apache-2.0
// Unit tests of ground: .bss by images' spans, stacks by pointers and guards. Test world; pure.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/target.h"

enum { KIB = 1024, MIB = 1024 * 1024, GUARD = 4096 };

static struct mapping mapping_of(uint64_t start, uint64_t size, unsigned flags,
                                 enum mapping_kind kind)
{
    return (struct mapping){.start = start,
                            .end = start + size,
                            .flags = (uint16_t)flags,
                            .kind = (uint8_t)kind,
                            // Empty, so that no part of it is looked up in a pagemap.
                            .rss_kib = 0};
}

static const unsigned writable = MAPPING_READ | MAPPING_WRITE;

// Claims of one reader over these mappings and threads.
static struct runtime_report claims_of(const struct runtime_reader *reader, struct mapping *items,
                                       size_t count, const struct images *images, uint64_t pointer,
                                       uint64_t limit_bytes)
{
    struct mappings mappings = {.items = items, .count = count, .has_sizes = true};
    struct proc_thread thread = {.tid = 1, .stack_pointer = pointer};
    struct target target = {.mappings = &mappings,
                            .images = images,
                            .threads = &thread,
                            .thread_count = 1,
                            .stack_limit_bytes = limit_bytes};
    struct runtime_report report = {0};
    assert_true(reader->find(&target));
    assert_int_equal(reader->read(&target, &report), 0);
    assert_true(report.facts & FACT_GROUND);
    assert_string_equal(report.name, "");
    return report;
}

static void assert_one_claim(struct runtime_report report, uint64_t start, uint64_t end)
{
    assert_int_equal(report.claim_count, 1);
    assert_int_equal(report.claims[0].start, start);
    assert_int_equal(report.claims[0].end, end);
    runtime_report_free(&report);
}

static void test_bss(void **state)
{
    (void)state;
    struct mapping items[] = {
        mapping_of(0x400000, 0x1000, MAPPING_READ, MAPPING_FILE),
        mapping_of(0x401000, 0x4000, writable, MAPPING_ANONYMOUS), // .bss, a heap merged behind it
        mapping_of(0x900000, 0x1000, writable, MAPPING_ANONYMOUS),
    };
    struct image image = {.low = 0x400000, .high = 0x403000};
    struct images images = {.items = &image, .count = 1};
    assert_one_claim(claims_of(&image_reader, items, 3, &images, 0, 0), 0x401000, 0x403000);
}

// The stack ends where the default size says; the block that was merged above it is not part of it.
static void test_a_merged_stack(void **state)
{
    (void)state;
    struct mapping items[] = {
        mapping_of(0x10000000, GUARD, 0, MAPPING_ANONYMOUS),
        mapping_of(0x10000000 + GUARD, 64 * MIB, writable, MAPPING_ANONYMOUS),
    };
    assert_one_claim(
        claims_of(&stack_reader, items, 2, NULL, 0x10000000 + 8 * MIB - 4 * KIB, 8 * MIB),
        0x10000000 + GUARD, 0x10000000 + 8 * MIB);
    // Without a known size it is all of the mapping, with an absurd one too.
    assert_one_claim(claims_of(&stack_reader, items, 2, NULL, 0x10100000, 0), 0x10000000 + GUARD,
                     items[1].end);
    assert_one_claim(claims_of(&stack_reader, items, 2, NULL, 0x10100000, UINT64_MAX - 1),
                     0x10000000 + GUARD, items[1].end);
}

static void assert_no_claim(struct mapping *items, size_t count, uint64_t pointer)
{
    struct runtime_report report = claims_of(&stack_reader, items, count, NULL, pointer, 8 * MIB);
    assert_int_equal(report.claim_count, 0);
    runtime_report_free(&report);
}

static void test_what_is_no_stack(void **state)
{
    (void)state;
    // No guard at all, and the lowest mapping of all.
    struct mapping bare = mapping_of(0x10000000, MIB, writable, MAPPING_ANONYMOUS);
    assert_no_claim(&bare, 1, 0x10000800);
    // A reservation of an arena is no guard; neither is what can be read, or lies apart.
    struct mapping items[] = {mapping_of(0x10000000, 2 * MIB, 0, MAPPING_ANONYMOUS),
                              mapping_of(0x10200000, MIB, writable, MAPPING_ANONYMOUS)};
    assert_no_claim(items, 2, 0x10200800);
    items[0] = mapping_of(0x101ff000, GUARD, MAPPING_READ, MAPPING_ANONYMOUS);
    assert_no_claim(items, 2, 0x10200800);
    items[0] = mapping_of(0x101fe000, GUARD, 0, MAPPING_ANONYMOUS);
    assert_no_claim(items, 2, 0x10200800);
    // A pointer beyond the default size, into a file, into nothing, and of a thread that runs.
    items[0] = mapping_of(0x101ff000, GUARD, 0, MAPPING_ANONYMOUS);
    items[1].end = items[1].start + 64 * MIB;
    assert_no_claim(items, 2, 0x10200000 + 32 * MIB);
    items[1].kind = MAPPING_FILE;
    assert_no_claim(items, 2, 0x10200800);
    assert_no_claim(items, 2, 0x70000000);
    assert_no_claim(items, 2, 0);
}

static void test_the_first_threads_stack(void **state)
{
    (void)state;
    struct mapping item = mapping_of(0x7ffd00000000, MIB, writable, MAPPING_STACK);
    assert_one_claim(claims_of(&stack_reader, &item, 1, NULL, 0, 8 * MIB), item.start, item.end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bss),
        cmocka_unit_test(test_a_merged_stack),
        cmocka_unit_test(test_what_is_no_stack),
        cmocka_unit_test(test_the_first_threads_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
