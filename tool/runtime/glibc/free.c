// SPDX-License-Identifier: Apache-2.0
// The tally of free chunks, see free.h. Tool world; one thread.
#include <errno.h>
#include <stdlib.h>

#include "runtime/glibc/free.h"

int glibc_tally_open(struct glibc_tally *tally)
{
    *tally = (struct glibc_tally){0};
    // One batch for all bins: measuring costs a call each, and neighbours share it.
    tally->ranges = calloc(GLIBC_RANGES_BATCH, sizeof *tally->ranges);
    return tally->ranges ? 0 : -ENOMEM;
}

void glibc_tally_close(struct glibc_tally *tally)
{
    free(tally->ranges);
    tally->ranges = NULL;
}

void glibc_tally_reset(struct glibc_tally *tally)
{
    *tally = (struct glibc_tally){.ranges = tally->ranges};
}

static int range_compare(const void *left, const void *right)
{
    const struct page_range *a = left, *b = right;
    return (a->start > b->start) - (a->start < b->start);
}

int glibc_tally_finish(struct glibc_tally *tally, struct glibc_memory *memory)
{
    if (tally->range_count == 0)
        return 0;
    // Lists come in any order; measuring wants ascending ranges.
    qsort(tally->ranges, tally->range_count, sizeof *tally->ranges, range_compare);
    // Chunks of a list that was read while it moved may overlap; no page is counted twice within a
    // batch.
    size_t kept = 0;
    for (size_t i = 0; i < tally->range_count; i++) {
        struct page_range range = tally->ranges[i];
        if (kept > 0 && range.start < tally->ranges[kept - 1].end)
            range.start = tally->ranges[kept - 1].end;
        if (range.start < range.end)
            tally->ranges[kept++] = range;
    }
    tally->range_count = 0;
    uint64_t resident = 0;
    int error = memory->count_resident(memory->context, tally->ranges, kept, &resident);
    tally->resident_bytes += resident;
    return error;
}

// In batches: a heap may have more free chunks than anybody wants to keep a list of.
int glibc_tally_add(struct glibc_tally *tally, struct glibc_memory *memory, uint64_t address,
                    uint64_t size, uint64_t header_bytes)
{
    uint64_t mask = memory->page_bytes - 1;
    // As mtrim() of malloc.c: the page with the header stays, and so does the one with the end.
    uint64_t start = (address + header_bytes + mask) & ~mask;
    uint64_t end = (address + size) & ~mask;
    tally->chunks++;
    tally->bytes += size;
    if (start >= end)
        return 0;
    tally->whole_bytes += end - start;
    tally->ranges[tally->range_count++] = (struct page_range){start, end};
    return tally->range_count == GLIBC_RANGES_BATCH ? glibc_tally_finish(tally, memory) : 0;
}
