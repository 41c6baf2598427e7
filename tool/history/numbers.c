// SPDX-License-Identifier: Apache-2.0
// Lists of numbers, see numbers.h. Tool world; pure.
#include "history/numbers.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

// By hand: an account has dozens of them, and snprintf() would cost more than the insert.
static size_t print_one(uint64_t value, char *at)
{
    if (value > INT64_MAX) {
        memcpy(at, "null", 4);
        return 4;
    }
    // INT64_MAX has 19 digits.
    char digits[20];
    size_t len = 0;
    do {
        digits[len++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    for (size_t i = 0; i < len; i++)
        at[i] = digits[len - 1 - i];
    return len;
}

// Room for the longest number and the end is made sure of before each. A list that is cut is still
// one that numbers_parse() takes; its length tells that it was cut.
void numbers_print(const uint64_t *values, size_t count, char *ret_text, size_t size)
{
    enum { LONGEST = 20, CLOSING = 3 };
    size_t len = 0;
    ret_text[len++] = '[';
    for (size_t i = 0; i < count && len + LONGEST + CLOSING <= size; i++) {
        if (i > 0)
            ret_text[len++] = ',';
        len += print_one(values[i], ret_text + len);
    }
    ret_text[len++] = ']';
    ret_text[len] = '\0';
}

// A number that no column of ours can hold was not printed by us. A number that numbers_print()
// would have written as null is not ours.
static bool parse_one(struct text *rest, uint64_t *ret_value)
{
    if (text_take_prefix(rest, "null")) {
        *ret_value = UINT64_MAX;
        return true;
    }
    return text_take_u64(rest, ret_value) && *ret_value <= INT64_MAX;
}

// The whole text must be the list: something behind it is somebody else's. It reads a column of a
// file that may be anybody's: every character is accounted for.
int numbers_parse(struct text text, uint64_t *ret_values, size_t max, size_t *ret_count)
{
    if (!text_take_prefix(&text, "["))
        return -EBADMSG;
    // Values before a mistake may have been stored already: callers drop them all.
    size_t count = 0;
    if (text_equals(text, "]")) {
        *ret_count = 0;
        return 0;
    }
    do {
        if (count == max || !parse_one(&text, &ret_values[count]))
            return -EBADMSG;
        count++;
    } while (text_take_prefix(&text, ","));
    if (!text_equals(text, "]"))
        return -EBADMSG;
    *ret_count = count;
    return 0;
}
