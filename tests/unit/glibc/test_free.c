// SPDX-License-Identifier: Apache-2.0
// Counting free chunks of sound, moving and hostile heaps, by lists and in order. Test code.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the headers above first.
#include <cmocka.h>

#include "fake_heap.h"
#include "runtime/glibc/mmapped.h"

struct counted {
    struct glibc_tally lists, fast, in_order;
    int lists_error, fast_error, in_order_error;
};

// Both walks over the same heap.
static struct counted count(struct fake_heap *heap)
{
    struct counted counted;
    struct glibc_arena arena;
    struct glibc_links links = {.base = FAKE_HEAP};
    uint64_t stop;
    assert_int_equal(fake_seal(heap, &arena), 0);
    struct glibc_walk walk = {.memory = &heap->memory, .arena = &arena, .regions = &heap->regions};
    walk.is_mangled = glibc_links_are_mangled(&walk);
    glibc_tally_open(&counted.lists);
    glibc_tally_open(&counted.in_order);
    counted.fast = (struct glibc_tally){0};
    counted.lists_error = glibc_bins_walk(&walk, 1, GLIBC_BINS, &counted.lists);
    counted.fast_error = glibc_fastbins_walk(&walk, &counted.fast);
    assert_int_equal(glibc_tally_finish(&counted.lists, &heap->memory), 0);
    walk.links = &links;
    counted.in_order_error =
        glibc_region_walk(&walk, &heap->regions.items[0], arena.top, &counted.in_order, &stop);
    assert_int_equal(glibc_tally_finish(&counted.in_order, &heap->memory), 0);
    // The same fastbins once more, now from the links that were met.
    struct glibc_tally again = {0};
    assert_int_equal(glibc_fastbins_walk(&walk, &again), counted.fast_error);
    if (!counted.fast_error)
        assert_int_equal(again.bytes, counted.fast.bytes);
    glibc_links_free(&links);
    glibc_tally_close(&counted.lists);
    glibc_tally_close(&counted.in_order);
    return counted;
}

static void test_both_walks_agree(void **state)
{
    (void)state;
    struct fake_heap heap;
    fake_open(&heap, GLIBC_ARENA_2_27);
    uint64_t bytes = 0, chunks = 0;
    for (uint64_t i = 0; i < 300; i++) {
        uint64_t size = 32 + i % 37 * 16 + (i % 11 == 0 ? 8192 : 0);
        uint64_t chunk = fake_chunk(&heap, size);
        fake_chunk(&heap, 48);
        if (i % 3 == 0)
            continue;
        fake_free(&heap, chunk, i % 7 == 0 ? 1 : glibc_bin_of_size(size));
        bytes += size;
        chunks++;
    }
    struct counted counted = count(&heap);
    assert_int_equal(counted.lists_error, 0);
    assert_int_equal(counted.in_order_error, 0);
    assert_int_equal(counted.lists.bytes, bytes);
    assert_int_equal(counted.lists.chunks, chunks);
    assert_int_equal(counted.in_order.bytes, bytes);
    assert_int_equal(counted.in_order.chunks, chunks);
    assert_true(counted.lists.whole_bytes > 0);
    assert_int_equal(counted.lists.whole_bytes, counted.in_order.whole_bytes);
    assert_int_equal(counted.lists.resident_bytes, counted.lists.whole_bytes);
    fake_close(&heap);
}

static void test_counts_whole_pages_only(void **state)
{
    (void)state;
    struct fake_heap heap;
    fake_open(&heap, GLIBC_ARENA_2_43);
    // From 16 into its page: 48 bytes of header leave the first page, the second is whole.
    fake_chunk(&heap, 4096 - 16 + 32);
    uint64_t chunk = fake_chunk(&heap, 8192);
    fake_chunk(&heap, 32);
    fake_free(&heap, chunk, glibc_bin_of_size(8192));
    struct counted counted = count(&heap);
    assert_int_equal(counted.lists.whole_bytes, 4096);
    assert_int_equal(counted.in_order.whole_bytes, 4096);
    fake_close(&heap);
}

