// SPDX-License-Identifier: Apache-2.0
// What one allocation has to give back before it may go on is bounded by its own size, however much
// is kept. Test code.
#include "heap_test.h"

#define MIB ((size_t)1 << 20)

// Guarded blocks keep some of what they leave; a span then has to be paid for with it.
static void test_short_of_memory(void **state)
{
    (void)state;
    bool is_zero;
    void *blocks[2];
    for (int i = 0; i < 2; i++)
        blocks[i] = heap_allocate(90 * MIB, &is_zero);
    heap_free(blocks[0]);
    size_t kept = (size_t)space.guarded_kept * WIRE_SLOT_BYTES;
    assert_true(kept > 80 * MIB);
    uint64_t before = space.ledger->purged_bytes;
    space_set_headroom(0);
    assert_non_null(heap_test_allocate(48));
    uint64_t gone = space.ledger->purged_bytes - before;
    assert_true(gone > 0 && gone <= 8 * MIB);
    // What went is the allocation's, and the next ones' too.
    assert_true(space.headroom > 0 && space.headroom < gone);
    heap_free(blocks[1]);
}

// A block that grows where it stands takes new pages as well.
static void test_growing_is_spending(void **state)
{
    const struct fake_os *fake = *state;
    void *kept = heap_test_allocate(900000);
    void *block = heap_test_allocate(300000);
    heap_test_release(kept);
    uint32_t dirty = space.dirty_slots;
    space_set_headroom(0);
    assert_ptr_equal(heap_resize(block, 800000), block);
    assert_true(fake->purged_bytes >= 500000);
    assert_true(space.dirty_slots < dirty);
    // Into what it has left itself, which is kept, it grows for nothing.
    assert_ptr_equal(heap_resize(block, 300000), block);
    size_t purged = fake->purged_bytes;
    assert_ptr_equal(heap_resize(block, 800000), block);
    assert_int_equal(fake->purged_bytes, purged);
    space_set_headroom(UINT64_MAX);
    heap_test_release(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_short_of_memory, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_growing_is_spending, heap_test_begin, heap_test_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
