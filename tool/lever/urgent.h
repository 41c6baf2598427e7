// SPDX-License-Identifier: Apache-2.0
// Not being interrupted while the target waits for us. Tool world; one thread.
//
// In a call that holds the target's mmap_lock the kernel lets other processes have the processor;
// on a busy host the target then waits for them as well: 30 ms and more where the work takes 2. The
// capability that process_madvise() needs (CAP_SYS_NICE) allows to be scheduled before them for the
// time of the call, and no longer.
#ifndef EBB_LEVER_URGENT_H
#define EBB_LEVER_URGENT_H

#include <sched.h>
#include <stdbool.h>

struct urgent {
    bool is_raised;
    int policy; // as it was
    struct sched_param param;
};

// Raises the calling thread to the lowest real-time priority; where that is not allowed nothing
// happens. Costs 1 µs. At once before and behind a call of some milliseconds.
void urgent_begin(struct urgent *ret_urgent);
void urgent_end(const struct urgent *urgent);

#endif
