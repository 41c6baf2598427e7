// SPDX-License-Identifier: Apache-2.0
// Unit tests of spans: handing out and taking back, links made anew after a purge, counters. Test
// code; one span at a time on a fake system.
#include "heap_test.h"

#include "base/bits.h"
#include "heap/span.h"

static struct wire_record *make_span(unsigned size_class, bool is_clean)
{
    struct wire_record *span;
    enum space_pages pages;
    enum wire_kind kind = size_class < CLASS_SMALL ? WIRE_SMALL : WIRE_MEDIUM;
    assert_int_equal(space_take(SPACE_ORDINARY, class_slots(size_class), 1, kind, &span, &pages),
                     0);
    span_start(span, size_class, NULL, 0x1234567890abcdefu, is_clean);
    return span;
}

// As a helper does where the span's heap has no thread. Returns the bytes.
static size_t purge_span(struct wire_record *span, bool is_lazy)
{
    struct span_pages pages;
    struct os_range ranges[SPAN_RANGES_MAX];
    span_collect_free_pages(span, SPAN_ALONE, &pages);
    unsigned count = span_list_ranges(span, &pages, ranges);
    size_t gone = count ? space_purge_ranges(ranges, count, &is_lazy) : 0;
    pages.is_all = gone == os_ranges_bytes(ranges, count);
    if (gone)
        span_note_purged(span, &pages, is_lazy);
    return gone;
}

struct blocks {
    unsigned char *at[WIRE_SLOT_BYTES / 16];
    uint32_t count;
};

static unsigned char mark_of(const struct blocks *blocks, uint32_t number)
{
    return (unsigned char)((uintptr_t)blocks->at[number] / 16 * 7 + 1);
}

static void check_blocks(const struct wire_record *span, const struct blocks *blocks)
{
    for (uint32_t i = 0; i < blocks->count; i++) {
        if (!blocks->at[i])
            continue;
        for (uint32_t at = 0; at < span->block_bytes; at += at < 64 ? 1 : 61)
            assert_int_equal(blocks->at[i][at], mark_of(blocks, i));
    }
}

static bool pop_block(struct wire_record *span, struct blocks *blocks, uint32_t number)
{
    bool is_zero;
    blocks->at[number] = span_pop(span, &is_zero);
    if (!blocks->at[number])
        return false;
    if (is_zero)
        assert_int_equal(blocks->at[number][span->block_bytes - 1], 0);
    assert_true(span_block_at(span, (uintptr_t)blocks->at[number]) >= 0);
    memset(blocks->at[number], mark_of(blocks, number), span->block_bytes);
    return true;
}

static void fill_span(struct wire_record *span, struct blocks *blocks)
{
    blocks->count = span->capacity;
    for (uint32_t i = 0; i < span->capacity; i++) {
        assert_true(pop_block(span, blocks, i));
        if (i % 64 == 0)
            assert_true(span_is_valid(span));
    }
    bool is_zero;
    assert_null(span_pop(span, &is_zero));
    assert_int_equal(span_used(span), span->capacity);
    check_blocks(span, blocks);
}

static void test_every_class(void **state)
{
    (void)state;
    static struct blocks blocks;
    for (unsigned size_class = 0; size_class < CLASS_COUNT; size_class++) {
        struct wire_record *span = make_span(size_class, true);
        fill_span(span, &blocks);
        for (uint32_t i = 0; i < blocks.count; i++)
            span_push(span, blocks.at[i]);
        assert_true(span_is_valid(span));
        assert_int_equal(span_used(span), 0);
        assert_int_equal(span->counts >> SPAN_COUNT_SHIFT, span->capacity);
    }
}

// Blocks are linked a page at a time: what was never needed stays untouched.
static void test_carving_touches_little(void **state)
{
    (void)state;
    bool is_zero;
    struct wire_record *span = make_span(class_of_size(64), true);
    (void)span_pop(span, &is_zero);
    const uint64_t *words = (const uint64_t *)space_address(span);
    assert_int_equal(span->carved, 64);
    for (size_t at = PAGE_BYTES / 8; at < WIRE_SLOT_BYTES / 8; at++)
        assert_true(words[at] == 0);
    span = make_span(class_of_size(8192), true);
    words = span_pop(span, &is_zero);
    assert_true(is_zero && words[0] == 0 && words[1] == 0);
}

