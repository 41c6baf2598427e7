// SPDX-License-Identifier: Apache-2.0
// The counters of one Go runtime as they stand in its memory, and MemStats computed from them. Tool
// world.
//
// ReadMemStats stops the world and empties the caches of all Ps into the global counters first.
// From outside the caches stay as they are, so what they hold back is read beside the counters and
// added.
#ifndef EBB_RUNTIME_GO_GO_LEDGER_H
#define EBB_RUNTIME_GO_GO_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/go/go_runtime.h"

// heapStatsDelta summed over its three generations (1.16 on).
struct go_delta {
    uint64_t committed, released, in_heap, in_stacks, in_work_bufs, in_ptr_scalar_bits;
    uint64_t tiny_allocs, large_alloc, large_alloc_count, large_free, large_free_count;
    uint64_t small_allocs[GO_SIZE_CLASSES_MAX], small_frees[GO_SIZE_CLASSES_MAX];
};

// What the caches of the Ps would add to the counters when they are flushed.
struct go_caches {
    int64_t small_allocs[GO_SIZE_CLASSES_MAX];
    uint64_t small_frees[GO_SIZE_CLASSES_MAX];
    uint64_t tiny_allocs, large_free, large_free_count;
    uint64_t count;        // caches read
    uint64_t unread_spans; // spans in caches that could not be read
    uint64_t free_bytes;   // room that is left in the spans of the caches
};

// Zero-initialised before it is filled in, padding too: two readings are compared as bytes.
struct go_ledger {
    uint64_t values[GO_FIELD_COUNT]; // scalar fields of the variables
    struct go_delta delta;
    uint64_t central_mallocs[GO_SIZE_CLASSES_MAX];  // up to 1.15
    uint64_t heap_small_frees[GO_SIZE_CLASSES_MAX]; // up to 1.15
    struct go_caches caches;
};

// One reading. 0, or -errno of the first counter that could not be read. Values of variables that
// were not found stay 0.
int go_ledger_read_once(const struct go_runtime *runtime, struct go_ledger *ret_ledger);

// Reads until two readings in a row agree, at most `tries` times. `*ret_steady` says whether they
// did. The counters of a target that works hard do not stand still: then the last reading is
// returned.
int go_ledger_read(const struct go_runtime *runtime, unsigned tries, struct go_ledger *ret_ledger,
                   bool *ret_steady);

// runtime.MemStats, field by field.
struct go_memstats {
    uint64_t sys, heap_sys, heap_alloc, heap_inuse, heap_idle, heap_released, heap_objects;
    uint64_t stack_inuse, stack_sys, mspan_inuse, mspan_sys, mcache_inuse, mcache_sys;
    uint64_t buckhash_sys, gc_sys, other_sys, total_alloc, mallocs, frees;
    uint64_t next_gc, last_gc, num_gc, num_forced_gc, pause_total_ns;
    double gc_cpu_fraction;
    uint64_t work_bufs; // part of gc_sys that lies in heap pages (1.16 on)
};

// Pure. Source of the formulas: readmemstats_m (runtime/mstats.go) of each version.
void go_ledger_compute(const struct go_runtime *runtime, const struct go_ledger *ledger,
                       struct go_memstats *ret_stats);

#endif
