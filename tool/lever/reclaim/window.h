// SPDX-License-Identifier: Apache-2.0
// A stretch of a target's pages as the kernel sees them now: pagemap entries, and the flags of
// their frames. Tool world; one thread uses a window, and starts another while flags are read.
#ifndef EBB_LEVER_RECLAIM_WINDOW_H
#define EBB_LEVER_RECLAIM_WINDOW_H

#include <stddef.h>
#include <stdint.h>

// 64 MiB of small pages: all that is kept of a target, however large it is. Larger ones would be
// read in fewer calls, but the first is looked at before anything can be taken.
enum { WINDOW_PAGES = 1 << 14 };

// `entries` and `flags` hold `count` pages from `first_page` (address / page size) on.
struct window {
    uint64_t first_page;
    size_t count;
    uint64_t *entries, *flags;
    uint8_t *fates; // room for enum page_fate; the owner of the window judges
    struct window_buffers *buffers;
};

// 0 and a window for window_free(); -ENOMEM. Cost: 0.9 MiB.
int window_init(struct window *window);
void window_free(struct window *window);

// Reads the entries of up to WINDOW_PAGES pages. 0; -ESRCH when the address space is gone; -errno.
// Cost: 6 ms for each GiB that is there, the target's mmap waiting for 2 MiB at a time.
int window_read_entries(struct window *window, int pagemap_fd, uint64_t first_page, size_t count);

// Reads the entries of pages [first, first + count) of the window once more, to the same places of
// `room`: its entries, or its flags when those have been judged. 0; -ESRCH; -errno.
int window_read_part(const struct window *window, int pagemap_fd, size_t first, size_t count,
                     uint64_t *room);

// Reads the flags of all present pages through `kpageflags_fd` (-1: there is none, the flags are
// left 0). Entries that are set to 0 before cost nothing. 0 or -errno. Cost: 15 ms for each GiB
// whose frames lie together, 60 where they are scattered; two threads read large windows.
int window_read_flags(struct window *window, int kpageflags_fd);

#endif
