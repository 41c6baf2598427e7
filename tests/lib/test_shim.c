// SPDX-License-Identifier: Apache-2.0
// Unit tests of the exported functions, behind the prefix t_: what they tell of the heap, what they
// leave of a block, and that each slow way calls the engine. What each answers to each edge is
// compared with the system's malloc by tests/lib/conformance.c. Test code.
#include "engine_test.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "ebb/ebb.h"
#include "ebb/prefix.h"
#include "heap/count.h"

#define MIB   ((size_t)1 << 20)
#define LARGE 300000u
#define PAGE  4096u

static uint64_t live_blocks(void)
{
    struct count count;
    count_heap(&count);
    return count.live_blocks;
}

// Nobody but the test looks: no helper is started.
static int begin(void **state)
{
    int error = engine_test_begin(state);
    struct fake_os *fake = *state;
    fake->clock_ns = UINT64_C(5000000000);
    return error;
}

// Without a helper who is called looks, and notes when the next look is due.
static bool was_called(void)
{
    bool is_noted = engine.next_ride_ms != 0;
    engine.next_ride_ms = 0;
    return is_noted;
}

static void test_slow_ways_call(void **state)
{
    enum { BLOCKS = 200 };
    (void)state;
    void *blocks[BLOCKS];
    // Little is not worth it.
    t_free(t_malloc(LARGE));
    assert_false(was_called());
    void *worth = t_malloc(8 * MIB);
    assert_true(was_called());
    t_free(NULL);
    assert_false(was_called());
    void *block = t_malloc(LARGE);
    assert_true(was_called());
    block = t_realloc(block, LARGE / 2);
    assert_true(was_called());
    t_free(block);
    assert_true(was_called());
    block = t_calloc(1, LARGE);
    assert_true(was_called());
    t_free(block);
    block = t_aligned_alloc(PAGE, 5000);
    (void)was_called();
    void *aligned = t_aligned_alloc(PAGE, 5000);
    assert_true(was_called());
    t_free(aligned);
    t_free(block);
    block = t_malloc(100);
    (void)was_called();
    block = t_realloc(block, 1000);
    assert_true(was_called());
    t_free(block);
    // The last one of a span that is not allocated from.
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = t_malloc(1000);
    const struct wire_record *first = space_record_at((uintptr_t)blocks[0]);
    int last = 0;
    for (int i = 1; space_record_at((uintptr_t)blocks[i]) == first; i++) {
        t_free(blocks[i]);
        last = i;
    }
    (void)was_called();
    t_free(blocks[0]);
    assert_true(was_called());
    for (int i = last + 1; i < BLOCKS; i++)
        t_free(blocks[i]);
    t_free(worth);
}

// Fast or slow, a calloc is zero in memory that was not.
static void test_calloc_is_zero(void **state)
{
    static const size_t sizes[] = {40, 3000, 20000, LARGE, 2 * MIB};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int round = 0; round < 3; round++) {
            unsigned char *block = t_calloc(sizes[i] / 4, 4);
            assert_true(block[0] == 0 && memcmp(block, block + 1, sizes[i] - 1) == 0);
            t_free(memset(block, 0xff, sizes[i]));
        }
    }
}

static void test_resizing(void **state)
{
    (void)state;
    uint64_t before = live_blocks();
    char *block = t_malloc(100);
    strcpy(block, "kept");
    // What fails leaves the block.
    assert_null(t_reallocarray(block, SIZE_MAX / 2, 3));
    assert_int_equal(live_blocks(), before + 1);
    assert_string_equal(block, "kept");
    assert_null(t_realloc(block, 0));
    assert_int_equal(live_blocks(), before);
}

