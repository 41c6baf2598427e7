// SPDX-License-Identifier: Apache-2.0
// UTF-8 that may be shown, see utf8.h. Tool world; pure.
#include "base/utf8.h"

#include <stdbool.h>

// Marks that turn the direction of text, and separators of lines and paragraphs: with them a name
// can make a line read as another one (U+061C, U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069).
// Precondition: a well-formed sequence.
static bool utf8_misleads(const unsigned char *bytes)
{
    if (bytes[0] == 0xD8 && bytes[1] == 0x9C)
        return true;
    if (bytes[0] != 0xE2)
        return false;
    unsigned last = bytes[2];
    if (bytes[1] == 0x80)
        return last == 0x8E || last == 0x8F || (last >= 0xA8 && last <= 0xAE);
    return bytes[1] == 0x81 && last >= 0xA6 && last <= 0xA9;
}

// Overlong forms and surrogates are malformed (Unicode, table 3-7). The terminating NUL continues
// nothing, so nothing behind it is looked at.
size_t utf8_safe_length(const unsigned char *bytes)
{
    unsigned lead = bytes[0];
    size_t length = lead >= 0xF0 && lead <= 0xF4   ? 4
                    : lead >= 0xE0 && lead <= 0xEF ? 3
                    : lead >= 0xC2 && lead <= 0xDF ? 2
                                                   : 0;
    for (size_t i = 1; i < length; i++)
        if ((bytes[i] & 0xC0) != 0x80)
            return 0;
    bool overlong = (lead == 0xE0 && bytes[1] < 0xA0) || (lead == 0xF0 && bytes[1] < 0x90);
    bool beyond = (lead == 0xED && bytes[1] > 0x9F) || (lead == 0xF4 && bytes[1] > 0x8F);
    // C1 control characters move cursors on some terminals (0x9B is another ESC [).
    bool control = lead == 0xC2 && bytes[1] < 0xA0;
    return overlong || beyond || control || utf8_misleads(bytes) ? 0 : length;
}
