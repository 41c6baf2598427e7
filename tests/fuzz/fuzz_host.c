// SPDX-License-Identifier: Apache-2.0
// Fuzz target: the parsers of meminfo, vmstat, pressure, kernel release and THP mode. Test code; no
// state.
#include <stddef.h>
#include <stdint.h>

#include "proc/host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes)
{
    struct text file = {(const char *)data, length_bytes};
    struct meminfo meminfo;
    struct vmstat vmstat;
    struct pressure pressure;
    struct kernel_version version;
    // The bound must hold for any figures.
    if (meminfo_parse(file, &meminfo) == 0 &&
        meminfo_lazy_bound_kib(&meminfo) > meminfo.active_file_kib + meminfo.inactive_file_kib)
        __builtin_trap();
    vmstat_parse(file, &vmstat);
    pressure_parse(file, &pressure);
    kernel_version_parse(file, &version);
    thp_mode_parse(file);
    return 0;
}
