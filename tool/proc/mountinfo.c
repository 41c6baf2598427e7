// SPDX-License-Identifier: Apache-2.0
// Parser of mountinfo, see mountinfo.h. Tool world; pure, no state.
#include "proc/mountinfo.h"

#include <string.h>

// "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:9 - tmpfs tmpfs rw,mode=755"
static bool mountinfo_split(struct text line, struct mount_line *ret_mount)
{
    struct text field, source;
    struct mount_line mount;
    // The mount's ID, its parent's and the device.
    for (int skipped = 0; skipped < 3; skipped++) {
        if (!text_next_field(&line, ' ', &field))
            return false;
    }
    if (!text_next_field(&line, ' ', &mount.root) || !text_next_field(&line, ' ', &mount.point))
        return false;
    // The mount's options and any number of optional fields end at a lone dash.
    do {
        if (!text_next_field(&line, ' ', &field))
            return false;
    } while (!text_equals(field, "-"));
    if (!text_next_field(&line, ' ', &mount.type) || !text_next_field(&line, ' ', &source) ||
        !text_next_field(&line, ' ', &mount.options))
        return false;
    *ret_mount = mount;
    return true;
}

bool mountinfo_next(struct text *rest, struct mount_line *ret_mount)
{
    struct text line;
    // A last line without its end may have lost options that matter.
    while (memchr(rest->data, '\n', rest->len) && text_next_line(rest, &line)) {
        // Blanks inside of names are escaped, so that lines split cleanly; others are no mounts.
        if (mountinfo_split(line, ret_mount))
            return true;
    }
    return false;
}
