// SPDX-License-Identifier: Apache-2.0
// Reading text of known length, forwards, never behind its end. Library world; pure.
#ifndef EBB_RELEASE_SCAN_H
#define EBB_RELEASE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// What is left to read.
struct scan {
    const char *at;
    size_t len;
};

// `len` is at most what is left.
static inline void scan_skip(struct scan *scan, size_t len)
{
    scan->at += len;
    scan->len -= len;
}

// Cuts off what stands before the next `end`, and drops that: all that is left where there is none.
static inline struct scan scan_until(struct scan *scan, char end)
{
    const char *found = scan->len ? memchr(scan->at, end, scan->len) : NULL;
    struct scan cut = {scan->at, found ? (size_t)(found - scan->at) : scan->len};
    scan_skip(scan, found ? cut.len + 1 : cut.len);
    return cut;
}

// The whole text is this word.
static inline bool scan_is(struct scan scan, const char *word)
{
    size_t len = strlen(word);
    return scan.len == len && memcmp(scan.at, word, len) == 0;
}

// True, and the word is dropped, where the text begins with it.
static inline bool scan_take(struct scan *scan, const char *word)
{
    size_t len = strlen(word);
    if (scan->len < len || memcmp(scan->at, word, len) != 0)
        return false;
    scan_skip(scan, len);
    return true;
}

// Blanks and tabs, with which the kernel aligns columns.
static inline void scan_take_spaces(struct scan *scan)
{
    while (scan->len && (*scan->at == ' ' || *scan->at == '\t'))
        scan_skip(scan, 1);
}

// Takes the digits at the front. False where there are none, or more than 64 bits of them.
static inline bool scan_decimal(struct scan *scan, uint64_t *value)
{
    uint64_t sum = 0;
    size_t digits = 0;
    for (; digits < scan->len && scan->at[digits] >= '0' && scan->at[digits] <= '9'; digits++) {
        uint64_t digit = (uint64_t)(scan->at[digits] - '0');
        if (sum > (UINT64_MAX - digit) / 10)
            return false;
        sum = sum * 10 + digit;
    }
    if (digits == 0)
        return false;
    scan_skip(scan, digits);
    *value = sum;
    return true;
}

#endif
