// SPDX-License-Identifier: Apache-2.0
// Judging pages, over words as Linux 6.18 gave them for pages of every kind. Test code; no state.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lever/reclaim/pages.h"

enum { HUGE = 512 };

// Recorded: a page as pagemap and kpageflags show it.
static const struct kind {
    const char *name;
    uint64_t entry, flags;
    enum page_fate fate;
} kinds[] = {
    {"absent", 0, 0, PAGE_LEAVE},
    {"live", 0x810000000014dc39, 0x400005828, PAGE_LEAVE},
    {"freed", 0x810000000014dc39, 0x400001828, PAGE_TAKE},
    {"freed, then locked", 0x8100000000161522, 0x600041828, PAGE_LOCKED},
    {"freed, shared with a fork", 0x800000000014dc39, 0x1828, PAGE_SHARED},
    {"written again, known to be", 0x810000000014dc39, 0x5858, PAGE_LEAVE},
    {"the zero page", 0x8000000000003b34, 0x101000000, PAGE_LEAVE},
    {"of a file", 0xa000000000103bf8, 0x40000086c, PAGE_LEAVE},
    {"shared memory", 0xa10000000010a306, 0x4818, PAGE_LEAVE},
    {"swapped out", 0x4000000000000460, 0, PAGE_LEAVE},
    {"head of a live huge page", 0x8100000000195a00, 0x40040d828, PAGE_LEAVE},
    {"tail of a live huge page", 0x8100000000195a01, 0x400415828, PAGE_LEAVE},
    {"head of a freed large page", 0x8100000000195a00, 0x400409828, PAGE_TAKE},
    {"tail of a freed large page", 0x8100000000195a01, 0x400411828, PAGE_TAKE},
    {"freed, of hugetlb", 0x810000000014dc39, 0x400021828, PAGE_LEAVE},
    {"freed, merged", 0x810000000014dc39, 0x400201828, PAGE_LEAVE},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static void test_kinds(void **state)
{
    (void)state;
    const struct page_rules rules = {.huge_pages = HUGE, .takes_huge = true};
    for (size_t i = 0; i < KINDS; i++) {
        uint8_t fate = 99;
        struct page_counts_by_fate counts = {0};
        pages_judge(&kinds[i].entry, &kinds[i].flags, 1, 7, &rules, &fate, &counts);
        if (fate != kinds[i].fate)
            print_error("%s\n", kinds[i].name);
        assert_int_equal(fate, kinds[i].fate);
        assert_int_equal(counts.taken, fate == PAGE_TAKE);
        assert_int_equal(counts.shared, fate == PAGE_SHARED);
        assert_int_equal(counts.locked, fate == PAGE_LOCKED);
    }
}

// Three huge pages' room, the one in the middle freed; the window begins anywhere.
struct huge_window {
    uint64_t entries[3 * HUGE], flags[3 * HUGE];
    uint8_t fates[3 * HUGE];
};

static void fill_huge(struct huge_window *window)
{
    memset(window, 0, sizeof *window);
    for (size_t i = 0; i < HUGE; i++) {
        window->entries[HUGE + i] = 0x8100000000195a00 + i;
        window->flags[HUGE + i] = i == 0 ? 0x400409828 : 0x400411828;
    }
}

static struct page_counts_by_fate judge_window(struct huge_window *window, size_t from,
                                               bool takes_huge)
{
    const struct page_rules rules = {.huge_pages = HUGE, .takes_huge = takes_huge};
    struct page_counts_by_fate counts = {0};
    pages_judge(window->entries + from, window->flags + from, 3 * HUGE - from, HUGE * 40 + from,
                &rules, window->fates + from, &counts);
    return counts;
}

static void test_huge(void **state)
{
    (void)state;
    static struct huge_window window;
    for (size_t from = 0; from <= HUGE; from += 100) {
        fill_huge(&window);
        struct page_counts_by_fate counts = judge_window(&window, from, true);
        assert_int_equal(counts.taken, HUGE);
        assert_int_equal(counts.huge, HUGE);
        assert_int_equal(window.fates[HUGE], PAGE_TAKE_HUGE);
        assert_int_equal(window.fates[2 * HUGE - 1], PAGE_TAKE_HUGE);
    }
    fill_huge(&window);
    struct page_counts_by_fate counts = judge_window(&window, 0, false);
    assert_int_equal(counts.taken, 0);
    assert_int_equal(counts.unsure, HUGE);
    // Mapped in part, or not in order, there is no huge mapping to keep: small pages.
    fill_huge(&window);
    window.entries[HUGE + 3] = 0;
    counts = judge_window(&window, 0, false);
    assert_int_equal(counts.taken, HUGE - 1);
    assert_int_equal(counts.huge, 0);
    fill_huge(&window);
    window.entries[HUGE + 3]++;
    assert_int_equal(judge_window(&window, 0, true).huge, 0);
    // Cut by the window's end.
    fill_huge(&window);
    assert_int_equal(judge_window(&window, HUGE + 1, true).huge, 0);
}

static void test_huge_rule(void **state)
{
    (void)state;
    // Nothing was written, or less than a huge page has.
    assert_true(pages_judge_huge(5120, 5120, HUGE, false));
    assert_true(pages_judge_huge(5120, 5120 - HUGE + 1, HUGE, false));
    assert_true(pages_judge_huge(100, 5120, HUGE, false));
    // One may be live: only where it can be mended, and while most are free.
    assert_false(pages_judge_huge(5120, 5120 - HUGE, HUGE, false));
    assert_true(pages_judge_huge(5120, 5120 - HUGE, HUGE, true));
    assert_true(pages_judge_huge(5120, 2560, HUGE, true));
    assert_false(pages_judge_huge(5120, 2559, HUGE, true));
}

static void test_compare(void **state)
{
    (void)state;
    const uint8_t fates[] = {PAGE_TAKE,  PAGE_TAKE,   PAGE_TAKE,  PAGE_TAKE_HUGE,
                             PAGE_LEAVE, PAGE_SHARED, PAGE_LOCKED};
    const uint64_t entries[] = {0, 0x810000000014dc39, 0x810000000014dc39, 0, 0, 0, 0};
    const uint64_t flags[] = {0, 0x5858, 0x400001828, 0, 0, 0, 0};
    struct page_results results = {.gone = 10};
    pages_compare(fates, entries, flags, sizeof fates, &results);
    assert_int_equal(results.gone, 12);
    assert_int_equal(results.written, 1);
    assert_int_equal(results.kept, 1);
}

static void test_live_huge(void **state)
{
    (void)state;
    static struct huge_window window;
    fill_huge(&window);
    memset(window.fates, PAGE_TAKE_HUGE, sizeof window.fates);
    size_t index = 0;
    assert_true(pages_next_live_huge(window.fates, window.entries, 3 * HUGE, 0, HUGE, &index));
    assert_int_equal(index, HUGE);
    index += HUGE;
    assert_false(pages_next_live_huge(window.fates, window.entries, 3 * HUGE, 0, HUGE, &index));
    // A window that begins in the middle of a huge page.
    index = 0;
    assert_true(pages_next_live_huge(window.fates + 100, window.entries + 100, 3 * HUGE - 100, 100,
                                     HUGE, &index));
    assert_int_equal(index, HUGE - 100);
    // What is there in part cannot be mapped as one again.
    window.entries[HUGE + 511] = 0;
    index = 0;
    assert_false(pages_next_live_huge(window.fates, window.entries, 3 * HUGE, 0, HUGE, &index));
    // Nor what was not one before.
    fill_huge(&window);
    memset(window.fates, PAGE_TAKE, sizeof window.fates);
    assert_false(pages_next_live_huge(window.fates, window.entries, 3 * HUGE, 0, HUGE, &index));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),     cmocka_unit_test(test_huge),
        cmocka_unit_test(test_huge_rule), cmocka_unit_test(test_compare),
        cmocka_unit_test(test_live_huge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
