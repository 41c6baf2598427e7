// SPDX-License-Identifier: Apache-2.0
// The interpreter of seccomp filters: against the kernel's own answers, and against bad programs.
// Test code.
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "call/bpf.h"

static const struct bpf_call call = {
    .number = 28,
    .architecture = AUDIT_ARCH_X86_64,
    .instruction_pointer = 0x1122334455667788,
    .arguments = {1, 2, 0x100000004, 4, 5, 6},
};

static uint32_t answer_of(const struct bpf_instruction *program, size_t count)
{
    uint32_t answer = 0xdeadbeef;
    assert_int_equal(bpf_run(program, count, &call, &answer), 0);
    return answer;
}

static void refuse(const struct bpf_instruction *program, size_t count)
{
    uint32_t answer = 1;
    assert_int_equal(bpf_run(program, count, &call, &answer), -EINVAL);
    assert_int_equal(answer, 1);
}

// As libseccomp and containers write them.
static void test_filter(void **state)
{
    (void)state;
    const struct bpf_instruction program[] = {
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, 4},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 5, AUDIT_ARCH_X86_64},
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 28},
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, 32},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 4},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
    };
    assert_int_equal(answer_of(program, 8), SECCOMP_RET_ERRNO | EPERM);
    struct bpf_call other = call;
    other.number = 29;
    uint32_t answer;
    assert_int_equal(bpf_run(program, 8, &other, &answer), 0);
    assert_int_equal(answer, SECCOMP_RET_ALLOW);
}

static void test_every_instruction(void **state)
{
    (void)state;
    const struct bpf_instruction program[] = {
        {BPF_LDX | BPF_W | BPF_LEN, 0, 0, 0},    // x = 64
        {BPF_LD | BPF_IMM, 0, 0, 7},             // a = 7
        {BPF_ALU | BPF_ADD | BPF_X, 0, 0, 0},    // 71
        {BPF_ALU | BPF_MUL | BPF_K, 0, 0, 3},    // 213
        {BPF_ALU | BPF_SUB | BPF_K, 0, 0, 13},   // 200
        {BPF_ALU | BPF_DIV | BPF_K, 0, 0, 3},    // 66
        {BPF_ST, 0, 0, 15},                      // memory[15] = 66
        {BPF_ALU | BPF_LSH | BPF_K, 0, 0, 4},    // 1056
        {BPF_ALU | BPF_OR | BPF_K, 0, 0, 0x0f},  // 1071
        {BPF_ALU | BPF_RSH | BPF_K, 0, 0, 1},    // 535
        {BPF_ALU | BPF_AND | BPF_K, 0, 0, 0xff}, // 23
        {BPF_ALU | BPF_XOR | BPF_K, 0, 0, 1},    // 22
        {BPF_MISC | BPF_TAX, 0, 0, 0},           // x = 22
        {BPF_STX, 0, 0, 0},
        {BPF_LD | BPF_MEM, 0, 0, 15}, // a = 66
        {BPF_ALU | BPF_NEG, 0, 0, 0},
        {BPF_ALU | BPF_NEG, 0, 0, 0},
        {BPF_JMP | BPF_JGT | BPF_X, 0, 4, 0},  // 66 > 22
        {BPF_JMP | BPF_JGE | BPF_K, 0, 3, 66}, // 66 >= 66
        {BPF_JMP | BPF_JSET | BPF_K, 0, 2, 0x40},
        {BPF_JMP | BPF_JA, 0, 0, 2},
        {BPF_RET | BPF_K, 0, 0, 1},
        {BPF_RET | BPF_K, 0, 0, 2},
        {BPF_LDX | BPF_MEM, 0, 0, 0}, // x = 22
        {BPF_ALU | BPF_ADD | BPF_X, 0, 0, 0},
        {BPF_MISC | BPF_TXA, 0, 0, 0},
        {BPF_RET | BPF_A, 0, 0, 0},
    };
    assert_int_equal(answer_of(program, sizeof program / sizeof *program), 22);
}

static void test_bad_programs(void **state)
{
    (void)state;
    refuse(NULL, 0);
    // Ends without an answer, or jumps behind its end.
    refuse(&(struct bpf_instruction){BPF_LD | BPF_IMM, 0, 0, 1}, 1);
    refuse((const struct bpf_instruction[]){{BPF_JMP | BPF_JA, 0, 0, UINT32_MAX},
                                            {BPF_RET | BPF_K, 0, 0, 0}},
           2);
    refuse((const struct bpf_instruction[]){{BPF_JMP | BPF_JEQ | BPF_K, 255, 255, 0},
                                            {BPF_RET | BPF_K, 0, 0, 0}},
           2);
    static const struct bpf_instruction bad[] = {
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, 64},
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, 2},
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, UINT32_MAX & ~3U},
        {BPF_LD | BPF_B | BPF_ABS, 0, 0, 0},
        {BPF_LD | BPF_W | BPF_IND, 0, 0, 0},
        {BPF_LDX | BPF_B | BPF_MSH, 0, 0, 0},
        {BPF_LD | BPF_MEM, 0, 0, BPF_MEMWORDS},
        {BPF_ST, 0, 0, BPF_MEMWORDS},
        {BPF_STX, 0, 0, UINT32_MAX},
        {BPF_ALU | BPF_DIV | BPF_K, 0, 0, 0},
        {BPF_ALU | BPF_LSH | BPF_K, 0, 0, 32},
        {BPF_ALU | 0xf0, 0, 0, 1},
        {BPF_JMP | 0xf0, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuse((const struct bpf_instruction[]){bad[i], {BPF_RET | BPF_K, 0, 0, 0}}, 2);
}

static void test_division_by_zero(void **state)
{
    (void)state;
    const struct bpf_instruction program[] = {{BPF_LDX | BPF_IMM, 0, 0, 0},
                                              {BPF_ALU | BPF_DIV | BPF_X, 0, 0, 0},
                                              {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    assert_int_equal(answer_of(program, 3), SECCOMP_RET_KILL_THREAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filter),
        cmocka_unit_test(test_every_instruction),
        cmocka_unit_test(test_bad_programs),
        cmocka_unit_test(test_division_by_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
