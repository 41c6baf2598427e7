// SPDX-License-Identifier: Apache-2.0
// Fuzz target: the parsers of /proc/PID/stat and statm. Test code; no state.
#include <stddef.h>
#include <stdint.h>

#include "proc/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes)
{
    struct text file = {(const char *)data, length_bytes};
    struct proc_stat stat;
    struct proc_statm statm;
    proc_stat_parse(file, &stat);
    proc_statm_parse(file, &statm);
    return 0;
}