// Frees some, collects, purges, and takes everything again: nothing live may change, nothing be
// handed out twice.
static void collect_round(struct wire_record *span, struct blocks *blocks, uint64_t *random,
                          uint64_t chance)
{
    for (uint32_t i = 0; i < blocks->count; i++) {
        if (!blocks->at[i] || heap_test_next(random) % 100 >= chance)
            continue;
        span_push(span, blocks->at[i]);
        blocks->at[i] = NULL;
    }
    // One free in three has come from another thread.
    for (uint32_t i = 0; i < blocks->count; i++) {
        uint32_t count;
        if (!blocks->at[i] || heap_test_next(random) % 300 >= chance)
            continue;
        (void)span_push_remote(span, blocks->at[i], &count);
        blocks->at[i] = NULL;
    }
    assert_true(span_is_valid(span));
    (void)purge_span(span, heap_test_next(random) % 2);
    assert_true(span_is_valid(span));
    assert_int_equal(span->lazy & ~span->off, 0);
    check_blocks(span, blocks);
    // Some come back, in between other pages go again.
    for (uint32_t i = 0; i < blocks->count; i++) {
        if (!blocks->at[i] && heap_test_next(random) % 3)
            assert_true(pop_block(span, blocks, i));
    }
    assert_true(span_is_valid(span));
    check_blocks(span, blocks);
}

static void test_collecting(void **state)
{
    (void)state;
    static struct blocks blocks;
    uint64_t random = 99;
    for (unsigned size_class = 0; size_class < CLASS_COUNT; size_class++) {
        struct wire_record *span = make_span(size_class, size_class % 2);
        fill_span(span, &blocks);
        for (int round = 0; round < 20; round++)
            collect_round(span, &blocks, &random, round % 4 == 0 ? 100 : 90);
        for (uint32_t i = 0; i < blocks.count; i++) {
            if (!blocks.at[i])
                assert_true(pop_block(span, &blocks, i));
        }
        check_blocks(span, &blocks);
        assert_int_equal(span->off, 0);
        // Blocks that came back by the remote list are counted down with it.
        span_take_remote(span);
        assert_int_equal(span_used(span), span->capacity);
        assert_true(span_is_valid(span));
    }
}

static void test_collecting_finds_pages(void **state)
{
    struct fake_os *fake = *state;
    static struct blocks blocks;
    struct wire_record *span = make_span(class_of_size(96), true);
    fill_span(span, &blocks);
    // All but one block go: every page but the one or two it stands in can be purged.
    for (uint32_t i = 1; i < blocks.count; i++)
        span_push(span, blocks.at[i]);
    assert_int_equal(purge_span(span, false), 15 * PAGE_BYTES);
    assert_int_equal(span->off, 0xfffe);
    assert_int_equal(fake->purged_bytes, 15 * PAGE_BYTES);
    assert_int_equal(purge_span(span, false), 0);
    assert_true(span_is_off(span, 300) && !span_is_off(span, 1));
    // A medium block's pages go by themselves.
    span = make_span(class_of_size(20480), true);
    fill_span(span, &blocks);
    span_push(span, blocks.at[3]);
    assert_int_equal(purge_span(span, true), 20480);
    assert_int_equal(span->off, 1 << 3);
    assert_int_equal(span->lazy, 1 << 3);
    bool is_zero;
    assert_ptr_equal(span_pop(span, &is_zero), blocks.at[3]);
    assert_int_equal(span->lazy, 0);
}

static void push_number(struct wire_record *span, size_t number)
{
    span_push(span, (void *)(space_address(span) + number * span->block_bytes));
}

// One page free among used ones is found, whichever it is; none is where no page is wholly free.
static void test_single_pages_are_found(void **state)
{
    (void)state;
    static struct blocks blocks;
    static const size_t sizes[] = {16, 48, 64, 96, 1024};
    bool is_zero;
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const size_t size = sizes[i];
        struct wire_record *span = make_span(class_of_size(size), true);
        fill_span(span, &blocks);
        // The last page may have a rest behind the last block.
        for (size_t page = 0; page < WIRE_SLOT_BYTES / PAGE_BYTES; page++) {
            const size_t begin = page * PAGE_BYTES;
            for (size_t k = begin / size; k < span->capacity && k * size < begin + PAGE_BYTES; k++)
                push_number(span, k);
            assert_int_equal(purge_span(span, false), PAGE_BYTES);
            assert_int_equal(span->off, UINT64_C(1) << page);
            while (span_pop(span, &is_zero))
                ;
        }
        for (size_t k = 0; k < span->capacity; k += 2)
            push_number(span, k);
        assert_int_equal(purge_span(span, false), 0);
    }
}

