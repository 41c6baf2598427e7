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
    uint64_t present_bytes; // in memory (the zero page is not counted)
    uint64_t swapped_bytes;
};

// Counts present and swapped pages of `count` ascending, non-overlapping ranges: PAGEMAP_SCAN (6.7)
// where the kernel has it, reading /proc/PID/pagemap elsewhere. Adds to *ret_counts only on
// success. 0; -EPERM without ptrace read access; -ENOENT without pagemap; -ESRCH, -ESTALE; -EINVAL
// for ranges that do not ascend, overlap or are no whole pages; -EIO beyond the address space.
// Reading pagemap cannot tell the zero page, and counts it. Pages of hugetlb count, though they are
// not in Rss. Ranges less than 256 KiB apart share a walk, so thousands of small ones are cheap.
// Cost for each GiB: of present small pages 4 ms with PAGEMAP_SCAN, 12 ms by reading; of absent
// page tables next to nothing, 2 ms by reading.
int pagemap_count(struct process *process, const struct page_range *ranges, size_t count,
                  struct page_counts *ret_counts);

// As pagemap_count(), one way only, for tests and measurements: -ENOTTY where the kernel cannot
// scan.
enum pagemap_method { PAGEMAP_BY_ANY, PAGEMAP_BY_SCAN, PAGEMAP_BY_READING };
int pagemap_count_with(struct process *process, const struct page_range *ranges, size_t count,
                       enum pagemap_method method, struct page_counts *ret_counts);

// Finds the first range of pages between `start` and `end` that are in memory (the zero page left
// out), or that a huge mapping holds. 0; -ENOENT there is none; -ENOTTY before 6.7; -EPERM, -ESRCH.
// Cost: as a walk over what lies before it.
enum pagemap_category { PAGEMAP_PRESENT, PAGEMAP_HUGE };
int pagemap_next(struct process *process, enum pagemap_category category, uint64_t start,
                 uint64_t end, struct page_range *ret_range);
// The first page in memory alone, however long the range that begins there: over a hole the kernel
// leaps, over pages it walks.
int pagemap_next_page(struct process *process, uint64_t start, uint64_t end, uint64_t *ret_address);

// What /proc/kpageflags and frame numbers would allow here; for levers and doctor.
// 0 or -EACCES / -ENOENT.
int pagemap_probe_frames(struct process *process);

#endif
