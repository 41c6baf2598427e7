// SPDX-License-Identifier: Apache-2.0
// The table's own memory: what a clean run does not need of it. Library world; under space.lock, by
// which nobody takes of the run meanwhile; who looks at the table without it finds zeros.
#include "heap/records.h"

#include "base/bits.h"
#include "heap/space.h"

// A page of 4 KiB has 32 records, which are 2 MiB of the heap. So many pages go at a time.
#define BITE_BYTES (256u * PAGE_BYTES)

// Of the run's records whose pages begin at `*from` or later, the next to go; `*from` moves on.
static struct os_range next_range(const struct wire_record *run, uintptr_t *from)
{
    uintptr_t mask = ~(uintptr_t)(space.page_bytes - 1);
    // Its first record and its last are the chain; those between are not.
    uintptr_t begin = ((uintptr_t)(run + 1) + ~mask) & mask;
    uintptr_t end = (uintptr_t)(run + wire_run_slots(run->run) - 1) & mask;
    struct os_range range = {begin > *from ? begin : *from, 0};
    if (range.address < end)
        range.bytes = end - range.address < BITE_BYTES ? end - range.address : BITE_BYTES;
    *from = range.address + range.bytes;
    return range;
}

size_t records_return(uint32_t slot)
{
    const struct wire_record *run = space_record(slot);
    struct os_range range;
    uintptr_t from = 0;
    size_t gone = 0;
    do {
        lock_take(&space.lock);
        range.bytes = 0;
        // Looked at anew each time: somebody may have taken it while the lock was open.
        if (wire_run_kind(run->run) == WIRE_CLEAN)
            range = next_range(run, &from);
        if (range.bytes && space.os->purge_now(space.os, range.address, range.bytes) == 0)
            gone += range.bytes;
        lock_release(&space.lock);
    } while (range.bytes);
    return gone;
}
