// SPDX-License-Identifier: Apache-2.0
// gperftools' numeric properties by a call in the target. Tool world; one thread, the one that
// opened the session.
//
// int MallocExtension_GetNumericProperty(const char *property, size_t *value) and
// int MallocExtension_SetNumericProperty(const char *property, size_t value) of
// gperftools/malloc_extension_c.h: 0 for a name that is not known, or may not be set.
#ifndef EBB_RUNTIME_ALLOCATORS_TCMALLOC_PROPERTY_H
#define EBB_RUNTIME_ALLOCATORS_TCMALLOC_PROPERTY_H

#include <stdint.h>

struct call_session;

// One call each, between call_begin() and call_end(); `function` is the run-time address of the one
// or the other. They use the session's scratch memory from its beginning. 0; -ENOENT for a name
// that tcmalloc refuses, after which the session goes on; -errno as call_make().
int tcmalloc_property_read(struct call_session *session, uint64_t function, const char *name,
                           uint64_t *ret_value);
int tcmalloc_property_write(struct call_session *session, uint64_t function, const char *name,
                            uint64_t value);

#endif
