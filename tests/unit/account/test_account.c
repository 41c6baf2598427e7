// SPDX-License-Identifier: Apache-2.0
// Unit tests of the account: rows sum to Rss whatever readers claim. Test world; pure.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "account/account.h"

enum { KIB = 1024, MIB = 1024 * 1024 };

// A mapping of `mib` MiB that is resident in full, of which `lazy_mib` are lazily freed.
static struct mapping mapping_at(uint64_t start, uint32_t mib, uint32_t lazy_mib,
                                 enum mapping_kind kind)
{
    return (struct mapping){
        .start = start,
        .end = start + (uint64_t)mib * MIB,
        .rss_kib = mib * KIB,
        .lazy_free_kib = lazy_mib * KIB,
        .anonymous_kib = kind == MAPPING_FILE ? 0 : mib * KIB,
        .flags = MAPPING_READ | MAPPING_WRITE,
        .kind = (uint8_t)kind,
    };
}

static uint64_t rows_sum(const struct account *account)
{
    uint64_t sum = 0;
    for (int row = 0; row < ROW_COUNT; row++)
        sum += account->row_bytes[row];
    return sum;
}

static uint64_t entries_sum(const struct account *account, enum account_row row)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < account->entry_count; i++)
        if (account->entries[i].row == row)
            sum += account->entries[i].bytes;
    return sum;
}

static void assert_sums(const struct account *account)
{
    assert_int_equal(rows_sum(account), account->rss_bytes);
    for (int row = 0; row < ROW_COUNT; row++)
        assert_int_equal(entries_sum(account, (enum account_row)row), account->row_bytes[row]);
    assert_int_equal(account->effective_bytes + account->lazy_bytes, account->rss_bytes);
}

static struct account build(struct mapping *items, size_t count, struct runtime_report *reports,
                            size_t report_count)
{
    struct mappings mappings = {.items = items, .count = count, .has_sizes = true};
    struct account_input input = {&mappings, reports, report_count, 0};
    struct account account;
    assert_int_equal(account_build(&input, &account), 0);
    assert_sums(&account);
    return account;
}

static void test_kinds_without_runtimes(void **state)
{
    (void)state;
    struct mapping items[] = {
        mapping_at(0x10000000, 1, 0, MAPPING_FILE),
        mapping_at(0x20000000, 2, 0, MAPPING_BRK),
        mapping_at(0x30000000, 4, 1, MAPPING_ANONYMOUS),
        mapping_at(0x40000000, 8, 0, MAPPING_SHMEM),
        mapping_at(0x50000000, 16, 0, MAPPING_STACK),
        mapping_at(0x60000000, 1, 0, MAPPING_KERNEL),
    };
    struct account account = build(items, 6, NULL, 0);
    assert_int_equal(account.row_bytes[ROW_CODE_FILES], 2 * MIB);
    assert_int_equal(account.row_bytes[ROW_HELD], 2 * MIB);
    assert_int_equal(account.row_bytes[ROW_UNEXPLAINED], 3 * MIB);
    assert_int_equal(account.row_bytes[ROW_LAZY], 1 * MIB);
    assert_int_equal(account.row_bytes[ROW_SHARED], 8 * MIB);
    assert_int_equal(account.row_bytes[ROW_STACKS], 16 * MIB);
    assert_int_equal(account.largest_unexplained.start, 0x30000000);
    assert_int_equal(account.largest_file_bytes, 8 * MIB);
    assert_int_equal(account.written_file_bytes, 0);
    account_free(&account);
}

// What was written of a private mapping of a file is nobody's but the process's.
static void test_written_files_are_counted(void **state)
{
    (void)state;
    struct mapping items[] = {mapping_at(0x10000000, 5, 0, MAPPING_FILE),
                              mapping_at(0x20000000, 3, 0, MAPPING_FILE)};
    items[1].anonymous_kib = 2 * KIB;
    struct account account = build(items, 2, NULL, 0);
    assert_int_equal(account.row_bytes[ROW_CODE_FILES], 8 * MIB);
    assert_int_equal(account.written_file_bytes, 2 * MIB);
    assert_int_equal(account.largest_file_bytes, 5 * MIB);
    account_free(&account);
}

