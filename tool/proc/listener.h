// SPDX-License-Identifier: Apache-2.0
// Who listens on a TCP port. Tool world; reads /proc.
//
// Sources: Documentation/networking/proc_net_tcp.rst; proc_pid_fd(5).
#ifndef EBB_PROC_LISTENER_H
#define EBB_PROC_LISTENER_H

#include <sys/types.h>

#include "base/text.h"

// The inode of a listening socket with that port in the text of /proc/net/tcp or tcp6. False if
// there is none.
bool listener_parse(struct text file, unsigned port, uint64_t *ret_inode);

// Which process listens on `port` in this network namespace: the first that has the socket, and its
// comm (raw). 0; -ENOENT when nobody listens; -EACCES when whoever does may not be looked at;
// -errno. Cost: a look at each descriptor of each process that may be read, until it is found.
int listener_find(const char *proc_root, unsigned port, pid_t *ret_pid, char ret_name[64]);

#endif