static void test_remote(void **state)
{
    (void)state;
    static struct blocks blocks;
    struct wire_record *span = make_span(class_of_size(1000), true);
    fill_span(span, &blocks);
    uint32_t count;
    assert_true(span_push_remote(span, blocks.at[0], &count));
    assert_false(span_push_remote(span, blocks.at[1], &count));
    assert_int_equal(count, 2);
    assert_int_equal(wire_live_blocks(span), span->capacity - 2u);
    span_take_remote(span);
    assert_true(span_is_valid(span));
    assert_int_equal(span_used(span), span->capacity - 2u);
    // Still marked as queued, so that nobody queues it twice.
    assert_false(span_push_remote(span, blocks.at[3], &count));
    span_count_remote(span);
    assert_int_equal(wire_live_blocks(span), span->capacity - 3u);
    assert_true(span_push_remote(span, blocks.at[4], &count));
    assert_true(span_is_valid(span));
}

// Counted remote frees stay where they are until the list has run out, and are free all the while.
static void test_remote_counted(void **state)
{
    (void)state;
    static struct blocks blocks;
    bool is_zero;
    uint32_t count;
    struct wire_record *span = make_span(class_of_size(1000), true);
    fill_span(span, &blocks);
    span_push(span, blocks.at[0]);
    assert_true(span_push_remote(span, blocks.at[1], &count));
    span_count_remote(span);
    assert_int_equal(span_used(span), span->capacity - 2u);
    assert_int_equal(wire_live_blocks(span), span->capacity - 2u);
    assert_ptr_equal((void *)(uintptr_t)span->free, blocks.at[0]);
    // Whoever comes next tells the owner anew, and is counted by itself.
    assert_true(span_push_remote(span, blocks.at[2], &count));
    assert_int_equal(count, 1);
    assert_int_equal(wire_live_blocks(span), span->capacity - 3u);
    assert_true(span_is_valid(span));
    assert_ptr_equal(span_pop(span, &is_zero), blocks.at[0]);
    assert_true(span_has_free(span));
    assert_ptr_equal(span_pop(span, &is_zero), blocks.at[2]);
    assert_ptr_equal(span_pop(span, &is_zero), blocks.at[1]);
    assert_false(span_has_free(span));
    assert_int_equal(wire_live_blocks(span), span->capacity);
    // A helper finds them too.
    for (uint32_t i = 1; i < blocks.count; i++)
        (void)span_push_remote(span, blocks.at[i], &count);
    span_count_remote(span);
    assert_int_equal(purge_span(span, false), 15 * PAGE_BYTES);
    assert_int_equal(wire_live_blocks(span), 1);
    assert_true(span_is_valid(span));
}

// The owner of a span whose list never runs out never looks, and what a helper brings it stays in
// the remote count: as long as that count has bits for it.
static void test_remote_count_is_bounded(void **state)
{
    (void)state;
    static struct blocks blocks;
    struct wire_record *span = make_span(class_of_size(1000), true);
    fill_span(span, &blocks);
    for (unsigned round = 0; round < 100000 / 32; round++) {
        uint32_t count;
        for (uint32_t i = 0; i < 32; i++)
            (void)span_push_remote(span, blocks.at[i], &count);
        (void)purge_span(span, false);
        assert_int_equal(wire_live_blocks(span), span->capacity - 32u);
        for (uint32_t i = 0; i < 32; i++)
            assert_true(pop_block(span, &blocks, i));
        assert_int_equal(wire_live_blocks(span), span->capacity);
    }
}

static void test_addresses(void **state)
{
    (void)state;
    bool is_zero;
    struct wire_record *span = make_span(class_of_size(48), true);
    uintptr_t block = (uintptr_t)span_pop(span, &is_zero);
    assert_int_equal(span_block_at(span, block), 0);
    assert_int_equal(span_block_at(span, block + 48), 1);
    assert_int_equal(span_block_at(span, block + 1), -1);
    assert_int_equal(span_block_at(span, block - 48), -1);
    assert_int_equal(span_block_at(span, block + (uintptr_t)48 * span->carved), -1);
}

static void free_from_afar(struct wire_record *span, void *block)
{
    uint32_t count;
    (void)span_push_remote(span, block, &count);
}

