// SPDX-License-Identifier: Apache-2.0
// A cache of a target's pages and lists of ranges, see pages.h. Tool world; the owner guards them.
#include "runtime/pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/array.h"
#include "proc/process.h"

// For the budget alone: time that has passed, whatever the clock of the day does.
static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// The cache is 2 MiB, so that tables of a large heap are read once and this program stays small.
int pages_init(struct pages *pages, struct process *process, unsigned budget_ms)
{
    *pages = (struct pages){.process = process};
    pages->tags = calloc(PAGES_SLOTS, sizeof *pages->tags);
    pages->data = malloc((size_t)PAGES_SLOTS * PAGES_SIZE);
    if (!pages->tags || !pages->data)
        return -ENOMEM;
    if (budget_ms)
        pages->deadline_ns = now_ns() + (uint64_t)budget_ms * 1000000u;
    return 0;
}

// Also half of one, as pages_init() may have left it.
void pages_free(struct pages *pages)
{
    free(pages->tags);
    free(pages->data);
    *pages = (struct pages){0};
}

// The cached copy of a page, reading it first where needed.
static int page_get(struct pages *pages, uint64_t page, const uint8_t **ret_data)
{
    // A multiplicative hash: tables of one stride must not fall into one slot.
    size_t slot = (size_t)((page / PAGES_SIZE) * 0x9e3779b97f4a7c15u >> 55) % PAGES_SLOTS;
    uint8_t *data = pages->data + slot * PAGES_SIZE;
    if (pages->tags[slot] != page + 1) {
        // The clock is looked at now and then: a read costs about as much as a look.
        if (pages->deadline_ns && pages->reads++ % 64 == 0 && now_ns() > pages->deadline_ns)
            return -ETIME;
        pages->tags[slot] = 0;
        int error = process_peek(pages->process, page, data, PAGES_SIZE);
        if (error)
            return error;
        pages->tags[slot] = page + 1;
    }
    *ret_data = data;
    return 0;
}

// Reads may cross a page border; each half must be in memory.
int pages_read(struct pages *pages, uint64_t address, void *ret_data, size_t len)
{
    uint8_t *to = ret_data;
    pages->lookups++;
    // Two pages at most, and none behind the end of the address space.
    if (len > PAGES_SIZE || address > UINT64_MAX - 2 * PAGES_SIZE)
        return -EFAULT;
    while (len > 0) {
        uint64_t page = address & ~(uint64_t)(PAGES_SIZE - 1);
        size_t offset = (size_t)(address - page);
        size_t part = PAGES_SIZE - offset < len ? PAGES_SIZE - offset : len;
        const uint8_t *data;
        int error = page_get(pages, page, &data);
        if (error)
            return error;
        memcpy(to, data + offset, part);
        to += part;
        address += part;
        len -= part;
    }
    return 0;
}

// The clock is looked at each time: a call takes as long as dozens of reads.
int pages_read_each(struct pages *pages, uint64_t address, uint64_t stride, size_t count,
                    size_t len, void *ret_data, bool *ret_present)
{
    pages->lookups += count;
    if (pages->deadline_ns && now_ns() > pages->deadline_ns)
        return -ETIME;
    return process_peek_each(pages->process, address, stride, count, len, ret_data, ret_present);
}

// Little endian, as every target here.
int pages_read_u64(struct pages *pages, uint64_t address, uint64_t *ret_value)
{
    return pages_read(pages, address, ret_value, sizeof *ret_value);
}

// Walks go upwards mostly, so that joining with the last one keeps lists short.
int ranges_add(struct ranges *ranges, uint64_t start, uint64_t end)
{
    struct page_range *last = ranges->count ? &ranges->items[ranges->count - 1] : NULL;
    if (last && start == last->end) {
        last->end = end;
        return 0;
    }
    int error =
        array_reserve_one(&ranges->items, &ranges->capacity, ranges->count, sizeof *ranges->items);
    if (error)
        return error;
    ranges->items[ranges->count++] = (struct page_range){start, end};
    return 0;
}

// By start alone: what overlaps is joined behind it.
static int compare_ranges(const void *a, const void *b)
{
    const struct page_range *left = a, *right = b;
    return (left->start > right->start) - (left->start < right->start);
}

// In place, and it keeps what it can: a list of hostile ranges only gets shorter.
void ranges_sort(struct ranges *ranges)
{
    if (ranges->count == 0)
        return;
    qsort(ranges->items, ranges->count, sizeof *ranges->items, compare_ranges);
    size_t kept = 1;
    for (size_t i = 1; i < ranges->count; i++) {
        struct page_range *last = &ranges->items[kept - 1], *next = &ranges->items[i];
        if (next->start > last->end)
            ranges->items[kept++] = *next;
        else if (next->end > last->end)
            last->end = next->end;
    }
    ranges->count = kept;
}

// One call for all: the kernel walks page tables once.
int ranges_resident(struct process *process, const struct ranges *ranges, uint64_t *ret_bytes)
{
    struct page_counts counts = {0};
    int error = ranges->count ? pagemap_count(process, ranges->items, ranges->count, &counts) : 0;
    if (!error)
        *ret_bytes = counts.present_bytes;
    return error;
}

// Of a sorted list; one that overlaps would count twice.
uint64_t ranges_bytes(const struct ranges *ranges)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < ranges->count; i++)
        bytes += ranges->items[i].end - ranges->items[i].start;
    return bytes;
}

// Leaves an empty list.
void ranges_free(struct ranges *ranges)
{
    free(ranges->items);
    *ranges = (struct ranges){0};
}
