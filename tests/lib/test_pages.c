// SPDX-License-Identifier: Apache-2.0
// Systems with pages of 16 and 64 KiB, as some kernels for aarch64 have them: nothing is asked of
// the system for a part of a page, nothing is lost by a purge, and what is zero is known. Test
// code.
#include <errno.h>

#include "engine_test.h"

#include "base/bits.h"
#include "heap/count.h"

#define BLOCKS 4000

static const size_t page_sizes[] = {4096, 16384, 65536};

static bool is_all(const unsigned char *bytes, size_t count, unsigned char value)
{
    return bytes[0] == value && memcmp(bytes, bytes + 1, count - 1) == 0;
}

// Of all sizes; half of the larger ones are never touched.
static unsigned char *make_block(uint64_t *random, int number)
{
    static const size_t most[] = {100, 1000, 5000, 9000, 60000, 200000, 2000000};
    size_t kind = heap_test_next(random) % 64;
    size_t bytes = 16 + heap_test_next(random) % most[kind < 4 ? kind + 3 : kind % 3];
    bool is_zero = false;
    unsigned char *block = heap_allocate(bytes, &is_zero);
    assert_non_null(block);
    assert_true(!is_zero || is_all(block, bytes, 0));
    memset(block, number % 251 + 1, heap_usable_bytes(block));
    return block;
}

static void check_block(const unsigned char *block, int number)
{
    assert_true(is_all(block, heap_usable_bytes(block), (unsigned char)(number % 251 + 1)));
}

// What is off the list is whole pages of the system.
static void check_off(const struct wire_record *span)
{
    unsigned count = (unsigned)space.page_bytes / PAGE_BYTES;
    for (unsigned bit = 0; bit < WIRE_SLOT_BYTES / PAGE_BYTES; bit += count) {
        uint64_t page = bits_range(bit, bit + count - 1);
        assert_true((span->off & page) == 0 || (span->off & page) == page);
    }
}

static void check_small(const struct wire_record *span)
{
    if (span_is_small(span) && span->heap)
        check_off(span);
}

static void check_spans(void)
{
    heap_test_check_spans(check_small);
}

// Of a full span's pages the first 16 KiB go and come back, in pages of the system.
static void test_pages_come_back_whole(void **state)
{
    (void)state;
    struct fake_os fake;
    bool is_zero;
    void *blocks[64];
    fake_os_start(&fake);
    fake.page_bytes = 16384;
    assert_int_equal(heap_start_on(&fake.os), 0);
    for (int i = 0; i < 64; i++)
        blocks[i] = heap_allocate(1000, &is_zero);
    const struct wire_record *span = space_record_at((uintptr_t)blocks[0]);
    for (int i = 0; i < 20; i++)
        heap_test_release(blocks[i]);
    assert_true(engine_test_purge() > 0);
    assert_int_equal(span->off, 15);
    for (int i = 0; i < 20; i++) {
        blocks[i] = heap_allocate(1000, &is_zero);
        check_off(span);
    }
    assert_int_equal(span->off, 0);
    assert_int_equal(fake.misaligned, 0);
    heap_stop();
}

// A span in memory that another has used: what it has not reached goes only as far as it makes
// whole pages, and reads as zeros only then.
static void test_recycled_span(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof page_sizes / sizeof *page_sizes; i++) {
        struct fake_os fake;
        unsigned char *blocks[80];
        fake_os_start(&fake);
        fake.page_bytes = page_sizes[i];
        assert_int_equal(heap_start_on(&fake.os), 0);
        bool is_zero;
        for (int j = 0; j < 80; j++)
            blocks[j] = memset(heap_allocate(20000, &is_zero), 1, 20000);
        for (int j = 0; j < 80; j++)
            heap_test_release(blocks[j]);
        blocks[0] = heap_allocate(12000, &is_zero);
        (void)engine_test_purge();
        for (int j = 1; j < 80; j++) {
            blocks[j] = heap_allocate(12000, &is_zero);
            assert_true(!is_zero || is_all(blocks[j], 12000, 0));
        }
        assert_int_equal(fake.misaligned, 0);
        heap_stop();
    }
}

