// SPDX-License-Identifier: Apache-2.0
// Sizes, durations and counts as people type them, see quantity.h. Tool world; pure, no state.
//
// Everything is unsigned and checked for overflow: a size that wraps round would be a small one.
// Fractions are kept exact as a numerator and a denominator until the unit is known.
#include "base/quantity.h"

#include <errno.h>

struct unit {
    const char *name;
    uint64_t factor;
};

// The longer name stands before its own beginning.
static const struct unit size_units[] = {
    {"KiB", 1ULL << 10}, {"MiB", 1ULL << 20}, {"GiB", 1ULL << 30},
    {"TiB", 1ULL << 40}, {"K", 1ULL << 10},   {"M", 1ULL << 20},
    {"G", 1ULL << 30},   {"T", 1ULL << 40},   {"B", 1},
    {NULL, 0},
};

static const struct unit duration_units[] = {
    {"ms", 1000000ULL},      {"s", 1000000000ULL},     {"m", 60000000000ULL},
    {"h", 3600000000000ULL}, {"d", 86400000000000ULL}, {NULL, 0},
};

// The factor of the unit that `rest` begins with; `fallback` where nothing is left; 0 unknown.
static uint64_t take_unit(struct text *rest, const struct unit *units, uint64_t fallback)
{
    if (rest->len == 0)
        return fallback;
    for (const struct unit *unit = units; unit->name; unit++) {
        if (text_take_prefix(rest, unit->name))
            return unit->factor;
    }
    return 0;
}

// ".25" of `factor`, at most nine digits. False when a point has no digit behind it, or too many.
static bool take_fraction(struct text *rest, uint64_t *ret_numerator, uint64_t *ret_denominator)
{
    // Nothing behind the number is 0 of 1.
    *ret_numerator = 0;
    *ret_denominator = 1;
    if (!text_take_prefix(rest, "."))
        return true;
    size_t digits = 0;
    // Nine digits, so that numerator and denominator stay far from overflow.
    while (rest->len > 0 && rest->data[0] >= '0' && rest->data[0] <= '9') {
        if (++digits > 9)
            return false;
        *ret_numerator = *ret_numerator * 10 + (uint64_t)(rest->data[0] - '0');
        *ret_denominator *= 10;
        rest->data++;
        rest->len--;
    }
    return digits > 0;
}

// One number with its unit, added to `*sum`.
static int take_quantity(struct text *rest, const struct unit *units, uint64_t fallback,
                         uint64_t *sum)
{
    uint64_t whole, numerator, denominator, product;
    if (!text_take_u64(rest, &whole))
        return rest->len > 0 && rest->data[0] >= '0' && rest->data[0] <= '9' ? -ERANGE : -EINVAL;
    if (!take_fraction(rest, &numerator, &denominator))
        return -EINVAL;
    // No unit where one is due is a slip as much as an unknown one.
    uint64_t factor = take_unit(rest, units, fallback);
    if (factor == 0)
        return -EINVAL;
    // Wide enough for nine digits times the largest unit.
    uint64_t part = (uint64_t)((__uint128_t)factor * numerator / denominator);
    if (__builtin_mul_overflow(whole, factor, &product) ||
        __builtin_add_overflow(product, part, &product) ||
        __builtin_add_overflow(product, *sum, sum))
        return -ERANGE;
    return 0;
}

// Binary units alone: what kernel and runtimes count in. "MB" is refused, since people mean either.
int quantity_parse_size(struct text text, uint64_t *ret_bytes)
{
    uint64_t bytes = 0;
    int error = take_quantity(&text, size_units, 1, &bytes);
    if (error < 0)
        return error;
    if (text.len > 0)
        return -EINVAL;
    *ret_bytes = bytes;
    return 0;
}

// A sum of quantities, in any order.
int quantity_parse_duration(struct text text, uint64_t *ret_ns)
{
    uint64_t ns = 0;
    // Only a number that stands alone may go without a unit: "1m30" is a slip.
    uint64_t fallback = 1000000000ULL;
    do {
        // At least one quantity: an empty text is none.
        int error = take_quantity(&text, duration_units, fallback, &ns);
        if (error < 0)
            return error;
        fallback = 0;
    } while (text.len > 0);
    *ret_ns = ns;
    return 0;
}

// No sign, no unit, nothing behind it.
int quantity_parse_count(struct text text, uint64_t *ret_count)
{
    uint64_t count;
    if (!text_take_u64(&text, &count))
        return text.len > 0 && text.data[0] >= '0' && text.data[0] <= '9' ? -ERANGE : -EINVAL;
    if (text.len > 0)
        return -EINVAL;
    *ret_count = count;
    return 0;
}
