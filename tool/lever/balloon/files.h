// SPDX-License-Identifier: Apache-2.0
// Small files of groups, and the way up the hierarchy. Tool world; inside the balloon only.
#ifndef EBB_LEVER_BALLOON_FILES_H
#define EBB_LEVER_BALLOON_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

// memory.stat and vmstat are far below.
enum { BALLOON_FILE_MAX_BYTES = 1 << 20 };

// Reads a file into `file`, which is cleared first. 0 or -errno.
int balloon_file_read(const char *path, struct buffer *file);
// The same for DIRECTORY/NAME.
int balloon_file_below(const char *directory, const char *name, struct buffer *file);
// A file that holds one number; "max" and what version 1 prints for no limit are CGROUP_NO_LIMIT.
// 0, -EBADMSG or -errno.
int balloon_file_number(const char *directory, const char *name, uint64_t *ret_value);

// Cuts the last component off. False, and the directory as it was, where the level above is no
// group: the hierarchy's mount has been passed.
bool balloon_level_up(char *directory);

#endif