static void test_shared_anonymous_is_shared(void **state)
{
    (void)state;
    struct mapping item = mapping_at(0x10000000, 3, 0, MAPPING_ANONYMOUS);
    item.flags |= MAPPING_SHARED;
    struct account account = build(&item, 1, NULL, 0);
    assert_int_equal(account.row_bytes[ROW_SHARED], 3 * MIB);
    account_free(&account);
}

static void test_parts_fill_the_claim(void **state)
{
    (void)state;
    struct mapping item = mapping_at(0x10000000, 100, 60, MAPPING_ANONYMOUS);
    struct runtime_claim claim = {item.start, item.end, 100 * MIB, 60 * MIB, 0};
    struct runtime_part parts[] = {
        {ROW_IN_USE, 20 * MIB, 0, "ledger"},
        {ROW_SLACK, 5 * MIB, 0, "ledger"},
        {ROW_KEPT, 10 * MIB, 0, "bitmaps"},
    };
    struct runtime_report report = {.name = "Go",
                                    .rest_row = ROW_UNEXPLAINED,
                                    .claims = &claim,
                                    .claim_count = 1,
                                    .parts = parts,
                                    .part_count = 3};
    struct account account = build(&item, 1, &report, 1);
    assert_int_equal(account.row_bytes[ROW_LAZY], 60 * MIB);
    assert_int_equal(account.row_bytes[ROW_IN_USE], 20 * MIB);
    assert_int_equal(account.row_bytes[ROW_SLACK], 5 * MIB);
    assert_int_equal(account.row_bytes[ROW_KEPT], 10 * MIB);
    assert_int_equal(account.row_bytes[ROW_UNEXPLAINED], 5 * MIB);
    account_free(&account);
}

// A ledger that counts memory that is not resident is cut, and the cut becomes the error.
static void test_parts_beyond_the_claim_are_cut(void **state)
{
    (void)state;
    struct mapping item = mapping_at(0x10000000, 10, 0, MAPPING_ANONYMOUS);
    struct runtime_claim claim = {item.start, item.end, 10 * MIB, 0, 0};
    struct runtime_part parts[] = {{ROW_IN_USE, 12 * MIB, 0, "a"}, {ROW_KEPT, 4 * MIB, 0, "b"}};
    struct runtime_report report = {.name = "Go",
                                    .rest_row = ROW_UNEXPLAINED,
                                    .claims = &claim,
                                    .claim_count = 1,
                                    .parts = parts,
                                    .part_count = 2};
    struct account account = build(&item, 1, &report, 1);
    assert_int_equal(account.row_bytes[ROW_IN_USE], 6 * MIB);
    assert_int_equal(account.row_error_bytes[ROW_IN_USE], 6 * MIB);
    assert_int_equal(account.row_bytes[ROW_KEPT], 4 * MIB);
    assert_int_equal(account.row_bytes[ROW_UNEXPLAINED], 0);
    account_free(&account);
}

// A hostile ledger whose parts overflow must not break the sum.
static void test_parts_that_overflow_count_nothing(void **state)
{
    (void)state;
    struct mapping item = mapping_at(0x10000000, 10, 0, MAPPING_ANONYMOUS);
    struct runtime_claim claim = {item.start, item.end, 10 * MIB, 0, 0};
    struct runtime_part parts[] = {{ROW_IN_USE, UINT64_MAX, 0, "a"},
                                   {ROW_LAZY, UINT64_MAX, 0, "b"}};
    struct runtime_report report = {.name = "Go",
                                    .rest_row = ROW_HELD,
                                    .claims = &claim,
                                    .claim_count = 1,
                                    .parts = parts,
                                    .part_count = 2};
    struct account account = build(&item, 1, &report, 1);
    assert_int_equal(account.row_bytes[ROW_HELD], 10 * MIB);
    account_free(&account);
}

