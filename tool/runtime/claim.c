// SPDX-License-Identifier: Apache-2.0
// Claims: which resident memory belongs to which runtime, see target.h. Tool world; one thread.
//
// Claims of all reports together never overlap, so that no resident byte is counted twice. Each
// report keeps its claims sorted by address; lookups over earlier reports are binary searches.
//
// Cost: a claim is a search in every report and, for a part of a mapping, one look at pagemap.
// Claims that ascend are appended. Each that does not moves those above it: sixty thousand in
// descending order take two seconds, so readers sort first (ranges_sort()).
#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/number.h"
#include "proc/pagemap.h"
#include "runtime/target.h"

// Index of the first claim of `report` that ends above `address`.
static size_t claim_lower_bound(const struct runtime_report *report, uint64_t address)
{
    size_t low = 0, high = report->claim_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (report->claims[middle].end > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

// The first claim of `report` that meets [start, end), or NULL.
static const struct runtime_claim *claim_meeting(const struct runtime_report *report,
                                                 uint64_t start, uint64_t end)
{
    size_t index = claim_lower_bound(report, start);
    if (index == report->claim_count || report->claims[index].start >= end)
        return NULL;
    return &report->claims[index];
}

// The lowest-lying claim of anybody that meets [start, end), or NULL.
static const struct runtime_claim *claim_of_anybody(const struct target *target,
                                                    const struct runtime_report *report,
                                                    uint64_t start, uint64_t end)
{
    const struct runtime_claim *lowest = report ? claim_meeting(report, start, end) : NULL;
    for (size_t i = 0; i < target->earlier_count; i++) {
        const struct runtime_claim *claim = claim_meeting(&target->earlier[i], start, end);
        if (claim && (!lowest || claim->start < lowest->start))
            lowest = claim;
    }
    return lowest;
}

bool target_is_claimed(const struct target *target, uint64_t start, uint64_t end)
{
    return claim_of_anybody(target, NULL, start, end) != NULL;
}

static uint64_t bytes_of_kib(uint32_t kib)
{
    return (uint64_t)kib * 1024;
}

// How far the estimate of a part's lazily freed bytes may be off. At least as much is lazy in it as
// does not fit into the rest of the mapping, at most as much as is resident in it.
static uint64_t claim_lazy_error(const struct runtime_claim *claim, uint64_t mapping_rss,
                                 uint64_t mapping_lazy)
{
    uint64_t rest_rss = mapping_rss - claim->rss_bytes;
    uint64_t lowest = mapping_lazy > rest_rss ? mapping_lazy - rest_rss : 0;
    uint64_t highest = number_least(mapping_lazy, claim->rss_bytes);
    uint64_t below = claim->lazy_bytes > lowest ? claim->lazy_bytes - lowest : 0;
    uint64_t above = highest > claim->lazy_bytes ? highest - claim->lazy_bytes : 0;
    return below > above ? below : above;
}

// Resident and lazily freed bytes of a part of one mapping. A whole mapping is known from smaps,
// and one without resident pages has no part with any: neither is looked up.
static int claim_measure(const struct target *target, const struct mapping *mapping,
                         struct runtime_claim *claim)
{
    // Both are cut to fit here, as the account does: a tree of files may say anything.
    uint64_t mapping_rss = bytes_of_kib(mapping->rss_kib);
    uint64_t mapping_lazy = number_least(bytes_of_kib(mapping->lazy_free_kib), mapping_rss);
    if ((claim->start == mapping->start && claim->end == mapping->end) || mapping_rss == 0) {
        claim->rss_bytes = mapping_rss;
        claim->lazy_bytes = mapping_lazy;
        return 0;
    }
    struct page_range range = {claim->start, claim->end};
    struct page_counts counts = {0};
    int error = pagemap_count(target->process, &range, 1, &counts);
    // -ENOENT would tell the registry that the runtime is not there.
    if (error)
        return error == -ENOENT ? -ENODATA : error;
    // The zero page, and pages that came since smaps was read, must not make it more than that.
    claim->rss_bytes = number_least(counts.present_bytes, mapping_rss);
    // pagemap has no lazy category: a part's share is by size, and may be all or nothing of it.
    claim->lazy_bytes =
        (uint64_t)((double)mapping_lazy * (double)claim->rss_bytes / (double)mapping_rss);
    claim->lazy_bytes = number_least(claim->lazy_bytes & ~(uint64_t)1023, claim->rss_bytes);
    claim->error_bytes = claim_lazy_error(claim, mapping_rss, mapping_lazy);
    return 0;
}

// Puts a claim in at its place. Precondition: it overlaps with none of the report's.
static int claim_insert(struct runtime_report *report, const struct runtime_claim *claim)
{
    int error = array_reserve_one(&report->claims, &report->claim_capacity, report->claim_count,
                                  sizeof *report->claims);
    if (error)
        return error;
    size_t index = claim_lower_bound(report, claim->start);
    struct runtime_claim *place = &report->claims[index];
    memmove(place + 1, place, (report->claim_count - index) * sizeof *place);
    *place = *claim;
    report->claim_count++;
    return 0;
}

// Claims what is free of [start, end), which lies inside one mapping. Each round goes beyond one
// claim that is in the way, so there are no more rounds than claims in the range.
static int claim_within(const struct target *target, struct runtime_report *report,
                        const struct mapping *mapping, uint64_t start, uint64_t end)
{
    while (start < end) {
        const struct runtime_claim *taken = claim_of_anybody(target, report, start, end);
        uint64_t stop = taken ? taken->start : end;
        uint64_t resume = taken ? taken->end : end;
        if (stop > start) {
            struct runtime_claim claim = {.start = start, .end = stop};
            int error = claim_measure(target, mapping, &claim);
            if (!error)
                error = claim_insert(report, &claim);
            if (error)
                return error;
        }
        start = resume;
    }
    return 0;
}

int target_claim(const struct target *target, struct runtime_report *report, uint64_t start,
                 uint64_t end)
{
    const struct mappings *mappings = target->mappings;
    for (size_t i = mappings_lower_bound(mappings, start); i < mappings->count; i++) {
        const struct mapping *mapping = &mappings->items[i];
        if (mapping->start >= end)
            break;
        uint64_t from = mapping->start > start ? mapping->start : start;
        int error = claim_within(target, report, mapping, from, number_least(mapping->end, end));
        if (error)
            return error;
    }
    return 0;
}

int target_claim_rest(const struct target *target, struct runtime_report *report, bool with_brk)
{
    for (size_t i = 0; i < target->mappings->count; i++) {
        const struct mapping *mapping = &target->mappings->items[i];
        bool heap_like = mapping->kind == MAPPING_ANONYMOUS && !(mapping->flags & MAPPING_SHARED);
        if (!heap_like && !(with_brk && mapping->kind == MAPPING_BRK))
            continue;
        // Reservations of managed runtimes are many and empty; claims for them would only cost.
        if (mapping->rss_kib == 0)
            continue;
        int error = claim_within(target, report, mapping, mapping->start, mapping->end);
        if (error)
            return error;
    }
    return 0;
}
