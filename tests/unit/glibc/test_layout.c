// SPDX-License-Identifier: Apache-2.0
// Arenas and settings of glibc in bytes: every layout, and what must not pass for one. Test code.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the headers above first.
#include <cmocka.h>

#include "fake_heap.h"

static const enum glibc_arena_kind kinds[] = {GLIBC_ARENA_2_27, GLIBC_ARENA_2_17, GLIBC_ARENA_2_43};

static void test_finds_the_bins(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct fake_heap heap;
        fake_open(&heap, kinds[i]);
        fake_free(&heap, fake_chunk(&heap, 64), 4);
        fake_chunk(&heap, 64);
        struct glibc_arena arena;
        assert_int_equal(fake_seal(&heap, &arena), 0);
        // Every end of a run is a candidate; the ring of one of them closes.
        size_t offset = 0, closed = 0;
        uint64_t bins = 0;
        const uint8_t *data = heap.stretches[0].data;
        while (glibc_bins_find(FAKE_DATA, data, FAKE_DATA_BYTES, &offset, &bins) == 0) {
            struct glibc_ring ring;
            if (glibc_ring_read(&heap.memory, bins, &ring) != 0)
                continue;
            assert_int_equal(bins, FAKE_ARENA + (uint64_t)kinds[i]);
            assert_int_equal(ring.kind, kinds[i]);
            assert_int_equal(ring.count, 1);
            glibc_ring_free(&ring);
            closed++;
        }
        assert_int_equal(closed, 1);
        fake_close(&heap);
    }
}

static void test_needs_a_whole_run_of_bins(void **state)
{
    (void)state;
    struct fake_heap heap;
    fake_open(&heap, GLIBC_ARENA_2_27);
    uint8_t *data = heap.stretches[0].data;
    size_t start = (size_t)(FAKE_ARENA - FAKE_DATA), offset = 0;
    uint64_t bins = 0;
    // Cut off in the middle of the bins, and cut off at the front.
    assert_int_equal(glibc_bins_find(FAKE_DATA, data, start + 900, &offset, &bins), -ENOENT);
    offset = 0;
    assert_int_equal(glibc_bins_find(FAKE_DATA + start + 200, data + start + 200,
                                     FAKE_DATA_BYTES - start - 200, &offset, &bins),
                     -ENOENT);
    // All bins taken but the last, which always is empty.
    for (unsigned bin = 1; bin < GLIBC_BINS; bin++)
        fake_put(&heap, fake_bin(&heap, bin) + 16, FAKE_HEAP);
    offset = 0;
    assert_int_equal(glibc_bins_find(FAKE_DATA, data, FAKE_DATA_BYTES, &offset, &bins), 0);
    assert_int_equal(bins, FAKE_ARENA + GLIBC_ARENA_2_27);
    fake_put(&heap, fake_bin(&heap, GLIBC_BINS) + 16, FAKE_HEAP);
    offset = 0;
    assert_int_equal(glibc_bins_find(FAKE_DATA, data, FAKE_DATA_BYTES, &offset, &bins), -ENOENT);
    fake_close(&heap);
}

static void test_finds_an_unused_arena(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        uint8_t data[8192] = {0};
        uint64_t address = FAKE_DATA + 1024, found = 0;
        enum glibc_arena_kind kind;
        size_t next = 1024 + glibc_arena_next_offset(kinds[i]);
        memcpy(data + next, &address, sizeof address);
        data[next + 16] = 1;
        assert_int_equal(glibc_unused_arena_find(FAKE_DATA, data, sizeof data, &found, &kind), 0);
        assert_int_equal(found, address);
        assert_int_equal(kind, kinds[i]);
        // A used one is none.
        data[1024 + 300] = 1;
        assert_int_equal(glibc_unused_arena_find(FAKE_DATA, data, sizeof data, &found, &kind),
                         -ENOENT);
    }
}

static void test_tells_attached_threads(void **state)
{
    (void)state;
    struct fake_heap heap;
    struct glibc_arena arena;
    fake_open(&heap, GLIBC_ARENA_2_17);
    assert_int_equal(fake_seal(&heap, &arena), 0);
    assert_int_equal(arena.attached_threads, 1);
    assert_int_equal(arena.system_bytes, FAKE_HEAP_BYTES);
    // 2.17 as published has no such field: what follows `next_free` are the two sizes.
    uint64_t counters = FAKE_ARENA + glibc_arena_next_offset(GLIBC_ARENA_2_17) + 16;
    fake_put(&heap, counters, FAKE_HEAP_BYTES);
    fake_put(&heap, counters + 8, FAKE_HEAP_BYTES * 2);
    fake_put(&heap, counters + 16, 0);
    assert_int_equal(fake_seal(&heap, &arena), 0);
    assert_int_equal(arena.system_bytes, FAKE_HEAP_BYTES);
    assert_int_equal(arena.max_system_bytes, FAKE_HEAP_BYTES * 2);
    fake_close(&heap);
}

