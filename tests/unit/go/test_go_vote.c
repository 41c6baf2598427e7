// SPDX-License-Identifier: Apache-2.0
// Unit tests of operands in code, and of the vote over them. Test world; pure.
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/go/go_vote.h"

enum { CODE = 0x401000, DATA = 0x600000, DATA_BYTES = 0x40000 };

static struct go_targets targets_in_data(void)
{
    struct go_targets targets = {.range_count = 1};
    targets.ranges[0] = (struct go_address_range){DATA, DATA + DATA_BYTES};
    return targets;
}

// mov rax, [rip+d]; lea rax, [rip+d]; cmp dword [rip+d], 0; mov dword [rip+d], imm32; test byte
// [rip+d], 1.
static void test_amd64_operands(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[12];
        size_t displacement_at, len;
    } cases[] = {
        {{0x48, 0x8b, 0x05}, 3, 7}, {{0x48, 0x8d, 0x05}, 3, 7},          {{0x83, 0x3d}, 2, 7},
        {{0xc7, 0x05}, 2, 10},      {{0xf6, 0x05, 0, 0, 0, 0, 1}, 2, 7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t code[12];
        memcpy(code, cases[i].bytes, sizeof code);
        int32_t displacement = (int32_t)(DATA + 0x128 - (CODE + cases[i].len));
        memcpy(code + cases[i].displacement_at, &displacement, sizeof displacement);
        struct go_targets targets = targets_in_data();
        assert_int_equal(go_targets_add_code(&targets, EM_X86_64, CODE, code, cases[i].len), 0);
        go_targets_sort(&targets);
        assert_int_equal(targets.count, 1);
        assert_int_equal(targets.items[0], DATA + 0x128);
        go_targets_free(&targets);
    }
}

// adrp x0, page; add x1, x0, #0x128; ldr x2, [x0, #0x130]; str w3, [x0, #0x138].
static void test_arm64_pairs(void **state)
{
    (void)state;
    uint32_t page = (DATA - CODE) >> 12;
    const uint32_t code[] = {
        0x90000000u | (page & 3) << 29 | (page >> 2) << 5,
        0x91000001u | 0x128u << 10,
        0xf9400002u | (0x130u / 8) << 10,
        0xb9000003u | (0x138u / 4) << 10,
    };
    struct go_targets targets = targets_in_data();
    assert_int_equal(
        go_targets_add_code(&targets, EM_AARCH64, CODE, (const uint8_t *)code, sizeof code), 0);
    go_targets_sort(&targets);
    assert_int_equal(targets.count, 3);
    assert_true(go_targets_has(&targets, DATA + 0x128));
    assert_true(go_targets_has(&targets, DATA + 0x130));
    assert_true(go_targets_has(&targets, DATA + 0x138));
    go_targets_free(&targets);
}

static void test_random_code_stays_in_bounds(void **state)
{
    (void)state;
    uint8_t code[257];
    uint32_t seed = 1;
    for (size_t i = 0; i < sizeof code; i++) {
        seed = seed * 1664525 + 1013904223;
        code[i] = (uint8_t)(seed >> 24);
    }
    for (size_t len = 0; len <= sizeof code; len++) {
        struct go_targets targets = targets_in_data();
        assert_int_equal(go_targets_add_code(&targets, EM_X86_64, CODE, code, len), 0);
        assert_int_equal(go_targets_add_code(&targets, EM_AARCH64, CODE, code, len), 0);
        for (size_t i = 0; i < targets.count; i++)
            assert_true(go_targets_in_range(&targets, targets.items[i]));
        go_targets_free(&targets);
    }
}

// The base that most of the mentioned fields agree on comes first, stray addresses notwithstanding.
static void test_vote(void **state)
{
    (void)state;
    struct go_version_row row;
    assert_int_equal(go_table_find(24, &row), 0);
    // Without the first one two bases would tie: the others lie so that 16 bytes off fit as well.
    static const enum go_field_id mentioned[] = {GO_MEMSTATS_NUMFORCEDGC, GO_MEMSTATS_MSPAN_SYS,
                                                 GO_MEMSTATS_GC_SYS, GO_MEMSTATS_NUMGC,
                                                 GO_MEMSTATS_OTHER_SYS};
    const uint64_t base = DATA + 0x2000;
    uint64_t items[8];
    for (size_t i = 0; i < 5; i++)
        items[i] = base + (uint64_t)row.fields[mentioned[i]].offset;
    items[5] = DATA + 0x100;
    items[6] = DATA + 0x20008;
    items[7] = base + 0x1f8;
    struct go_targets targets = targets_in_data();
    targets.items = items;
    targets.count = 8;
    struct go_candidate candidates[64];
    int count = go_vote(&targets, &row, GO_OBJECT_MEMSTATS, candidates, 64);
    assert_true(count > 1);
    assert_int_equal(candidates[0].base, base);
    assert_int_equal(candidates[0].votes, 5);
    for (int i = 1; i < count; i++)
        assert_true(candidates[i].votes < 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_amd64_operands),
        cmocka_unit_test(test_arm64_pairs),
        cmocka_unit_test(test_random_code_stays_in_bounds),
        cmocka_unit_test(test_vote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
