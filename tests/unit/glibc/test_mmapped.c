// SPDX-License-Identifier: Apache-2.0
// Unit tests of the choice among what looks like a mapped block. Test world; pure.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/glibc/mmapped.h"

// As found in a JVM: two words of its own heap look like blocks, and come first.
static void test_others_are_left_out(void **state)
{
    (void)state;
    const struct glibc_block blocks[] = {{0x1000, 196608},    {0x50000, 196608},
                                         {0x90000, 528384},   {0x200000, 372736},
                                         {0x300000, 1052672}, {0x500000, 1052672}};
    assert_int_equal(glibc_mmapped_choose(blocks, 6, 4, 3006464), 0x3c);
    // One of the others by size alone.
    assert_int_equal(glibc_mmapped_choose(blocks, 6, 1, 196608), 1);
    assert_int_equal(glibc_mmapped_choose(blocks, 6, 6, 3399680), 0x3f);
}

static void test_no_set_is_none(void **state)
{
    (void)state;
    const struct glibc_block blocks[] = {{0x1000, 4096}, {0x3000, 8192}, {0x6000, 16384}};
    assert_int_equal(glibc_mmapped_choose(blocks, 3, 2, 4096), 0);
    assert_int_equal(glibc_mmapped_choose(blocks, 3, 4, 28672), 0);
    assert_int_equal(glibc_mmapped_choose(blocks, 0, 1, 4096), 0);
    assert_int_equal(glibc_mmapped_choose(blocks, 65, 1, 4096), 0);
}

// Of 64 with as many sums as there are sets a search without a bound would not come back.
static void test_it_ends(void **state)
{
    (void)state;
    struct glibc_block blocks[64];
    for (uint64_t i = 0; i < 64; i++)
        blocks[i] = (struct glibc_block){i << 32, 8192};
    assert_int_equal(glibc_mmapped_choose(blocks, 64, 32, 32 * 8192 - 4096), 0);
    assert_int_equal(glibc_mmapped_choose(blocks, 64, 64, 64 * 8192), UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_others_are_left_out),
        cmocka_unit_test(test_no_set_is_none),
        cmocka_unit_test(test_it_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