static void test_refuses_what_is_no_arena(void **state)
{
    (void)state;
    struct fake_heap heap;
    struct glibc_arena arena;
    fake_open(&heap, GLIBC_ARENA_2_27);
    assert_int_equal(fake_seal(&heap, &arena), 0);
    const uint8_t *data = fake_at(&heap, FAKE_ARENA, GLIBC_ARENA_BYTES_MAX);
    size_t len = glibc_arena_size(GLIBC_ARENA_2_27);
    for (size_t cut = 0; cut < len; cut += 100)
        assert_int_equal(glibc_arena_decode(GLIBC_ARENA_2_27, FAKE_ARENA, data, cut, &arena),
                         -EBADMSG);
    // The same bytes elsewhere do not point at themselves.
    assert_int_equal(glibc_arena_decode(GLIBC_ARENA_2_27, FAKE_ARENA + 16, data, len, &arena),
                     -EBADMSG);
    uint64_t system = FAKE_ARENA + glibc_arena_next_offset(GLIBC_ARENA_2_27) + 24;
    fake_put(&heap, system, UINT64_MAX);
    assert_int_equal(fake_seal(&heap, &arena), -EBADMSG);
    fake_close(&heap);
}

// A ring that leads to nowhere, and one that never comes back.
static void test_refuses_a_broken_ring(void **state)
{
    (void)state;
    struct fake_heap heap;
    struct glibc_arena arena;
    struct glibc_ring ring;
    fake_open(&heap, GLIBC_ARENA_2_27);
    assert_int_equal(fake_seal(&heap, &arena), 0);
    uint64_t next = FAKE_ARENA + glibc_arena_next_offset(GLIBC_ARENA_2_27);
    static const uint64_t wild[] = {0, 1, FAKE_HEAP, FAKE_OTHER + 8, UINT64_MAX, UINT64_MAX - 4095};
    for (size_t i = 0; i < sizeof wild / sizeof wild[0]; i++) {
        fake_put(&heap, next, wild[i]);
        glibc_memory_forget(&heap.memory);
        assert_true(glibc_ring_read(&heap.memory, FAKE_ARENA + GLIBC_ARENA_2_27, &ring) < 0);
    }
    // A second arena that points at itself: the first is never reached again.
    uint64_t second = FAKE_OTHER + 32;
    memcpy(fake_at(&heap, second, GLIBC_ARENA_BYTES_MAX),
           fake_at(&heap, FAKE_ARENA, GLIBC_ARENA_BYTES_MAX), GLIBC_ARENA_BYTES_MAX);
    uint64_t last = second + GLIBC_ARENA_2_27 + (GLIBC_BINS - 1) * 16;
    fake_put(&heap, last, last - 16);
    fake_put(&heap, last + 8, last - 16);
    fake_put(&heap, next, second);
    fake_put(&heap, second + glibc_arena_next_offset(GLIBC_ARENA_2_27), second);
    glibc_memory_forget(&heap.memory);
    assert_true(glibc_ring_read(&heap.memory, FAKE_ARENA + GLIBC_ARENA_2_27, &ring) < 0);
    fake_close(&heap);
}

struct par_sample {
    unsigned version;
    size_t counts, mmapped, sbrk_base, tcache;
};

static const struct par_sample samples[] = {
    {217, 40, 56, 80, 0},   {225, 40, 56, 72, 0},    {231, 40, 56, 72, 80},
    {236, 60, 80, 96, 104}, {243, 68, 88, 104, 112},
};

static void fill_par(const struct par_sample *sample, uint8_t *data)
{
    static const uint64_t words[] = {131072, 131072, 131072, 8, 0};
    static const uint32_t counts[] = {2, 65536, 3, 1};
    static const uint64_t mapped[] = {409600, 819200};
    static const uint64_t tcache[] = {64, 1032, 7};
    uint64_t base = FAKE_HEAP;
    memcpy(data, words, sizeof words);
    memcpy(data + sample->counts, counts, sizeof counts);
    memcpy(data + sample->mmapped, mapped, sizeof mapped);
    memcpy(data + sample->sbrk_base, &base, sizeof base);
    if (sample->tcache)
        memcpy(data + sample->tcache, tcache, sizeof tcache);
}