static void test_fastbins_bare_and_protected(void **state)
{
    (void)state;
    for (int mangle = 0; mangle < 2; mangle++) {
        struct fake_heap heap;
        fake_open(&heap, mangle ? GLIBC_ARENA_2_27 : GLIBC_ARENA_2_17);
        for (uint64_t i = 0; i < 500; i++)
            fake_free_fast(&heap, fake_chunk(&heap, 32 + i % 10 * 16), mangle);
        struct counted counted = count(&heap);
        assert_int_equal(counted.fast_error, 0);
        assert_int_equal(counted.fast.chunks, 500);
        assert_int_equal(counted.fast.bytes, 500 * 32 + 50 * 16 * 45);
        assert_int_equal(counted.in_order_error, 0);
        assert_int_equal(counted.in_order.chunks, 0);
        fake_close(&heap);
    }
}

// Every damage to a list of three: found, and never more counted than there is.
static void test_damaged_lists(void **state)
{
    (void)state;
    static const uint64_t wild[] = {0x41,           1,
                                    UINT64_MAX,     UINT64_MAX - 15,
                                    FAKE_HEAP - 16, FAKE_HEAP + FAKE_HEAP_BYTES - 16,
                                    FAKE_OTHER,     FAKE_ARENA};
    for (size_t i = 0; i < sizeof wild / sizeof wild[0]; i++) {
        for (uint64_t word = 8; word <= 24; word += 8) {
            struct fake_heap heap;
            uint64_t chunks[3];
            fake_open(&heap, GLIBC_ARENA_2_27);
            for (size_t k = 0; k < 3; k++) {
                chunks[k] = fake_chunk(&heap, 2048);
                fake_chunk(&heap, 64);
                fake_free(&heap, chunks[k], glibc_bin_of_size(2048));
            }
            fake_put(&heap, chunks[1] + word, wild[i]);
            struct counted counted = count(&heap);
            assert_int_equal(counted.lists_error, -EBADMSG);
            assert_true(counted.lists.chunks <= 3);
            // The two ends are found from their sides.
            assert_true(counted.lists.chunks >= 2);
            fake_close(&heap);
        }
    }
}

static void test_loops_end(void **state)
{
    (void)state;
    struct fake_heap heap;
    fake_open(&heap, GLIBC_ARENA_2_27);
    uint64_t first = fake_chunk(&heap, 2048);
    fake_chunk(&heap, 64);
    uint64_t second = fake_chunk(&heap, 2048);
    fake_chunk(&heap, 64);
    fake_free(&heap, first, glibc_bin_of_size(2048));
    fake_free(&heap, second, glibc_bin_of_size(2048));
    // The last leads back to the front; both links of the loop agree with each other.
    fake_put(&heap, first + 16, second);
    fake_put(&heap, second + 24, first);
    // And a fastbin that bites its tail.
    uint64_t fast = fake_chunk(&heap, 48);
    fake_free_fast(&heap, fast, true);
    fake_put(&heap, fast + 16, fast ^ ((fast + 16) >> 12));
    heap.peeks = 0;
    struct counted counted = count(&heap);
    assert_int_equal(counted.lists_error, -EBADMSG);
    assert_int_equal(counted.fast_error, -EBADMSG);
    assert_true(counted.fast.bytes <= FAKE_HEAP_BYTES);
    assert_true(heap.peeks < 1000);
    fake_close(&heap);
}

static void test_heap_that_cannot_be_gone_through(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {0, 1, 16, 17, 25, FAKE_HEAP_BYTES * 2, UINT64_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct fake_heap heap;
        fake_open(&heap, GLIBC_ARENA_2_27);
        fake_chunk(&heap, 128);
        uint64_t broken = fake_chunk(&heap, 128);
        fake_chunk(&heap, 128);
        fake_put(&heap, broken + 8, sizes[i]);
        struct counted counted = count(&heap);
        assert_int_equal(counted.in_order_error, -EBADMSG);
        assert_int_equal(counted.lists_error, 0);
        fake_close(&heap);
    }
}