// Blocks that others have freed come onto the list also where no page is free.
static void test_collecting_takes_remote(void **state)
{
    (void)state;
    struct wire_record *span = make_span(class_of_size(112), true);
    static struct blocks blocks;
    struct span_pages pages;
    while (pop_block(span, &blocks, blocks.count))
        blocks.count++;
    free_from_afar(span, blocks.at[3]);
    free_from_afar(span, blocks.at[300]);
    span_collect_free_pages(span, SPAN_ALONE, &pages);
    assert_int_equal(pages.off, 0);
    assert_true(span_is_valid(span));
    assert_true(span->free != 0);
}

// What the system refuses counts as kept until it is used again; by then each block is a free one
// by its tag too.
static void test_refused_pages_come_back(void **state)
{
    struct fake_os *fake = *state;
    struct wire_record *span = make_span(class_of_size(1000), true);
    static struct blocks blocks;
    struct span_pages pages;
    bool is_zero;
    while (pop_block(span, &blocks, blocks.count))
        blocks.count++;
    // All but two, with locked pages between them.
    for (uint32_t i = 1; i < blocks.count; i++) {
        if (i != blocks.count / 2)
            span_push(span, blocks.at[i]);
    }
    fake->locked = (struct os_range){space_address(span) + PAGE_BYTES, PAGE_BYTES};
    span_collect_free_pages(span, SPAN_ALONE, &pages);
    assert_true(pages.off != 0);
    span_note_refused(span, &pages, false);
    assert_true(pages.off != 0 && span->bytes != 0);
    assert_int_equal(pages.off ^ span->bytes, span->off);
    assert_int_equal(span_off_bytes(span), bits_count(pages.off) * PAGE_BYTES);
    while (span->off) {
        assert_non_null(span_pop(span, &is_zero));
        for (const struct block *block = (const struct block *)(uintptr_t)span->free; block;
             block = block->next)
            assert_int_equal(block->tag, span_tag(span, block));
    }
    assert_int_equal(span->bytes, 0);
}

// Behind the last block of recycled memory whole pages are zeros, and the rest of its own page is
// not.
static void test_tail_is_zero_from_a_page_on(void **state)
{
    (void)state;
    struct wire_record *span = make_span(class_of_size(5000), false);
    bool is_zero;
    memset((void *)space_address(span), 0xff, WIRE_SLOT_BYTES);
    for (int i = 0; i < 3; i++)
        assert_non_null(span_pop(span, &is_zero));
    assert_true(purge_span(span, false) > 0);
    for (void *block = span_pop(span, &is_zero); block; block = span_pop(span, &is_zero)) {
        for (uint32_t at = 0; is_zero && at < span->block_bytes; at++)
            assert_int_equal(((unsigned char *)block)[at], 0);
    }
}

// Of a tail that is locked nothing has gone.
static void test_refused_tail(void **state)
{
    struct fake_os *fake = *state;
    struct wire_record *span = make_span(class_of_size(1000), false);
    struct span_pages pages;
    bool is_zero;
    assert_non_null(span_pop(span, &is_zero));
    span_collect_free_pages(span, SPAN_ALONE, &pages);
    assert_true(pages.tail_bytes > 0);
    fake->locked = (struct os_range){space_address(span), WIRE_SLOT_BYTES};
    span_note_refused(span, &pages, false);
    assert_int_equal(pages.tail_bytes, 0);
    assert_int_equal(span->bytes, 0);
    span_note_purged(span, &pages, false);
    assert_int_equal(span->is_clean, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_class, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_carving_touches_little, heap_test_begin,
                                        heap_test_end),
        cmocka_unit_test_setup_teardown(test_collecting, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_collecting_finds_pages, heap_test_begin,
                                        heap_test_end),
        cmocka_unit_test_setup_teardown(test_single_pages_are_found, heap_test_begin,
                                        heap_test_end),
        cmocka_unit_test_setup_teardown(test_remote, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_remote_counted, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_remote_count_is_bounded, heap_test_begin,
                                        heap_test_end),
        cmocka_unit_test_setup_teardown(test_addresses, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_collecting_takes_remote, heap_test_begin,
                                        heap_test_end),
        cmocka_unit_test_setup_teardown(test_refused_pages_come_back, heap_test_begin,
                                        heap_test_end),
        cmocka_unit_test_setup_teardown(test_tail_is_zero_from_a_page_on, heap_test_begin,
                                        heap_test_end),
        cmocka_unit_test_setup_teardown(test_refused_tail, heap_test_begin, heap_test_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
