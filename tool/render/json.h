// SPDX-License-Identifier: Apache-2.0
// Values for JSON renderers: numbers without loss, names with any bytes. Tool world; internal to
// renderers.
//
// Running out of memory breaks the tree that is being built and every tree that it is put into, up
// to the root, whose json_append() then says so. So no call needs a check, and what is printed is
// never a report with fields missing. Keys and values that jansson would refuse (bytes that are not
// UTF-8, NaN) are escaped or null instead.
#ifndef EBB_RENDER_JSON_H
#define EBB_RENDER_JSON_H

#ifdef EBB_WITH_JSON

#include <jansson.h>
#include <stdint.h>

#include "base/buffer.h"

// Each json_of_ function returns a value that its caller owns, or NULL without memory.
//
// jansson's integers are signed: larger values are cut to INT64_MAX.
json_t *json_of_u64(uint64_t value);

// null for what JSON has no number for: NaN and infinities, as a damaged ledger may hold.
json_t *json_of_double(double value);

// A name from a target, escaped as format_escaped() does, so that it is always valid UTF-8.
json_t *json_of_name(const char *name);
// The same; "" is null.
json_t *json_of_name_or_null(const char *name);

// json_object_set_new() and json_array_append_new() that take the value in any case. NULL as value,
// or no memory for it, frees the tree and makes it NULL; a NULL tree stays one. Keys are escaped.
void json_put(json_t **object, const char *key, json_t *value);
void json_push(json_t **array, json_t *value);

// Appends the tree as one indented text with a newline and gives it up. 0; -ENOMEM, also for NULL.
// After a failure a part of it may be in the buffer.
int json_append(json_t *tree, struct buffer *buffer);
// The same on one line, without a newline.
int json_append_line(json_t *tree, struct buffer *buffer);

#endif
#endif