static void test_alignments(void **state)
{
    (void)state;
    for (size_t align = 1; align <= PAGE; align++) {
        bool is_power = (align & (align - 1)) == 0;
        size_t wanted = is_power ? align : (size_t)2 << (63 - __builtin_clzl(align));
        for (int i = 0; i < (is_power ? 20 : 2); i++) {
            // They stay, so that the next ones stand elsewhere.
            assert_int_equal((uintptr_t)t_memalign(align, 40) % wanted, 0);
            assert_true(!is_power || (uintptr_t)t_aligned_alloc(align, 40) % align == 0);
        }
    }
    errno = 0;
    assert_null(t_memalign(SIZE_MAX / 2 + 1, 1));
    assert_int_equal(errno, ENOMEM);
    assert_null(t_memalign(SIZE_MAX / 2 + 2, 1));
    assert_int_equal(errno, EINVAL);
    assert_true(t_malloc_usable_size(t_pvalloc(1)) >= PAGE);
}

// glibc's columns: mapped blocks by themselves, all else used or free.
static void test_mallinfo(void **state)
{
    (void)state;
    void *guarded = t_malloc(2 * MIB);
    void *large = t_malloc(LARGE);
    (void)t_malloc(1000);
    struct mallinfo2 full = t_mallinfo2();
    size_t usable = t_malloc_usable_size(large);
    assert_int_equal(full.hblks, 1);
    assert_int_equal(full.hblkhd, t_malloc_usable_size(guarded));
    assert_int_equal(full.uordblks, usable + 1024);
    assert_int_equal(full.arena, full.uordblks + full.fordblks);
    t_free(large);
    struct mallinfo2 info = t_mallinfo2();
    size_t kept = (usable / WIRE_SLOT_BYTES + 1) * WIRE_SLOT_BYTES;
    assert_int_equal(info.keepcost - full.keepcost, kept);
    assert_int_equal(info.fordblks - full.fordblks, kept);
    assert_int_equal(info.arena, info.uordblks + info.fordblks);
    assert_int_equal(info.uordblks, 1024);
    assert_true(info.ordblks > 0);
    struct mallinfo old = t_mallinfo();
    assert_true((size_t)old.arena == info.arena && (size_t)old.hblkhd == info.hblkhd);
    assert_true((size_t)old.uordblks == info.uordblks && (size_t)old.fordblks == info.fordblks);
    assert_true((size_t)old.hblks == info.hblks && (size_t)old.keepcost == info.keepcost);
    assert_int_equal(old.ordblks, info.ordblks);
    // More than an int holds.
    if (t_malloc(3072 * MIB))
        assert_int_equal(t_mallinfo().hblkhd, INT_MAX);
}

// The document and the lines have the figures of the count.
static void test_reports(void **state)
{
    (void)state;
    char text[1024];
    char wanted[512];
    struct count count;
    t_free(t_malloc(1000));
    (void)t_malloc(1000);
    count_heap(&count);
    FILE *stream = fmemopen(text, sizeof text, "w");
    assert_non_null(stream);
    assert_int_equal(t_malloc_info(0, stream), 0);
    assert_int_equal(fclose(stream), 0);
    (void)snprintf(
        wanted, sizeof wanted,
        "<malloc version=\"ebb-1\">\n<in-use bytes=\"%llu\"/>\n<free-in-spans "
        "bytes=\"%llu\"/>\n<purged-in-spans bytes=\"0\"/>\n<kept bytes=\"%llu\"/>\n<lazy "
        "bytes=\"0\"/>\n<metadata bytes=\"%llu\"/>\n</malloc>\n",
        (unsigned long long)count.in_use, (unsigned long long)count.free_in_spans,
        (unsigned long long)count.kept, (unsigned long long)count.metadata);
    assert_string_equal(text, wanted);
    int ends[2];
    int saved = dup(STDERR_FILENO);
    assert_true(saved >= 0 && pipe(ends) == 0 && dup2(ends[1], STDERR_FILENO) >= 0);
    t_malloc_stats();
    (void)dup2(saved, STDERR_FILENO);
    ssize_t got = read(ends[0], text, sizeof text - 1);
    assert_true(got > 0);
    text[got] = '\0';
    (void)snprintf(wanted, sizeof wanted, "ebb: mallocs               %llu\nebb: frees      ",
                   (unsigned long long)count.mallocs);
    assert_non_null(strstr(text, wanted));
    close(saved);
    close(ends[0]);
    close(ends[1]);
}

