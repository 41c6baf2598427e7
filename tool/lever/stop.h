// SPDX-License-Identifier: Apache-2.0
// Stops of a borrowed thread that several calls share. Tool world; one thread; internal to levers.
//
// A stop costs as much as some short calls, so these share one; a malloc that purges gigabytes
// would hold the thread for long, so it is let go between the pieces, and runs what has come in
// meanwhile.
#ifndef EBB_LEVER_STOP_H
#define EBB_LEVER_STOP_H

#include <stdint.h>

struct call_session;

// Zero but for the session. call_end() ends it, in any case.
struct stop {
    struct call_session *session;
    uint64_t began_ns;
    unsigned count; // stops so far
};

// From here on one thread stands still. 0; -errno as call_begin().
int stop_begin(struct stop *stop);

// Between two calls: lets the thread run for half a millisecond when it has stood still for one or
// more, and stops it again. 0; -errno as call_begin(), and nothing is stopped then.
int stop_breathe(struct stop *stop);

#endif
