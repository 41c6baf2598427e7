// SPDX-License-Identifier: Apache-2.0
// Unit tests of the filter against MADV_FREE: its two makers give the same answers, and the right
// ones, for every way to call the kernel. The programs are run by an interpreter of classic BPF.
// Test code.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>

#include "lever/run/filter.h"

enum { STEPS_MAX = 4096, X32_BIT = 0x40000000 };

static uint32_t load(const struct seccomp_data *data, uint32_t offset)
{
    uint32_t word;
    assert_true(offset + sizeof word <= sizeof *data && offset % sizeof word == 0);
    memcpy(&word, (const char *)data + offset, sizeof word);
    return word;
}

static bool jumps(const struct sock_filter *at, uint32_t accumulator)
{
    switch (BPF_OP(at->code)) {
    case BPF_JEQ:
        return accumulator == at->k;
    case BPF_JGT:
        return accumulator > at->k;
    case BPF_JGE:
        return accumulator >= at->k;
    case BPF_JSET:
        return (accumulator & at->k) != 0;
    default:
        fail_msg("jump %x", at->code);
        return false;
    }
}

// What seccomp accepts of classic BPF, as far as filters use it; anything else fails the test.
static uint32_t interpret(const struct buffer *program, const struct seccomp_data *data)
{
    const struct sock_filter *code = (const struct sock_filter *)(const void *)program->data;
    size_t count = program->len / sizeof *code, at = 0;
    uint32_t accumulator = 0, memory[BPF_MEMWORDS] = {0};
    for (int step = 0; step < STEPS_MAX && at < count; step++) {
        const struct sock_filter *now = &code[at++];
        switch (now->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            accumulator = load(data, now->k);
            break;
        case BPF_LD | BPF_MEM:
            accumulator = memory[now->k % BPF_MEMWORDS];
            break;
        case BPF_ST:
            memory[now->k % BPF_MEMWORDS] = accumulator;
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            accumulator &= now->k;
            break;
        case BPF_JMP | BPF_JA:
            at += now->k;
            break;
        case BPF_RET | BPF_K:
            return now->k;
        default:
            assert_int_equal(BPF_CLASS(now->code), BPF_JMP);
            at += jumps(now, accumulator) ? now->jt : now->jf;
        }
    }
    fail_msg("the program has no end");
    return 0;
}

static const enum filter_machine machines[] = {FILTER_X86, FILTER_ARM};

static struct buffer assembled(enum filter_machine machine)
{
    struct buffer program = {0};
    assert_int_equal(filter_assemble(machine, &program), 0);
    assert_int_equal(program.len % sizeof(struct sock_filter), 0);
    return program;
}

static bool is_refused(uint32_t answer)
{
    if (answer == SECCOMP_RET_ALLOW)
        return false;
    // Nothing but EINVAL: mimalloc repeats EAGAIN for ever.
    assert_int_equal(answer, SECCOMP_RET_ERRNO | EINVAL);
    return true;
}

// By the system call tables alone, apart from the table in filter.c.
static bool should_refuse(enum filter_machine machine, const struct seccomp_data *data)
{
    bool has_32 = (uint32_t)data->args[2] == MADV_FREE, has_process = false;
    has_process = (uint32_t)data->args[3] == MADV_FREE;
    uint32_t number = (uint32_t)data->nr;
    uint32_t arch = data->arch;
    if (machine == FILTER_X86 && arch == AUDIT_ARCH_X86_64)
        number &= ~(uint32_t)X32_BIT;
    bool is_known = machine == FILTER_X86 ? arch == AUDIT_ARCH_X86_64 || arch == AUDIT_ARCH_I386
                                          : arch == AUDIT_ARCH_AARCH64 || arch == AUDIT_ARCH_ARM;
    if (!is_known)
        return false;
    if (number == 440)
        return has_process;
    uint32_t madvise_number = arch == AUDIT_ARCH_X86_64    ? 28
                              : arch == AUDIT_ARCH_I386    ? 219
                              : arch == AUDIT_ARCH_AARCH64 ? 233
                                                           : 220;
    return number == madvise_number && has_32;
}

typedef void visit(enum filter_machine machine, const struct seccomp_data *data, void *context);

