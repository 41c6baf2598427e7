// SPDX-License-Identifier: Apache-2.0
// Parsers of auxv, environ and cmdline, see status.h. Tool world; pure, no state.
#include "proc/status.h"

#include <errno.h>
#include <string.h>

// Words of the reader's size: a 32-bit process on a 64-bit kernel prints 32-bit pairs, which do not
// match.
int proc_auxv_find(struct text file, uint64_t key, uint64_t *ret_value)
{
    // Pairs of native words up to AT_NULL. The view may be unaligned, so words are copied out.
    uint64_t pair[2];
    for (size_t at = 0; file.len - at >= sizeof pair; at += sizeof pair) {
        memcpy(pair, file.data + at, sizeof pair);
        if (pair[0] == 0)
            break;
        if (pair[0] == key) {
            *ret_value = pair[1];
            return 0;
        }
    }
    return -ENOENT;
}

// The name must be followed by "=", else GODEBU would match GODEBUG.
bool proc_environ_find(struct text file, const char *name, struct text *ret_value)
{
    struct text entry;
    while (text_next_field(&file, '\0', &entry)) {
        if (text_take_prefix(&entry, name) && text_take_prefix(&entry, "=")) {
            *ret_value = entry;
            return true;
        }
    }
    return false;
}

// For one line on a terminal or in a log: no byte of it may move a cursor.
void proc_cmdline_join(struct text file, char *ret_line, size_t size)
{
    // A program that rewrites its title leaves a tail of NULs or blanks.
    while (file.len > 0 && (file.data[file.len - 1] == '\0' || file.data[file.len - 1] == ' '))
        file.len--;
    size_t used = 0;
    for (; used < file.len && used + 1 < size; used++) {
        unsigned char c = (unsigned char)file.data[used];
        if (c == '\0')
            c = ' ';
        else if (c < ' ' || c == 0x7f)
            c = '?';
        ret_line[used] = (char)c;
    }
    ret_line[used] = '\0';
}
