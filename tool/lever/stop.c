// SPDX-License-Identifier: Apache-2.0
// Stops that calls share, see stop.h. Tool world; no state.
#include "lever/stop.h"

#include <stddef.h>
#include <time.h>

#include "call/call.h"
#include "lever/lever.h"

// Calls that take less than this together share a stop.
static const uint64_t stop_ns = 1000000;
// For the thread's own work.
static const struct timespec pause_between = {.tv_nsec = 500000};

// The clock runs from when the thread stands still: looking for one costs it nothing.
int stop_begin(struct stop *stop)
{
    int error = call_begin(stop->session);
    if (error)
        return error;
    stop->began_ns = lever_now_ns();
    stop->count++;
    return 0;
}

int stop_breathe(struct stop *stop)
{
    if (lever_now_ns() - stop->began_ns < stop_ns)
        return 0;
    call_end(stop->session);
    // A signal may cut it short, which does no harm.
    nanosleep(&pause_between, NULL);
    return stop_begin(stop);
}
