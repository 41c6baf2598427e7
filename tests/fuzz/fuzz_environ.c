// SPDX-License-Identifier: Apache-2.0
// Fuzz target: auxv, environ, cmdline, and the octal escapes of mountinfo and maps. Test code; no
// state.
#include <stddef.h>
#include <stdint.h>

#include "proc/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes)
{
    struct text file = {(const char *)data, length_bytes};
    struct text value;
    uint64_t word;
    char line[64];
    proc_environ_find(file, "GODEBUG", &value);
    proc_auxv_find(file, 25, &word);
    proc_cmdline_join(file, line, sizeof line);
    text_copy_unescaped(file, line, sizeof line);
    return 0;
}
