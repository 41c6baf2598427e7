// SPDX-License-Identifier: Apache-2.0
// Makes names from outside safe to print. Tool world; pure, no state.
#include "cmd/messages.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

// The length of the valid UTF-8 sequence at `bytes`, 0 if there is none (RFC 3629, table of section
// 4). The terminating NUL stops it.
static size_t utf8_length(const unsigned char *bytes)
{
    size_t len;
    uint32_t code, least;
    if (bytes[0] >= 0xc2 && bytes[0] <= 0xdf) {
        len = 2, code = bytes[0] & 0x1fU, least = 0x80;
    } else if (bytes[0] >= 0xe0 && bytes[0] <= 0xef) {
        len = 3, code = bytes[0] & 0x0fU, least = 0x800;
    } else if (bytes[0] >= 0xf0 && bytes[0] <= 0xf4) {
        len = 4, code = bytes[0] & 0x07U, least = 0x10000;
    } else {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (bytes[i] & 0x3fU);
    }
    // C1 controls act on terminals; the marks that turn the direction of text hide what is there.
    if (code < 0xa0 || (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069))
        return 0;
    return code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) ? 0 : len;
}

void message_escape(const char *name, char *ret_shown, size_t size)
{
    const unsigned char *from = (const unsigned char *)name;
    size_t used = 0;
    ret_shown[0] = '\0';
    while (*from) {
        char piece[8];
        size_t take = *from >= 0x20 && *from < 0x7f ? 1 : utf8_length(from);
        if (take > 0) {
            memcpy(piece, from, take);
            piece[take] = '\0';
        } else {
            snprintf(piece, sizeof(piece), "\\x%02x", *from);
            take = 1;
        }
        size_t len = strlen(piece);
        // Room for the dots stays free until the last piece is known to fit.
        bool last = from[take] == '\0';
        if (used + len + (last ? 1 : 4) > size) {
            if (used + 4 <= size)
                strcpy(ret_shown + used, "...");
            return;
        }
        memcpy(ret_shown + used, piece, len + 1);
        used += len;
        from += take;
    }
}
