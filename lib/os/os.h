// SPDX-License-Identifier: Apache-2.0
// The system behind one struct of functions, so that the heap runs on the real one, on a fake with
// its own clock, and on one whose n-th call fails. Library world.
//
// For all: addresses and lengths are page multiples inside one reservation; results are 0 or −errno
// and errno is left alone; safe from any thread, before constructors, and in signal handlers.
//
// Costs, per 4 KiB page on the kind of machine it was measured on: purge_now() 260 ns and 1,300
// more for the fault when the page is used again; purge_lazily() 225 ns, and 190 for the first
// write. A single-page call costs 11 µs where other threads of the process run on other processors.
#ifndef EBB_OS_OS_H
#define EBB_OS_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct os_range {
    uintptr_t address;
    size_t bytes;
};

static inline size_t os_ranges_bytes(const struct os_range *ranges, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += ranges[i].bytes;
    return bytes;
}

struct os {
    // Takes address space without memory, aligned to `align` (a power of two), or gives it back.
    int (*reserve)(const struct os *os, size_t bytes, size_t align, uintptr_t *address);
    void (*unreserve)(const struct os *os, uintptr_t address, size_t bytes);
    // Reserved space becomes readable: zeros that cost no memory and no commit charge.
    int (*show)(const struct os *os, uintptr_t address, size_t bytes);
    // Reserved space becomes memory, zero where it was not memory before. −ENOMEM where the system
    // refuses the charge.
    int (*commit)(const struct os *os, uintptr_t address, size_t bytes);
    // Memory becomes reserved space again: pages and commit charge go back, accesses fault.
    int (*decommit)(const struct os *os, uintptr_t address, size_t bytes);
    // Memory becomes inaccessible, until commit(), and keeps its pages and its charge.
    int (*hide)(const struct os *os, uintptr_t address, size_t bytes);
    // Pages go back at once and read as zeros (DONTNEED), or when the kernel wants them (FREE).
    int (*purge_now)(const struct os *os, uintptr_t address, size_t bytes);
    int (*purge_lazily)(const struct os *os, uintptr_t address, size_t bytes);
    // Many ranges in one call, which costs a tenth: −ENOSYS where the kernel has none
    // (before 6.13), and the number of whole bytes given back, from the first range on, otherwise.
    long (*purge_ranges)(const struct os *os, const struct os_range *ranges, size_t count,
                         bool is_lazy);
    // Every thread of the process goes through a full memory barrier before this returns
    // (membarrier(2), since Linux 4.14). −ENOSYS or −EPERM where that cannot be had. 0.1 to 5 µs.
    int (*fence_threads)(const struct os *os);
    // The range shall not be made of huge pages from now on: a purge of one page in it is not
    // undone. −EINVAL where the kernel knows none.
    int (*forbid_huge)(const struct os *os, uintptr_t address, size_t bytes);
    // Whether a core that a debugger writes has the range: gdb takes what is inaccessible, too,
    // page by page. The kernel's own leave out what was never written. (madvise(2), since
    // Linux 3.4.)
    int (*dump)(const struct os *os, uintptr_t address, size_t bytes, bool is_dumped);
    // The pages of `from` come to stand at `to`; `from` stays memory, and empty.
    // Both are memory, `to` was not written to, and behind `from` something is mapped. On failure
    // `from` has all its bytes. −ENOTRECOVERABLE: in `to` there may be a mapping of somebody else's
    // now, and it is not to be used again, ever; on any other failure it reads as zeros after
    // commit(). Each mapping that `from` is made of costs two system calls, and its boundary twelve
    // more.
    int (*move)(const struct os *os, uintptr_t from, uintptr_t to, size_t bytes);
    // The range reads as zeros in a forked child (since Linux 4.14; −EINVAL before).
    int (*wipe_on_fork)(const struct os *os, uintptr_t address, size_t bytes);
    // What the lengths and addresses above are multiples of: 4,096; some kernels for aarch64 have
    // 16 or 64 KiB.
    size_t (*page_bytes)(const struct os *os);
    uint64_t (*now_ns)(const struct os *os);     // monotonic
    uint64_t (*random)(const struct os *os);     // never fails: falls back to clock and address
    size_t (*limit_bytes)(const struct os *os);  // address space that the process may have
    size_t (*memory_bytes)(const struct os *os); // of the host; 0 where it does not say
};

// The running kernel. Its functions keep no state.
extern const struct os os_real;

#endif
