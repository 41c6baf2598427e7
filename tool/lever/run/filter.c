// SPDX-License-Identifier: Apache-2.0
// The filter put together by hand, and its installation, see filter.h. Tool world; no state.
#include "lever/run/filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// The low half of an argument is read at its address, which is so on little-endian machines only.
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "arguments are read by their low half");

// x32 calls come under x86-64's token, with this bit in the number.
#define X32_BIT 0x40000000U

// madvise() has its advice in the third place, process_madvise() in the fourth. The latter refuses
// MADV_FREE for other processes anyway; for oneself it takes any advice since 6.13.
static const struct filter_call x86_calls[] = {
    {AUDIT_ARCH_X86_64, 28, 2},
    {AUDIT_ARCH_X86_64, 440, 3},
    {AUDIT_ARCH_X86_64, X32_BIT | 28, 2},
    {AUDIT_ARCH_X86_64, X32_BIT | 440, 3},
    {AUDIT_ARCH_I386, 219, 2},
    {AUDIT_ARCH_I386, 440, 3},
};

static const struct filter_call arm_calls[] = {
    {AUDIT_ARCH_AARCH64, 233, 2},
    {AUDIT_ARCH_AARCH64, 440, 3},
    {AUDIT_ARCH_ARM, 220, 2},
    {AUDIT_ARCH_ARM, 440, 3},
};

// By machine rather than all in one: tokens that cannot come would only be compared in vain.
const struct filter_call *filter_calls(enum filter_machine machine, size_t *ret_count)
{
    bool is_x86 = machine == FILTER_X86;
    *ret_count =
        is_x86 ? sizeof(x86_calls) / sizeof(*x86_calls) : sizeof(arm_calls) / sizeof(*arm_calls);
    return is_x86 ? x86_calls : arm_calls;
}

const char *filter_coverage(enum filter_machine machine)
{
    return machine == FILTER_X86 ? "x86-64, x32, i386" : "aarch64, arm";
}

int filter_machine_here(enum filter_machine *ret_machine)
{
// A 32-bit ebb filters the 64-bit programs of its kernel as well.
#if defined(__x86_64__) || defined(__i386__)
    *ret_machine = FILTER_X86;
    return 0;
#elif defined(__aarch64__) || defined(__arm__)
    *ret_machine = FILTER_ARM;
    return 0;
#else
    (void)ret_machine;
    return -ENOTSUP;
#endif
}

// One instruction. Jumps count from the one behind it.
static int put(struct buffer *program, uint16_t code, uint32_t value, size_t if_true,
               size_t if_false)
{
    struct sock_filter instruction = {code, (uint8_t)if_true, (uint8_t)if_false, value};
    return buffer_append(program, &instruction, sizeof instruction);
}

// A 32-bit word of struct seccomp_data, the only thing that a filter may look at.
static int put_load(struct buffer *program, size_t offset)
{
    return put(program, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

// Goes on behind the next `skipped` instructions unless the accumulator is `value`.
static int put_unless_equal_skip(struct buffer *program, uint32_t value, size_t skipped)
{
    return put(program, BPF_JMP | BPF_JEQ | BPF_K, value, 0, skipped);
}

// Ends the program with an answer.
static int put_return(struct buffer *program, uint32_t action)
{
    return put(program, BPF_RET | BPF_K, action, 0, 0);
}

enum { CALL_INSTRUCTIONS = 5 };

// The kernel takes an int: it never sees the upper half, so neither may the filter.
static int put_call(struct buffer *program, const struct filter_call *call)
{
    size_t advice = offsetof(struct seccomp_data, args) + call->advice_argument * sizeof(uint64_t);
    int error = put_unless_equal_skip(program, call->number, CALL_INSTRUCTIONS - 1);
    if (!error)
        error = put_load(program, advice);
    if (!error)
        error = put_unless_equal_skip(program, MADV_FREE, 1);
    if (!error)
        error = put_return(program, SECCOMP_RET_ERRNO | EINVAL);
    return error ? error : put_return(program, SECCOMP_RET_ALLOW);
}

// One architecture's calls, which stand together in the table. Its number comes first: the same
// number is another call elsewhere.
static int put_architecture(struct buffer *program, const struct filter_call *calls, size_t count)
{
    int error = put_unless_equal_skip(program, calls->architecture, 2 + count * CALL_INSTRUCTIONS);
    if (!error)
        error = put_load(program, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < count && !error; i++)
        error = put_call(program, &calls[i]);
    return error ? error : put_return(program, SECCOMP_RET_ALLOW);
}

// Only loads, equal-jumps and returns: the kernel (5.11) then knows without running the filter
// which calls always pass, and lets these through at the cost of one bit test.
int filter_assemble(enum filter_machine machine, struct buffer *program)
{
    size_t count;
    const struct filter_call *calls = filter_calls(machine, &count);
    // Once at the beginning; the parts only compare it.
    int error = put_load(program, offsetof(struct seccomp_data, arch));
    for (size_t at = 0; at < count && !error;) {
        size_t end = at;
        while (end < count && calls[end].architecture == calls[at].architecture)
            end++;
        error = put_architecture(program, calls + at, end - at);
        at = end;
    }
    // A token that is not known passes: what it is cannot be told, and killing it helps nobody.
    return error ? error : put_return(program, SECCOMP_RET_ALLOW);
}

// Both give the same answers, so a library that fails is no reason to fail.
int filter_build(enum filter_machine machine, struct buffer *program)
{
    if (filter_assemble_by_library(machine, program) == 0)
        return 0;
    buffer_clear(program);
    return filter_assemble(machine, program);
}

// seccomp(2): CAP_SYS_ADMIN in the own user namespace, or no_new_privs.
bool filter_needs_no_new_privs(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
    // Doubt means yes: no_new_privs is then only announced, never set in vain.
    if (syscall(SYS_capget, &header, data) < 0)
        return true;
    return !(data[CAP_SYS_ADMIN / 32].effective & (1U << (CAP_SYS_ADMIN % 32)));
}

// Without SPEC_ALLOW, kernels before 5.16 slow a filtered process down by mitigations that are
// meant for sandboxes; kernels before 4.17 do not know the flag.
static int install(const struct sock_fprog *program)
{
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, program) == 0)
        return 0;
    // A kernel that has no filters at all says EINVAL again.
    if (errno != EINVAL)
        return -errno;
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program) == 0 ? 0 : -errno;
}

int filter_install(const struct buffer *program)
{
    const struct sock_fprog form = {
        .len = (unsigned short)(program->len / sizeof(struct sock_filter)),
        .filter = (struct sock_filter *)(void *)program->data,
    };
    // First without: root's commands keep their set-user-ID programs.
    int error = install(&form);
    if (error != -EACCES)
        return error;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    return install(&form);
}
