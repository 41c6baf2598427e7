// SPDX-License-Identifier: Apache-2.0
// Unit tests of the decoders of CPython's arenas and pools. Test world; pure.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/managed/cpython_arenas.h"

static void test_shapes(void **state)
{
    (void)state;
    struct pymalloc_shape shape;
    assert_true(pymalloc_shape_of(3, 9, &shape));
    assert_int_equal(shape.arena_bytes, 256 << 10);
    assert_true(pymalloc_shape_of(3, 10, &shape));
    assert_int_equal(shape.pool_bytes, 16 << 10);
    assert_true(pymalloc_shape_of(2, 7, &shape));
    assert_false(pymalloc_shape_of(2, 6, &shape));
    assert_false(pymalloc_shape_of(4, 0, &shape));
}

static void test_arena_objects(void **state)
{
    (void)state;
    struct pymalloc_shape small, large;
    struct pymalloc_arena arena;
    pymalloc_shape_of(3, 9, &small);
    pymalloc_shape_of(3, 12, &large);
    // As read from 3.9: all 64 pools carved off, none free.
    const uint64_t used[6] = {0x7f12c0bd0000, 0x7f12c0c10000, 64ull << 32, 0, 0, 0};
    assert_true(pymalloc_arena_decode(used, &small, &arena));
    assert_int_equal(arena.total_pools, 64);
    // An arena that is not in use: nothing but its link counts.
    const uint64_t unused[6] = {0, 0xdead, 0xbeef, 1, 0x555500000000, 0};
    assert_true(pymalloc_arena_decode(unused, &small, &arena));
    // 16 KiB pools in an arena that is only page-aligned: one is lost.
    const uint64_t unaligned[6] = {0x7f12c0bd1000, 0x7f12c0bd4000, 63ull << 32 | 63, 0, 0, 0};
    assert_true(pymalloc_arena_decode(unaligned, &large, &arena));
    assert_int_equal(arena.free_pools, 63);
    assert_false(pymalloc_arena_decode(unaligned, &small, &arena));
}

static void test_hostile_arena_objects(void **state)
{
    (void)state;
    struct pymalloc_shape shape;
    struct pymalloc_arena arena;
    pymalloc_shape_of(3, 9, &shape);
    const uint64_t hostile[][6] = {
        {0x7f12c0bd0001, 0x7f12c0c10000, 64ull << 32, 0, 0, 0},         // not on a page
        {0x7f12c0bd0000, 0x7f12c0c11000, 64ull << 32, 0, 0, 0},         // next pool behind the end
        {0x7f12c0bd0000, 0x7f12c0bcf000, 64ull << 32, 0, 0, 0},         // and before the start
        {0x7f12c0bd0000, 0x7f12c0c10000, 64ull << 32 | 65, 0, 0, 0},    // more free than there are
        {0xffffffffffff0000, 0xffffffffffff1000, 64ull << 32, 0, 0, 0}, // no user address
    };
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++)
        assert_false(pymalloc_arena_decode(hostile[i], &shape, &arena));
}

static void test_pools(void **state)
{
    (void)state;
    struct pymalloc_shape shape;
    struct pymalloc_pool pool;
    pymalloc_shape_of(3, 9, &shape);
    // 20 blocks of 64 bytes; class 3 with 16-byte steps, class 7 with 8-byte steps.
    const uint64_t by_16[6] = {20, 0, 0, 0, 3ull << 32 | 5, (4096ull - 64) << 32};
    const uint64_t by_8[6] = {20, 0, 0, 0, 7ull << 32 | 5, (4096ull - 64) << 32};
    assert_true(pymalloc_pool_decode(by_16, &shape, &pool));
    assert_int_equal(pool.block_bytes, 64);
    assert_int_equal(pool.arena_index, 5);
    assert_true(pymalloc_pool_decode(by_8, &shape, &pool));
    const uint64_t hostile[][6] = {
        {20, 0, 0, 0, 4ull << 32 | 5, (4096ull - 64) << 32}, // class and size do not agree
        {99, 0, 0, 0, 3ull << 32 | 5, (4096ull - 64) << 32}, // more blocks than fit
        {20, 0, 0, 0, 3ull << 32 | 5, 4096ull << 32},        // no size
        {1, 0, 0, 0, UINT64_MAX, UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++)
        assert_false(pymalloc_pool_decode(hostile[i], &shape, &pool));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_arena_objects),
        cmocka_unit_test(test_hostile_arena_objects),
        cmocka_unit_test(test_pools),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