// Fill, free at random, purge, fill again: three times over.
static void use_heap(struct fake_os *fake)
{
    static unsigned char *blocks[BLOCKS];
    uint64_t random = 42;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < BLOCKS; i++) {
            if (!blocks[i])
                blocks[i] = make_block(&random, i);
        }
        for (int i = 0; i < BLOCKS; i++) {
            if (heap_test_next(&random) % 8 == 0)
                continue;
            check_block(blocks[i], i);
            heap_test_release(blocks[i]);
            blocks[i] = NULL;
        }
        assert_true(engine_test_purge() > 0);
        check_spans();
    }
    for (int i = 0; i < BLOCKS; i++) {
        if (blocks[i])
            check_block(blocks[i], i);
        heap_test_release(blocks[i]);
        blocks[i] = NULL;
    }
    struct count count;
    count_heap(&count);
    assert_int_equal(count.live_blocks, 0);
    assert_int_equal(fake->misaligned, 0);
}

static void test_pages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof page_sizes / sizeof *page_sizes; i++) {
        struct fake_os fake;
        fake_os_start(&fake);
        fake.page_bytes = page_sizes[i];
        assert_int_equal(heap_start_on(&fake.os), 0);
        assert_int_equal(space.ledger->page_bytes, page_sizes[i]);
        use_heap(&fake);
        heap_stop();
    }
}

// Large blocks are whole pages, and end before an inaccessible one.
static void test_large_blocks(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof page_sizes / sizeof *page_sizes; i++) {
        struct fake_os fake;
        bool is_zero;
        fake_os_start(&fake);
        fake.page_bytes = page_sizes[i];
        assert_int_equal(heap_start_on(&fake.os), 0);
        unsigned char *block = heap_allocate((size_t)5 << 20, &is_zero);
        struct wire_record *record = space_record_at((uintptr_t)block);
        block[0] = 1;
        for (size_t bytes = ((size_t)5 << 20) - 1; bytes > (size_t)2 << 20; bytes -= 300001) {
            block = heap_resize(block, bytes);
            assert_int_equal(heap_usable_bytes(block) % page_sizes[i], 0);
            size_t room = (size_t)wire_run_slots(record->run) * WIRE_SLOT_BYTES;
            assert_true(room >= heap_usable_bytes(block) + page_sizes[i]);
        }
        block = heap_resize(block, (size_t)9 << 20);
        assert_int_equal(block[0], 1);
        heap_test_release(block);
        assert_int_equal(fake.misaligned, 0);
        heap_stop();
    }
}

// Where address space is short the areas' records meet inside of a large page.
static void test_small_reservation(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof page_sizes / sizeof *page_sizes; i++) {
        struct fake_os fake;
        bool is_zero;
        fake_os_start(&fake);
        fake.page_bytes = page_sizes[i];
        fake.limit = (size_t)32 << 20;
        assert_int_equal(heap_start_on(&fake.os), 0);
        void *large = heap_allocate((size_t)2 << 20, &is_zero);
        assert_non_null(large);
        while (heap_allocate(100000, &is_zero))
            continue;
        heap_test_release(large);
        assert_int_equal(fake.misaligned, 0);
        heap_stop();
    }
}

static void test_impossible_pages(void **state)
{
    (void)state;
    static const size_t wrong[] = {0, 512, 4097, 12288, 131072};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct fake_os fake;
        fake_os_start(&fake);
        fake.page_bytes = wrong[i];
        assert_int_equal(heap_start_on(&fake.os), -EINVAL);
        heap_stop();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_pages_come_back_whole),
        cmocka_unit_test(test_recycled_span),
        cmocka_unit_test(test_large_blocks),
        cmocka_unit_test(test_small_reservation),
        cmocka_unit_test(test_impossible_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
