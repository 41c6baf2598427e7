// SPDX-License-Identifier: Apache-2.0
// The table's own memory: records in the middle of long free runs say nothing. Library world.
#ifndef EBB_HEAP_RECORDS_H
#define EBB_HEAP_RECORDS_H

#include <stddef.h>
#include <stdint.h>

// A run of so many slots has a page of 32 records to itself between its first and its last one,
// wherever it begins.
#define RECORDS_LEAST_SLOTS 65u

// Gives back the pages of records that stand wholly inside the clean run that begins at `slot`, but
// for its first and last: they read as zeros, as they do anyway where they count. What blocks once
// stood there is forgotten, so that a second free of one is no longer told from an invalid one. 0
// where no such run begins there any more. Holds space.lock, for some 30 µs at a time; any thread.
// Returns the bytes.
size_t records_return(uint32_t slot);

#endif
