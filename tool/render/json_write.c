// SPDX-License-Identifier: Apache-2.0
// JSON written straight into a buffer, see json_write.h. Tool world; pure.
#include "render/json_write.h"

#include "render/format.h"

// By hand: printf() takes several times as long, and a series has millions of them.
int json_write_u64(struct buffer *buffer, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    if (value == UINT64_MAX)
        return buffer_append(buffer, "null", 4);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return buffer_append(buffer, digits + at, sizeof digits - at);
}

// Moments before 1970 come from clocks that were never set.
int json_write_i64(struct buffer *buffer, int64_t value)
{
    if (value >= 0)
        return json_write_u64(buffer, (uint64_t)value);
    int error = buffer_append(buffer, "-", 1);
    return error ? error : json_write_u64(buffer, 0 - (uint64_t)value);
}

// What format_escaped() lets through is UTF-8 without control bytes: three characters are left.
int json_write_name(struct buffer *buffer, const char *name)
{
    struct buffer escaped = {0};
    int error = format_escaped(&escaped, name, 0);
    if (!error)
        error = buffer_append(buffer, "\"", 1);
    for (size_t i = 0; i < escaped.len && !error; i++) {
        char byte = escaped.data[i];
        if (byte == '"' || byte == '\\')
            error = buffer_append(buffer, "\\", 1);
        if (!error)
            error =
                byte == '<' ? buffer_append(buffer, "\\u003c", 6) : buffer_append(buffer, &byte, 1);
    }
    buffer_free(&escaped);
    return error ? error : buffer_append(buffer, "\"", 1);
}
