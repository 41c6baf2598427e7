// SPDX-License-Identifier: Apache-2.0
// Small arithmetic on sizes and bit sets. Library world; pure.
#ifndef EBB_BASE_BITS_H
#define EBB_BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// `unit` is a power of two. Wraps to a small value where the result does not fit: callers bound it.
static inline size_t bits_round_up(size_t value, size_t unit)
{
    return (value + unit - 1) & ~(unit - 1);
}

static inline size_t bits_ceil_div(size_t value, size_t unit)
{
    return (value + unit - 1) / unit;
}

static inline bool bits_is_power_of_two(size_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

// Position of the highest set bit; `value` is not 0.
static inline unsigned bits_highest(uint64_t value)
{
    return 63u - (unsigned)__builtin_clzll(value);
}

// Position of the lowest set bit; `value` is not 0.
static inline unsigned bits_lowest(uint64_t value)
{
    return (unsigned)__builtin_ctzll(value);
}

static inline unsigned bits_count(uint64_t value)
{
    return (unsigned)__builtin_popcountll(value);
}

// The bits `first` to `last`, both included; last < 64.
static inline uint64_t bits_range(unsigned first, unsigned last)
{
    return (~UINT64_C(0) >> (63 - last)) & (~UINT64_C(0) << first);
}

#endif
