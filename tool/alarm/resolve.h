// SPDX-License-Identifier: Apache-2.0
// Addresses of a host, within a limit of time. Tool world; thread-safe.
//
// getaddrinfo() has no limit of its own: a name server that does not answer holds it up for as long
// as resolv.conf says, half a minute and more, and nothing ends it. So a thread asks, and who asked
// leaves it behind when time is up.
#ifndef EBB_ALARM_RESOLVE_H
#define EBB_ALARM_RESOLVE_H

#include <netdb.h>
#include <stdatomic.h>
#include <stdint.h>

// Until `deadline_ms` of alarm_clock_ms(). 0 with a list that freeaddrinfo() frees; -ENOENT: no
// such host, or it has no address; -EAGAIN: no answer in time, or no server that would give one;
// -ECANCELED; -ENOMEM, -errno: no thread. A numeric address is asked of nobody.
int resolve_host(const char *host, const char *port, uint64_t deadline_ms,
                 const atomic_bool *cancelled, struct addrinfo **ret_addresses);

#endif
