// SPDX-License-Identifier: Apache-2.0
// Counting free chunks: the tally, and the two ways to fill it. Tool world; one thread.
//
// A free chunk gives nothing back but the whole pages inside it, so the tally keeps both: all its
// bytes as mallinfo2 counts them, and the whole pages, of which the resident ones are measured in
// batches.
#ifndef EBB_RUNTIME_GLIBC_FREE_H
#define EBB_RUNTIME_GLIBC_FREE_H

#include "runtime/glibc/arenas.h"
#include "runtime/glibc/links.h"
#include "runtime/glibc/memory.h"

enum {
    GLIBC_CHUNK_HEADER_BYTES = 16,
    GLIBC_CHUNK_MIN_BYTES = 32,
    GLIBC_RANGES_BATCH = 32768, // 512 KiB of ranges
    // From this bin on, chunks are at least a page long and can hold a whole one.
    GLIBC_BIN_FIRST_PAGE = 99,
    GLIBC_BIN_FIRST_LARGE = 64,
};

struct glibc_tally {
    uint64_t chunks, bytes;    // as mallinfo2: ordblks without top, their bytes
    uint64_t whole_bytes;      // pages that lie wholly inside free chunks
    uint64_t resident_bytes;   // of which in memory, as far as measured
    struct page_range *ranges; // not yet measured
    size_t range_count;
};

// Makes the batch. 0 or -ENOMEM.
int glibc_tally_open(struct glibc_tally *tally);
void glibc_tally_close(struct glibc_tally *tally);
// Back to zero; keeps the batch.
void glibc_tally_reset(struct glibc_tally *tally);
// Counts a free chunk of `size` bytes at `address`, whose first `header_bytes` must stay. 0 or
// -errno of measuring.
int glibc_tally_add(struct glibc_tally *tally, struct glibc_memory *memory, uint64_t address,
                    uint64_t size, uint64_t header_bytes);
// Measures what is left in the batch. 0 or -errno.
int glibc_tally_finish(struct glibc_tally *tally, struct glibc_memory *memory);

struct glibc_walk {
    struct glibc_memory *memory;
    const struct glibc_arena *arena;
    const struct glibc_regions *regions;
    bool is_mangled; // fastbin links are protected (2.32 and later)
    bool is_moving;  // in order, a free chunk that its successor does not confirm is passed over
    // When a walk of lists ends with -E2BIG, the other way being cheaper; 0: never.
    uint64_t give_up_ns;
    // Filled by glibc_region_walk(), used by glibc_fastbins_walk(); NULL: none.
    struct glibc_links *links;
};

// Walks bins first .. last (1 .. 127) and adds their chunks. Every link is checked against its
// neighbour, every size against its bin and its region. 0; -EBADMSG where a list does not hold
// together (walked from both ends then, what was seen is in the tally); -ETIME; -E2BIG; -errno of
// the peek.
int glibc_bins_walk(const struct glibc_walk *walk, unsigned first, unsigned last,
                    struct glibc_tally *tally);

// Tells by the fastbins of the arena whether their links are protected; true where nothing tells.
bool glibc_links_are_mangled(const struct glibc_walk *walk);

// The successor of a fastbin chunk at `address` whose first word is `link`; 0 at the end.
uint64_t glibc_fast_next(const struct glibc_walk *walk, uint64_t address, uint64_t link);

// The same for the fastbins, which hold single links only.
int glibc_fastbins_walk(const struct glibc_walk *walk, struct glibc_tally *tally);

// Goes through a region from chunk to chunk, in use or not, up to `end` (the top chunk or the end
// of a heap), and adds the free ones but for fastbin chunks, which look like chunks in use. Reads
// every page once, in order: cheaper than the lists where free chunks are dense. `*ret_stop` is how
// far it came. 0; -EBADMSG; -ETIME; -errno.
int glibc_region_walk(const struct glibc_walk *walk, const struct glibc_region *region,
                      uint64_t end, struct glibc_tally *tally, uint64_t *ret_stop);

#endif
