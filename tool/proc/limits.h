// SPDX-License-Identifier: Apache-2.0
// /proc/PID/limits: the soft limits that explain memory. Tool world; pure.
#ifndef EBB_PROC_LIMITS_H
#define EBB_PROC_LIMITS_H

#include <stdint.h>

#include "base/text.h"

// "unlimited": RLIM_INFINITY, which is no size.
#define LIMIT_UNLIMITED UINT64_MAX

struct proc_limits {
    uint64_t stack_bytes; // RLIMIT_STACK: also the default size of threads' stacks
    uint64_t address_space_bytes, locked_bytes;
    // Each may be LIMIT_UNLIMITED; 0 where not found.
};

// 0 with those that are there, or -EBADMSG when none of the limits is there. (buffer, length);
// survives truncation.
int proc_limits_parse(struct text file, struct proc_limits *ret_limits);

#endif
