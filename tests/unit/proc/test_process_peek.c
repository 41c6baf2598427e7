// SPDX-License-Identifier: Apache-2.0
// Reading a child's memory must find what is there and change nothing. Test code.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "proc/process.h"
#include "proc/status.h"
#include "support/child.h"

enum { AREA_PAGES = 2048 };

// Mapped before the fork, so that both sides know the addresses; touched by the child only.
struct areas {
    char *anonymous;
    char *file; // private mapping of a file that is in the page cache
    size_t page;
};

static struct areas map_areas(void)
{
    struct areas areas = {.page = (size_t)sysconf(_SC_PAGESIZE)};
    size_t len = AREA_PAGES * areas.page;
    areas.anonymous = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(areas.anonymous, MAP_FAILED);
    // A huge page would touch what the test leaves untouched.
    madvise(areas.anonymous, len, MADV_NOHUGEPAGE);
    char path[] = "/tmp/ebb-peek-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    char *zeros = calloc(1, len);
    assert_int_equal(write(fd, zeros, len), (ssize_t)len);
    free(zeros);
    areas.file = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
    assert_ptr_not_equal(areas.file, MAP_FAILED);
    madvise(areas.file, len, MADV_RANDOM);
    close(fd);
    return areas;
}

static void unmap_areas(struct areas *areas)
{
    munmap(areas->anonymous, AREA_PAGES * areas->page);
    munmap(areas->file, AREA_PAGES * areas->page);
}

static void touch_even_pages(struct child *self, void *argument)
{
    struct areas *areas = argument;
    for (size_t i = 0; i < AREA_PAGES; i += 2)
        memcpy(areas->anonymous + i * areas->page + 8, &i, sizeof i);
    child_step_done(self);
    // An odd one later on, while the others are known.
    memset(areas->anonymous + areas->page, 7, 1);
    child_step_done(self);
    madvise(areas->anonymous, areas->page, MADV_DONTNEED);
    child_step_done(self);
}

struct footprint {
    struct proc_stat stat;
    struct proc_status status;
    struct proc_rollup rollup;
};

static struct footprint read_footprint(struct process *process)
{
    struct footprint footprint;
    struct buffer file = {0};
    assert_int_equal(process_read_file(process, "stat", 1 << 16, &file), 0);
    assert_int_equal(proc_stat_parse(buffer_text(&file), &footprint.stat), 0);
    assert_int_equal(process_read_file(process, "status", 1 << 16, &file), 0);
    assert_int_equal(proc_status_parse(buffer_text(&file), &footprint.status), 0);
    // The exact sum over all page tables; the counters above may lag.
    assert_int_equal(process_read_file(process, "smaps_rollup", 1 << 16, &file), 0);
    assert_int_equal(proc_rollup_parse(buffer_text(&file), &footprint.rollup), 0);
    buffer_free(&file);
    return footprint;
}

static uint64_t address_of(const char *pointer)
{
    return (uint64_t)(uintptr_t)pointer;
}

static void peek_all_pages(struct process *process, const struct areas *areas)
{
    for (size_t i = 0; i < AREA_PAGES; i++) {
        uint64_t word = 99;
        int error =
            process_peek_u64(process, address_of(areas->anonymous) + i * areas->page + 8, &word);
        assert_int_equal(error, i % 2 ? -ENODATA : 0);
        assert_int_equal(word, i % 2 ? 99 : i);
        error = process_peek_u64(process, address_of(areas->file) + i * areas->page, &word);
        assert_int_equal(error, -ENODATA);
    }
    static uint64_t words[AREA_PAGES];
    static bool present[AREA_PAGES];
    assert_int_equal(process_peek_each(process, address_of(areas->anonymous) + 8, areas->page,
                                       AREA_PAGES, sizeof words[0], words, present),
                     0);
    for (size_t i = 0; i < AREA_PAGES; i++) {
        assert_int_equal(present[i], i % 2 == 0);
        assert_true(!present[i] || words[i] == i);
    }
}

