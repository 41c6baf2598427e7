// SPDX-License-Identifier: Apache-2.0
// jemalloc's controls by a call in the target, see mallctl.h. Tool world; no state.
#include "runtime/allocators/mallctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "runtime/locate.h"
#include "runtime/settings.h"

// MAX_ERRNO of the kernel; jemalloc's are a handful below it.
enum { ERRNO_MAX = 4095 };

// Where the value and its size lie in the target while one call is made.
struct slot {
    uint64_t value, size;
};

// Texts of version strings are short; windows overlap by more than one.
static bool visit_version(void *context, const char *data, size_t len, uint64_t linked_address)
{
    enum { SHOWN_MAX = 32 };
    (void)linked_address;
    struct text version;
    if (!settings_find_jemalloc_version(data, len, &version))
        return false;
    // "5.3.0-0-g54eaed1d…": what follows the number says nothing to people.
    const char *dash = memchr(version.data, '-', version.len);
    if (dash)
        version.len = (size_t)(dash - version.data);
    // A build without a number of its own carries 40 letters.
    if (version.len > SHOWN_MAX)
        version.len = SHOWN_MAX;
    text_copy(version, context, MALLCTL_VERSION_MAX);
    return true;
}

// A view of one image, since the search takes a list of them.
static int find_in(const struct image *image, uint64_t *ret_function)
{
    static const char *const names[] = {"*mallctl", NULL};
    // The search only reads what it is given.
    struct images one = {.items = (struct image *)image, .count = 1};
    const struct image *found;
    return call_find_function(&one, names, ret_function, &found);
}

size_t mallctl_find(const struct images *images, struct mallctl *ret_found, size_t capacity)
{
    size_t count = 0;
    for (size_t i = 0; i < images->count && count < capacity; i++) {
        const struct image *image = &images->items[i];
        struct mallctl found = {.image = image};
        // The name alone would let us call anything that happens to end so.
        if (find_in(image, &found.function) == 0 &&
            locate_scan(image, ".rodata", 128, visit_version, found.version))
            ret_found[count++] = found;
    }
    return count;
}

// Told apart from mallctl()'s own errors, whose numbers are the same.
static int call_failed(struct mallctl *mallctl, int error)
{
    mallctl->call_error = error;
    return error;
}

// An int comes back in the lower half of the register. What the target's memory answers may be
// anything: the negative of INT_MIN is none, and a negative number would look like no error at all.
int mallctl_error_of(uint64_t answer)
{
    const uint32_t error = (uint32_t)answer;
    return error <= ERRNO_MAX ? -(int)error : -EBADMSG;
}

// Makes the call with what has been put there; a slot's address may be 0 for none.
// int mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen).
static int make(struct call_session *session, struct mallctl *mallctl, const char *name,
                struct slot old, struct slot new)
{
    // The name is put last, so that callers know where their own slots begin.
    uint64_t name_address, answer;
    int error = call_put(session, name, strlen(name) + 1, &name_address);
    if (error)
        return call_failed(mallctl, error);
    uint64_t arguments[] = {name_address, old.value, old.size, new.value, new.size};
    error = call_make(session, mallctl->function, arguments, sizeof arguments / sizeof arguments[0],
                      &answer);
    if (error)
        return call_failed(mallctl, error);
    return mallctl_error_of(answer);
}

// jemalloc answers EINVAL when the type has another size, having copied what fits.
static int read_value(struct call_session *session, struct mallctl *mallctl, const char *name,
                      void *ret_value, size_t size)
{
    // Zeros, so that what jemalloc does not write is no leftover of an earlier call.
    const char zeros[sizeof(uint64_t)] = {0};
    uint64_t length = size;
    struct slot old, none = {0};
    mallctl->call_error = 0;
    call_put_reset(session);
    int error = call_put(session, zeros, size, &old.value);
    if (!error)
        error = call_put(session, &length, sizeof length, &old.size);
    if (error)
        return call_failed(mallctl, error);
    error = make(session, mallctl, name, old, none);
    if (error)
        return error;
    // Copied aside first: a failed read leaves the caller's value as it was.
    char value[sizeof zeros];
    error = call_get(session, old.value, value, size);
    if (error)
        return call_failed(mallctl, error);
    memcpy(ret_value, value, size);
    return 0;
}

// jemalloc copies the value at once: it need not outlive the call.
static int write_value(struct call_session *session, struct mallctl *mallctl, const char *name,
                       const void *value, size_t size)
{
    struct slot none = {0}, new = {.size = size};
    mallctl->call_error = 0;
    call_put_reset(session);
    int error = call_put(session, value, size, &new.value);
    return error ? call_failed(mallctl, error) : make(session, mallctl, name, none, new);
}

// The types differ in size alone, and jemalloc refuses a wrong size: no type is taken for another.
int mallctl_read_u32(struct call_session *session, struct mallctl *mallctl, const char *name,
                     uint32_t *ret_value)
{
    return read_value(session, mallctl, name, ret_value, sizeof *ret_value);
}

int mallctl_read_u64(struct call_session *session, struct mallctl *mallctl, const char *name,
                     uint64_t *ret_value)
{
    return read_value(session, mallctl, name, ret_value, sizeof *ret_value);
}

int mallctl_read_i64(struct call_session *session, struct mallctl *mallctl, const char *name,
                     int64_t *ret_value)
{
    return read_value(session, mallctl, name, ret_value, sizeof *ret_value);
}

int mallctl_read_bool(struct call_session *session, struct mallctl *mallctl, const char *name,
                      bool *ret_value)
{
    // A byte that is neither 0 nor 1 would be no bool of ours.
    uint8_t byte;
    int error = read_value(session, mallctl, name, &byte, sizeof byte);
    if (!error)
        *ret_value = byte != 0;
    return error;
}

int mallctl_write_u64(struct call_session *session, struct mallctl *mallctl, const char *name,
                      uint64_t value)
{
    return write_value(session, mallctl, name, &value, sizeof value);
}

int mallctl_write_i64(struct call_session *session, struct mallctl *mallctl, const char *name,
                      int64_t value)
{
    return write_value(session, mallctl, name, &value, sizeof value);
}

int mallctl_write_bool(struct call_session *session, struct mallctl *mallctl, const char *name,
                       bool value)
{
    // sizeof(bool) is 1 in every C library that jemalloc runs on.
    uint8_t byte = value;
    return write_value(session, mallctl, name, &byte, sizeof byte);
}

// Without value and place it is a control that acts.
int mallctl_do(struct call_session *session, struct mallctl *mallctl, const char *name)
{
    struct slot none = {0};
    mallctl->call_error = 0;
    call_put_reset(session);
    return make(session, mallctl, name, none, none);
}

void mallctl_arena_name(char name[MALLCTL_NAME_MAX], const char *control, uint32_t arena)
{
    snprintf(name, MALLCTL_NAME_MAX, "arena.%u.%s", arena, control);
}
