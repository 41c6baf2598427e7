// SPDX-License-Identifier: Apache-2.0
// Which processes are meant: by PID, name, pattern, cgroup, or all of them. Tool world.
#ifndef EBB_SAMPLE_SELECT_H
#define EBB_SAMPLE_SELECT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "sample/sample.h"

enum select_kind {
    SELECT_PID,    // "4121"
    SELECT_NAME,   // "redis-server": as proc_find_by_name() compares
    SELECT_GLOB,   // "name:redis*", or any word with * ? [ in it: the same names, fnmatch(3)
    SELECT_LINE,   // "cmdline:*--port 6379*": fnmatch(3) over the command line
    SELECT_CGROUP, // "cgroup:/system.slice/x.service": that group and those below it; globs too
    SELECT_ALL,
    SELECT_BELOW, // all descendants of `pid`; made by who needs it, never typed
};

struct selection {
    enum select_kind kind;
    int pid;
    char text[256];
};

// Reads one TARGET of a command line. 0; -EINVAL for what can be none of them ("", "cgroup:", a PID
// out of range), -ENAMETOOLONG.
int selection_parse(struct text text, struct selection *ret_selection);

// Does the process match one of them? Kernel threads and the caller are never asked about. Pure.
// SELECT_BELOW never matches here: a subject does not know its parents, but see find_wants().
bool selection_matches(const struct selection *selections, size_t count,
                       const struct subject *subject);

#endif
