// SPDX-License-Identifier: Apache-2.0
// Asking the kernel to take pages of another process, bite by bite. Tool world; one thread uses a
// sweep.
//
// MADV_PAGEOUT drops a lazily freed page that was not written since, at once, and keeps one that
// was: whether it was is looked at with the page unmapped, so there is no moment at which a write
// could be lost (mm/rmap.c: try_to_unmap_one()). Sources: process_madvise(2), mm/madvise.c.
#ifndef EBB_LEVER_RECLAIM_SWEEP_H
#define EBB_LEVER_RECLAIM_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lever/reclaim/bites.h"

enum { SWEEP_PAGEOUT = 21, SWEEP_COLLAPSE = 25 };

struct sweep {
    // process_madvise() of the target: bytes advised, or -errno. Tests have their own.
    ssize_t (*advise)(void *target, const struct iovec *ranges, size_t count, int advice);
    void *target;
    bool (*is_stopped)(void *user); // asked between bites, with `user`; NULL never
    // Looks again at pages [first, end) of the source just before they are taken, and changes their
    // fates; true when it did. NULL: what was seen is good enough.
    bool (*look_again)(void *look_user, size_t first, size_t end);
    void *user, *look_user;
    uint64_t bytes_max, bytes_next; // of a bite; bytes_next 0: BITES_BYTES_FIRST
    uint64_t pause_ns;              // between bites, for whoever waits for the target's mmap_lock

    // What came of it.
    uint64_t bites, refused_bytes;
    uint64_t longest_ns, total_ns; // of single calls
    struct bite bite;
};

// Makes the calls for all pages of a window that are to be taken. 0 also when the kernel refused
// ranges, which are counted and left; -EINTR stopped; -ESRCH the target ended; -EPERM, -EACCES,
// -ENOSYS as process_madvise().
int sweep_take(struct sweep *sweep, const struct bite_source *source);

// Has a huge page mapped as one again that is mapped in small parts now. 0 or -errno (-EINVAL
// before 6.1).
int sweep_collapse(struct sweep *sweep, uint64_t address, uint64_t bytes);

// The `advise` of the real kernel; the target points to a pidfd.
ssize_t sweep_advise_process(void *target, const struct iovec *ranges, size_t count, int advice);

#endif
