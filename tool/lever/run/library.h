// SPDX-License-Identifier: Apache-2.0
// Allocators as shared libraries of this system, for --malloc. Tool world; no state.
#ifndef EBB_LEVER_RUN_LIBRARY_H
#define EBB_LEVER_RUN_LIBRARY_H

#include <limits.h>

#include "lever/run/binary.h"

// An allocator that has a name of its own. The table ends with a row of NULLs.
struct library_kind {
    const char *name;           // "jemalloc"
    const char *const *sonames; // best first; NULL-terminated
    const char *packages;       // where it comes from, for people
};

// NULL for names that are none.
const struct library_kind *library_kind_find(const char *name);

// "jemalloc, tcmalloc, mimalloc, ebb": for messages.
extern const char library_names[];

struct library_found {
    char path[PATH_MAX];
    // One that is there, but not for this program: of another machine or C library. "" none.
    char misfit[PATH_MAX];
    struct binary misfit_binary;
};

// Looks for an allocator that fits `program`: in `search` (the value of LD_LIBRARY_PATH; NULL
// none), libebb then beside this program and in its prefix, in the loader's cache, in the usual
// folders. 0; -ENOENT, with `misfit` set if something
// was near.
int library_find(const struct library_kind *kind, const struct binary *program, const char *search,
                 struct library_found *ret_found);

// The same for the file at `path`: 0; -EINVAL and `misfit` when it does not fit; -ENOEXEC no shared
// library; -errno.
int library_check(const char *path, const struct binary *program, struct library_found *ret_found);

#endif
