// SPDX-License-Identifier: Apache-2.0
// Bites, and what becomes of them when the kernel does less than it was asked. Test code.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lever/reclaim/pages.h"
#include "lever/reclaim/sweep.h"

enum { PAGES = 4096, HUGE = 512, PAGE = 4096, FIRST = 1024 };

// A kernel that counts what it is asked to take, and answers as it is told.
struct kernel {
    uint8_t taken[PAGES];
    uint64_t largest_bytes;
    size_t calls, most_ranges;
    int (*answer)(struct kernel *kernel, const struct iovec *ranges, size_t count);
};

static size_t page_of(const void *address)
{
    return (uintptr_t)address / PAGE - FIRST;
}

static ssize_t advise(void *target, const struct iovec *ranges, size_t count, int advice)
{
    struct kernel *kernel = target;
    assert_int_equal(advice, SWEEP_PAGEOUT);
    kernel->calls++;
    kernel->most_ranges = count > kernel->most_ranges ? count : kernel->most_ranges;
    int error = kernel->answer ? kernel->answer(kernel, ranges, count) : 0;
    if (error < 0)
        return error;
    // A positive answer limits how many bytes are done.
    uint64_t room = error > 0 ? (uint64_t)error : UINT64_MAX, done = 0;
    for (size_t i = 0; i < count; i++) {
        size_t page = page_of(ranges[i].iov_base), pages = ranges[i].iov_len / PAGE;
        for (size_t k = 0; k < pages && done < room; k++, done += PAGE)
            kernel->taken[page + k]++;
    }
    kernel->largest_bytes = done > kernel->largest_bytes ? done : kernel->largest_bytes;
    return (ssize_t)done;
}

static int sweep(struct kernel *kernel, const uint8_t *fates, uint64_t bytes_max,
                 struct sweep *ret_sweep)
{
    const struct bite_source source = {fates, PAGES, FIRST, PAGE, HUGE};
    *ret_sweep = (struct sweep){.advise = advise, .target = kernel, .bytes_max = bytes_max};
    return sweep_take(ret_sweep, &source);
}

static void check_taken(const struct kernel *kernel, const uint8_t *fates)
{
    for (size_t i = 0; i < PAGES; i++)
        assert_int_equal(kernel->taken[i],
                         fates[i] == PAGE_TAKE || fates[i] == PAGE_TAKE_HUGE ? 1 : 0);
}

// Single pages, runs, huge pages, and everything else between them.
static void fill(uint8_t *fates)
{
    for (size_t i = 0; i < PAGES; i++)
        fates[i] = (uint8_t)(i % 2 ? PAGE_TAKE : i % 3 ? PAGE_LEAVE : PAGE_SHARED);
    memset(fates + 1024, PAGE_TAKE_HUGE, 2 * HUGE);
    memset(fates + 2048, PAGE_TAKE, 700);
    memset(fates + 3072, PAGE_HUGE_UNSURE, HUGE);
}

static void test_all(void **state)
{
    (void)state;
    uint8_t fates[PAGES];
    fill(fates);
    const uint64_t sizes[] = {PAGE, 3 * PAGE, 256 << 10, 1 << 20, 16 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct kernel kernel = {0};
        struct sweep result;
        assert_int_equal(sweep(&kernel, fates, sizes[i], &result), 0);
        check_taken(&kernel, fates);
        assert_int_equal(result.refused_bytes, 0);
        assert_true(kernel.most_ranges <= BITES_RANGES_MAX);
        // A huge page is never cut, however small the bites.
        uint64_t least = (uint64_t)HUGE * PAGE;
        assert_true(kernel.largest_bytes <= (sizes[i] > least ? sizes[i] : least));
    }
}

static void test_huge_is_whole(void **state)
{
    (void)state;
    uint8_t fates[PAGES];
    fill(fates);
    const struct bite_source source = {fates, PAGES, FIRST, PAGE, HUGE};
    static struct bite bite;
    size_t index = 0;
    while (bite_next(&source, 5 * PAGE, &index, &bite)) {
        for (size_t i = 0; i < bite.range_count; i++) {
            size_t page = page_of(bite.ranges[i].iov_base);
            size_t end = page + bite.ranges[i].iov_len / PAGE;
            assert_true(page <= 1024 || page >= 2048 || page % HUGE == 0);
            assert_true(end <= 1024 || end >= 2048 || end % HUGE == 0);
        }
    }
}

static int half_of(struct kernel *kernel, const struct iovec *ranges, size_t count)
{
    (void)kernel;
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += ranges[i].iov_len;
    return bytes > PAGE ? (int)(bytes / 2 / PAGE * PAGE) : 0;
}

