// SPDX-License-Identifier: Apache-2.0
// The values of options: sizes, durations, counts, as base/quantity.h reads them. Tool world; pure.
#include "cmd/options.h"

#include "base/quantity.h"

// Under the names of this layer, so that a verb needs no other header than that of its options.
int options_parse_size(struct text text, uint64_t *ret_bytes)
{
    return quantity_parse_size(text, ret_bytes);
}

int options_parse_duration(struct text text, uint64_t *ret_ns)
{
    return quantity_parse_duration(text, ret_ns);
}

int options_parse_count(struct text text, uint64_t *ret_count)
{
    return quantity_parse_count(text, ret_count);
}
