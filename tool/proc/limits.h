// SPDX-License-Identifier: Apache-2.0
// /proc/PID/limits: the soft limits that explain memory. Tool world; pure.
#ifndef EBB_PROC_LIMITS_H
#define EBB_PROC_LIMITS_H

#include <stdint.h>

#include "base/text.h"

#define LIMIT_UNLIMITED UINT64_MAX

struct proc_limits {
    uint64_t stack_bytes, address_space_bytes, locked_bytes; // LIMIT_UNLIMITED; 0 where not found
};

// 0, or -EBADMSG when none of the limits is there. (buffer, length); survives truncation.
int proc_limits_parse(struct text file, struct proc_limits *ret_limits);

#endif
