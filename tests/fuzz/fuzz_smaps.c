// SPDX-License-Identifier: Apache-2.0
// The parser of smaps, fed in pieces whose size the first byte gives. Test code.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proc/mappings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes);

// What every reader of the table relies on, whatever the text was.
static void check_table(const struct mappings *mappings)
{
    for (size_t i = 0; i < mappings->count; i++) {
        const struct mapping *mapping = &mappings->items[i];
        if (mapping->start >= mapping->end || mapping->kind > MAPPING_DEVICE)
            abort();
        if (i > 0 && mapping->start < mapping[-1].end)
            abort();
        const char *path = mappings_path(mappings, mapping);
        if (path + strlen(path) >= mappings->names + mappings->names_len)
            abort();
        if (mappings_find(mappings, mapping->start) != mapping ||
            mappings_find(mappings, mapping->end - 1) != mapping)
            abort();
        if (mapping->rss_kib > mappings->total.rss_kib)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes)
{
    if (length_bytes == 0)
        return 0;
    struct mappings mappings;
    static struct smaps_parser parser;
    smaps_parser_init(&parser, &mappings);
    size_t piece = data[0] ? data[0] : length_bytes;
    int error = 0;
    for (size_t at = 1; at < length_bytes && !error; at += piece) {
        size_t len = length_bytes - at < piece ? length_bytes - at : piece;
        error = smaps_parser_feed(&parser, (const char *)data + at, len);
    }
    if (!error && smaps_parser_finish(&parser) == 0)
        check_table(&mappings);
    mappings_free(&mappings);
    return 0;
}
