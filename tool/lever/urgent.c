// SPDX-License-Identifier: Apache-2.0
// The priority of single calls, see urgent.h. Tool world; no state.
#include "lever/urgent.h"

// A child that is forked meanwhile, by a signal handler even, must not inherit it.
void urgent_begin(struct urgent *ret_urgent)
{
    struct urgent urgent = {.policy = sched_getscheduler(0)};
    // Who is real-time already, by the user's will, stays as it is.
    bool is_plain = urgent.policy == SCHED_OTHER || urgent.policy == SCHED_BATCH;
    if (is_plain && sched_getparam(0, &urgent.param) == 0) {
        const struct sched_param raised = {.sched_priority = sched_get_priority_min(SCHED_FIFO)};
        urgent.is_raised = sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &raised) == 0;
    }
    *ret_urgent = urgent;
}

void urgent_end(const struct urgent *urgent)
{
    if (urgent->is_raised)
        sched_setscheduler(0, urgent->policy, &urgent->param);
}
