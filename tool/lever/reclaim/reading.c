// SPDX-License-Identifier: Apache-2.0
// What reclaim reads of its target before and after, without making it wait, see reclaim.h. Tool
// world; no state.
//
// smaps and smaps_rollup hold the target's mmap_lock over the whole of a mapping: 12 ms and more
// for each GiB. status holds nothing, and a scan of pagemap as long as the piece that is asked for.
#include "lever/reclaim/reclaim.h"

#include <errno.h>

#include "base/number.h"
#include "lever/reclaim/walk.h"
#include "proc/pagemap.h"

// 64 MiB of small pages take a quarter of a millisecond.
#define READING_PIECE_BYTES (UINT64_C(64) << 20)

// Of one piece. Ends early where the kernel cannot tell.
static uint64_t count_huge(struct process *process, uint64_t start, uint64_t end)
{
    uint64_t bytes = 0;
    struct page_range found;
    while (start < end && pagemap_next(process, PAGEMAP_HUGE, start, end, &found) == 0) {
        bytes += number_least(found.end, end) - found.start;
        start = found.end;
    }
    return bytes;
}

// Holes of reserved address space are leapt over, piece by piece would take minutes.
static uint64_t count_huge_of_present(struct process *process, const struct mapping *mapping)
{
    uint64_t bytes = 0, start = mapping->start;
    while (start < mapping->end && pagemap_next_page(process, start, mapping->end, &start) == 0) {
        uint64_t end = number_least(mapping->end, start + READING_PIECE_BYTES);
        bytes += count_huge(process, start, end);
        start = end;
    }
    return bytes;
}

uint64_t reclaim_count_huge(struct process *process, const struct mappings *mappings)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < mappings->count; i++) {
        if (walk_is_candidate(&mappings->items[i], false))
            bytes += count_huge_of_present(process, &mappings->items[i]);
    }
    return bytes;
}

// Before the walk nobody knows what is lazily freed; the report is completed behind it.
int reclaim_read(void *context, struct process *process, struct lever_reading *ret_reading)
{
    const struct reclaim *reclaim = context;
    if (!reclaim->is_gentle)
        return lever_read(process, ret_reading);
    struct lever_reading reading;
    struct mappings mappings = {0};
    int error = lever_read_status(process, &reading);
    if (error)
        return error;
    if (mappings_list(process, &mappings) == 0)
        reading.anon_huge_bytes = reclaim_count_huge(process, &mappings);
    mappings_free(&mappings);
    reading.lazy_bytes = number_least(reclaim->lazy_left_bytes, reading.rss_bytes);
    reading.has_details = reclaim->has_walked;
    *ret_reading = reading;
    return 0;
}
