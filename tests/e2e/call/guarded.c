// SPDX-License-Identifier: Apache-2.0
// A system call with patterns in all that a thread owns, see guarded.h. Test code; x86-64.
#include "guarded.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The offsets are written down in the assembly below.
struct guard {
    uint8_t ymm[16][32], ymm_after[16][32];
    uint8_t zmm[16][64], zmm_after[16][64];      // 16 to 31
    uint64_t registers[12], registers_after[12]; // rbx rbp r12 r13 r14 r15 rdi rsi rdx r10 r8 r9
    uint64_t red_zone[16], red_zone_after[16];
    uint32_t mxcsr, control, mxcsr_after, control_after;
    uint64_t has_avx512;
    uint64_t masks[8], masks_after[8]; // k0 to k7
    double x87_after[2];
    long number;
};
_Static_assert(offsetof(struct guard, zmm) == 1024, "");
_Static_assert(offsetof(struct guard, registers) == 3072, "");
_Static_assert(offsetof(struct guard, red_zone) == 3264, "");
_Static_assert(offsetof(struct guard, mxcsr) == 3520, "");
_Static_assert(offsetof(struct guard, has_avx512) == 3536, "");
_Static_assert(offsetof(struct guard, masks) == 3544, "");
_Static_assert(offsetof(struct guard, x87_after) == 3672, "");
_Static_assert(offsetof(struct guard, number) == 3688, "");

long guard_enter(struct guard *guard);

__asm__(".text\n"
        "guard_enter:\n"
        "  push %rbx\n  push %rbp\n  push %r12\n  push %r13\n  push %r14\n  push %r15\n"
        "  push %rdi\n"
        "  mov %rdi, %rcx\n"
        "  .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "  vmovdqu \\n*32(%rcx), %ymm\\n\n"
        "  mov 3264+8*\\n(%rcx), %rax\n"
        "  mov %rax, -8-8*\\n(%rsp)\n"
        "  .endr\n"
        "  cmpq $0, 3536(%rcx)\n"
        "  je 1f\n"
        "  .irp n,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
        "  vmovdqu64 1024+(\\n-16)*64(%rcx), %zmm\\n\n"
        "  .endr\n"
        "  .irp n,0,1,2,3,4,5,6,7\n"
        "  kmovw 3544+8*\\n(%rcx), %k\\n\n"
        "  .endr\n"
        "1: ldmxcsr 3520(%rcx)\n"
        "  fninit\n  fld1\n  fldpi\n  fldcw 3524(%rcx)\n"
        "  mov 3072(%rcx), %rbx\n  mov 3080(%rcx), %rbp\n  mov 3088(%rcx), %r12\n"
        "  mov 3096(%rcx), %r13\n  mov 3104(%rcx), %r14\n  mov 3112(%rcx), %r15\n"
        "  mov 3120(%rcx), %rdi\n  mov 3128(%rcx), %rsi\n  mov 3136(%rcx), %rdx\n"
        "  mov 3144(%rcx), %r10\n  mov 3152(%rcx), %r8\n  mov 3160(%rcx), %r9\n"
        "  mov 3688(%rcx), %rax\n"
        "  syscall\n"
        "  mov (%rsp), %rcx\n"
        "  mov %rbx, 3168(%rcx)\n  mov %rbp, 3176(%rcx)\n  mov %r12, 3184(%rcx)\n"
        "  mov %r13, 3192(%rcx)\n  mov %r14, 3200(%rcx)\n  mov %r15, 3208(%rcx)\n"
        "  mov %rdi, 3216(%rcx)\n  mov %rsi, 3224(%rcx)\n  mov %rdx, 3232(%rcx)\n"
        "  mov %r10, 3240(%rcx)\n  mov %r8, 3248(%rcx)\n  mov %r9, 3256(%rcx)\n"
        "  .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "  vmovdqu %ymm\\n, 512+\\n*32(%rcx)\n"
        "  mov -8-8*\\n(%rsp), %rdx\n"
        "  mov %rdx, 3392+8*\\n(%rcx)\n"
        "  .endr\n"
        "  cmpq $0, 3536(%rcx)\n"
        "  je 2f\n"
        "  .irp n,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
        "  vmovdqu64 %zmm\\n, 2048+(\\n-16)*64(%rcx)\n"
        "  .endr\n"
        "  .irp n,0,1,2,3,4,5,6,7\n"
        "  kmovw %k\\n, 3608+8*\\n(%rcx)\n"
        "  .endr\n"
        "2: stmxcsr 3528(%rcx)\n"
        "  fnstcw 3532(%rcx)\n"
        "  fstpl 3672(%rcx)\n  fstpl 3680(%rcx)\n"
        "  fninit\n"
        "  movl $0x1f80, -8(%rsp)\n  ldmxcsr -8(%rsp)\n"
        "  vzeroupper\n"
        "  pop %rdi\n"
        "  pop %r15\n  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbp\n  pop %rbx\n"
        "  ret\n");

