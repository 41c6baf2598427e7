// SPDX-License-Identifier: Apache-2.0
// Text views: the cursor that every parser of kernel text walks with. Tool world; pure, no state.
//
// A view borrows its bytes and never owns them. No function here reads a byte outside the view,
// expects a terminating NUL, or allocates, so a parser built from them cannot run over a truncated
// buffer.
#ifndef EBB_BASE_TEXT_H
#define EBB_BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    const char *data;
    size_t len;
};

// A view of a NUL-terminated string.
struct text text_of(const char *string);

// In the functions that take something off `rest`, what they return is another view: the two must
// not be the same variable.

// Takes the next line (without its '\n') off `rest`. False at the end. A last line without '\n'
// counts.
bool text_next_line(struct text *rest, struct text *ret_line);

// Takes the next field off `rest`, split at `separator`; the separator is consumed. False when
// `rest` is empty.
bool text_next_field(struct text *rest, char separator, struct text *ret_field);

// Drops leading blanks (space, tab).
void text_skip_blanks(struct text *rest);

// If `rest` starts with `prefix`, drops it and says true.
bool text_take_prefix(struct text *rest, const char *prefix);

// Takes a number off the front. False (and `rest` untouched) without a digit or on overflow.
bool text_take_u64(struct text *rest, uint64_t *ret_value);
bool text_take_hex(struct text *rest, uint64_t *ret_value);
bool text_take_i64(struct text *rest, int64_t *ret_value);

bool text_equals(struct text text, const char *string);
bool text_starts_with(struct text text, const char *prefix);
bool text_ends_with(struct text text, const char *suffix);
bool text_contains(struct text text, const char *needle);

// Is `word` one of the items of a comma-separated list?
bool text_list_has(struct text list, const char *word);

// Copies at most `size - 1` bytes and always terminates. Returns false when it had to cut.
bool text_copy(struct text text, char *destination, size_t size);

// text_copy() that turns the kernel's octal escapes (\040, \011, \012, \134 in mountinfo, maps)
// into bytes. A backslash without three octal digits, and \000, stay as they are.
bool text_copy_unescaped(struct text text, char *destination, size_t size);

// The part behind the last '/'.
struct text text_base_name(struct text path);

// snprintf() into a buffer that may be too small on purpose: always terminated, cut where full.
void text_format(char *destination, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void text_vformat(char *destination, size_t size, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

#endif
