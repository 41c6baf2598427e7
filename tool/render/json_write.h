// SPDX-License-Identifier: Apache-2.0
// JSON written straight into a buffer, for what is too large to be a tree first: series of 100,000
// points, a batch of 2,000 processes. Tool world; pure. Commas and brackets are the caller's.
#ifndef EBB_RENDER_JSON_WRITE_H
#define EBB_RENDER_JSON_WRITE_H

#include <stdint.h>

#include "base/buffer.h"

// Each appends one value. 0, -ENOMEM or -EFBIG.

// Digits; UINT64_MAX (SAMPLE_UNKNOWN) is null.
int json_write_u64(struct buffer *buffer, uint64_t value);
int json_write_i64(struct buffer *buffer, int64_t value);

// A name from a target, as json_of_name(): escaped as format_escaped() does, then as JSON wants it,
// and '<' as \u003c, so that it may stand in a script element.
int json_write_name(struct buffer *buffer, const char *name);

#endif
