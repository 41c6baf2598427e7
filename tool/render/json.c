// SPDX-License-Identifier: Apache-2.0
// Values for JSON renderers, see json.h. Tool world.
#include "render/json.h"

#ifdef EBB_WITH_JSON

#include <errno.h>

#include "render/format.h"

json_t *json_of_u64(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

json_t *json_of_name(const char *name)
{
    struct buffer escaped = {0};
    json_t *string = NULL;
    if (format_escaped(&escaped, name, 0) == 0)
        string = json_string(buffer_text(&escaped).data);
    buffer_free(&escaped);
    return string;
}

static int json_append_piece(const char *piece, size_t len, void *context)
{
    return buffer_append(context, piece, len) ? -1 : 0;
}

int json_append(json_t *tree, struct buffer *buffer)
{
    if (!tree)
        return -ENOMEM;
    int error = json_dump_callback(tree, json_append_piece, buffer, JSON_INDENT(2));
    json_decref(tree);
    if (error)
        return -ENOMEM;
    return buffer_append(buffer, "\n", 1);
}

#else

// A translation unit must not be empty.
typedef int ebb_without_json;

#endif
