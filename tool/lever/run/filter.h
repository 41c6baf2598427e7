// SPDX-License-Identifier: Apache-2.0
// The system call filter behind --madv-free=off: a kernel without MADV_FREE. Tool world; no state.
//
// It answers EINVAL to madvise(MADV_FREE), as kernels before 4.5 do, in every way to call a kernel
// of the machine, and lets everything else through. EINVAL and nothing else: allocators take it as
// "not known here" and fall back to MADV_DONTNEED, while mimalloc would repeat EAGAIN for ever.
//
// Two makers of the same answers: libseccomp, and an assembler of our own for builds without it. A
// test runs both programs over every number.
//
// What no filter sees: io_uring's madvise. Sources: seccomp(2), the kernel's system call tables.
#ifndef EBB_LEVER_RUN_FILTER_H
#define EBB_LEVER_RUN_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

// What kernels of one machine run: x86-64, x32 and i386; aarch64 and arm.
enum filter_machine { FILTER_X86, FILTER_ARM };

// One way to ask for MADV_FREE.
struct filter_call {
    uint32_t architecture; // AUDIT_ARCH_*
    uint32_t number;
    unsigned advice_argument; // which argument is the advice
};

// The table of a machine; static.
const struct filter_call *filter_calls(enum filter_machine machine, size_t *ret_count);

// "x86-64, x32, i386": what the filter covers, for people.
const char *filter_coverage(enum filter_machine machine);

// The machine that this program was compiled for. 0, -ENOTSUP for others.
int filter_machine_here(enum filter_machine *ret_machine);

// Appends the filter as an array of struct sock_filter. 0, -ENOMEM; -ENOTSUP from the second in a
// build without libseccomp; -errno of libseccomp.
int filter_assemble(enum filter_machine machine, struct buffer *program);
int filter_assemble_by_library(enum filter_machine machine, struct buffer *program);
// libseccomp where it is built in, else our own.
int filter_build(enum filter_machine machine, struct buffer *program);

// Will the kernel take a filter only with no_new_privs, which set-user-ID programs started later
// lose their privileges by?
bool filter_needs_no_new_privs(void);

// Installs it in this thread, for good: it outlives exec and goes to all children. Sets
// no_new_privs only where the kernel insists. 0; -EINVAL or -ENOSYS on a kernel without filters;
// -errno.
int filter_install(const struct buffer *program);

#endif
