// SPDX-License-Identifier: Apache-2.0
// Which pages of a range are in memory. Tool world; no state.
#ifndef EBB_PROC_PAGEMAP_H
#define EBB_PROC_PAGEMAP_H

#include <stddef.h>
#include <stdint.h>

struct process;

struct page_range {
    uint64_t start, end; // [start, end), whole pages
};

struct page_counts {
    uint64_t present_bytes;  // in memory (the zero page is not counted)
    uint64_t swapped_bytes;
};

// Counts present and swapped pages of `count` ascending, non-overlapping ranges: PAGEMAP_SCAN (6.7) where the
// kernel has it, reading /proc/PID/pagemap elsewhere. Adds to *ret_counts only on success.
// 0; -EACCES/-EPERM without ptrace read access; -ESRCH; -EIO.
// Cost: about 4 ms per GiB of present small pages; absent page tables cost next to nothing.
int pagemap_count(struct process *process, const struct page_range *ranges, size_t count,
                  struct page_counts *ret_counts);

// What /proc/kpageflags and frame numbers would allow here; for levers and doctor.
// 0 or -EACCES / -ENOENT.
int pagemap_probe_frames(struct process *process);

#endif
