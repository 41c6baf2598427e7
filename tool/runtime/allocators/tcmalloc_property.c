// SPDX-License-Identifier: Apache-2.0
// gperftools' properties, see tcmalloc_property.h. Tool world; no state.
#include "runtime/allocators/tcmalloc_property.h"

#include <errno.h>
#include <string.h>

#include "call/call.h"

// What it answers is an int, in the lower half of the register.
static int call_known(struct call_session *session, uint64_t function, const uint64_t arguments[2])
{
    uint64_t is_known;
    int error = call_make(session, function, arguments, 2, &is_known);
    return !error && (uint32_t)is_known == 0 ? -ENOENT : error;
}

int tcmalloc_property_read(struct call_session *session, uint64_t function, const char *name,
                           uint64_t *ret_value)
{
    // Name and place are put anew each time: the scratch memory is small, and calls are few.
    const uint64_t zero = 0;
    uint64_t arguments[2];
    call_put_reset(session);
    int error = call_put(session, name, strlen(name) + 1, &arguments[0]);
    if (!error)
        error = call_put(session, &zero, sizeof zero, &arguments[1]);
    if (!error)
        error = call_known(session, function, arguments);
    return error ? error : call_get(session, arguments[1], ret_value, sizeof *ret_value);
}

int tcmalloc_property_write(struct call_session *session, uint64_t function, const char *name,
                            uint64_t value)
{
    uint64_t arguments[2] = {0, value};
    call_put_reset(session);
    int error = call_put(session, name, strlen(name) + 1, &arguments[0]);
    return error ? error : call_known(session, function, arguments);
}
