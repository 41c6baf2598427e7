// SPDX-License-Identifier: Apache-2.0
// The clock that deliveries are limited by. Tool world; internal to alarm: what judges samples has
// no clock but theirs.
#ifndef EBB_ALARM_CLOCK_H
#define EBB_ALARM_CLOCK_H

#include <stdint.h>
#include <time.h>

// Monotonic milliseconds: whoever sets the clock of the day makes no delivery longer.
static inline uint64_t alarm_clock_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

#endif