static long own_faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt + usage.ru_majflt;
}

// What a step leaves to do, a page of the stack for the next read() say, is the child's own: it
// must be asleep before its faults are counted.
static struct footprint settled_footprint(struct process *process)
{
    struct footprint before = read_footprint(process), after = before;
    for (int tries = 0; tries < 100; tries++) {
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        after = read_footprint(process);
        if (after.stat.state == 'S' && after.stat.minor_faults == before.stat.minor_faults)
            break;
        before = after;
    }
    return after;
}

static void test_nothing_is_faulted_in(void **state)
{
    (void)state;
    struct areas areas = map_areas();
    struct child child;
    child_start(&child, touch_even_pages, &areas);
    child_wait_step(&child);
    struct process *process;
    assert_int_equal(process_open("/proc", child.pid, &process), 0);
    // The first round makes our own memory; faults on behalf of a target are counted as ours.
    peek_all_pages(process, &areas);
    struct footprint before = settled_footprint(process);
    long faults_before = own_faults();
    for (int round = 0; round < 3; round++)
        peek_all_pages(process, &areas);
    long faults = own_faults() - faults_before;
    struct footprint after = read_footprint(process);
    assert_true(faults < 16);
    assert_int_equal(after.stat.minor_faults, before.stat.minor_faults);
    assert_int_equal(after.stat.major_faults, before.stat.major_faults);
    assert_int_equal(after.status.rss_anon_kib, before.status.rss_anon_kib);
    assert_int_equal(after.status.rss_file_kib, before.status.rss_file_kib);
    assert_int_equal(after.rollup.rss_kib, before.rollup.rss_kib);
    assert_int_equal(after.rollup.anonymous_kib, before.rollup.anonymous_kib);
    process_close(process);
    child_stop(&child);
    unmap_areas(&areas);
}

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void test_residency_follows_the_target(void **state)
{
    (void)state;
    struct areas areas = map_areas();
    struct child child;
    child_start(&child, touch_even_pages, &areas);
    child_wait_step(&child);
    struct process *process;
    assert_int_equal(process_open("/proc", child.pid, &process), 0);
    uint64_t first = address_of(areas.anonymous), word;
    assert_int_equal(process_peek_u64(process, first, &word), 0);
    assert_int_equal(process_peek_u64(process, first + areas.page, &word), -ENODATA);
    child_next_step(&child);
    assert_int_equal(process_peek_u64(process, first + areas.page, &word), 0);
    assert_int_equal(word, 7);
    assert_int_equal(process_peek_u64(process, first, &word), 0);
    // The other way round knowledge must age, or the page would come back.
    child_next_step(&child);
    sleep_ms(30);
    assert_int_equal(process_peek_u64(process, first, &word), -ENODATA);
    process_forget_residency(process);
    assert_int_equal(process_peek_u64(process, first, &word), -ENODATA);
    assert_int_equal(process_peek_u64(process, first + 2 * areas.page, &word), 0);
    process_close(process);
    child_stop(&child);
    unmap_areas(&areas);
}

// Two pages at each end that may be read, one in the middle that the child may not read itself.
static void hide_a_page(struct child *self, void *argument)
{
    struct areas *areas = argument;
    for (size_t i = 0; i < 3; i++)
        memset(areas->anonymous + i * areas->page, 'a' + (int)i, 16);
    mprotect(areas->anonymous + areas->page, areas->page, PROT_NONE);
    child_step_done(self);
}

