// SPDX-License-Identifier: Apache-2.0
// Values for JSON renderers, see json.h. Tool world.
#include "render/json.h"

#ifdef EBB_WITH_JSON

#include <errno.h>
#include <math.h>

#include "render/format.h"

// No size reaches 8 EiB; a ledger of hostile memory may, and is cut rather than made negative.
json_t *json_of_u64(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

// JSON has no infinity and no NaN: jansson refuses them, and null is what is left.
json_t *json_of_double(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

// jansson refuses text that is not UTF-8; what format_escaped() lets through is.
json_t *json_of_name(const char *name)
{
    struct buffer escaped = {0};
    json_t *string = NULL;
    if (format_escaped(&escaped, name, 0) == 0)
        string = json_string(buffer_text(&escaped).data);
    buffer_free(&escaped);
    return string;
}

// What is not known has an empty text in the reports.
json_t *json_of_name_or_null(const char *name)
{
    return name[0] ? json_of_name(name) : json_null();
}

// Gives a broken tree up as soon as a value is missing, so that its owner is handed NULL as well.
static void json_check(json_t **tree, int failed)
{
    if (!failed)
        return;
    json_decref(*tree);
    *tree = NULL;
}

// Takes the value over in any case. A failure makes the tree NULL, which json_append() tells at the
// end.
void json_put(json_t **object, const char *key, json_t *value)
{
    struct buffer escaped = {0};
    // The value is given up whatever happens: callers make it in the argument and keep no pointer.
    if (!*object || format_escaped(&escaped, key, 0) != 0) {
        json_decref(value);
        json_check(object, *object != NULL);
    } else {
        json_check(object, json_object_set_new(*object, buffer_text(&escaped).data, value));
    }
    buffer_free(&escaped);
}

// As json_put(), for lists.
void json_push(json_t **array, json_t *value)
{
    // As above: a broken array swallows what is pushed to it.
    if (*array)
        json_check(array, json_array_append_new(*array, value));
    else
        json_decref(value);
}

// jansson calls this for a few bytes at a time, and takes anything but 0 as the end of the dump.
static int json_append_piece(const char *piece, size_t len, void *context)
{
    return buffer_append(context, piece, len) ? -1 : 0;
}

// Consumes the tree; a NULL one is a failure that came earlier.
static int json_dump(json_t *tree, size_t flags, struct buffer *buffer)
{
    // A tree that broke on its way up, see json.h.
    if (!tree)
        return -ENOMEM;
    int error = json_dump_callback(tree, json_append_piece, buffer, flags);
    json_decref(tree);
    // The only way for a dump of a sound tree to fail is the buffer's.
    return error ? -ENOMEM : 0;
}

int json_append(json_t *tree, struct buffer *buffer)
{
    int error = json_dump(tree, JSON_INDENT(2), buffer);
    return error ? error : buffer_append(buffer, "\n", 1);
}

int json_append_line(json_t *tree, struct buffer *buffer)
{
    return json_dump(tree, 0, buffer);
}

#else

// A translation unit must not be empty.
typedef int ebb_without_json;

#endif