static void test_reads_every_settings_layout(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        uint8_t data[256] = {0};
        struct glibc_par_hint hint = {.heap_start = FAKE_HEAP,
                                      .heap_end = FAKE_HEAP + FAKE_HEAP_BYTES,
                                      .page_bytes = 4096,
                                      .from = samples[i].version,
                                      .to = samples[i].version};
        struct glibc_par par;
        size_t offset = 0;
        fill_par(&samples[i], data + 32);
        assert_int_equal(glibc_par_find(data, sizeof data, &hint, &offset, &par), 0);
        assert_int_equal(offset, 40);
        assert_int_equal(par.mmapped_chunks, 2);
        assert_int_equal(par.mmapped_bytes, 409600);
        assert_int_equal(par.sbrk_base, FAKE_HEAP);
        assert_int_equal(par.has_tcache, samples[i].tcache != 0);
        assert_int_equal(par.tcache_count, samples[i].tcache ? 7 : 0);
        assert_true(par.is_threshold_fixed);
        // Cut short it is refused, and so is one without its anchor.
        assert_int_equal(glibc_par_decode(data + 32, 79, &hint, &par), -EBADMSG);
        memset(data + 32 + samples[i].sbrk_base, 1, 8);
        assert_int_equal(glibc_par_decode(data + 32, 200, &hint, &par), -EBADMSG);
    }
}

static void test_refuses_counters_that_disagree(void **state)
{
    (void)state;
    struct glibc_par_hint hint = {FAKE_HEAP, FAKE_HEAP + FAKE_HEAP_BYTES, 4096, 0, 999};
    struct glibc_par par;
    // Bytes without blocks, bytes that are no pages, more blocks than the most ever.
    static const struct {
        size_t offset;
        uint64_t word;
    } damages[] = {{60, 0x1000000000000}, {80, 409601}, {60, 9 | UINT64_C(65536) << 32}};
    for (size_t i = 0; i < 3; i++) {
        uint8_t data[GLIBC_PAR_BYTES_MAX] = {0};
        fill_par(&samples[3], data);
        assert_int_equal(glibc_par_decode(data, sizeof data, &hint, &par), 0);
        memcpy(data + damages[i].offset, &damages[i].word, 8);
        assert_int_equal(glibc_par_decode(data, sizeof data, &hint, &par), -EBADMSG);
    }
}

// Source: largebin_index_64() of malloc.c.
static void test_sorts_sizes_into_bins(void **state)
{
    (void)state;
    static const struct {
        uint64_t size;
        unsigned bin;
    } known[] = {{32, 2},      {1008, 63},    {1024, 64},     {1088, 65},
                 {3120, 96},   {3136, 97},    {4096, 99},     {10752, 112},
                 {45040, 120}, {163840, 124}, {1 << 19, 126}, {1 << 30, 126}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        assert_int_equal(glibc_bin_of_size(known[i].size), known[i].bin);
    for (uint64_t size = 32, before = 0; size < (2 << 20); size += 16) {
        assert_true(glibc_bin_of_size(size) >= before);
        before = glibc_bin_of_size(size);
        assert_true(before < GLIBC_BINS);
    }
}

// What lies between the fields must not make two readings differ; each field must.
static void test_compares_arenas_by_field(void **state)
{
    (void)state;
    struct glibc_arena a, b;
    memset(&a, 0x11, sizeof a);
    memset(&b, 0x22, sizeof b);
    a = (struct glibc_arena){.address = 1, .flags = 2, .top = 3, .system_bytes = 4};
    b.address = a.address, b.bins_address = a.bins_address, b.flags = a.flags, b.top = a.top;
    memcpy(b.fastbins, a.fastbins, sizeof b.fastbins);
    memcpy(b.bins, a.bins, sizeof b.bins);
    b.next = a.next, b.attached_threads = a.attached_threads;
    b.system_bytes = a.system_bytes, b.max_system_bytes = a.max_system_bytes;
    assert_true(glibc_arena_is_same(&a, &b));
    uint64_t *const words[] = {&b.address,      &b.bins_address,     &b.top,
                               &b.fastbins[9],  &b.bins[253],        &b.next,
                               &b.system_bytes, &b.max_system_bytes, &b.attached_threads};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        *words[i] += 1;
        assert_false(glibc_arena_is_same(&a, &b));
        *words[i] -= 1;
    }
    b.flags ^= 1;
    assert_false(glibc_arena_is_same(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_the_bins),
        cmocka_unit_test(test_needs_a_whole_run_of_bins),
        cmocka_unit_test(test_finds_an_unused_arena),
        cmocka_unit_test(test_tells_attached_threads),
        cmocka_unit_test(test_refuses_what_is_no_arena),
        cmocka_unit_test(test_refuses_a_broken_ring),
        cmocka_unit_test(test_reads_every_settings_layout),
        cmocka_unit_test(test_refuses_counters_that_disagree),
        cmocka_unit_test(test_sorts_sizes_into_bins),
        cmocka_unit_test(test_compares_arenas_by_field),
    };
    return cmocka_run_group_tests_name("glibc layout", tests, NULL, NULL);
}
