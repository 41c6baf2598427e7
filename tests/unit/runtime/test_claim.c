// SPDX-License-Identifier: Apache-2.0
// Unit tests of claims: no byte is claimed twice, parts of mappings are measured. Test world; reads
// itself.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/target.h"
#include "support/fixture.h"

enum { KIB = 1024, PAGE = 4096 };

static struct mapping mapping_of(uint64_t start, uint64_t end, uint32_t rss_kib)
{
    return (struct mapping){
        .start = start, .end = end, .rss_kib = rss_kib, .kind = MAPPING_ANONYMOUS};
}

static void test_claims_are_cut_at_mappings(void **state)
{
    (void)state;
    struct mapping items[] = {mapping_of(0x1000, 0x3000, 8), mapping_of(0x3000, 0x5000, 4),
                              mapping_of(0x9000, 0xa000, 4)};
    struct mappings mappings = {.items = items, .count = 3, .has_sizes = true};
    struct target target = {.mappings = &mappings};
    struct runtime_report report = {0};
    assert_int_equal(target_claim(&target, &report, 0x1000, 0xa000), 0);
    assert_int_equal(report.claim_count, 3);
    assert_int_equal(report.claims[1].start, 0x3000);
    assert_int_equal(report.claims[1].end, 0x5000);
    assert_int_equal(report.claims[1].rss_bytes, 4 * KIB);
    runtime_report_free(&report);
}

static void test_nothing_is_claimed_twice(void **state)
{
    (void)state;
    struct mapping items[] = {mapping_of(0x1000, 0x3000, 8), mapping_of(0x3000, 0x5000, 8)};
    struct mappings mappings = {.items = items, .count = 2, .has_sizes = true};
    struct target target = {.mappings = &mappings};
    struct runtime_report reports[2];
    memset(reports, 0, sizeof reports);
    assert_int_equal(target_claim(&target, &reports[0], 0x3000, 0x5000), 0);
    target.earlier = reports;
    target.earlier_count = 1;
    assert_true(target_is_claimed(&target, 0x4000, 0x4001));
    assert_false(target_is_claimed(&target, 0x1000, 0x3000));
    assert_int_equal(target_claim_rest(&target, &reports[1], true), 0);
    assert_int_equal(reports[1].claim_count, 1);
    assert_int_equal(reports[1].claims[0].start, 0x1000);
    // Again, and the other way round: already its own.
    assert_int_equal(target_claim(&target, &reports[1], 0x0, 0x9000), 0);
    assert_int_equal(reports[1].claim_count, 1);
    runtime_report_free(&reports[0]);
    runtime_report_free(&reports[1]);
}

static void test_claims_stay_sorted(void **state)
{
    (void)state;
    struct mapping item = mapping_of(0x100000, 0x200000, 0);
    struct mappings mappings = {.items = &item, .count = 1, .has_sizes = true};
    struct target target = {.mappings = &mappings};
    struct runtime_report report = {0};
    for (uint64_t i = 0; i < 100; i++) {
        uint64_t start = 0x100000 + (i * 37 % 100) * 0x2000;
        assert_int_equal(target_claim(&target, &report, start, start + 0x1000), 0);
    }
    assert_int_equal(report.claim_count, 100);
    for (size_t i = 1; i < report.claim_count; i++)
        assert_true(report.claims[i - 1].end <= report.claims[i].start);
    runtime_report_free(&report);
}

// A part of a mapping: what is resident in it is counted, and LazyFree shared out with its error.
static void test_a_part_is_measured(void **state)
{
    (void)state;
    char *area = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(area != MAP_FAILED);
    for (int i = 0; i < 16; i++)
        area[i * PAGE] = 1;
    uint64_t start = (uint64_t)(uintptr_t)area;
    struct mapping item = mapping_of(start, start + 64 * PAGE, 64);
    item.lazy_free_kib = 32;
    struct mappings mappings = {.items = &item, .count = 1, .has_sizes = true};
    struct target target = {.mappings = &mappings};
    assert_int_equal(process_open("/proc", getpid(), &target.process), 0);
    struct runtime_report report = {0};
    assert_int_equal(target_claim(&target, &report, start + 8 * PAGE, start + 32 * PAGE), 0);
    assert_int_equal(report.claims[0].rss_bytes, 8 * PAGE);
    assert_int_equal(report.claims[0].lazy_bytes, 4 * PAGE);
    // Of 32 KiB lazy in 64 KiB, 0 to 32 KiB may be in this half.
    assert_int_equal(report.claims[0].error_bytes, 16 * KIB);
    process_close(target.process);
    runtime_report_free(&report);
    munmap(area, 64 * PAGE);
}

// Tens of thousands of claims, appended and searched for: a quadratic step would take minutes.
static void test_many_claims(void **state)
{
    (void)state;
    enum { MANY = 60000 };
    struct mapping *items = calloc(MANY, sizeof *items);
    assert_non_null(items);
    for (size_t i = 0; i < MANY; i++)
        items[i] = mapping_of((i + 1) * 0x10000, (i + 1) * 0x10000 + PAGE, 4);
    struct mappings mappings = {.items = items, .count = MANY, .has_sizes = true};
    struct target target = {.mappings = &mappings};
    struct runtime_report reports[2];
    memset(reports, 0, sizeof reports);
    for (size_t i = 0; i < MANY; i += 2)
        assert_int_equal(target_claim(&target, &reports[0], items[i].start, items[i].end), 0);
    target.earlier = reports;
    target.earlier_count = 1;
    assert_int_equal(target_claim_rest(&target, &reports[1], true), 0);
    assert_int_equal(reports[0].claim_count, MANY / 2);
    assert_int_equal(reports[1].claim_count, MANY / 2);
    assert_int_equal(reports[1].claims[1].start, items[3].start);
    runtime_report_free(&reports[0]);
    runtime_report_free(&reports[1]);
    free(items);
}

// A tree without pagemap is a failure, not a runtime that is not there.
static void test_no_pagemap_is_no_absence(void **state)
{
    (void)state;
    char *root = fixture_path("linux-6.1-cgroup2");
    struct mapping item = mapping_of(0x100000, 0x200000, 64);
    struct mappings mappings = {.items = &item, .count = 1, .has_sizes = true};
    struct target target = {.mappings = &mappings};
    char *proc = malloc(strlen(root) + sizeof "/proc");
    strcpy(proc, root);
    strcat(proc, "/proc");
    assert_int_equal(process_open(proc, 4121, &target.process), 0);
    struct runtime_report report = {0};
    int error = target_claim(&target, &report, 0x100000, 0x180000);
    assert_true(error < 0 && error != -ENOENT);
    process_close(target.process);
    runtime_report_free(&report);
    free(proc);
    free(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claims_are_cut_at_mappings),
        cmocka_unit_test(test_nothing_is_claimed_twice),
        cmocka_unit_test(test_claims_stay_sorted),
        cmocka_unit_test(test_a_part_is_measured),
        cmocka_unit_test(test_many_claims),
        cmocka_unit_test(test_no_pagemap_is_no_absence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
