// SPDX-License-Identifier: Apache-2.0
// The public face of libebb, beside the malloc family itself (see malloc(3), whose contracts hold).
//
// All functions are thread-safe, may be called before main() and in a forked child, keep errno, and
// are not for signal handlers.
#ifndef EBB_EBB_H
#define EBB_EBB_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// "0.1.0". Points to constant text; never NULL.
const char *ebb_version(void);

// Gives back to the system what is free: kept runs, and whole free pages of the calling thread's
// spans and of spans whose threads have ended. Returns the bytes given back; they may have been
// resident or not. Costs a walk over these free lists and the system calls.
size_t ebb_purge(void);

#ifdef __cplusplus
}
#endif

#endif
