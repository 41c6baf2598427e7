// SPDX-License-Identifier: Apache-2.0
// Sizes, durations and counts as people type them. Tool world; pure.
#ifndef EBB_BASE_QUANTITY_H
#define EBB_BASE_QUANTITY_H

#include <stdint.h>

#include "base/text.h"

// "512MiB" to bytes, "1m30s" to nanoseconds, "12". Units: B K M G T with or without iB; ms s m h d.
// The whole text is read. 0; -EINVAL; -ERANGE when it does not fit.
int quantity_parse_size(struct text text, uint64_t *ret_bytes);
int quantity_parse_duration(struct text text, uint64_t *ret_ns);
int quantity_parse_count(struct text text, uint64_t *ret_count);

#endif
