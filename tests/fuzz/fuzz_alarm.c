// SPDX-License-Identifier: Apache-2.0
// Fuzz target: alarm expressions.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "alarm/expression.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct alarm_condition condition, again;
    char error[ALARM_ERROR_MAX] = "";
    const struct text text = {(const char *)data, size};
    if (alarm_condition_parse(text, &condition, error) != 0) {
        // A refusal says why.
        if (error[0] == '\0')
            abort();
        return 0;
    }
    // What is accepted is told as it was written, and means the same when it is read again.
    if (strlen(condition.text) != size || memcmp(condition.text, data, size) != 0)
        abort();
    if (alarm_condition_parse(text_of(condition.text), &again, error) != 0 ||
        again.metric != condition.metric || again.for_ms != condition.for_ms)
        abort();
    if (!(condition.threshold.number >= 0) || !(condition.clear.number >= 0))
        abort();
    return 0;
}
