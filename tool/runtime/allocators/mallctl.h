// SPDX-License-Identifier: Apache-2.0
// jemalloc's own controls, read and written by a call in the target: mallctl(). Tool world; one
// thread, the one that opened the session.
//
// Every jemalloc exports it, under the prefix of its build; a static copy has it as long as the
// program keeps its symbols. There may be several in one process: each has its own arenas.
// Names, types and errors: jemalloc(3) "MALLCTL NAMESPACE" and "RETURN VALUES".
#ifndef EBB_RUNTIME_ALLOCATORS_MALLCTL_H
#define EBB_RUNTIME_ALLOCATORS_MALLCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "call/call.h"
#include "image/image.h"

enum {
    MALLCTL_COPIES_MAX = 8,
    MALLCTL_NAME_MAX = 96,
    MALLCTL_VERSION_MAX = 64,
    // MALLCTL_ARENAS_ALL of jemalloc/jemalloc.h, from 5.0 on: "arena.4096.purge".
    MALLCTL_ARENAS_ALL = 4096,
};

// One jemalloc of a target. Fill it in by mallctl_find().
struct mallctl {
    const struct image *image;         // borrowed from the images
    uint64_t function;                 // run-time address
    char version[MALLCTL_VERSION_MAX]; // "5.3.0", from its read-only data; "" unknown
    // After a failure: 0 when it was mallctl()'s own answer and the session goes on; otherwise the
    // -errno of call_make() or call_put(): call_why() has the words, and the session is over.
    int call_error;
};

// Finds the jemallocs of a target that can be called, the program's own first: images that define a
// function whose name ends in "mallctl" and hold jemalloc's version. Returns how many, at most
// `capacity`. Cost: a pass over the symbols of each image.
size_t mallctl_find(const struct images *images, struct mallctl *ret_found, size_t capacity);

// One call each, between call_begin() and call_end(). They use the session's scratch memory from
// its beginning (call_put_reset()). 0; -ENOENT no such name (another version, or an option of the
// build); -EINVAL another type than asked for; -EPERM read-only or write-only; -EAGAIN, -EFAULT, as
// jemalloc(3) words them; -EBADMSG an answer that is no errno; or the call failed, see call_error.
// Out-parameters are untouched then. u32 is for `unsigned`, u64 for `size_t` and `uint64_t`, i64
// for `ssize_t`.
int mallctl_read_u32(struct call_session *session, struct mallctl *mallctl, const char *name,
                     uint32_t *ret_value);
int mallctl_read_u64(struct call_session *session, struct mallctl *mallctl, const char *name,
                     uint64_t *ret_value);
int mallctl_read_i64(struct call_session *session, struct mallctl *mallctl, const char *name,
                     int64_t *ret_value);
int mallctl_read_bool(struct call_session *session, struct mallctl *mallctl, const char *name,
                      bool *ret_value);
int mallctl_write_u64(struct call_session *session, struct mallctl *mallctl, const char *name,
                      uint64_t value);
int mallctl_write_i64(struct call_session *session, struct mallctl *mallctl, const char *name,
                      int64_t value);
int mallctl_write_bool(struct call_session *session, struct mallctl *mallctl, const char *name,
                       bool value);
// A control without a value: "arena.0.purge".
int mallctl_do(struct call_session *session, struct mallctl *mallctl, const char *name);

// Pure. The 0 or -errno that a register means which mallctl() returned; -EBADMSG for what is no
// errno.
int mallctl_error_of(uint64_t answer);

// "arena.3.purge" of (buffer, "purge", 3).
void mallctl_arena_name(char name[MALLCTL_NAME_MAX], const char *control, uint32_t arena);

#endif
