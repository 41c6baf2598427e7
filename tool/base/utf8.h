// SPDX-License-Identifier: Apache-2.0
// UTF-8 of names from outside: which of it may be shown as it is. Tool world; pure.
#ifndef EBB_BASE_UTF8_H
#define EBB_BASE_UTF8_H

#include <stddef.h>

// Length of the well-formed UTF-8 sequence of two to four bytes at `bytes`, which are terminated by
// a NUL; 0 for anything else, for C1 control characters, and for marks that turn the direction of
// text or end a line. Plain ASCII is the caller's.
size_t utf8_safe_length(const unsigned char *bytes);

#endif
