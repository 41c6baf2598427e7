// SPDX-License-Identifier: Apache-2.0
// Lines of /proc/PID/mountinfo. Tool world; pure.
//
// Source: proc_pid_mountinfo(5).
#ifndef EBB_PROC_MOUNTINFO_H
#define EBB_PROC_MOUNTINFO_H

#include <stdbool.h>

#include "base/text.h"

// One mount. Views into the file; root and point are still escaped: text_copy_unescaped().
struct mount_line {
    struct text root;    // what of the file system is shown
    struct text point;   // where
    struct text type;    // "cgroup2"
    struct text options; // of the file system: "rw,memory"
};

// Takes lines off `rest` up to the next whole one that is a mount. False at the end.
bool mountinfo_next(struct text *rest, struct mount_line *ret_mount);

#endif
