// SPDX-License-Identifier: Apache-2.0
// Reading fields of Go's runtime, see go_runtime.h. Tool world; no state.
#include "runtime/go/go_runtime.h"

#include <errno.h>
#include <string.h>

// Types have no address of their own: their fields are taken from copies.
uint64_t go_field_address(const struct go_runtime *runtime, enum go_field_id id)
{
    enum go_object object = go_field_names[id].object;
    if (object >= GO_OBJECT_VARIABLES || !go_has(runtime, id) || runtime->address[object] == 0)
        return 0;
    return runtime->address[object] + (uint64_t)runtime->row.fields[id].offset;
}

// Of an array the first word.
static size_t field_bytes(const struct go_runtime *runtime, enum go_field_id id)
{
    size_t size = (size_t)runtime->row.fields[id].size;
    return size < 8 ? size : 8;
}

// Fields are read one by one: the page between two of them may never have been touched.
int go_read_field(const struct go_runtime *runtime, enum go_field_id id, uint64_t *ret_value)
{
    uint64_t address = go_field_address(runtime, id);
    if (address == 0)
        return -ENOENT;
    // Little endian: a narrow field fills the low bytes.
    uint64_t value = 0;
    int error = go_memory_read(&runtime->memory, address, &value, field_bytes(runtime, id));
    if (!error)
        *ret_value = value;
    return error;
}

// Only its shape is checked here; the elements are the caller's.
int go_read_slice(const struct go_runtime *runtime, enum go_field_id id, struct go_slice *ret_slice)
{
    uint64_t address = go_field_address(runtime, id);
    if (address == 0)
        return -ENOENT;
    uint64_t words[3];
    int error = go_memory_read(&runtime->memory, address, words, sizeof words);
    if (error)
        return error;
    if (words[1] > words[2] || (words[1] > 0 && (words[0] == 0 || words[0] % 8 != 0)))
        return -EBADMSG;
    *ret_slice = (struct go_slice){words[0], words[1], words[2]};
    return 0;
}

// Bounds are checked here, since the offsets may come from debug information.
uint64_t go_take_field(const struct go_runtime *runtime, enum go_field_id id, const uint8_t *object,
                       size_t len)
{
    const struct go_field *field = &runtime->row.fields[id];
    size_t size = field_bytes(runtime, id);
    if (size == 0 || field->offset < 0 || (size_t)field->offset > len ||
        size > len - (size_t)field->offset)
        return 0;
    uint64_t value = 0;
    memcpy(&value, object + field->offset, size);
    return value;
}
