// SPDX-License-Identifier: Apache-2.0
// Fuzz target: the parsers of /proc/PID/status and smaps_rollup. Test code; no state.
#include <stddef.h>
#include <stdint.h>

#include "proc/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes)
{
    struct text file = {(const char *)data, length_bytes};
    struct proc_status status;
    struct proc_rollup rollup;
    proc_status_parse(file, &status);
    proc_rollup_parse(file, &rollup);
    return 0;
}