enum { MXCSR = 0x7f80, CONTROL = 0x0f7f, ALTSTACK_BYTES = 65536 }; // both round to zero

static void fill(void *to, size_t len, uint64_t *state)
{
    uint8_t *bytes = to;
    for (size_t i = 0; i < len; i++) {
        *state = *state * 6364136223846793005 + 1442695040888963407;
        bytes[i] = (uint8_t)(*state >> 56);
    }
}

static void compare(const char *what, const void *before, const void *after, size_t len,
                    unsigned long *bad)
{
    if (memcmp(before, after, len) == 0)
        return;
    ++*bad;
    fprintf(stderr, "%s changed\n", what);
}

static void check(const struct guard *guard, unsigned long *bad)
{
    static const double x87[2] = {3.14159265358979323846, 1.0};
    compare("ymm", guard->ymm, guard->ymm_after, sizeof guard->ymm, bad);
    compare("registers", guard->registers, guard->registers_after, sizeof guard->registers, bad);
    compare("red zone", guard->red_zone, guard->red_zone_after, sizeof guard->red_zone, bad);
    compare("mxcsr", &guard->mxcsr, &guard->mxcsr_after, sizeof guard->mxcsr, bad);
    compare("x87 control", &guard->control, &guard->control_after, 2, bad);
    compare("x87", x87, guard->x87_after, sizeof x87, bad);
    if (!guard->has_avx512)
        return;
    compare("zmm", guard->zmm, guard->zmm_after, sizeof guard->zmm, bad);
    compare("masks", guard->masks, guard->masks_after, sizeof guard->masks, bad);
}

long guarded_syscall(unsigned seed, unsigned long *bad, long number, long a, long b, long c, long d,
                     long e, long f)
{
    static __thread char altstack[ALTSTACK_BYTES];
    struct guard guard = {.mxcsr = MXCSR, .control = CONTROL, .number = number};
    const uint64_t arguments[6] = {(uint64_t)a, (uint64_t)b, (uint64_t)c,
                                   (uint64_t)d, (uint64_t)e, (uint64_t)f};
    uint64_t state = seed;
    fill(&guard.ymm, sizeof guard.ymm, &state);
    fill(&guard.zmm, sizeof guard.zmm, &state);
    fill(&guard.registers, sizeof guard.registers, &state);
    fill(&guard.red_zone, sizeof guard.red_zone, &state);
    for (int i = 0; i < 8; i++)
        guard.masks[i] = (uint16_t)(state >> (8 + i));
    memcpy(guard.registers + 6, arguments, sizeof arguments);
    guard.has_avx512 = (uint64_t)(__builtin_cpu_supports("avx512f") != 0);
    stack_t stack = {.ss_sp = altstack, .ss_size = sizeof altstack}, stack_after;
    sigset_t mask, mask_after;
    sigaltstack(&stack, NULL);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    int before = (int)(seed & 0xffff);
    errno = before;
    long result = guard_enter(&guard);
    int after = errno;
    compare("errno", &before, &after, sizeof before, bad);
    check(&guard, bad);
    pthread_sigmask(SIG_SETMASK, NULL, &mask_after);
    compare("signal mask", &mask, &mask_after, 8, bad);
    sigaltstack(NULL, &stack_after);
    if (stack_after.ss_sp != stack.ss_sp || stack_after.ss_size != stack.ss_size ||
        stack_after.ss_flags != 0) {
        fprintf(stderr, "alternate stack changed\n");
        ++*bad;
    }
    return result;
}
