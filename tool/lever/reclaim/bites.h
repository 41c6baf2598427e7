// SPDX-License-Identifier: Apache-2.0
// The pages to take, cut into bites: what one call of process_madvise() is given. Tool world; pure.
//
// The target's mmap and munmap wait for a call to end, so a bite is small, and its size follows the
// time that the last one took. A call takes at most 1,024 ranges (UIO_MAXIOV).
#ifndef EBB_LEVER_RECLAIM_BITES_H
#define EBB_LEVER_RECLAIM_BITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum { BITES_RANGES_MAX = 512 };

#define BITES_BYTES_MIN   (UINT64_C(256) << 10)
#define BITES_BYTES_FIRST (UINT64_C(2) << 20)
#define BITES_BYTES_MAX   (UINT64_C(16) << 20)
// What a call should take: less than the walk of smaps before it makes the target wait.
#define BITES_GOAL_NS UINT64_C(2500000)

struct bite {
    struct iovec ranges[BITES_RANGES_MAX];
    size_t range_count;
    uint64_t bytes;
};

// What the fates of a window mean in addresses.
struct bite_source {
    const uint8_t *fates; // enum page_fate
    size_t count;
    uint64_t first_page, page_bytes, huge_pages;
};

// Fills the next bite with the pages to take from page `*index` on, at most `bytes_max` but at
// least one page, and one whole huge page where that comes first: no huge page is cut. False when
// there are none left. `*index` moves on.
bool bite_next(const struct bite_source *source, uint64_t bytes_max, size_t *index,
               struct bite *ret_bite);

// The size of the next bite when one of `bytes` took `took_ns`; at most `bytes_max`.
uint64_t bite_adapt(uint64_t bytes, uint64_t took_ns, uint64_t bytes_max);

// Takes `done` bytes off the front of a bite, as a call that returned short has done them.
void bite_advance(struct bite *bite, uint64_t done);

// Takes the first range off, which the kernel refuses. Its bytes.
uint64_t bite_skip_range(struct bite *bite);

#endif
