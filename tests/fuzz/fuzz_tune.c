// SPDX-License-Identifier: Apache-2.0
// Fuzz target: values of `ebb tune`, and lists of a target's environment that they are merged into.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/tune_request.h"
#include "lever/tune/lasting.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct text text = {(const char *)data, size};
    struct tune_settings settings;
    int64_t number;
    char merged[LASTING_VALUE_MAX];
    // What is accepted fits, and names hold nothing that a shell would read otherwise.
    if (tune_parse_settings(text, &settings) == 0) {
        for (size_t i = 0; i < settings.count; i++)
            if (settings.items[i].value < -1 || strpbrk(settings.items[i].name, " ;$`\"'\n"))
                abort();
    }
    if (tune_parse_percent(text, &number) == 0 && (number < -1 || number > 100000000))
        abort();
    if (tune_parse_limit(text, &number) == 0 && number <= 0)
        abort();
    if (tune_parse_decay(text, &number) == 0 && number < -1)
        abort();
    // The new item is the last one, whatever stood there.
    if (lasting_merge(text, ',', "madvdontneed", '=', "1", merged, sizeof merged) &&
        !text_ends_with(text_of(merged), "madvdontneed=1"))
        abort();
    return 0;
}
