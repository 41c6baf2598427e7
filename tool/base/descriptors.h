// SPDX-License-Identifier: Apache-2.0
// Descriptors: those that a process of our own must not hold, and writing all to one. Tool world.
#ifndef EBB_BASE_DESCRIPTORS_H
#define EBB_BASE_DESCRIPTORS_H

#include <stddef.h>

// Closes every descriptor but the standard three and `kept_fd`, which moves to the number that is
// returned: the first behind those three. For children between fork() and exec or _exit(): it
// allocates nothing. Those that were inherited are closed as well, at whatever number they are.
int descriptors_keep_only(int kept_fd);

// Writes all of it, however little the system takes at a time, and on after a signal. 0 or -errno,
// after which a part may have been written.
int descriptor_write_all(int fd, const char *data, size_t len);

#endif
