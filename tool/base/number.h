// SPDX-License-Identifier: Apache-2.0
// Small arithmetic that several layers need. Tool world; pure.
#ifndef EBB_BASE_NUMBER_H
#define EBB_BASE_NUMBER_H

#include <stdint.h>

// The smaller of two sizes: what is taken never exceeds what is there.
static inline uint64_t number_least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

// A real number as a whole one, cut to what has a place there: converting more is undefined, and
// figures of a damaged file may be anything. What is no number is 0.
static inline int64_t number_whole(double value)
{
    const double most = 9e18;
    if (value > most)
        return (int64_t)most;
    if (value < -most)
        return -(int64_t)most;
    return value >= -most ? (int64_t)value : 0;
}

#endif
