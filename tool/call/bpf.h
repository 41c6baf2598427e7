// SPDX-License-Identifier: Apache-2.0
// Runs a seccomp filter (classic BPF) over a system call that has not been made, to learn what the
// kernel would answer. Tool world; pure, no state.
//
// The program comes from the target: it is hostile. Whatever it holds, nothing is read or written
// outside the arguments, and at most one step per instruction is made.
// Sources: Documentation/userspace-api/seccomp_filter.rst, kernel/seccomp.c seccomp_check_filter(),
// net/core/filter.c.
#ifndef EBB_CALL_BPF_H
#define EBB_CALL_BPF_H

#include <stddef.h>
#include <stdint.h>

// struct sock_filter.
struct bpf_instruction {
    uint16_t code;
    uint8_t jump_true, jump_false;
    uint32_t k;
};

// struct seccomp_data, what a filter looks at.
struct bpf_call {
    int32_t number;
    uint32_t architecture; // AUDIT_ARCH_*
    uint64_t instruction_pointer;
    uint64_t arguments[6];
};

enum { BPF_INSTRUCTIONS_MAX = 4096 }; // BPF_MAXINSNS

// 0 and the filter's answer (SECCOMP_RET_*); -EINVAL for a program that the kernel would not have
// accepted, or that does not end with an answer.
int bpf_run(const struct bpf_instruction *program, size_t count, const struct bpf_call *call,
            uint32_t *ret_answer);

#endif
