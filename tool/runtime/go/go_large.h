// SPDX-License-Identifier: Apache-2.0
// Large objects that the program has allocated and never touched. Tool world.
//
// A block of gigabytes that is only there to please the collector ("ballast") is in HeapAlloc and
// not in memory. Where the ledger says more than is resident, this tells how much of that is such
// blocks.
#ifndef EBB_RUNTIME_GO_GO_LARGE_H
#define EBB_RUNTIME_GO_GO_LARGE_H

#include <stdint.h>

#include "runtime/go/go_runtime.h"

struct process;

// With more spans than this the walk would take longer than the rest of the account.
enum { GO_LARGE_SPANS_MAX = 1 << 18, GO_LARGE_MIN_BYTES = 128 << 10 };

// Bytes of spans of GO_LARGE_MIN_BYTES and more that are in use and not in memory.
// 0; -E2BIG with too many spans; -ENOENT; -ETIME; as pagemap_count().
// Cost: reads every span's record, 64 KiB at a time, and pagemap over the large ones.
int go_large_untouched(const struct go_runtime *runtime, struct process *process,
                       uint64_t deadline_ns, uint64_t *ret_bytes);

#endif
