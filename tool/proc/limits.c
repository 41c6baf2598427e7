// SPDX-License-Identifier: Apache-2.0
// Parser of /proc/PID/limits, see limits.h. Tool world; pure.
//
// Lines are "NAME, padded to 25 columns", soft limit, hard limit, unit (fs/proc/base.c,
// proc_pid_limits()). Names hold blanks, so a line is known by its whole beginning.
#include "proc/limits.h"

#include <errno.h>
#include <stdbool.h>

// Takes the soft limit of a line that begins with `label`.
static bool limit_take(struct text line, const char *label, uint64_t *ret_bytes)
{
    if (!text_take_prefix(&line, label))
        return false;
    text_skip_blanks(&line);
    if (text_starts_with(line, "unlimited")) {
        *ret_bytes = LIMIT_UNLIMITED;
        return true;
    }
    return text_take_u64(&line, ret_bytes);
}

int proc_limits_parse(struct text file, struct proc_limits *ret_limits)
{
    struct proc_limits limits = {0};
    bool found = false;
    struct text line;
    while (text_next_line(&file, &line)) {
        found |= limit_take(line, "Max stack size", &limits.stack_bytes);
        found |= limit_take(line, "Max address space", &limits.address_space_bytes);
        found |= limit_take(line, "Max locked memory", &limits.locked_bytes);
    }
    if (!found)
        return -EBADMSG;
    *ret_limits = limits;
    return 0;
}