// Claims that were measured after smaps may sum to more than it has.
static void test_claims_never_exceed_the_mapping(void **state)
{
    (void)state;
    struct mapping item = mapping_at(0x10000000, 10, 8, MAPPING_ANONYMOUS);
    struct runtime_claim first = {item.start, item.start + 6 * MIB, 7 * MIB, 1 * MIB, 0};
    struct runtime_claim second = {item.start + 6 * MIB, item.end, 9 * MIB, 9 * MIB, 0};
    struct runtime_report reports[] = {
        {.name = "A", .rest_row = ROW_HELD, .claims = &first, .claim_count = 1},
        {.name = "B", .rest_row = ROW_HELD, .claims = &second, .claim_count = 1},
    };
    struct account account = build(&item, 1, reports, 2);
    assert_int_equal(account.row_bytes[ROW_LAZY], 8 * MIB);
    assert_int_equal(account.row_bytes[ROW_HELD], 2 * MIB);
    assert_int_equal(account.row_bytes[ROW_UNEXPLAINED], 0);
    account_free(&account);
}

// Random claims, parts and mappings: the sums hold for all of them.
static void test_sums_hold_for_random_readings(void **state)
{
    (void)state;
    srand(1);
    for (int round = 0; round < 2000; round++) {
        struct mapping items[8];
        struct runtime_claim claims[2][8];
        struct runtime_part parts[2][4];
        for (int i = 0; i < 8; i++) {
            uint32_t mib = (uint32_t)rand() % 8;
            items[i] = mapping_at(0x10000000ull * (unsigned)(i + 1), mib, (uint32_t)rand() % 9,
                                  (enum mapping_kind)(rand() % 7));
            for (int k = 0; k < 2; k++)
                claims[k][i] = (struct runtime_claim){items[i].start, items[i].end,
                                                      (uint64_t)(rand() % (10 * MIB)),
                                                      (uint64_t)(rand() % (10 * MIB)), 0};
        }
        struct runtime_report reports[2];
        for (int k = 0; k < 2; k++) {
            for (int i = 0; i < 4; i++)
                parts[k][i] = (struct runtime_part){(enum account_row)(rand() % ROW_COUNT),
                                                    (uint64_t)(rand() % (20 * MIB)), 0, "x"};
            reports[k] = (struct runtime_report){.name = "R",
                                                 .rest_row = ROW_UNEXPLAINED,
                                                 .claims = claims[k],
                                                 .claim_count = 8,
                                                 .parts = parts[k],
                                                 .part_count = 4};
        }
        struct account account = build(items, 8, reports, 2);
        account_free(&account);
    }
}

static uint64_t error_of(const struct account *account, enum account_row row)
{
    for (size_t i = 0; i < account->entry_count; i++)
        if (account->entries[i].row == row)
            return account->entries[i].error_bytes;
    return 0;
}

// LazyFree's split between two claims may be wrong; its sum is the kernel's, late by the lag.
static void test_errors_of_lazy_memory(void **state)
{
    (void)state;
    struct mapping item = mapping_at(0x10000000, 10, 4, MAPPING_ANONYMOUS);
    struct runtime_claim claim = {item.start, item.start + 5 * MIB, 5 * MIB, 2 * MIB, MIB};
    struct runtime_report report = {
        .name = "A", .rest_row = ROW_HELD, .claims = &claim, .claim_count = 1};
    struct mappings mappings = {.items = &item, .count = 1, .has_sizes = true};
    struct account_input input = {&mappings, &report, 1, 128 * KIB};
    struct account account;
    assert_int_equal(account_build(&input, &account), 0);
    assert_sums(&account);
    assert_int_equal(account.row_error_bytes[ROW_LAZY], 128 * KIB);
    // Two owners with 2 MiB each; the one without a name is first among equals, and carries the
    // lag.
    assert_int_equal(error_of(&account, ROW_LAZY), 128 * KIB);
    assert_int_equal(account.row_error_bytes[ROW_HELD], MIB);
    assert_int_equal(account_runtime_bytes(&account, "A", ROW_LAZY), 2 * MIB);
    account_free(&account);
    input.lazy_lag_bytes = UINT64_MAX;
    assert_int_equal(account_build(&input, &account), 0);
    assert_int_equal(account.row_error_bytes[ROW_LAZY], 6 * MIB);
    account_free(&account);
}

