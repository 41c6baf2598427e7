// SPDX-License-Identifier: Apache-2.0
// Sets of address ranges, see go_extents.h. Tool world; no state.
#include "runtime/go/go_extents.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/array.h"

enum { PAGE_BYTES = 4096 };

// Addresses are words from a foreign memory: anything may be in them.
int go_extents_add(struct go_extents *extents, uint64_t start, uint64_t bytes)
{
    uint64_t end;
    if (bytes == 0 || __builtin_add_overflow(start, bytes, &end) || end > UINT64_MAX - PAGE_BYTES ||
        extents->count >= GO_EXTENTS_MAX)
        return 0;
    struct page_range range = {start & ~(uint64_t)(PAGE_BYTES - 1),
                               (end + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1)};
    // Neighbouring structs mostly come one after another.
    if (extents->count > 0 && extents->items[extents->count - 1].start <= range.start &&
        extents->items[extents->count - 1].end >= range.end)
        return 0;
    int error = array_reserve_one(&extents->items, &extents->capacity, extents->count,
                                  sizeof *extents->items);
    if (!error)
        extents->items[extents->count++] = range;
    return error;
}

// For qsort.
static int compare_ranges(const void *a, const void *b)
{
    const struct page_range *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

// In place: the kept ranges never overtake the ones to come.
void go_extents_merge(struct go_extents *extents, uint64_t gap_bytes)
{
    if (extents->count == 0)
        return;
    qsort(extents->items, extents->count, sizeof *extents->items, compare_ranges);
    size_t last = 0;
    for (size_t i = 1; i < extents->count; i++) {
        struct page_range *kept = &extents->items[last];
        const struct page_range *next = &extents->items[i];
        bool joins = next->start <= kept->end || next->start - kept->end <= gap_bytes;
        if (joins)
            kept->end = next->end > kept->end ? next->end : kept->end;
        else
            extents->items[++last] = *next;
    }
    extents->count = last + 1;
}

// Leaves an empty set that can be used again.
void go_extents_free(struct go_extents *extents)
{
    free(extents->items);
    extents->items = NULL;
    extents->count = extents->capacity = 0;
}
