// SPDX-License-Identifier: Apache-2.0
// Cutting bites, see bites.h. Tool world; pure.
#include "lever/reclaim/bites.h"

#include <string.h>

#include "base/number.h"
#include "lever/reclaim/pages.h"

// How many pages go together at `index`: a whole huge page, one small one, or 0 for none to take.
static size_t unit_at(const struct bite_source *source, size_t index)
{
    switch (source->fates[index]) {
    case PAGE_TAKE:
        return 1;
    case PAGE_TAKE_HUGE:
        return (size_t)source->huge_pages;
    default:
        return 0;
    }
}

// Adds a unit to the last range, or as a new one behind a gap. False when there is no room.
static bool bite_add(struct bite *bite, uint64_t address, uint64_t bytes)
{
    struct iovec *last = bite->range_count ? &bite->ranges[bite->range_count - 1] : NULL;
    if (last && (uintptr_t)last->iov_base + last->iov_len == address) {
        last->iov_len += bytes;
    } else if (bite->range_count < BITES_RANGES_MAX) {
        bite->ranges[bite->range_count++] =
            (struct iovec){.iov_base = (void *)(uintptr_t)address, .iov_len = bytes};
    } else {
        return false;
    }
    bite->bytes += bytes;
    return true;
}

// Fates in, addresses out; a bite ends where either limit is reached.
bool bite_next(const struct bite_source *source, uint64_t bytes_max, size_t *index,
               struct bite *ret_bite)
{
    ret_bite->range_count = 0;
    ret_bite->bytes = 0;
    size_t i = *index;
    while (i < source->count) {
        size_t unit = unit_at(source, i);
        if (unit == 0) {
            i++;
            continue;
        }
        uint64_t bytes = unit * source->page_bytes;
        bool is_full = ret_bite->bytes > 0 && ret_bite->bytes + bytes > bytes_max;
        if (is_full || !bite_add(ret_bite, (source->first_page + i) * source->page_bytes, bytes))
            break;
        i += unit;
    }
    *index = i;
    return ret_bite->bytes > 0;
}

// Proportional, since a call's time is that of its pages; bounded both ways against outliers.
uint64_t bite_adapt(uint64_t bytes, uint64_t took_ns, uint64_t bytes_max)
{
    // Small ones say little on time; nothing is faster than the clock.
    double wanted = (double)bytes * (double)BITES_GOAL_NS / (double)(took_ns ? took_ns : 1);
    double next = wanted > 2.0 * (double)bytes ? 2.0 * (double)bytes : wanted;
    // A single slow call, when somebody else had the processor, must not make all others tiny.
    if (next < (double)bytes / 2)
        next = (double)bytes / 2;
    if (next < (double)BITES_BYTES_MIN)
        next = (double)BITES_BYTES_MIN;
    return number_least((uint64_t)next, bytes_max);
}

// The front range may be done in part.
void bite_advance(struct bite *bite, uint64_t done)
{
    size_t gone = 0;
    bite->bytes -= number_least(done, bite->bytes);
    while (gone < bite->range_count && done >= bite->ranges[gone].iov_len)
        done -= bite->ranges[gone++].iov_len;
    bite->range_count -= gone;
    memmove(bite->ranges, bite->ranges + gone, bite->range_count * sizeof *bite->ranges);
    if (bite->range_count > 0) {
        bite->ranges[0].iov_base = (char *)bite->ranges[0].iov_base + done;
        bite->ranges[0].iov_len -= done;
    }
}

uint64_t bite_skip_range(struct bite *bite)
{
    uint64_t bytes = bite->range_count > 0 ? bite->ranges[0].iov_len : 0;
    bite_advance(bite, bytes);
    return bytes;
}
