// SPDX-License-Identifier: Apache-2.0
// Counting pages that are in memory, see pagemap.h. Tool world; no state.
#include "proc/pagemap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "proc/process_internal.h"

// include/uapi/linux/fs.h of 6.7; older headers lack it, and the running kernel decides anyway.
struct scan_region {
    uint64_t start, end, categories;
};
struct scan_arg {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define SCAN_IOCTL _IOWR('f', 16, struct scan_arg)

enum { PAGE_PRESENT = 1 << 3, PAGE_SWAPPED = 1 << 4, PAGE_ZERO = 1 << 5, PAGE_HUGE = 1 << 6 };

enum {
    REGIONS = 512,
    ENTRIES = 4096,
    // Walking over this many bytes of small pages costs about as much as another call.
    GAP_BYTES = 256 << 10,
};

struct counting {
    int fd;
    const struct page_range *ranges;
    size_t count;
    uint64_t counted_end; // everything below has been counted
    struct page_counts counts;
    union {
        struct scan_region regions[REGIONS];
        uint64_t entries[ENTRIES];
    } window;
};

// How many of the ranges from `first` on lie close enough together for one walk.
static size_t batch_length(const struct counting *counting, size_t first)
{
    size_t last = first;
    // Ranges ascend and do not overlap: the difference is never negative.
    while (last + 1 < counting->count &&
           counting->ranges[last + 1].start - counting->ranges[last].end <= GAP_BYTES)
        last++;
    return last - first + 1;
}

// Adds what of [start, end) lies in the ranges. `*range` moves on with ascending calls.
static void add_overlap(struct counting *counting, size_t *range, size_t range_end, uint64_t start,
                        uint64_t end, uint64_t *sum)
{
    while (*range < range_end && counting->ranges[*range].end <= start)
        ++*range;
    // One region may lie over several ranges with gaps between them.
    for (size_t i = *range; i < range_end && counting->ranges[i].start < end; i++) {
        const struct page_range *wanted = &counting->ranges[i];
        uint64_t from = wanted->start > start ? wanted->start : start;
        uint64_t to = wanted->end < end ? wanted->end : end;
        if (from < to)
            *sum += to - from;
    }
}

// With room for more than 512 regions, kernels up to 6.18 at least may say that they stopped before
// the last region that they reported, and report it again: what was counted is not counted twice.
static void add_regions(struct counting *counting, size_t *range, size_t range_end, size_t regions)
{
    for (size_t i = 0; i < regions; i++) {
        const struct scan_region *region = &counting->window.regions[i];
        bool present = (region->categories & PAGE_PRESENT) != 0;
        uint64_t *sum = present ? &counting->counts.present_bytes : &counting->counts.swapped_bytes;
        uint64_t start =
            region->start > counting->counted_end ? region->start : counting->counted_end;
        add_overlap(counting, range, range_end, start, region->end, sum);
        if (region->end > counting->counted_end)
            counting->counted_end = region->end;
    }
}

// 0, -ENOTTY where the kernel has no such call, -errno.
static int scan_batch(struct counting *counting, size_t first, size_t range_end)
{
    struct scan_arg arg = {
        .size = sizeof arg,
        .start = counting->ranges[first].start,
        .end = counting->ranges[range_end - 1].end,
        .vec = (uint64_t)(uintptr_t)counting->window.regions,
        .vec_len = REGIONS,
        // Not the zero page, and one of the two others.
        .category_inverted = PAGE_ZERO,
        .category_mask = PAGE_ZERO,
        .category_anyof_mask = PAGE_PRESENT | PAGE_SWAPPED,
        .return_mask = PAGE_PRESENT | PAGE_SWAPPED,
    };
    while (arg.start < arg.end) {
        int found = ioctl(counting->fd, SCAN_IOCTL, &arg);
        if (found < 0 && errno == EINTR)
            continue;
        if (found < 0)
            return -errno;
        add_regions(counting, &first, range_end, (size_t)found);
        // A walk that does not move would never end.
        if (arg.walk_end <= arg.start)
            return -EIO;
        arg.start = arg.walk_end;
    }
    return 0;
}

// A region at a time: whoever looks for a few huge pages needs no window of 512. `max_pages` 0: to
// the end of the region.
static int scan_first(struct process *process, enum pagemap_category category, uint64_t start,
                      uint64_t end, uint64_t max_pages, struct page_range *ret_range)
{
    int fd = process_pagemap_fd(process);
    if (fd < 0)
        return fd;
    struct scan_region region;
    uint64_t wanted = category == PAGEMAP_HUGE ? PAGE_PRESENT | PAGE_HUGE : PAGE_PRESENT;
    struct scan_arg arg = {
        .size = sizeof arg,
        .start = start,
        .end = end,
        .vec = (uint64_t)(uintptr_t)&region,
        .vec_len = 1,
        .max_pages = max_pages,
        // The zero page is in no one's RSS.
        .category_inverted = PAGE_ZERO,
        .category_mask = wanted | PAGE_ZERO,
        .return_mask = wanted,
    };
    int found;
    do {
        found = ioctl(fd, SCAN_IOCTL, &arg);
    } while (found < 0 && errno == EINTR);
    if (found < 0)
        return -errno;
    if (found == 0)
        return -ENOENT;
    *ret_range = (struct page_range){region.start, region.end};
    return 0;
}

int pagemap_next(struct process *process, enum pagemap_category category, uint64_t start,
                 uint64_t end, struct page_range *ret_range)
{
    return scan_first(process, category, start, end, 0, ret_range);
}

int pagemap_next_page(struct process *process, uint64_t start, uint64_t end, uint64_t *ret_address)
{
    struct page_range first;
    int error = scan_first(process, PAGEMAP_PRESENT, start, end, 1, &first);
    if (!error)
        *ret_address = first.start;
    return error;
}

// Bit 63 present, bit 62 swapped (Documentation/admin-guide/mm/pagemap.rst).
static void add_entries(struct counting *counting, size_t *range, size_t range_end,
                        uint64_t first_page, size_t entries, uint64_t page_bytes)
{
    for (size_t i = 0; i < entries; i++) {
        uint64_t entry = counting->window.entries[i];
        bool present = entry >> 63 != 0;
        bool swapped = (entry >> 62 & 1) != 0;
        if (!present && !swapped)
            continue;
        uint64_t address = (first_page + i) * page_bytes;
        uint64_t *sum = present ? &counting->counts.present_bytes : &counting->counts.swapped_bytes;
        add_overlap(counting, range, range_end, address, address + page_bytes, sum);
    }
}

// The way of kernels before 6.7, at an entry of eight bytes for each page, be it there or not.
static int read_batch(struct counting *counting, size_t first, size_t range_end)
{
    // Entries are by page of the kernel, which may be larger than 4 KiB.
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t page = counting->ranges[first].start / page_bytes;
    uint64_t end_page = counting->ranges[range_end - 1].end / page_bytes;
    while (page < end_page) {
        uint64_t wanted = end_page - page < ENTRIES ? end_page - page : ENTRIES;
        ssize_t got = pread(counting->fd, counting->window.entries, wanted * sizeof(uint64_t),
                            (off_t)(page * sizeof(uint64_t)));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        size_t entries = (size_t)got / sizeof(uint64_t);
        // Behind the address space: the kernel reads 0 bytes there.
        if (entries == 0)
            return -EIO;
        add_entries(counting, &first, range_end, page, entries, page_bytes);
        page += entries;
    }
    return 0;
}

// Batches are independent of each other; what was counted of one that fails is thrown away with
// all.
static int count_batches(struct counting *counting,
                         int (*count_batch)(struct counting *, size_t, size_t))
{
    size_t first = 0;
    while (first < counting->count) {
        size_t length = batch_length(counting, first);
        int error = count_batch(counting, first, first + length);
        if (error)
            return error;
        first += length;
    }
    return 0;
}

// Both ways of counting rely on it, and the overlaps below would be counted twice without it.
static bool ranges_are_sound(const struct page_range *ranges, size_t count)
{
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t last_end = 0;
    for (size_t i = 0; i < count; i++) {
        if (ranges[i].start < last_end || ranges[i].end < ranges[i].start ||
            ranges[i].end > INT64_MAX || (ranges[i].start | ranges[i].end) % page_bytes)
            return false;
        last_end = ranges[i].end;
    }
    return true;
}

// Sums are handed out only when the whole of them belongs to one address space.
int pagemap_count_with(struct process *process, const struct page_range *ranges, size_t count,
                       enum pagemap_method method, struct page_counts *ret_counts)
{
    if (!ranges_are_sound(ranges, count))
        return -EINVAL;
    int fd = process_pagemap_fd(process);
    if (fd < 0)
        return fd;
    // A window of 32 KiB: much for a stack.
    struct counting *counting = malloc(sizeof *counting);
    if (!counting)
        return -ENOMEM;
    *counting = (struct counting){.fd = fd, .ranges = ranges, .count = count};
    int error = -ENOTTY;
    if (method != PAGEMAP_BY_READING)
        error = count_batches(counting, scan_batch);
    if (error == -ENOTTY && method != PAGEMAP_BY_SCAN) {
        counting->counts = (struct page_counts){0};
        counting->counted_end = 0;
        error = count_batches(counting, read_batch);
    }
    // When the address space goes away, reading fails oddly, and a scan finds nothing and is
    // content.
    int ended = 0;
    if (error || !process_has_same_memory(process))
        ended = process_check(process);
    if (!error && !ended) {
        ret_counts->present_bytes += counting->counts.present_bytes;
        ret_counts->swapped_bytes += counting->counts.swapped_bytes;
    }
    free(counting);
    return ended ? ended : error;
}

// The running kernel decides.
int pagemap_count(struct process *process, const struct page_range *ranges, size_t count,
                  struct page_counts *ret_counts)
{
    return pagemap_count_with(process, ranges, count, PAGEMAP_BY_ANY, ret_counts);
}

// Both files are needed to tell what kind a page is: frame numbers here, their flags there.
int pagemap_probe_frames(struct process *process)
{
    int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == EPERM ? -EACCES : -errno;
    close(fd);
    fd = process_pagemap_fd(process);
    if (fd < 0)
        return fd == -EPERM ? -EACCES : fd;
    // Frame numbers read as 0 without CAP_SYS_ADMIN; our own stack is surely in memory.
    uint64_t entry = 0;
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    int own = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (own < 0)
        return -errno;
    off_t offset = (off_t)((uint64_t)(uintptr_t)&entry / page_bytes * sizeof entry);
    ssize_t got = pread(own, &entry, sizeof entry, offset);
    close(own);
    uint64_t frame = entry & ((UINT64_C(1) << 55) - 1);
    return got == sizeof entry && frame != 0 ? 0 : -EACCES;
}
