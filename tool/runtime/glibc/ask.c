// SPDX-License-Identifier: Apache-2.0
// Asking glibc, see ask.h. Tool world; no state.
#include "runtime/glibc/ask.h"

#include <errno.h>
#include <stdint.h>

#include "runtime/ask.h"

// struct mallinfo2 of malloc.h, by its order; a struct of this size is returned through a pointer
// that the caller gives as a hidden first argument (the psABI).
enum { ARENA = 0, HBLKHD = 4, UORDBLKS = 7, FORDBLKS = 8, FIELD_COUNT = 10 };

static int read_fields(struct call_session *session, uint64_t function,
                       uint64_t ret_fields[FIELD_COUNT])
{
    const uint64_t nothing[FIELD_COUNT] = {0};
    uint64_t address;
    int error = call_put(session, nothing, sizeof nothing, &address);
    if (!error)
        error = call_make(session, function, &address, 1, NULL);
    return error ? error : call_get(session, address, ret_fields, sizeof(uint64_t[FIELD_COUNT]));
}

int glibc_ask(const struct target *target, const struct image *image, struct runtime_report *report)
{
    uint64_t function = ask_find_function(image, "mallinfo2");
    if (!function)
        return -ENOENT;
    struct call_session *session;
    int error = ask_begin(target, &session);
    if (error)
        return error;
    uint64_t fields[FIELD_COUNT];
    error = read_fields(session, function, fields);
    ask_end(target, error);
    if (error)
        return error;
    // Every byte of the arenas is in use or free: the answer comes from the target's memory.
    if (fields[UORDBLKS] > fields[ARENA] || fields[FORDBLKS] > fields[ARENA] ||
        fields[UORDBLKS] + fields[FORDBLKS] != fields[ARENA])
        return -EBADMSG;
    error = report_add_bytes(report, "mallinfo2 arena", fields[ARENA]);
    if (!error)
        error = report_add_bytes(report, "mallinfo2 hblkhd", fields[HBLKHD]);
    if (!error)
        error = report_add_bytes(report, "mallinfo2 uordblks", fields[UORDBLKS]);
    return error ? error : report_add_bytes(report, "mallinfo2 fordblks", fields[FORDBLKS]);
}