// A free chunk whose size its successor does not confirm.
static void test_foot_must_agree(void **state)
{
    (void)state;
    struct fake_heap heap;
    fake_open(&heap, GLIBC_ARENA_2_27);
    uint64_t chunk = fake_chunk(&heap, 2048);
    uint64_t next = fake_chunk(&heap, 64);
    fake_free(&heap, chunk, glibc_bin_of_size(2048));
    assert_int_equal(count(&heap).in_order_error, 0);
    fake_put(&heap, next, 2064);
    assert_int_equal(count(&heap).in_order_error, -EBADMSG);
    fake_close(&heap);
}

static int survey(struct fake_heap *heap, struct glibc_arena_survey *found)
{
    struct glibc_arena arena;
    int error = fake_seal(heap, &arena);
    return error ? error
                 : glibc_arena_survey(&heap->memory, heap->kind, &arena, &heap->regions, found);
}

static void test_survey(void **state)
{
    (void)state;
    struct fake_heap heap;
    struct glibc_arena_survey found;
    fake_open(&heap, GLIBC_ARENA_2_27);
    uint64_t chunk = fake_chunk(&heap, 16384);
    fake_chunk(&heap, 32);
    fake_free(&heap, chunk, glibc_bin_of_size(16384));
    fake_free_fast(&heap, fake_chunk(&heap, 48), true);
    assert_int_equal(survey(&heap, &found), 0);
    uint64_t top = FAKE_HEAP_BYTES - 16384 - 32 - 48;
    assert_false(found.approximate);
    assert_int_equal(found.top_bytes, top);
    assert_int_equal(found.free_bytes, 16384 + 48 + top);
    assert_int_equal(found.free_chunks, 2);
    assert_int_equal(found.fast_chunks, 1);
    assert_int_equal(found.free_error_bytes, 0);
    fake_close(&heap);
}

// Headers in swap: said, and nothing made up.
static void test_survey_of_absent_pages(void **state)
{
    (void)state;
    struct fake_heap heap;
    struct glibc_arena_survey found;
    fake_open(&heap, GLIBC_ARENA_2_27);
    for (int i = 0; i < 100; i++) {
        uint64_t chunk = fake_chunk(&heap, 2048);
        fake_chunk(&heap, 64);
        fake_free(&heap, chunk, glibc_bin_of_size(2048));
    }
    heap.absent_start = FAKE_HEAP + 65536;
    heap.absent_end = heap.absent_start + 8192;
    assert_int_equal(survey(&heap, &found), 0);
    assert_true(found.approximate);
    assert_true(found.is_absent);
    assert_true(found.free_chunks > 90 && found.free_chunks <= 101);
    assert_true(found.free_error_bytes >= 4 * 2048);
    fake_close(&heap);
}

static void test_survey_out_of_time(void **state)
{
    (void)state;
    struct fake_heap heap;
    struct glibc_arena_survey found;
    fake_open(&heap, GLIBC_ARENA_2_27);
    for (int i = 0; i < 400; i++) {
        uint64_t chunk = fake_chunk(&heap, 1040);
        fake_chunk(&heap, 64);
        fake_free(&heap, chunk, 64);
    }
    heap.memory.deadline_ns = 1;
    assert_int_equal(survey(&heap, &found), 0);
    assert_true(found.is_late && found.approximate);
    uint64_t truth = 400 * 1040 + found.top_bytes;
    assert_true(found.free_bytes <= truth && found.free_bytes + found.free_error_bytes >= truth);
    fake_close(&heap);
}

