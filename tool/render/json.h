// SPDX-License-Identifier: Apache-2.0
// Values for JSON renderers: numbers without loss, names with any bytes. Tool world; internal to
// renderers.
//
// jansson frees what json_object_set_new() is given even where that fails, so a tree is built
// without a check after every call.
#ifndef EBB_RENDER_JSON_H
#define EBB_RENDER_JSON_H

#ifdef EBB_WITH_JSON

#include <jansson.h>
#include <stdint.h>

#include "base/buffer.h"

// jansson's integers are signed: larger values are cut to INT64_MAX.
json_t *json_of_u64(uint64_t value);

// A name from a target, escaped as format_escaped() does, so that it is always valid UTF-8.
json_t *json_of_name(const char *name);

// Appends the tree as one indented text with a newline and gives it up. 0 or -ENOMEM.
int json_append(json_t *tree, struct buffer *buffer);

#endif
#endif