// Every architecture, number and advice worth a look: all numbers of all tables, both halves of the
// arguments, and what lies beside.
static void visit_all(visit *look, void *context)
{
    static const uint32_t archs[] = {
        AUDIT_ARCH_X86_64,  AUDIT_ARCH_I386,  AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM,
        AUDIT_ARCH_RISCV64, AUDIT_ARCH_S390X, AUDIT_ARCH_PPC64LE, 0,
        0xffffffff};
    static const uint64_t advices[] = {
        0,
        4,
        MADV_FREE,
        MADV_FREE + 1,
        MADV_FREE | UINT64_C(1) << 32,
        MADV_FREE | UINT64_C(0xffffffff) << 32,
        (uint64_t)MADV_FREE << 32,
        UINT64_MAX,
    };
    static const uint32_t offsets[] = {0, X32_BIT, 0x80000000};
    for (size_t m = 0; m < 2; m++) {
        for (size_t a = 0; a < sizeof(archs) / sizeof(*archs); a++) {
            for (uint32_t number = 0; number < 600 * 3; number++) {
                for (size_t v = 0; v < sizeof(advices) / sizeof(*advices); v++) {
                    struct seccomp_data data = {.nr = (int)(number % 600 + offsets[number / 600]),
                                                .arch = archs[a]};
                    data.args[2] = advices[v];
                    data.args[3] = advices[(v + number) % 8];
                    look(machines[m], &data, context);
                }
            }
        }
    }
}

struct programs {
    struct buffer items[2];
    size_t refused;
};

static void look_at_truth(enum filter_machine machine, const struct seccomp_data *data,
                          void *context)
{
    struct programs *programs = context;
    bool refused = is_refused(interpret(&programs->items[machine], data));
    programs->refused += refused;
    if (refused != should_refuse(machine, data))
        fail_msg("arch %x number %x arguments %llx %llx: %s", data->arch, data->nr,
                 (unsigned long long)data->args[2], (unsigned long long)data->args[3],
                 refused ? "refused" : "let through");
}

static void test_refuses_madv_free_alone(void **state)
{
    (void)state;
    struct programs programs = {{assembled(FILTER_X86), assembled(FILTER_ARM)}, 0};
    visit_all(look_at_truth, &programs);
    assert_true(programs.refused > 0);
    buffer_free(&programs.items[0]);
    buffer_free(&programs.items[1]);
}

static void look_at_both(enum filter_machine machine, const struct seccomp_data *data,
                         void *context)
{
    struct programs *by_library = context;
    struct buffer *ours = by_library[1].items;
    uint32_t mine = interpret(&ours[machine], data);
    uint32_t other = interpret(&by_library[0].items[machine], data);
    if (mine != other)
        fail_msg("arch %x number %x arguments %llx %llx: %x by our own, %x by libseccomp",
                 data->arch, data->nr, (unsigned long long)data->args[2],
                 (unsigned long long)data->args[3], mine, other);
}

static void test_library_answers_alike(void **state)
{
    (void)state;
    struct programs both[2] = {0};
    for (size_t m = 0; m < 2; m++) {
        int error = filter_assemble_by_library(machines[m], &both[0].items[machines[m]]);
        if (error == -ENOTSUP) {
            print_message("this build is without libseccomp\n");
            skip();
        }
        assert_int_equal(error, 0);
        both[1].items[machines[m]] = assembled(machines[m]);
    }
    visit_all(look_at_both, both);
    for (size_t m = 0; m < 2; m++) {
        buffer_free(&both[0].items[m]);
        buffer_free(&both[1].items[m]);
    }
}

// The kernel finds calls that always pass only in programs of such instructions; a load of an
// argument before the number is known would end that.
static void test_cacheable(void **state)
{
    (void)state;
    for (size_t m = 0; m < 2; m++) {
        struct buffer program = assembled(machines[m]);
        const struct sock_filter *code = (const struct sock_filter *)(const void *)program.data;
        for (size_t i = 0; i < program.len / sizeof *code; i++) {
            bool is_argument = code[i].code == (BPF_LD | BPF_W | BPF_ABS) &&
                               code[i].k >= offsetof(struct seccomp_data, args);
            if (is_argument)
                assert_int_equal(code[i - 1].code, BPF_JMP | BPF_JEQ | BPF_K);
        }
        buffer_free(&program);
    }
}

static void test_build_takes_either(void **state)
{
    (void)state;
    enum filter_machine here;
    if (filter_machine_here(&here)) {
        print_message("no filter is made for this machine\n");
        skip();
    }
    struct buffer program = {0};
    assert_int_equal(filter_build(here, &program), 0);
    assert_true(program.len > 0);
    assert_true(strlen(filter_coverage(here)) > 0);
    buffer_free(&program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refuses_madv_free_alone),
        cmocka_unit_test(test_library_answers_alike),
        cmocka_unit_test(test_cacheable),
        cmocka_unit_test(test_build_takes_either),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
