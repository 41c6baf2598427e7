// SPDX-License-Identifier: Apache-2.0
// The JVM's performance data ("hsperfdata"), a table of named counters in shared memory. Tool
// world; pure.
//
// Source: OpenJDK src/hotspot/share/runtime/perfMemory.hpp, PerfDataPrologue and PerfDataEntry,
// format 2.0.
#ifndef EBB_RUNTIME_MANAGED_HSPERF_H
#define EBB_RUNTIME_MANAGED_HSPERF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

struct hsperf {
    struct text file;
    uint32_t first_entry, entry_count;
    bool swapped; // written in the other byte order
};

enum { HSPERF_ENTRIES_MAX = 4096 };

// Checks the prologue. 0; -EBADMSG when it is not hsperfdata; -EPROTONOSUPPORT for another format;
// -EAGAIN while the JVM is still writing it. The view stays the caller's.
int hsperf_open(struct text file, struct hsperf *ret_hsperf);

// A counter by name. 0; -ENOENT; -EBADMSG when the table is damaged before it. Cost: a walk over
// the table.
int hsperf_find_long(const struct hsperf *hsperf, const char *name, int64_t *ret_value);

// A string by name, borrowed from the file, without the NULs behind it. As hsperf_find_long().
int hsperf_find_string(const struct hsperf *hsperf, const char *name, struct text *ret_value);

#endif
