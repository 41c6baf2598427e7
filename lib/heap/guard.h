// SPDX-License-Identifier: Apache-2.0
// Sampled guards: one allocation in N stands alone, its end at the end of a page, with inaccessible
// pages before and behind, and its place stays inaccessible for a while after it was freed. Library
// world; guarded by a lock of its own, which comes before the space's.
//
// What a program does wrong with such a block: an access behind its end, or after the free, faults
// there and then; a write to the fewer than 16 bytes of rounding, or just before the block, is told
// when it is freed; a second free is told as for all blocks.
//
// The blocks are runs in the guarded area, as large blocks are: WIRE_GUARDED with `free` as the
// address where the block begins and `block_bytes` as the size that was asked for, and
// WIRE_QUARANTINE once freed.
//
// Off, it costs nothing on the fast path and a comparison on the slow one. On, no size leads the
// fast path to a span, so that each malloc counts down on the slow path; frees stay fast. A malloc
// and its free are then 165 instructions in place of 46, whatever the rate, and a guarded pair two
// system calls and a page fault more.
#ifndef EBB_HEAP_GUARD_H
#define EBB_HEAP_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "heap/heap.h"

#define GUARD_BYTES_MAX 65536u // larger blocks are not sampled

// A guarded block makes two mappings, of which the kernel allows 65,530 by default.
#define GUARD_LIVE_MAX       8192u
#define GUARD_QUARANTINE_MAX 4096u // slots, no memory: 256 MiB of address space at most

// The rate in force: one in so many; 0: off.
extern uint32_t guard_one_in __attribute__((visibility("hidden")));

// Guards one allocation in `one_in` from now on, at random distances; 1: all of up to
// GUARD_BYTES_MAX, 0: none. While no other thread uses the heap: at the start, or in tests.
void guard_set(uint32_t one_in);

// Leads the fast path of a heap to its spans or past them, as the rate asks.
void guard_fit_heap(struct heap *heap);

// Counts the calling thread's allocation: true if this one is to be guarded.
bool guard_count_down(size_t bytes);

static inline bool guard_is_due(size_t bytes)
{
    return __builtin_expect(guard_one_in != 0, 0) && guard_count_down(bytes);
}

// A guarded block of `bytes` ≤ GUARD_BYTES_MAX at a multiple of `align`, which reads as zeros; NULL
// where too many live, the alignment is above a page or the system refuses: then an ordinary one
// does. The heap is started.
void *guard_allocate(size_t bytes, size_t align);

// A live block of this sort, and no large one.
static inline bool guard_is_sample(const struct wire_record *record)
{
    return wire_run_kind(atomic_peek64(&record->run)) == WIRE_GUARDED && record->free != 0;
}

// Frees a live sample: dies if somebody wrote around it, or frees it at the same time.
void guard_free(struct wire_record *record);

// "ebb: fatal: WHAT 0x… (NOTE guarded block of N bytes)". `note` may be empty.
_Noreturn void guard_die(const struct wire_record *record, const char *what, uintptr_t address,
                         const char *note);

// In a forked child, alone. And for tests that start again.
void guard_repair(void);
void guard_stop(void);

#endif
