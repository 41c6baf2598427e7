// SPDX-License-Identifier: Apache-2.0
// What a client sends, taken apart: the target of a request line, its query, its token. Tool world;
// pure, hostile input.
//
// RFC 3986 as far as our own pages use it. Nothing is repaired: what no page of ours would send is
// refused, so that there is no second spelling of a path that a check could miss.
#ifndef EBB_SERVE_URI_H
#define EBB_SERVE_URI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

enum { URI_RAW_MAX = 2048, URI_PATH_MAX = 256, URI_PARAMETERS_MAX = 8, URI_VALUE_MAX = 256 };

struct uri_parameter {
    char name[32];
    char value[URI_VALUE_MAX];
};

struct uri {
    char path[URI_PATH_MAX]; // decoded, begins with '/', printable ASCII only
    struct uri_parameter parameters[URI_PARAMETERS_MAX];
    size_t parameter_count;
};

// Reads "/api/series?subject=1&points=500". 0; -EINVAL: no path, "." or ".." or "" between slashes,
// a broken or double escape, NUL, a control byte, what is no UTF-8, a name given twice;
// -ENAMETOOLONG: longer than the limits above; -E2BIG: more parameters than that.
int uri_parse(struct text raw, struct uri *ret_uri);

// The value of a parameter, or NULL.
const char *uri_find(const struct uri *uri, const char *name);

// A parameter as a number. False, and nothing else, when it is there but is no such number, or is
// above `max`; `*number` is untouched when it is not there. Moments may be negative or fractions
// of a millisecond, as pages compute them: those are cut off.
bool uri_take_u64(const struct uri *uri, const char *name, uint64_t max, uint64_t *number);
bool uri_take_moment(const struct uri *uri, const char *name, int64_t *number_ms);

// Is `text` UTF-8 without NUL, surrogates and overlong forms (RFC 3629)?
bool uri_is_utf8(struct text text);

// "Bearer TOKEN" of an Authorization header. False if it is anything else.
bool uri_take_bearer(struct text header, struct text *ret_token);

// Equal? Takes as long for a token that is nearly right as for one that is all wrong.
bool uri_token_equals(struct text given, const char *token);

// "127.0.0.1:7878", "[::1]", "localhost:80": the name or address in front of the port, brackets
// taken off. False for what no browser sends as a Host.
bool uri_take_host(struct text header, struct text *ret_name, bool *ret_is_address);

#endif
