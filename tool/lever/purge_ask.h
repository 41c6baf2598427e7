// SPDX-License-Identifier: Apache-2.0
// The mallocs that can be asked to give memory back, and the calls that ask them. Tool world;
// internal to purge.
//
// Sources: jemalloc(3) "arena.<i>.purge"; gperftools/malloc_extension_c.h; mimalloc.h;
// malloc_trim(3).
#ifndef EBB_LEVER_PURGE_ASK_H
#define EBB_LEVER_PURGE_ASK_H

#include "call/call.h"
#include "lever/lever.h"
#include "runtime/allocators/mallctl.h"

enum purge_kind { PURGE_JEMALLOC, PURGE_TCMALLOC, PURGE_MIMALLOC, PURGE_GLIBC };

// One malloc of the target that has a function to call.
struct purge_target {
    enum purge_kind kind;
    const struct image *image;  // borrowed
    struct mallctl mallctl;     // of jemalloc
    uint64_t function;          // of the others
    uint64_t step_function;     // tcmalloc: MallocExtension_ReleaseToSystem; 0 none
    uint64_t property_function; // tcmalloc: MallocExtension_GetNumericProperty; 0 none
    size_t step;                // its step's index in the report
};

// Finds them, at most `capacity`. The order is that in which they are asked: a malloc that serves
// the program before glibc's, which is always there. Returns how many.
size_t purge_find(const struct images *images, struct purge_target *ret_found, size_t capacity);

// Asks one, with as many short stops of the thread as its functions allow, so that none is long.
// 0 with a text of what it answered; -errno as the session's calls, whose call_why() has the words;
// -EPROTO when the malloc itself refused, with a text of its answer.
int purge_ask(struct call_session *session, struct process *process, struct purge_target *target,
              char ret_answer[LEVER_WHAT_MAX]);

// "jemalloc", as reports name it. Static.
const char *purge_kind_name(enum purge_kind kind);

#endif
