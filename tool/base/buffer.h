// SPDX-License-Identifier: Apache-2.0
// A byte buffer that grows up to a limit, for files of unknown size. Tool world; its owner guards
// it.
#ifndef EBB_BASE_BUFFER_H
#define EBB_BASE_BUFFER_H

#include <stdarg.h>
#include <stddef.h>

#include "base/text.h"

// Zero-initialised is empty and unlimited. `data` is always NUL-terminated once anything was added.
struct buffer {
    char *data;
    size_t len;
    size_t cap;
    size_t limit; // 0: none; otherwise growth beyond it fails with -EFBIG
};

// 0, -ENOMEM or -EFBIG; the buffer is unchanged on failure.
int buffer_append(struct buffer *buffer, const void *data, size_t len);
int buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int buffer_vprintf(struct buffer *buffer, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

// Reads `fd` to its end. 0 or -errno (-EFBIG when the limit is reached; what was read so far
// stays).
int buffer_read_fd(struct buffer *buffer, int fd);

// Opens `path` below `dir_fd` (or AT_FDCWD) and reads it to its end, never waiting for a FIFO. 0 or
// -errno as above.
int buffer_read_at(struct buffer *buffer, int dir_fd, const char *path);

struct text buffer_text(const struct buffer *buffer);
void buffer_clear(struct buffer *buffer);
void buffer_free(struct buffer *buffer);

#endif
