// SPDX-License-Identifier: Apache-2.0
// Table-driven reading of key-value lines, see keyed.h. Tool world; pure, no state.
#include "proc/keyed.h"

#include <string.h>

// Keys never hold the separator; values may (paths, times).
bool keyed_next(struct text *rest, char separator, struct text *ret_key, struct text *ret_value)
{
    // Only what ends with '\n' is a line here, so text_next_line() would take too much.
    while (memchr(rest->data, '\n', rest->len)) {
        struct text line, key;
        text_next_line(rest, &line);
        if (!memchr(line.data, separator, line.len))
            continue;
        text_next_field(&line, separator, &key);
        text_skip_blanks(&line);
        *ret_key = key;
        *ret_value = line;
        return true;
    }
    return false;
}

// Linear search: the longest table has a dozen rows, and most lines match none by their first
// bytes.
bool keyed_store(const struct keyed_field *fields, size_t count, struct text key, struct text value,
                 void *record)
{
    for (size_t i = 0; i < count; i++) {
        if (!text_equals(key, fields[i].key))
            continue;
        uint64_t number;
        if (!text_take_u64(&value, &number))
            return false;
        // The record's type is the caller's, so the number is moved as bytes.
        memcpy((char *)record + fields[i].offset, &number, sizeof number);
        return true;
    }
    return false;
}

// The count lets a caller tell an empty file from one of another kind.
size_t keyed_parse(struct text file, char separator, const struct keyed_field *fields, size_t count,
                   void *record)
{
    size_t stored = 0;
    struct text key, value;
    while (keyed_next(&file, separator, &key, &value)) {
        if (keyed_store(fields, count, key, value, record))
            stored++;
    }
    return stored;
}
