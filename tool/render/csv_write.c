// SPDX-License-Identifier: Apache-2.0
// CSV's cells, see csv_write.h. Tool world; pure.
#include "render/csv_write.h"

#include <string.h>

#include "render/format.h"
#include "sample/sample.h"

// Quotes are doubled.
int csv_write_name(struct buffer *buffer, const char *name)
{
    struct buffer escaped = {0};
    int error = format_escaped(&escaped, name, 0);
    if (!error)
        error = buffer_append(buffer, "\"", 1);
    const char *text = escaped.data ? escaped.data : "";
    // A spreadsheet would run it as a formula, and names come from anybody.
    if (!error && text[0] && strchr("=+-@", text[0]))
        error = buffer_append(buffer, "'", 1);
    for (; *text && !error; text++)
        error = *text == '"' ? buffer_append(buffer, "\"\"", 2) : buffer_append(buffer, text, 1);
    buffer_free(&escaped);
    return error ? error : buffer_append(buffer, "\"", 1);
}

// A minute of which only its extremes are left is as good as a cheap sample.
const char *csv_kind_name(uint64_t kind)
{
    return kind == SAMPLE_ACCOUNT ? "account" : kind == SAMPLE_LAZY ? "lazy" : "cheap";
}
