// SPDX-License-Identifier: Apache-2.0
// Fuzz target: libebb's settings, EBB_CONF. Test code; no state.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "release/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes)
{
    const char *text = (const char *)data;
    const char *wrong = NULL;
    size_t wrong_len = 0;
    struct conf conf;
    conf_default(&conf);
    int result = conf_read(&conf, text, length_bytes, &wrong, &wrong_len);
    // Whatever stood there, what is set can be used; what was wrong is a part of the text.
    if (conf.policy < WIRE_POLICY_AUTO || conf.policy > WIRE_POLICY_KEEP ||
        conf.return_within_ms < CONF_WITHIN_MIN_MS || conf.return_within_ms > CONF_WITHIN_MAX_MS)
        abort();
    if (result == 0
            ? wrong != NULL
            : wrong < text || wrong_len == 0 || wrong_len > length_bytes - (size_t)(wrong - text))
        abort();
    return 0;
}
