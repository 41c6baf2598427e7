// SPDX-License-Identifier: Apache-2.0
// Unit tests of what is left of a heap that has shrunk: free pages of spans whose owner still takes
// and gives back the same few blocks, or only gives back, and the table's records of what has gone.
// Test code.
#include <sys/mman.h>

#include "engine_test.h"

#include "heap/records.h"

#define LOOK_MS 50u
#define LONG_MS 1200u // longer than the bound

static void check_nothing(const struct wire_record *span)
{
    (void)span;
}

static size_t look(struct fake_os *fake)
{
    size_t gone = engine_test_look(fake, LOOK_MS);
    heap_test_check_spans(check_nothing);
    return gone;
}

static const struct wire_record *current_of(size_t bytes)
{
    return heap_of_thread->current[class_of_size(bytes)];
}

// A span of 500 bytes of which the owner has taken the most, and gives back all but each twentieth.
static void make_current(void **blocks, int count)
{
    for (int i = 0; i < count; i++)
        blocks[i] = heap_test_allocate(500);
    for (int i = 0; i < count; i++) {
        if (i % 20)
            heap_test_release(blocks[i]);
    }
    assert_int_equal(current_of(500)->state, WIRE_SPAN_CURRENT);
}

// Its owner works on the top of the list; the pages that the rest is in have stood still.
static void test_current_at_one_level(void **state)
{
    struct fake_os *fake = *state;
    void *blocks[100];
    make_current(blocks, 100);
    const struct wire_record *span = current_of(500);
    uint64_t before = span->counts;
    for (unsigned ms = 0; ms < LONG_MS; ms += LOOK_MS) {
        for (int pairs = 0; pairs < 7; pairs++)
            heap_test_release(heap_test_allocate(500));
        (void)look(fake);
    }
    assert_ptr_equal(current_of(500), span);
    assert_true(span->counts != before);
    assert_true(span->off != 0);
}

// Who only frees needs no current spans, of which a helper would have to leave two blocks; who
// allocates as well has them still.
static void test_freeing_thread(void **state)
{
    enum { BLOCKS = 4000, PER_SPAN = WIRE_SLOT_BYTES / 4096 };
    void *blocks[BLOCKS];
    (void)state;
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = heap_test_allocate(4096);
    void *live = heap_test_allocate(500);
    const struct wire_record *span = current_of(500);
    // The first of a span takes the slow path.
    for (int i = 0; i < BLOCKS / 2; i += PER_SPAN) {
        heap_test_release(blocks[i]);
        heap_test_release(heap_test_allocate(500));
    }
    assert_ptr_equal(current_of(500), span);
    assert_int_equal(span->state, WIRE_SPAN_CURRENT);
    for (int i = BLOCKS / 2; i < BLOCKS; i++)
        heap_test_release(blocks[i]);
    assert_ptr_equal(current_of(500), &heap_no_span);
    assert_ptr_equal(current_of(4096), &heap_no_span);
    // And it allocates on where it was.
    void *block = heap_test_allocate(500);
    assert_ptr_equal(space_record_at((uintptr_t)block), span);
    heap_test_release(block);
    heap_test_release(live);
    heap_test_check_spans(check_nothing);
}

static size_t resident_pages(uintptr_t address, size_t bytes)
{
    unsigned char pages[64];
    size_t count = 0;
    assert_true(bytes / PAGE_BYTES <= sizeof pages);
    assert_int_equal(mincore((void *)address, bytes, pages), 0);
    for (size_t i = 0; i < bytes / PAGE_BYTES; i++)
        count += pages[i] & 1;
    return count;
}

// The run's own records stay: the chain goes through them. So it can be taken again.
static void test_records(void **state)
{
    struct fake_os *fake = *state;
    enum { BLOCKS = 64, BYTES = 3 << 19, PAGES = 40 };
    void *blocks[BLOCKS];
    bool is_zero;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < BLOCKS; i++) {
            blocks[i] = heap_allocate(BYTES, &is_zero);
            assert_non_null(blocks[i]);
            memset(blocks[i], round + 1, PAGE_BYTES);
        }
        const struct wire_record *first = space_record_at((uintptr_t)blocks[0]);
        uintptr_t table = ((uintptr_t)first + PAGE_BYTES) & ~(uintptr_t)(PAGE_BYTES - 1);
        const size_t bytes = (size_t)PAGES * PAGE_BYTES;
        assert_int_equal(resident_pages(table, bytes), PAGES);
        for (int i = 0; i < BLOCKS; i++)
            heap_test_release(blocks[i]);
        for (unsigned ms = 0; ms < LONG_MS; ms += LOOK_MS)
            (void)look(fake);
        assert_int_equal(wire_run_kind(first->run), WIRE_CLEAN);
        assert_int_equal(resident_pages(table, bytes), 0);
        // Once.
        unsigned purges = fake->purges;
        for (unsigned ms = 0; ms < LONG_MS; ms += LOOK_MS)
            (void)look(fake);
        assert_int_equal(fake->purges, purges);
    }
}

// What is not, or no longer, a clean run keeps its records.
static void test_records_in_use(void **state)
{
    struct fake_os *fake = *state;
    bool is_zero;
    void *block = heap_allocate((size_t)64 << 20, &is_zero);
    assert_non_null(block);
    const struct wire_record *record = space_record_at((uintptr_t)block);
    unsigned purges = fake->purges;
    assert_int_equal(records_return(space_slot(record)), 0);
    assert_int_equal(records_return(space_slot(record) + 100), 0);
    assert_int_equal(fake->purges, purges);
    heap_test_release(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_current_at_one_level, engine_test_begin,
                                        engine_test_end),
        cmocka_unit_test_setup_teardown(test_freeing_thread, engine_test_begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_records, engine_test_begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_records_in_use, engine_test_begin, engine_test_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
