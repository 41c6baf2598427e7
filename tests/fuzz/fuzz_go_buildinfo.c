// SPDX-License-Identifier: Apache-2.0
// Fuzz target: Go's build information and version text. Test code; no state.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "runtime/go/go_version.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes)
{
    struct go_buildinfo info;
    struct go_version version = {.minor = 0};
    if (go_buildinfo_parse(data, length_bytes, &info) == 0 && info.is_inline) {
        if (go_version_parse(info.version, info.version_len, &version) == 0 && info.settings)
            go_version_add_settings(&version, info.settings, info.settings_len);
    }
    if (go_version_parse((const char *)data, length_bytes, &version) == 0 && version.minor > 999)
        abort();
    return 0;
}
