// SPDX-License-Identifier: Apache-2.0
// Locked memory, which the system does not take back: what is locked counts as kept, and is asked
// for seldom. Test code.
#include "engine_test.h"

#define SECOND_NS UINT64_C(1000000000)
#define LOOKS     20 // in a second

static void look_for(struct fake_os *fake, unsigned seconds)
{
    for (unsigned i = 0; i < seconds * LOOKS; i++)
        (void)engine_test_look(fake, 1000 / LOOKS);
}

// Each round has a run that has just been freed, and so is worth a try.
static void test_refused_again_and_again(void **state)
{
    struct fake_os *fake = *state;
    unsigned before = 0;
    fake->clock_ns = 5 * SECOND_NS;
    fake->locked = (struct os_range){0, SIZE_MAX};
    for (int round = 0; round < 12; round++) {
        before = fake->refused;
        heap_test_release(heap_test_allocate(600000));
        look_for(fake, 1);
    }
    assert_true(before >= 8);
    assert_int_equal(fake->refused, before);
    look_for(fake, 30);
    assert_true(fake->refused > before);
}

// Part of a span's unused end is locked: the rest goes, and none of the end counts as zero.
static void test_tail_refused(void **state)
{
    struct fake_os *fake = *state;
    unsigned char *blocks[80];
    bool is_zero;
    for (int i = 0; i < 80; i++)
        blocks[i] = memset(heap_allocate(20000, &is_zero), 1, 20000);
    for (int i = 0; i < 80; i++)
        heap_test_release(blocks[i]);
    for (int i = 0; i < 3; i++)
        blocks[i] = heap_allocate(12000, &is_zero);
    heap_test_release(blocks[1]);
    uintptr_t next = (uintptr_t)blocks[2] + heap_usable_bytes(blocks[2]);
    fake->locked = (struct os_range){next + 3 * PAGE_BYTES, PAGE_BYTES};
    assert_true(engine_purge() > 0);
    assert_true(fake->refused > 0);
    for (int i = 3; i < 80; i++) {
        blocks[i] = heap_allocate(12000, &is_zero);
        for (int at = 0; is_zero && at < 12000; at++)
            assert_int_equal(blocks[i][at], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_refused_again_and_again, engine_test_begin,
                                        engine_test_end),
        cmocka_unit_test_setup_teardown(test_tail_refused, engine_test_begin, engine_test_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