static void test_mapped_blocks(void **state)
{
    (void)state;
    static const struct {
        uint64_t prev, size;
        int result;
        uint64_t bytes;
    } headers[] = {
        {0, 8192 | 2, 0, 8192},
        {0, (8192 - 16) | 2, 0, 8192}, // 2.43
        {16, (8192 - 16) | 2, 0, 8192},
        {1, (8192 - 16) | 2, 0, 8192}, // on huge pages
        {0, 8192 | 3, -ENOENT, 0},
        {0, 8192, -ENOENT, 0},
        {0, 2, -ENOENT, 0},
        {0, 8200 | 2, -ENOENT, 0},
        {8192, 8192 | 2, -ENOENT, 0},
        {0, 1 << 30 | 2, -ENOENT, 0},
        {0, UINT64_MAX - 5, -ENOENT, 0},
    };
    struct fake_heap heap;
    fake_open(&heap, GLIBC_ARENA_2_27);
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        uint64_t bytes = 0;
        fake_put(&heap, FAKE_OTHER, headers[i].prev);
        fake_put(&heap, FAKE_OTHER + 8, headers[i].size);
        assert_int_equal(glibc_mmapped_at(&heap.memory, FAKE_OTHER, FAKE_OTHER + 65536, &bytes),
                         headers[i].result);
        assert_int_equal(bytes, headers[i].bytes);
    }
    uint64_t bytes;
    fake_put(&heap, FAKE_OTHER, 0);
    fake_put(&heap, FAKE_OTHER + 8, 8192 | 2);
    assert_int_equal(glibc_mmapped_at(&heap.memory, FAKE_OTHER, FAKE_OTHER + 4096, &bytes),
                     -ENOENT);
    assert_int_equal(glibc_mmapped_at(&heap.memory, FAKE_OTHER, FAKE_OTHER, &bytes), -ENOENT);
    fake_close(&heap);
}

static void test_links_table(void **state)
{
    (void)state;
    struct glibc_links links = {.base = FAKE_HEAP};
    uint64_t to;
    assert_false(glibc_links_find(&links, FAKE_HEAP, &to));
    for (uint64_t i = 0; i < 600000; i++)
        assert_int_equal(glibc_links_add(&links, FAKE_HEAP + i * 48, FAKE_HEAP + i * 32), 0);
    assert_true(links.slot_count <= GLIBC_LINKS_SLOTS_MAX);
    uint64_t known = 0;
    for (uint64_t i = 0; i < 600000; i++) {
        if (!glibc_links_find(&links, FAKE_HEAP + i * 48, &to))
            continue;
        assert_int_equal(to, FAKE_HEAP + i * 32);
        known++;
    }
    assert_int_equal(known, links.count);
    assert_true(known > GLIBC_LINKS_SLOTS_MAX / 2);
    // Too far away, below the base.
    assert_int_equal(glibc_links_add(&links, FAKE_HEAP + (UINT64_C(1) << 40), FAKE_HEAP), 0);
    assert_false(glibc_links_find(&links, FAKE_HEAP + (UINT64_C(1) << 40), &to));
    assert_false(glibc_links_find(&links, FAKE_HEAP - 16, &to));
    glibc_links_free(&links);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_walks_agree),
        cmocka_unit_test(test_counts_whole_pages_only),
        cmocka_unit_test(test_fastbins_bare_and_protected),
        cmocka_unit_test(test_damaged_lists),
        cmocka_unit_test(test_loops_end),
        cmocka_unit_test(test_heap_that_cannot_be_gone_through),
        cmocka_unit_test(test_foot_must_agree),
        cmocka_unit_test(test_survey),
        cmocka_unit_test(test_survey_of_absent_pages),
        cmocka_unit_test(test_survey_out_of_time),
        cmocka_unit_test(test_mapped_blocks),
        cmocka_unit_test(test_links_table),
    };
    return cmocka_run_group_tests_name("glibc free chunks", tests, NULL, NULL);
}
