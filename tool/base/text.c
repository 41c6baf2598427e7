// SPDX-License-Identifier: Apache-2.0
// Text views, see text.h. Tool world; pure, no state.
#include "base/text.h"

#include <stdio.h>
#include <string.h>

struct text text_of(const char *string)
{
    return (struct text){string, strlen(string)};
}

static void text_drop(struct text *rest, size_t bytes)
{
    rest->data += bytes;
    rest->len -= bytes;
}

bool text_next_field(struct text *rest, char separator, struct text *ret_field)
{
    if (rest->len == 0)
        return false;
    const char *end = memchr(rest->data, separator, rest->len);
    size_t len = end ? (size_t)(end - rest->data) : rest->len;
    *ret_field = (struct text){rest->data, len};
    text_drop(rest, end ? len + 1 : len);
    return true;
}

bool text_next_line(struct text *rest, struct text *ret_line)
{
    return text_next_field(rest, '\n', ret_line);
}

void text_skip_blanks(struct text *rest)
{
    while (rest->len > 0 && (rest->data[0] == ' ' || rest->data[0] == '\t'))
        text_drop(rest, 1);
}

bool text_take_prefix(struct text *rest, const char *prefix)
{
    if (!text_starts_with(*rest, prefix))
        return false;
    text_drop(rest, strlen(prefix));
    return true;
}

// The digit's value, or -1 where it is none of this base.
static int text_digit(char c, unsigned base)
{
    int value = -1;
    if (c >= '0' && c <= '9')
        value = c - '0';
    else if (c >= 'a' && c <= 'f')
        value = c - 'a' + 10;
    else if (c >= 'A' && c <= 'F')
        value = c - 'A' + 10;
    return value < (int)base ? value : -1;
}

static bool text_take_number(struct text *rest, unsigned base, uint64_t *ret_value)
{
    uint64_t value = 0;
    size_t used = 0;
    for (; used < rest->len; used++) {
        int digit = text_digit(rest->data[used], base);
        if (digit < 0)
            break;
        if (__builtin_mul_overflow(value, (uint64_t)base, &value) ||
            __builtin_add_overflow(value, (uint64_t)digit, &value))
            return false;
    }
    if (used == 0)
        return false;
    text_drop(rest, used);
    *ret_value = value;
    return true;
}

bool text_take_u64(struct text *rest, uint64_t *ret_value)
{
    return text_take_number(rest, 10, ret_value);
}

bool text_take_hex(struct text *rest, uint64_t *ret_value)
{
    return text_take_number(rest, 16, ret_value);
}

bool text_take_i64(struct text *rest, int64_t *ret_value)
{
    struct text cursor = *rest;
    bool negative = text_take_prefix(&cursor, "-");
    uint64_t magnitude;
    if (!text_take_number(&cursor, 10, &magnitude))
        return false;
    // The negative side reaches one further; its magnitude has no int64_t, so it is negated as
    // unsigned.
    if (magnitude > (uint64_t)INT64_MAX + negative)
        return false;
    *rest = cursor;
    *ret_value = (int64_t)(negative ? -magnitude : magnitude);
    return true;
}

bool text_equals(struct text text, const char *string)
{
    return text.len == strlen(string) && memcmp(text.data, string, text.len) == 0;
}

bool text_starts_with(struct text text, const char *prefix)
{
    size_t len = strlen(prefix);
    return text.len >= len && memcmp(text.data, prefix, len) == 0;
}

bool text_ends_with(struct text text, const char *suffix)
{
    size_t len = strlen(suffix);
    return text.len >= len && memcmp(text.data + text.len - len, suffix, len) == 0;
}

bool text_contains(struct text text, const char *needle)
{
    return memmem(text.data, text.len, needle, strlen(needle)) != NULL;
}

bool text_list_has(struct text list, const char *word)
{
    struct text item;
    while (text_next_field(&list, ',', &item)) {
        if (text_equals(item, word))
            return true;
    }
    return false;
}

bool text_copy(struct text text, char *destination, size_t size)
{
    size_t len = text.len < size - 1 ? text.len : size - 1;
    memcpy(destination, text.data, len);
    destination[len] = '\0';
    return len == text.len;
}

// The byte that an escape at the front stands for; 0 where there is none.
static unsigned char text_octal_escape(struct text text)
{
    if (text.len < 4 || text.data[0] != '\\')
        return 0;
    unsigned value = 0;
    for (size_t i = 1; i < 4; i++) {
        int digit = text_digit(text.data[i], 8);
        if (digit < 0)
            return 0;
        value = value * 8 + (unsigned)digit;
    }
    return value <= 0xff ? (unsigned char)value : 0;
}

bool text_copy_unescaped(struct text text, char *destination, size_t size)
{
    size_t used = 0;
    while (text.len > 0 && used + 1 < size) {
        unsigned char escaped = text_octal_escape(text);
        destination[used++] = escaped ? (char)escaped : text.data[0];
        text_drop(&text, escaped ? 4 : 1);
    }
    destination[used] = '\0';
    return text.len == 0;
}

struct text text_base_name(struct text path)
{
    const char *slash = memrchr(path.data, '/', path.len);
    if (slash)
        text_drop(&path, (size_t)(slash - path.data) + 1);
    return path;
}

void text_vformat(char *destination, size_t size, const char *format, va_list args)
{
    if (vsnprintf(destination, size, format, args) < 0 && size > 0)
        destination[0] = '\0';
}

void text_format(char *destination, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_vformat(destination, size, format, args);
    va_end(args);
}