static void test_short(void **state)
{
    (void)state;
    uint8_t fates[PAGES];
    fill(fates);
    struct kernel kernel = {.answer = half_of};
    struct sweep result;
    assert_int_equal(sweep(&kernel, fates, 1 << 20, &result), 0);
    check_taken(&kernel, fates);
}

static int busy_at_first(struct kernel *kernel, const struct iovec *ranges, size_t count)
{
    (void)ranges, (void)count;
    return kernel->calls % 3 == 0 ? 0 : kernel->calls % 3 == 1 ? -EAGAIN : -EINTR;
}

static void test_busy(void **state)
{
    (void)state;
    uint8_t fates[PAGES] = {0};
    memset(fates, PAGE_TAKE, 1000);
    struct kernel kernel = {.answer = busy_at_first};
    struct sweep result;
    assert_int_equal(sweep(&kernel, fates, 1 << 20, &result), 0);
    check_taken(&kernel, fates);
}

// Page 100 was unmapped: its range fails whenever it comes first, and stops what is before it.
static int refuse_page(struct kernel *kernel, const struct iovec *ranges, size_t count)
{
    (void)kernel;
    uint64_t before = 0;
    for (size_t i = 0; i < count; i++) {
        size_t page = page_of(ranges[i].iov_base);
        if (page <= 101 && 101 < page + ranges[i].iov_len / PAGE)
            return before ? (int)before : -ENOMEM;
        before += ranges[i].iov_len;
    }
    return 0;
}

static void test_refused(void **state)
{
    (void)state;
    uint8_t fates[PAGES] = {0};
    for (size_t i = 1; i < PAGES; i += 2)
        fates[i] = PAGE_TAKE;
    struct kernel kernel = {.answer = refuse_page};
    struct sweep result;
    assert_int_equal(sweep(&kernel, fates, 1 << 20, &result), 0);
    assert_int_equal(result.refused_bytes, PAGE);
    fates[101] = PAGE_LEAVE;
    check_taken(&kernel, fates);
}

static int refuse_all(struct kernel *kernel, const struct iovec *ranges, size_t count)
{
    (void)kernel, (void)ranges, (void)count;
    return -EINVAL;
}

static int ended_later(struct kernel *kernel, const struct iovec *ranges, size_t count)
{
    (void)ranges, (void)count;
    return kernel->calls > 2 ? -ESRCH : 0;
}

static void test_errors(void **state)
{
    (void)state;
    uint8_t fates[PAGES];
    fill(fates);
    struct kernel kernel = {.answer = refuse_all};
    struct sweep result;
    assert_int_equal(sweep(&kernel, fates, 1 << 20, &result), 0);
    assert_true(result.refused_bytes > (1 << 20));
    kernel = (struct kernel){.answer = ended_later};
    assert_int_equal(sweep(&kernel, fates, 1 << 20, &result), -ESRCH);
    assert_int_equal(kernel.calls, 3);
}

static bool stop_after_two(void *user)
{
    const struct kernel *kernel = user;
    return kernel->calls >= 2;
}

static void test_stop(void **state)
{
    (void)state;
    uint8_t fates[PAGES];
    memset(fates, PAGE_TAKE, sizeof fates);
    struct kernel kernel = {0};
    const struct bite_source source = {fates, PAGES, FIRST, PAGE, HUGE};
    struct sweep stopped = {.advise = advise,
                            .target = &kernel,
                            .bytes_max = 1 << 20,
                            .is_stopped = stop_after_two,
                            .user = &kernel};
    assert_int_equal(sweep_take(&stopped, &source), -EINTR);
    assert_int_equal(kernel.calls, 2);
    assert_int_equal(stopped.bites, 2);
}

static void test_adapt(void **state)
{
    (void)state;
    const uint64_t mib = 1 << 20, goal = BITES_GOAL_NS;
    assert_int_equal(bite_adapt(4 * mib, goal, 16 * mib), 4 * mib);
    assert_int_equal(bite_adapt(4 * mib, goal / 100, 16 * mib), 8 * mib);
    assert_int_equal(bite_adapt(12 * mib, goal / 100, 16 * mib), 16 * mib);
    assert_int_equal(bite_adapt(4 * mib, goal * 100, 16 * mib), 2 * mib);
    assert_int_equal(bite_adapt(BITES_BYTES_MIN, goal * 100, 16 * mib), BITES_BYTES_MIN);
    assert_int_equal(bite_adapt(PAGE, 0, 16 * mib), BITES_BYTES_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),     cmocka_unit_test(test_huge_is_whole),
        cmocka_unit_test(test_short),   cmocka_unit_test(test_busy),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_errors),
        cmocka_unit_test(test_stop),    cmocka_unit_test(test_adapt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
