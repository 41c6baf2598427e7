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

#endif
