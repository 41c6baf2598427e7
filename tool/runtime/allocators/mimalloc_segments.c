// SPDX-License-Identifier: Apache-2.0
// mimalloc's segments, see mimalloc_segments.h. Tool world; no state.
#include "runtime/allocators/mimalloc_segments.h"

#include <errno.h>

int mimalloc_segments_read(const struct target *target, const char *version,
                           struct runtime_report *report)
{
    (void)target;
    (void)version;
    (void)report;
    return -ENOENT;
}
