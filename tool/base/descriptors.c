// SPDX-License-Identifier: Apache-2.0
// Closing descriptors and writing to them, see descriptors.h. Tool world; no state.
#include "base/descriptors.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

// Younger than some C libraries; the same number everywhere.
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

int descriptors_keep_only(int kept_fd)
{
    const int first = STDERR_FILENO + 1;
    // Ours goes to the first place; what was there is closed by that.
    if (kept_fd != first)
        dup2(kept_fd, first);
    if (syscall(SYS_close_range, (unsigned)first + 1, ~0U, 0) == 0)
        return first;
    // Before 5.9 one by one, as far as the limit of now goes.
    long most = sysconf(_SC_OPEN_MAX);
    for (int fd = first + 1; fd < most; fd++)
        close(fd);
    return first;
}

// A pipe or a disk may take less than all of it.
int descriptor_write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t written = write(fd, data, len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        data += written;
        len -= (size_t)written;
    }
    return 0;
}