// What one call for all cannot read is read piece by piece, as a peek would.
static void test_pieces(void **state)
{
    (void)state;
    struct areas areas = map_areas();
    struct child child;
    child_start(&child, hide_a_page, &areas);
    child_wait_step(&child);
    struct process *process;
    assert_int_equal(process_open("/proc", child.pid, &process), 0);
    uint64_t first = address_of(areas.anonymous);
    char pieces[5][16];
    bool present[5];
    assert_int_equal(process_peek_each(process, first, areas.page, 4, 16, pieces, present), 0);
    for (size_t i = 0; i < 3; i++)
        assert_true(present[i] && pieces[i][0] == 'a' + (char)i && pieces[i][15] == pieces[i][0]);
    assert_false(present[3]);
    // The page at nothing, and what is no address at all.
    assert_int_equal(process_peek_each(process, 0, areas.page, 1, 16, pieces, present), 0);
    assert_false(present[0]);
    assert_int_equal(process_peek_each(process, UINT64_MAX - 8, 1, 1, 16, pieces, present), 0);
    assert_false(present[0]);
    assert_int_equal(process_peek_each(process, first, 1, 0, 16, pieces, present), 0);
    child_stop(&child);
    assert_int_equal(process_peek_each(process, first, areas.page, 4, 16, pieces, present), -ESRCH);
    process_close(process);
    unmap_areas(&areas);
}

static void test_odd_addresses(void **state)
{
    (void)state;
    struct process *process;
    assert_int_equal(process_open("/proc", getpid(), &process), 0);
    char data[16];
    const uint64_t bad[] = {
        UINT64_MAX,
        UINT64_MAX - 8,
        UINT64_C(1) << 63,
        (UINT64_C(1) << 63) - 4,
        INT64_MAX,
        UINT64_C(0xffffffffff600000),
        UINT64_C(0xffff800000000000),
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(process_peek(process, bad[i], data, sizeof data), -EFAULT);
    assert_int_equal(process_peek(process, 0, data, sizeof data), -ENODATA);
    // Not canonical, and behind everything that can be mapped.
    assert_int_equal(process_peek(process, UINT64_C(1) << 60, data, sizeof data), -EFAULT);
    assert_int_equal(process_peek(process, address_of(data), data, SIZE_MAX), -EFAULT);
    assert_int_equal(process_peek(process, UINT64_MAX, data, 0), -EFAULT);
    assert_int_equal(process_peek(process, 0, data, 0), 0);
    process_close(process);
}

static void test_strings_and_long_reads(void **state)
{
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *area =
        mmap(NULL, 1025 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(area, MAP_FAILED);
    madvise(area, 1025 * page, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < 1024 * page; i++)
        area[i] = (char)(1 + i % 251);
    struct process *process;
    assert_int_equal(process_open("/proc", getpid(), &process), 0);
    char *copy = malloc(1024 * page);
    assert_int_equal(process_peek(process, address_of(area) + 3, copy, 1024 * page - 3), 0);
    assert_memory_equal(copy, area + 3, 1024 * page - 3);
    // Runs into a page that is not there.
    assert_int_equal(process_peek_string(process, address_of(area) + 1024 * page - 4, copy, 64),
                     -ENODATA);
    strcpy(area + 1024 * page - 4, "abc");
    assert_int_equal(process_peek_string(process, address_of(area) + 1024 * page - 4, copy, 64), 0);
    assert_string_equal(copy, "abc");
    strcpy(area + page - 3, "across");
    assert_int_equal(process_peek_string(process, address_of(area) + page - 3, copy, 7), 0);
    assert_string_equal(copy, "across");
    assert_int_equal(process_peek_string(process, address_of(area) + page - 3, copy, 6), -E2BIG);
    assert_int_equal(process_peek_string(process, address_of(area) + page - 3, copy, 0), -E2BIG);
    uint32_t half;
    memcpy(area + 16, &(uint32_t){0x12345678}, 4);
    assert_int_equal(process_peek_u32(process, address_of(area) + 16, &half), 0);
    assert_int_equal(half, 0x12345678);
    free(copy);
    process_close(process);
    munmap(area, 1025 * page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_faulted_in),
        cmocka_unit_test(test_residency_follows_the_target),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_odd_addresses),
        cmocka_unit_test(test_strings_and_long_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
