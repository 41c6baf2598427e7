// SPDX-License-Identifier: Apache-2.0
// Fuzz target: the parser of the JVM's performance data. Test code; no state.
#include <stddef.h>
#include <stdint.h>

#include "runtime/managed/hsperf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes)
{
    struct text file = {(const char *)data, length_bytes};
    struct hsperf hsperf;
    if (hsperf_open(file, &hsperf))
        return 0;
    int64_t value;
    struct text text;
    // A name that is there, one that is not, and one of the other type.
    hsperf_find_long(&hsperf, "sun.gc.metaspace.used", &value);
    hsperf_find_long(&hsperf, "java.property.java.vm.version", &value);
    hsperf_find_string(&hsperf, "java.property.java.vm.version", &text);
    hsperf_find_string(&hsperf, "no such counter", &text);
    return 0;
}