// Errors out of hostile memory neither wrap round nor grow beyond what is resident.
static void test_errors_stay_below_rss(void **state)
{
    (void)state;
    struct mapping item = mapping_at(0x10000000, 10, 2, MAPPING_ANONYMOUS);
    struct runtime_claim claims[] = {
        {item.start, item.start + 5 * MIB, 5 * MIB, MIB, UINT64_MAX},
        {item.start + 5 * MIB, item.end, 5 * MIB, MIB, UINT64_MAX},
    };
    struct runtime_part parts[] = {{ROW_IN_USE, 20 * MIB, UINT64_MAX, "a"},
                                   {ROW_IN_USE, 2 * MIB, UINT64_MAX - 5, "b"}};
    struct runtime_report report = {.name = "A",
                                    .rest_row = ROW_HELD,
                                    .claims = claims,
                                    .claim_count = 2,
                                    .parts = parts,
                                    .part_count = 2};
    struct account account = build(&item, 1, &report, 1);
    assert_int_equal(error_of(&account, ROW_IN_USE), 10 * MIB);
    assert_int_equal(error_of(&account, ROW_LAZY), 10 * MIB);
    assert_int_equal(account.row_error_bytes[ROW_IN_USE], 10 * MIB);
    account_free(&account);
    // Parts that overflow say nothing: all of the rest may be something else.
    parts[0].bytes = parts[1].bytes = UINT64_MAX;
    claims[0].error_bytes = claims[1].error_bytes = 0;
    account = build(&item, 1, &report, 1);
    assert_int_equal(error_of(&account, ROW_HELD), 8 * MIB);
    account_free(&account);
}

// A claim whose mapping is gone gets nothing and costs nobody else anything.
static void test_claims_outside_of_mappings_get_nothing(void **state)
{
    (void)state;
    struct mapping items[] = {mapping_at(0x10000000, 1, 0, MAPPING_ANONYMOUS),
                              mapping_at(0x20000000, 1, 0, MAPPING_ANONYMOUS)};
    struct runtime_claim claims[] = {{0x1000, 0x2000, MIB, 0, 0},
                                     {0x18000000, 0x18100000, MIB, 0, 0},
                                     {0x20000000, 0x20100000, MIB, 0, 0},
                                     {0x30000000, 0x30100000, MIB, 0, 0}};
    struct runtime_report report = {
        .name = "A", .rest_row = ROW_HELD, .claims = claims, .claim_count = 4};
    struct account account = build(items, 2, &report, 1);
    assert_int_equal(account.row_bytes[ROW_HELD], MIB);
    assert_int_equal(account.row_bytes[ROW_UNEXPLAINED], MIB);
    assert_int_equal(account.unexplained_mappings, 1);
    assert_int_equal(account.unexplained_mapped_bytes, MIB);
    account_free(&account);
}

static void test_without_sizes_there_is_no_account(void **state)
{
    (void)state;
    struct mappings mappings = {.has_sizes = false};
    struct account_input input = {&mappings, NULL, 0, 0};
    struct account account = {.rss_bytes = 7};
    assert_int_equal(account_build(&input, &account), -ENODATA);
    assert_int_equal(account.rss_bytes, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds_without_runtimes),
        cmocka_unit_test(test_written_files_are_counted),
        cmocka_unit_test(test_shared_anonymous_is_shared),
        cmocka_unit_test(test_parts_fill_the_claim),
        cmocka_unit_test(test_parts_beyond_the_claim_are_cut),
        cmocka_unit_test(test_parts_that_overflow_count_nothing),
        cmocka_unit_test(test_claims_never_exceed_the_mapping),
        cmocka_unit_test(test_sums_hold_for_random_readings),
        cmocka_unit_test(test_errors_of_lazy_memory),
        cmocka_unit_test(test_errors_stay_below_rss),
        cmocka_unit_test(test_claims_outside_of_mappings_get_nothing),
        cmocka_unit_test(test_without_sizes_there_is_no_account),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
