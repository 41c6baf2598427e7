// SPDX-License-Identifier: Apache-2.0
// A growing byte buffer, see buffer.h. Tool world; its owner guards it.
#include "base/buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Makes room for `extra` bytes and the terminating NUL.
static int buffer_reserve(struct buffer *buffer, size_t extra)
{
    size_t need;
    // A length from outside may be anything; what has no room is refused before any arithmetic.
    if (__builtin_add_overflow(buffer->len, extra, &need) || need > SIZE_MAX / 2)
        return -ENOMEM;
    if (buffer->limit && need > buffer->limit)
        return -EFBIG;
    // Strictly less: one byte is for the NUL.
    if (need < buffer->cap)
        return 0;
    size_t cap = buffer->cap ? buffer->cap : 256;
    // Cannot overflow: need is below half of the address space.
    while (cap <= need)
        cap *= 2;
    char *data = realloc(buffer->data, cap);
    if (!data)
        return -ENOMEM;
    buffer->data = data;
    buffer->cap = cap;
    return 0;
}

// Appending nothing still gives the caller a terminated, empty string.
int buffer_append(struct buffer *buffer, const void *data, size_t len)
{
    int error = buffer_reserve(buffer, len);
    if (error)
        return error;
    // memcpy() from NULL is undefined even for no bytes.
    if (len > 0)
        memcpy(buffer->data + buffer->len, data, len);
    buffer->len += len;
    buffer->data[buffer->len] = '\0';
    return 0;
}

// Formats twice: once for the length, once into the room that was made.
int buffer_vprintf(struct buffer *buffer, const char *format, va_list args)
{
    va_list again;
    // The first pass uses its list up.
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (len < 0)
        return -EINVAL;
    int error = buffer_reserve(buffer, (size_t)len);
    if (error)
        return error;
    vsnprintf(buffer->data + buffer->len, (size_t)len + 1, format, args);
    buffer->len += (size_t)len;
    return 0;
}

// The same for a list of arguments that is not at hand as a va_list.
int buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int error = buffer_vprintf(buffer, format, args);
    va_end(args);
    return error;
}

// Files of /proc have no size, and each read() of one may return less than asked: only 0 is the
// end.
int buffer_read_fd(struct buffer *buffer, int fd)
{
    char chunk[16384];
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof chunk);
        // A signal handler of the caller is no reason to lose a reading.
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return 0;
        // What fits is kept, since the head of an endless file is often all that is wanted.
        size_t room = buffer->limit ? buffer->limit - buffer->len : SIZE_MAX;
        size_t take = (size_t)got < room ? (size_t)got : room;
        int error = buffer_append(buffer, chunk, take);
        if (error)
            return error;
        if (take < (size_t)got)
            return -EFBIG;
    }
}

// O_NONBLOCK because a hostile tree may hold a FIFO without a writer where a file is expected, and
// O_NOCTTY because it may hold a terminal.
int buffer_read_at(struct buffer *buffer, int dir_fd, const char *path)
{
    int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    int error = buffer_read_fd(buffer, fd);
    close(fd);
    return error;
}

// Never a NULL view, so that parsers may compare and search it.
struct text buffer_text(const struct buffer *buffer)
{
    return (struct text){buffer->data ? buffer->data : "", buffer->len};
}

// Keeps the room for the next file.
void buffer_clear(struct buffer *buffer)
{
    buffer->len = 0;
    if (buffer->data)
        buffer->data[0] = '\0';
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->data);
    // The limit is a setting, not content.
    *buffer = (struct buffer){.limit = buffer->limit};
}
