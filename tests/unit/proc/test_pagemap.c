// SPDX-License-Identifier: Apache-2.0
// Page counts, both ways, against what a child's own mincore() says. Test code.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "proc/pagemap.h"
#include "proc/process.h"
#include "support/child.h"

enum { AREA_PAGES = 8192 };

// `residency` is shared memory, where the child leaves mincore()'s answer.
struct area {
    char *start;
    unsigned char *residency;
    size_t page;
};

static bool is_touched(size_t page)
{
    // Runs and holes of many lengths, and more single pages than one call reports regions.
    return page < 4096 ? page % 2 == 0 : page * page / 977 % 3 != 0;
}

static void touch_pattern(struct child *self, void *argument)
{
    struct area *area = argument;
    for (size_t i = 0; i < AREA_PAGES; i++) {
        if (is_touched(i))
            area->start[i * area->page] = 1;
    }
    mincore(area->start, AREA_PAGES * area->page, area->residency);
    child_step_done(self);
    // Reading maps the zero page, which is nobody's memory.
    volatile char sum = 0;
    for (size_t i = 0; i < AREA_PAGES; i++)
        sum = (char)(sum + area->start[i * area->page]);
    child_step_done(self);
}

static struct area map_area(void)
{
    struct area area = {.page = (size_t)sysconf(_SC_PAGESIZE)};
    size_t len = AREA_PAGES * area.page;
    area.start = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    area.residency =
        mmap(NULL, AREA_PAGES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(area.start, MAP_FAILED);
    assert_ptr_not_equal(area.residency, MAP_FAILED);
    madvise(area.start, len, MADV_NOHUGEPAGE);
    return area;
}

static uint64_t resident_bytes(const struct area *area, size_t first, size_t end)
{
    uint64_t bytes = 0;
    for (size_t i = first; i < end; i++)
        bytes += area->residency[i] & 1 ? area->page : 0;
    return bytes;
}

static struct page_range range_of(const struct area *area, size_t first, size_t end)
{
    uint64_t start = (uint64_t)(uintptr_t)area->start;
    return (struct page_range){start + first * area->page, start + end * area->page};
}

static void check_counts(struct process *process, const struct area *area,
                         enum pagemap_method method)
{
    struct page_range whole = range_of(area, 0, AREA_PAGES);
    struct page_counts counts = {.present_bytes = 1000};
    assert_int_equal(pagemap_count_with(process, &whole, 1, method, &counts), 0);
    assert_int_equal(counts.present_bytes, 1000 + resident_bytes(area, 0, AREA_PAGES));
    assert_int_equal(counts.swapped_bytes, 0);
    // Many ranges, near each other and far apart, beginning and ending within runs.
    static struct page_range ranges[AREA_PAGES];
    size_t count = 0;
    uint64_t expected = 0;
    for (size_t at = 1, step = 1; at + step < AREA_PAGES; step = step % 97 + 1) {
        ranges[count++] = range_of(area, at, at + step);
        expected += resident_bytes(area, at, at + step);
        at += step + (step % 31 == 0 ? 70 : step % 3);
    }
    counts = (struct page_counts){0};
    assert_int_equal(pagemap_count_with(process, ranges, count, method, &counts), 0);
    assert_int_equal(counts.present_bytes, expected);
}

static void test_counts_agree_with_mincore(void **state)
{
    (void)state;
    struct area area = map_area();
    struct child child;
    child_start(&child, touch_pattern, &area);
    child_wait_step(&child);
    struct process *process;
    assert_int_equal(process_open("/proc", child.pid, &process), 0);
    check_counts(process, &area, PAGEMAP_BY_READING);
    check_counts(process, &area, PAGEMAP_BY_ANY);
    struct page_range whole = range_of(&area, 0, AREA_PAGES);
    struct page_counts counts = {0};
    int error = pagemap_count_with(process, &whole, 1, PAGEMAP_BY_SCAN, &counts);
    if (error == -ENOTTY) {
        print_message("# no PAGEMAP_SCAN here: only reading was tested\n");
    } else {
        // The zero page: only the scan knows it.
        child_next_step(&child);
        assert_int_equal(pagemap_count_with(process, &whole, 1, PAGEMAP_BY_SCAN, &counts), 0);
        assert_int_equal(counts.present_bytes, 2 * resident_bytes(&area, 0, AREA_PAGES));
    }
    process_close(process);
    child_stop(&child);
    munmap(area.start, AREA_PAGES * area.page);
    munmap(area.residency, AREA_PAGES);
}

static void test_unsound_ranges(void **state)
{
    (void)state;
    struct process *process;
    assert_int_equal(process_open("/proc", getpid(), &process), 0);
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    const struct page_range bad[][2] = {
        {{page * 4, page * 2}, {page * 8, page * 9}}, {{page, page * 3}, {page * 2, page * 4}},
        {{page * 4, page * 5}, {page, page * 2}},     {{1, page}, {page, page * 2}},
        {{0, page}, {page, UINT64_MAX - page + 1}},
    };
    struct page_counts counts = {5, 6};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(pagemap_count(process, bad[i], 2, &counts), -EINVAL);
    assert_int_equal(pagemap_count(process, NULL, 0, &counts), 0);
    assert_int_equal(counts.present_bytes, 5);
    assert_int_equal(counts.swapped_bytes, 6);
    process_close(process);
}

static void nothing(struct child *self, void *argument)
{
    (void)argument;
    child_step_done(self);
}

static void test_ended_process(void **state)
{
    (void)state;
    struct child child;
    child_start(&child, nothing, NULL);
    child_wait_step(&child);
    struct process *process;
    assert_int_equal(process_open("/proc", child.pid, &process), 0);
    child_stop(&child);
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    struct page_range range = {page * 16, page * 32};
    struct page_counts counts;
    assert_int_equal(pagemap_count_with(process, &range, 1, PAGEMAP_BY_ANY, &counts), -ESRCH);
    assert_int_equal(pagemap_count_with(process, &range, 1, PAGEMAP_BY_READING, &counts), -ESRCH);
    process_close(process);
}

// Pages one by one and range by range, over holes, to the end.
static void test_next(void **state)
{
    (void)state;
    struct area area = map_area();
    struct child child;
    child_start(&child, touch_pattern, &area);
    child_wait_step(&child);
    struct process *process;
    assert_int_equal(process_open("/proc", child.pid, &process), 0);
    const struct page_range whole = range_of(&area, 0, AREA_PAGES);
    uint64_t pages = 0, bytes = 0, at = whole.start;
    int error;
    while ((error = pagemap_next_page(process, at, whole.end, &at)) == 0) {
        assert_true(is_touched((at - whole.start) / area.page));
        pages++;
        at += area.page;
    }
    struct page_range found = {.end = whole.start};
    while (error != -ENOTTY &&
           pagemap_next(process, PAGEMAP_PRESENT, found.end, whole.end, &found) == 0)
        bytes += found.end - found.start;
    // Kernels before 6.7 cannot tell, and say so.
    if (error != -ENOTTY) {
        assert_int_equal(error, -ENOENT);
        assert_int_equal(pages * area.page, resident_bytes(&area, 0, AREA_PAGES));
        assert_int_equal(bytes, pages * area.page);
        assert_int_equal(pagemap_next(process, PAGEMAP_HUGE, whole.start, whole.end, &found),
                         -ENOENT);
    }
    process_close(process);
    child_stop(&child);
    munmap(area.start, AREA_PAGES * area.page);
    munmap(area.residency, AREA_PAGES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next),
        cmocka_unit_test(test_counts_agree_with_mincore),
        cmocka_unit_test(test_unsound_ranges),
        cmocka_unit_test(test_ended_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
