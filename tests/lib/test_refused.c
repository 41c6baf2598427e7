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

// A run that was refused is not asked for again, until somebody asks for all. What goes in between
// shows that not all is locked.
static void test_refused_once(void **state)
{
    struct fake_os *fake = *state;
    fake->clock_ns = 5 * SECOND_NS;
    fake->locked = (struct os_range){0, SIZE_MAX};
    heap_test_release(heap_test_allocate(600000));
    look_for(fake, 1);
    unsigned refused = fake->refused;
    assert_int_equal(engine.refusals, 1);
    look_for(fake, 2);
    assert_int_equal(fake->refused, refused);
    fake->locked = (struct os_range){0, 0};
    assert_true(engine_purge() >= 600000);
    assert_int_equal(engine.refusals, 0);
}

// Spans, too; after so many looks that all were in vain there is a rest, in which nothing is waited
// for.
static void test_refused_spans(void **state)
{
    enum { REFUSALS = 8 };
    struct fake_os *fake = *state;
    fake->clock_ns = 5 * SECOND_NS;
    fake->locked = (struct os_range){0, SIZE_MAX};
    void *blocks[16];
    for (int i = 0; i < 16; i++)
        blocks[i] = heap_test_allocate(4096);
    for (int i = 1; i < 16; i++)
        heap_test_release(blocks[i]);
    for (unsigned i = 1; i <= REFUSALS; i++) {
        assert_int_equal(engine.refused_until_ms, 0);
        // What has changed is worth a try.
        heap_test_release(heap_test_allocate(4096));
        (void)engine_purge();
        assert_int_equal(engine.refusals, i);
    }
    assert_true(engine.refused_until_ms > fake->clock_ns / 1000000);
    size_t gone;
    heap_test_release(heap_test_allocate(600000));
    assert_false(engine_look(false, &gone));
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
        cmocka_unit_test_setup_teardown(test_refused_once, engine_test_begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_refused_spans, engine_test_begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_tail_refused, engine_test_begin, engine_test_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
