// SPDX-License-Identifier: Apache-2.0
// Text views, see text.h. Tool world; pure, no state.
#include "base/text.h"

#include <stdio.h>
#include <string.h>

// The NUL is not part of the view.
struct text text_of(const char *string)
{
    return (struct text){string, strlen(string)};
}

// All moving of a cursor happens here; callers have made sure that there are that many bytes.
static void text_drop(struct text *rest, size_t bytes)
{
    rest->data += bytes;
    rest->len -= bytes;
}

// A separator at the very end leaves nothing behind it, as with the last line of a file.
bool text_next_field(struct text *rest, char separator, struct text *ret_field)
{
    if (rest->len == 0)
        return false;
    // memchr() stops at the view's end; strchr() would run on.
    const char *end = memchr(rest->data, separator, rest->len);
    size_t len = end ? (size_t)(end - rest->data) : rest->len;
    *ret_field = (struct text){rest->data, len};
    text_drop(rest, end ? len + 1 : len);
    return true;
}

// A line is a field; "\r" is left in place, since no file of the kernel has it.
bool text_next_line(struct text *rest, struct text *ret_line)
{
    return text_next_field(rest, '\n', ret_line);
}

// Newlines stay: a value must not swallow the next line.
void text_skip_blanks(struct text *rest)
{
    while (rest->len > 0 && (rest->data[0] == ' ' || rest->data[0] == '\t'))
        text_drop(rest, 1);
}

// Test and move in one, so that a parser reads like the format.
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

// Digits up to the first other byte. strtoull() would read behind the view, skip blanks, take signs
// and obey the locale.
static bool text_take_number(struct text *rest, unsigned base, uint64_t *ret_value)
{
    uint64_t value = 0;
    size_t used = 0;
    for (; used < rest->len; used++) {
        int digit = text_digit(rest->data[used], base);
        if (digit < 0)
            break;
        // A number that does not fit is no number; a wrapped one would be a lie.
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

// As all figures of /proc are printed.
bool text_take_u64(struct text *rest, uint64_t *ret_value)
{
    return text_take_number(rest, 10, ret_value);
}

// Without "0x", as addresses and masks are printed.
bool text_take_hex(struct text *rest, uint64_t *ret_value)
{
    return text_take_number(rest, 16, ret_value);
}

// For the few that may be negative, such as settings below /proc/sys.
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

// Lengths first: a view may hold NULs, which strcmp() would take for its end.
bool text_equals(struct text text, const char *string)
{
    return text.len == strlen(string) && memcmp(text.data, string, text.len) == 0;
}

// The length guards the comparison.
bool text_starts_with(struct text text, const char *prefix)
{
    size_t len = strlen(prefix);
    return text.len >= len && memcmp(text.data, prefix, len) == 0;
}

// For " (deleted)" behind paths.
bool text_ends_with(struct text text, const char *suffix)
{
    size_t len = strlen(suffix);
    return text.len >= len && memcmp(text.data + text.len - len, suffix, len) == 0;
}

// For short files only: the search may start over at each byte.
bool text_contains(struct text text, const char *needle)
{
    return memmem(text.data, text.len, needle, strlen(needle)) != NULL;
}

// A whole item: "memory" is not found in "memory_recursiveprot".
bool text_list_has(struct text list, const char *word)
{
    struct text item;
    while (text_next_field(&list, ',', &item)) {
        if (text_equals(item, word))
            return true;
    }
    return false;
}

// Cutting is told, so that a caller who needs the whole name can refuse.
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

// Decodes while it copies: the result is never longer than the source.
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

// The whole where there is no slash; "" behind a last one.
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
