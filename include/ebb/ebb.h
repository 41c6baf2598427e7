// SPDX-License-Identifier: Apache-2.0
// The public face of libebb, beside the malloc family itself (see malloc(3), whose contracts hold).
//
// All functions are thread-safe, may be called before main() and in a forked child, keep errno, and
// are not for signal handlers. Where there is no memory for a heap, and in a child of vfork(), the
// calls that change something change nothing: they return -EINVAL, or 0 bytes.
#ifndef EBB_EBB_H
#define EBB_EBB_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// "0.1.0". Points to constant text; never NULL.
const char *ebb_version(void);

// Gives back to the system what is free, at once: kept runs, and whole free pages of all spans,
// also those of other threads. Returns the bytes given back; they may have been resident or not.
// Costs a walk over the table of spans and the system calls. Under every policy.
size_t ebb_purge(void);

// When and how free pages go back.
enum ebb_policy {
    EBB_POLICY_AUTO = 1,     // lazily what is likely to be used again, all else at once (default)
    EBB_POLICY_FREE = 2,     // lazily: MADV_FREE; at once where the kernel refuses it
    EBB_POLICY_DONTNEED = 3, // at once: MADV_DONTNEED
    EBB_POLICY_KEEP = 4,     // never, unless ebb_purge() is called
};

// Sets the policy from now on; pages that went back stay where they are. 0, or -EINVAL for anything
// but the values above. O(1).
int ebb_set_policy(enum ebb_policy policy);

// The policy in force, whoever set it: EBB_CONF, the call above or `ebb tune` from outside.
enum ebb_policy ebb_get_policy(void);

// Free pages that are not expected to be used again go back within so many milliseconds (1000 by
// default), 10 to 3,600,000. 0 or -EINVAL. O(1).
int ebb_set_return_within(unsigned milliseconds);

// A goal, not a wall: while the heap's memory is above so many bytes, free pages go back before new
// ones are taken, and malloc() never fails because of it. 0: no limit. O(1).
void ebb_set_limit(size_t bytes);

// The account of the heap at one moment, under Go's names and meanings where it has one
// (runtime.MemStats). Bytes, but for the counts. Whether a page is resident is not asked: `ebb
// explain` does that from outside.
struct ebb_stats {
    uint64_t sys;           // heap_sys + mspan_sys
    uint64_t heap_sys;      // heap_inuse + heap_idle
    uint64_t heap_alloc;    // in blocks that the program holds
    uint64_t heap_inuse;    // in spans and large blocks with such blocks
    uint64_t heap_idle;     // in free runs and empty spans, and free pages in spans given back
    uint64_t heap_released; // of heap_idle: given back, lazily or at once, or never used
    uint64_t heap_lazy;     // of heap_released: given back lazily
    uint64_t heap_objects;  // live blocks
    uint64_t stack_sys;     // 0: the stacks are not the heap's
    uint64_t mspan_sys;     // metadata
    uint64_t mallocs;       // ever
    uint64_t frees;         // ever
    uint64_t purges;        // calls that gave pages back
    uint64_t purged_bytes;  // in them
    uint64_t reused_bytes;  // of these: used again
};

// Fills the first `size` bytes of `*stats` (pass sizeof *stats, so that it may grow); 0, or -EINVAL
// for NULL or 0. Exact where no other thread allocates meanwhile. Holds the space's lock for a walk
// over the table: about 1 ms per GiB.
int ebb_get_stats(struct ebb_stats *stats, size_t size);

#ifdef __cplusplus
}
#endif

#endif
