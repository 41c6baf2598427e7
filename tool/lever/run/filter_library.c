// SPDX-License-Identifier: Apache-2.0
// The filter as libseccomp makes it, see filter.h. Tool world; no state.
#include "lever/run/filter.h"

#include <errno.h>

#ifdef EBB_WITH_SECCOMP

#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ARCHITECTURES_MAX = 3 };

// What libseccomp calls the architectures of a machine; 0 ends the list.
static void list_architectures(enum filter_machine machine, uint32_t ret[ARCHITECTURES_MAX + 1])
{
    bool is_x86 = machine == FILTER_X86;
    ret[0] = is_x86 ? SCMP_ARCH_X86_64 : SCMP_ARCH_AARCH64;
    ret[1] = is_x86 ? SCMP_ARCH_X32 : SCMP_ARCH_ARM;
    ret[2] = is_x86 ? SCMP_ARCH_X86 : 0;
    ret[3] = 0;
}

// A new filter is for the native architecture alone; which may not be one of the machine's when a
// test asks for another.
static int set_architectures(scmp_filter_ctx filter, enum filter_machine machine)
{
    // Added before the native one goes: a filter for nothing at all is refused.
    uint32_t wanted[ARCHITECTURES_MAX + 1];
    list_architectures(machine, wanted);
    bool wants_native = false;
    for (const uint32_t *token = wanted; *token; token++) {
        int error = seccomp_arch_add(filter, *token);
        if (error < 0 && error != -EEXIST)
            return error;
        wants_native = wants_native || *token == seccomp_arch_native();
    }
    return wants_native ? 0 : seccomp_arch_remove(filter, SCMP_ARCH_NATIVE);
}

// By name, which libseccomp turns into each architecture's number. Masked: the kernel looks at the
// low half of the argument only.
static int add_rule(scmp_filter_ctx filter, const char *name, unsigned argument)
{
    // A libseccomp older than the call does not know it: then our own filter is used.
    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR)
        return -ENOTSUP;
    struct scmp_arg_cmp is_lazy =
        SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, UINT64_C(0xffffffff), (uint64_t)MADV_FREE);
    return seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EINVAL), number, 1, &is_lazy);
}

// libseccomp writes to descriptors only.
static int export_program(scmp_filter_ctx filter, struct buffer *program)
{
    int fd = memfd_create("ebb-filter", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    // It writes from where the descriptor stands; reading begins at the start.
    int error = seccomp_export_bpf(filter, fd);
    if (!error && lseek(fd, 0, SEEK_SET) < 0)
        error = -errno;
    if (!error)
        error = buffer_read_fd(program, fd);
    close(fd);
    return error;
}

// Unknown architectures pass: by default libseccomp kills them.
int filter_assemble_by_library(enum filter_machine machine, struct buffer *program)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (!filter)
        return -ENOMEM;
    int error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
    if (!error)
        error = set_architectures(filter, machine);
    if (!error)
        error = add_rule(filter, "madvise", 2);
    if (!error)
        error = add_rule(filter, "process_madvise", 3);
    if (!error)
        error = export_program(filter, program);
    seccomp_release(filter);
    return error;
}

// A build without libseccomp.
#else

int filter_assemble_by_library(enum filter_machine machine, struct buffer *program)
{
    (void)machine;
    (void)program;
    return -ENOTSUP;
}

#endif
