// SPDX-License-Identifier: Apache-2.0
// Runs of frames: every page gets the flags of its own frame, whatever the order. Test code; no
// state.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lever/reclaim/pages.h"
#include "lever/reclaim/runs.h"

enum { PAGES = 40000, FRAMES = 1 << 17 };

// What a test works with: the frames' words are their own numbers, shifted.
struct table {
    uint64_t entries[PAGES], flags[PAGES], words[FRAMES];
    uint64_t scratch[RUNS_HEAD_FRAMES + RUNS_SPAN_FRAMES];
    struct frame_run runs[PAGES], sorting[PAGES];
};

static uint64_t word_of(uint64_t frame)
{
    return frame << 34;
}

static struct table *new_table(void)
{
    struct table *table = calloc(1, sizeof *table);
    assert_non_null(table);
    for (size_t i = 0; i < FRAMES; i++)
        table->words[i] = word_of(i);
    return table;
}

static void put(struct table *table, size_t page, uint64_t frame)
{
    table->entries[page] = PAGES_PRESENT | PAGES_EXCLUSIVE | frame;
}

// As the kernel would serve it, up to `frames_there`. The number of reads.
static size_t read_all(struct table *table, size_t count, size_t frames_there)
{
    size_t run_count = runs_find(table->entries, count, table->runs, table->sorting), reads = 0;
    struct frame_span span = {0};
    while (runs_next_span(table->runs, run_count, span.end_run, &span)) {
        assert_true(span.count <= RUNS_SPAN_FRAMES && span.count > 0);
        assert_true(span.end_run > span.first_run);
        size_t got = span.frame < frames_there ? frames_there - span.frame : 0;
        got = got < span.count ? got : span.count;
        memcpy(table->scratch, table->words + span.frame, got * sizeof *table->words);
        runs_spread(table->runs, &span, table->scratch, span.frame, got, table->flags);
        reads++;
    }
    return reads;
}

static void check_flags(const struct table *table, size_t count, uint64_t frames_there)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t frame = table->entries[i] & PAGES_FRAME_MASK;
        bool is_known = table->entries[i] && frame != 0 && frame < frames_there;
        assert_true(table->flags[i] == (is_known ? word_of(frame) : 0));
    }
}

static void test_orders(void **state)
{
    (void)state;
    struct table *table = new_table();
    for (size_t i = 0; i < 1000; i++)
        put(table, i, 5000 + i);
    for (size_t i = 1000; i < 2000; i++)
        put(table, i, 9000 - i);
    // Up, down, up by one page each; a hole; a frame twice.
    put(table, 2000, 70000);
    put(table, 2001, 69999);
    put(table, 2002, 70000);
    put(table, 2004, 70001);
    assert_true(read_all(table, 2005, FRAMES) <= 3);
    check_flags(table, 2005, FRAMES);
    free(table);
}

static void test_scattered(void **state)
{
    (void)state;
    struct table *table = new_table();
    uint64_t seed = 1;
    for (size_t i = 0; i < PAGES; i++) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        if (seed >> 60 != 0)
            put(table, i, seed >> 33 & (FRAMES - 1));
    }
    read_all(table, PAGES, FRAMES);
    check_flags(table, PAGES, FRAMES);
    // Memory that the kernel's table does not reach.
    memset(table->flags, 0, sizeof table->flags);
    read_all(table, PAGES, FRAMES / 2);
    check_flags(table, PAGES, FRAMES / 2);
    free(table);
}

static void test_long(void **state)
{
    (void)state;
    struct table *table = new_table();
    for (size_t i = 0; i < PAGES; i++)
        put(table, i, 100 + i);
    size_t reads = read_all(table, PAGES, FRAMES);
    assert_int_equal(reads, (PAGES + RUNS_SPAN_FRAMES - 1) / RUNS_SPAN_FRAMES);
    check_flags(table, PAGES, FRAMES);
    free(table);
}

// Before 6.10 the tails of a huge page do not say that it is swap-backed: live ones looked free.
static void test_heads(void **state)
{
    (void)state;
    const uint64_t head = PAGES_HEAD | PAGES_ANON | PAGES_SWAPBACKED;
    const uint64_t tail = PAGES_TAIL | PAGES_ANON;
    uint64_t words[] = {tail, tail, head, tail, tail, PAGES_ANON, tail, PAGES_HEAD, tail};
    enum { WORDS = sizeof words / sizeof *words };
    const struct frame_run run = {.frame = 50, .page = 0, .count = WORDS};
    const struct frame_span span = {.frame = 50, .count = WORDS, .first_run = 0, .end_run = 1};
    uint64_t flags[WORDS];
    runs_spread(&run, &span, words, 50, WORDS, flags);
    assert_true(flags[0] == 0 && flags[1] == 0);
    assert_true(flags[2] == head);
    assert_true(flags[3] == (tail | PAGES_SWAPBACKED) && flags[4] == flags[3]);
    assert_true(flags[5] == PAGES_ANON && flags[6] == 0);
    assert_true(flags[8] == tail);
    // The head lies before the span.
    uint64_t before[] = {head, tail, tail};
    const struct frame_run part = {.frame = 52, .page = 0, .count = 1};
    const struct frame_span cut = {.frame = 52, .count = 1, .first_run = 0, .end_run = 1};
    runs_spread(&part, &cut, before, 50, 3, flags);
    assert_true(flags[0] == (tail | PAGES_SWAPBACKED));
}

static void test_hidden(void **state)
{
    (void)state;
    uint64_t entries[] = {PAGES_PRESENT, PAGES_PRESENT | PAGES_EXCLUSIVE, 0};
    struct frame_run runs[3], sorting[3];
    struct frame_span span;
    assert_int_equal(runs_find(entries, 3, runs, sorting), 0);
    assert_false(runs_next_span(runs, 0, 0, &span));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orders), cmocka_unit_test(test_scattered),
        cmocka_unit_test(test_long),   cmocka_unit_test(test_heads),
        cmocka_unit_test(test_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
