// SPDX-License-Identifier: Apache-2.0
// Which pages of a window are lazily freed and may be taken, told from the kernel's own words on
// them. Tool world; pure.
//
// Sources: Documentation/admin-guide/mm/pagemap.rst, fs/proc/page.c, include/uapi/linux/
// kernel-page-flags.h. Measured on 6.18: what PAGEOUT does to each kind: docs/reclaim.md.
#ifndef EBB_LEVER_RECLAIM_PAGES_H
#define EBB_LEVER_RECLAIM_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Bits of a pagemap entry; the frame number is below them.
#define PAGES_FRAME_MASK ((UINT64_C(1) << 55) - 1)
#define PAGES_EXCLUSIVE  (UINT64_C(1) << 56) // mapped once (4.2)
#define PAGES_FILE       (UINT64_C(1) << 61) // of a file, or shared memory
#define PAGES_PRESENT    (UINT64_C(1) << 63)

// Bits of a word of /proc/kpageflags.
#define PAGES_ANON        (UINT64_C(1) << 12)
#define PAGES_SWAPBACKED  (UINT64_C(1) << 14)
#define PAGES_HEAD        (UINT64_C(1) << 15)
#define PAGES_TAIL        (UINT64_C(1) << 16)
#define PAGES_HUGETLB     (UINT64_C(1) << 17)
#define PAGES_UNEVICTABLE (UINT64_C(1) << 18)
#define PAGES_KSM         (UINT64_C(1) << 21)
#define PAGES_MLOCKED     (UINT64_C(1) << 33)

// What a lazily freed page's tail parts do not say themselves before 6.10: the head says it for
// all.
#define PAGES_OF_HEAD (PAGES_SWAPBACKED | PAGES_UNEVICTABLE | PAGES_MLOCKED | PAGES_KSM)

// What becomes of a page.
enum page_fate {
    PAGE_LEAVE,       // absent, or not lazily freed
    PAGE_TAKE,        // a small page, or part of a compound one that no huge mapping holds together
    PAGE_TAKE_HUGE,   // part of a huge page: taken whole or not at all
    PAGE_SHARED,      // lazily freed, but mapped elsewhere too
    PAGE_LOCKED,      // lazily freed, then locked
    PAGE_HUGE_UNSURE, // part of a huge page that may be in use again, which the rule leaves
};

// Pages of each fate.
struct page_counts_by_fate {
    uint64_t taken, huge, shared, locked, unsure;
};

struct page_rules {
    uint64_t huge_pages; // small pages in a huge one: 512
    bool takes_huge;     // see pages_judge_huge()
};

// Judges `count` pages from `first_page` (address / page size) on: entries as in pagemap, flags as
// in kpageflags with what the head says put into the tails. Counts are added to. The window should
// begin and end at huge pages: what is cut is judged as small pages.
void pages_judge(const uint64_t *entries, const uint64_t *flags, size_t count, uint64_t first_page,
                 const struct page_rules *rules, uint8_t *ret_fates,
                 struct page_counts_by_fate *counts);

// May huge pages of a mapping be taken? A written huge page keeps the mark of a lazily freed one
// until the kernel looks at it, and the look splits its mapping, live as it is. Only the sum tells:
// `marked_pages` carry the mark, `lazy_pages` (LazyFree of smaps) have not been written.
// `can_collapse`: the kernel can put a split mapping together again (MADV_COLLAPSE, 6.1).
bool pages_judge_huge(uint64_t marked_pages, uint64_t lazy_pages, uint64_t huge_pages,
                      bool can_collapse);

// What became of the pages that were to be taken, from a second look at them.
struct page_results {
    uint64_t gone;    // the kernel took them
    uint64_t written; // in use again: the kernel kept them, and no longer holds them to be free
    uint64_t kept;    // lazily freed still: in use by the kernel just then
};
// Pages that were not to be taken need no flags. Results are added to.
void pages_compare(const uint8_t *fates, const uint64_t *entries, const uint64_t *flags,
                   size_t count, struct page_results *results);

// The next huge page from `*index` on that was to be taken and is there in full: it was live, and
// its mapping has been split. False at the end.
bool pages_next_live_huge(const uint8_t *fates, const uint64_t *entries, size_t count,
                          uint64_t first_page, uint64_t huge_pages, size_t *index);

#endif
