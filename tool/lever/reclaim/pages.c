// SPDX-License-Identifier: Apache-2.0
// Judging pages by their flags, see pages.h. Tool world; pure.
#include "lever/reclaim/pages.h"

// Anonymous and not swap-backed is what MADV_FREE makes of a page (mm/swap.c: lru_lazyfree()).
static bool is_marked(uint64_t entry, uint64_t flags)
{
    const uint64_t wanted = PAGES_ANON;
    const uint64_t looked_at = PAGES_ANON | PAGES_SWAPBACKED | PAGES_HUGETLB | PAGES_KSM;
    return (entry & PAGES_PRESENT) && !(entry & PAGES_FILE) && (flags & looked_at) == wanted;
}

// In this order: a locked page stays, whoever shares it.
static enum page_fate judge(uint64_t entry, uint64_t flags)
{
    if (!is_marked(entry, flags))
        return PAGE_LEAVE;
    if (flags & (PAGES_MLOCKED | PAGES_UNEVICTABLE))
        return PAGE_LOCKED;
    return entry & PAGES_EXCLUSIVE ? PAGE_TAKE : PAGE_SHARED;
}

// Is it a whole compound page, in order, as a huge mapping needs it? Its pages share one mark.
static bool is_whole_huge(const uint64_t *entries, const uint64_t *flags, const uint8_t *fates,
                          uint64_t huge_pages)
{
    if (!(flags[0] & PAGES_HEAD) || fates[0] != PAGE_TAKE)
        return false;
    uint64_t frame = entries[0] & PAGES_FRAME_MASK;
    for (uint64_t i = 1; i < huge_pages; i++) {
        if (!(flags[i] & PAGES_TAIL) || fates[i] != PAGE_TAKE ||
            (entries[i] & PAGES_FRAME_MASK) != frame + i)
            return false;
    }
    return true;
}

// Second pass: what belongs to a huge page shares its fate.
static void judge_huge(const uint64_t *entries, const uint64_t *flags, size_t count,
                       uint64_t first_page, const struct page_rules *rules, uint8_t *fates)
{
    uint64_t huge = rules->huge_pages;
    uint8_t fate = rules->takes_huge ? PAGE_TAKE_HUGE : PAGE_HUGE_UNSURE;
    for (size_t i = (size_t)(-first_page % huge); i + huge <= count; i += huge) {
        if (!is_whole_huge(entries + i, flags + i, fates + i, huge))
            continue;
        for (size_t k = 0; k < huge; k++)
            fates[i + k] = fate;
    }
}

// Apart from the judging: a huge page changes what was judged before.
static void count_fates(const uint8_t *fates, size_t count, struct page_counts_by_fate *counts)
{
    // Counters by number: no branch for each of millions of pages.
    uint64_t by_fate[PAGE_HUGE_UNSURE + 1] = {0};
    for (size_t i = 0; i < count; i++)
        by_fate[fates[i]]++;
    counts->taken += by_fate[PAGE_TAKE] + by_fate[PAGE_TAKE_HUGE];
    counts->huge += by_fate[PAGE_TAKE_HUGE];
    counts->shared += by_fate[PAGE_SHARED];
    counts->locked += by_fate[PAGE_LOCKED];
    counts->unsure += by_fate[PAGE_HUGE_UNSURE];
}

// First each page by itself, then those that belong together.
void pages_judge(const uint64_t *entries, const uint64_t *flags, size_t count, uint64_t first_page,
                 const struct page_rules *rules, uint8_t *ret_fates,
                 struct page_counts_by_fate *counts)
{
    for (size_t i = 0; i < count; i++)
        ret_fates[i] = (uint8_t)judge(entries[i], flags[i]);
    judge_huge(entries, flags, count, first_page, rules, ret_fates);
    count_fates(ret_fates, count, counts);
}

bool pages_judge_huge(uint64_t marked_pages, uint64_t lazy_pages, uint64_t huge_pages,
                      bool can_collapse)
{
    uint64_t written = marked_pages > lazy_pages ? marked_pages - lazy_pages : 0;
    // Less than one huge page was written: none of them was.
    if (written < huge_pages)
        return true;
    // Putting together copies each live page: worth it while most of them are free.
    return can_collapse && written <= lazy_pages;
}

// The two fates that a bite is made of.
static bool was_wanted(uint8_t fate)
{
    return fate == PAGE_TAKE || fate == PAGE_TAKE_HUGE;
}

// By what is there now; the kernel gives no list of what it took.
void pages_compare(const uint8_t *fates, const uint64_t *entries, const uint64_t *flags,
                   size_t count, struct page_results *results)
{
    for (size_t i = 0; i < count; i++) {
        if (!was_wanted(fates[i]))
            continue;
        // A page that went and came back has been written, too.
        if (!(entries[i] & PAGES_PRESENT))
            results->gone++;
        else if (is_marked(entries[i], flags[i]))
            results->kept++;
        else
            results->written++;
    }
}

// Only where all of it is there: a hole means that the kernel split the page and took the rest.
bool pages_next_live_huge(const uint8_t *fates, const uint64_t *entries, size_t count,
                          uint64_t first_page, uint64_t huge_pages, size_t *index)
{
    size_t start = *index + (size_t)(-(first_page + *index) % huge_pages);
    for (size_t i = start; i + huge_pages <= count; i += huge_pages) {
        size_t there = 0;
        while (there < huge_pages && fates[i + there] == PAGE_TAKE_HUGE &&
               (entries[i + there] & PAGES_PRESENT))
            there++;
        if (there == huge_pages) {
            *index = i;
            return true;
        }
    }
    return false;
}
