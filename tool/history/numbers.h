// SPDX-License-Identifier: Apache-2.0
// Lists of numbers as JSON, "[1,null,3]": many figures in one column that SQL can take apart. Tool
// world; pure.
#ifndef EBB_HISTORY_NUMBERS_H
#define EBB_HISTORY_NUMBERS_H

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

// The longest list is a ledger's; a number takes 21 bytes at most.
enum { NUMBERS_MAX = 512, NUMBERS_TEXT_MAX = NUMBERS_MAX * 21 + 3 };

// Numbers beyond INT64_MAX, UINT64_MAX above all, are "null". Always terminated; what does not fit
// into `size` is left out, and the list is a list all the same.
void numbers_print(const uint64_t *values, size_t count, char *ret_text, size_t size);

// Takes at most `max` numbers. 0; -EBADMSG for what numbers_print() never prints, or more numbers.
// Blanks are not for us: json() never adds any.
int numbers_parse(struct text text, uint64_t *ret_values, size_t max, size_t *ret_count);

#endif
