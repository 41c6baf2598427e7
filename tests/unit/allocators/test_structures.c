// SPDX-License-Identifier: Apache-2.0
// Unit tests of the decoders of allocators' structures, and of lists of ranges. Test world; pure.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/allocators/jemalloc_tree.h"
#include "runtime/pages.h"

// Size classes as malloc_usable_size() shows them.
static void test_size_classes(void **state)
{
    (void)state;
    static const struct {
        unsigned index;
        uint64_t bytes;
    } classes[] = {{0, 8},   {1, 16},   {4, 64},     {5, 80},     {8, 128},
                   {9, 160}, {15, 448}, {35, 14336}, {36, 16384}, {231, 0x7000000000000000},
                   {232, 0}, {1000, 0}};
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        assert_int_equal(jemalloc_class_bytes(classes[i].index), classes[i].bytes);
}

// Records as they were read from a process with 5.3.0.
static void test_extents_are_decoded(void **state)
{
    (void)state;
    struct jemalloc_extent extent;
    const uint64_t slab[3] = {0x1002b0f0b000, 0x7fda35100000, 0x7000};
    assert_true(jemalloc_extent_decode(slab, &extent));
    assert_true(extent.is_slab && extent.state == EXTENT_ACTIVE);
    assert_int_equal(extent.size_class, 15);
    assert_int_equal(extent.free_regions, 43);
    assert_int_equal(extent.bytes, 0x7000);
    const uint64_t large[3] = {0x10000440a000, 0x7fda27600dc0, 0x401000};
    assert_true(jemalloc_extent_decode(large, &extent));
    assert_false(extent.is_slab);
    assert_int_equal(extent.address, 0x7fda27600000);
    // A freed slab keeps its slab flag, and its count of free regions means nothing.
    const uint64_t dirty[3] = {0x4e823000, 0x7fda2f21c000, 0x1000};
    assert_true(jemalloc_extent_decode(dirty, &extent));
    assert_true(!extent.is_slab && extent.state == EXTENT_DIRTY);
}

static void test_damaged_extents_are_refused(void **state)
{
    (void)state;
    struct jemalloc_extent extent;
    const uint64_t damaged[][3] = {
        {0, 0, 0},
        {0x1002b0f0b000, 0x7fda35100000, 0},                     // no size
        {0x1002b0f0b000, 0x7fda35100000, 0x6000},                // no whole number of regions
        {0x1002b0f0b000 | 0x3ff0000000, 0x7fda35100000, 0x7000}, // more free than there are
        {0x1002bff0b000, 0x7fda35100000, 0x7000},                // no size class
        {0x10000440a000 | 7 << 17, 0x7fda27600000, 0x1000},      // no state
        {0x10000440a000, 0xffff8000000000, 0x1000},              // no user address
    };
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++)
        assert_false(jemalloc_extent_decode(damaged[i], &extent));
}

static void test_ranges_join(void **state)
{
    (void)state;
    struct ranges ranges = {0};
    assert_int_equal(ranges_add(&ranges, 0x3000, 0x4000), 0);
    assert_int_equal(ranges_add(&ranges, 0x4000, 0x5000), 0);
    assert_int_equal(ranges.count, 1);
    assert_int_equal(ranges_add(&ranges, 0x1000, 0x2000), 0);
    assert_int_equal(ranges_add(&ranges, 0x1800, 0x3000), 0);
    ranges_sort(&ranges);
    assert_int_equal(ranges.count, 1);
    assert_int_equal(ranges.items[0].start, 0x1000);
    assert_int_equal(ranges_bytes(&ranges), 0x4000);
    ranges_free(&ranges);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size_classes),
        cmocka_unit_test(test_extents_are_decoded),
        cmocka_unit_test(test_damaged_extents_are_refused),
        cmocka_unit_test(test_ranges_join),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
