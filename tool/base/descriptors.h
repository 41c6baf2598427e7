// SPDX-License-Identifier: Apache-2.0
// Descriptors that a process of our own must not hold. Tool world.
#ifndef EBB_BASE_DESCRIPTORS_H
#define EBB_BASE_DESCRIPTORS_H

// Closes every descriptor but the standard three and `kept_fd`, which moves to the number that is
// returned: the first behind those three. For children between fork() and exec or _exit(): it
// allocates nothing. Those that were inherited are closed as well, at whatever number they are.
int descriptors_keep_only(int kept_fd);

#endif