// All goes at once, whatever its age; 1 where anything did.
static void test_purging(void **state)
{
    (void)state;
    t_free(t_malloc(LARGE));
    assert_int_equal(t_malloc_trim(0), 1);
    assert_int_equal(t_malloc_trim(0), 0);
    t_free(t_malloc(LARGE));
    assert_true(ebb_purge() >= LARGE);
    assert_int_equal(ebb_purge(), 0);
}

static struct ebb_stats stats_now(void)
{
    struct ebb_stats stats;
    assert_int_equal(ebb_get_stats(&stats, sizeof stats), 0);
    assert_int_equal(stats.heap_sys, stats.heap_inuse + stats.heap_idle);
    assert_int_equal(stats.sys, stats.heap_sys + stats.mspan_sys);
    assert_true(stats.heap_released <= stats.heap_idle && stats.mspan_sys > 0);
    return stats;
}

static void test_stats(void **state)
{
    enum { BLOCKS = 16 };
    (void)state;
    void *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = t_malloc(PAGE);
    for (int i = 1; i < BLOCKS; i++)
        t_free(blocks[i]);
    struct ebb_stats before = stats_now();
    assert_true(ebb_purge() > 0);
    // What went in the middle of a span is idle, and released; nothing is kept.
    struct ebb_stats after = stats_now();
    assert_int_equal(after.heap_sys, before.heap_sys);
    assert_int_equal(after.heap_idle, after.heap_released);
    assert_true(before.heap_inuse - after.heap_inuse >= (size_t)8 * PAGE);
    assert_int_equal(after.heap_alloc, PAGE);
    assert_int_equal(after.heap_objects, 1);
    // Of another version: what is not known is 0, what there is no room for is not written.
    struct {
        struct ebb_stats stats;
        uint64_t more;
    } wide = {.more = 99};
    assert_int_equal(ebb_get_stats(&wide.stats, sizeof wide), 0);
    assert_int_equal(wide.more, 0);
    wide.stats.heap_sys = 98;
    assert_int_equal(ebb_get_stats(&wide.stats, sizeof wide.stats.sys), 0);
    assert_int_equal(wide.stats.heap_sys, 98);
    assert_int_equal(ebb_get_stats(&wide.stats, 0), -EINVAL);
    assert_int_equal(ebb_get_stats(NULL, 8), -EINVAL);
}

// Before anything has asked for the system's page.
static void test_first_of_all(void **state)
{
    (void)state;
    assert_true(t_malloc_usable_size(t_pvalloc(10)) >= (size_t)sysconf(_SC_PAGESIZE));
}

// Whatever is called first starts the heap.
static void test_first_call(void **state)
{
    engine_stop();
    heap_stop();
    assert_int_equal(ebb_set_policy(EBB_POLICY_FREE), 0);
    assert_int_equal(ebb_get_policy(), EBB_POLICY_FREE);
    engine_stop();
    heap_stop();
    assert_int_equal(ebb_set_return_within(500), 0);
    assert_int_equal(space.ledger->return_within_ms, 500);
    engine_stop();
    heap_stop();
    ebb_set_limit(MIB);
    assert_int_equal(space.ledger->limit_bytes, MIB);
    engine_stop();
    heap_stop();
    assert_int_equal(begin(state), 0);
}

int main(void)
{
    (void)setenv("EBB_CONF", "helper:off", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_first_of_all, engine_test_end),
        cmocka_unit_test_setup_teardown(test_slow_ways_call, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_calloc_is_zero, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_resizing, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_alignments, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_mallinfo, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_reports, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_purging, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_stats, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_first_call, begin, engine_test_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
