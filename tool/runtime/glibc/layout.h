// SPDX-License-Identifier: Apache-2.0
// The two structures behind glibc's malloc, as they lie in memory: malloc_state (an arena) and
// malloc_par (the settings). Tool world; pure decoding of bytes.
//
// Source: malloc/malloc.c of glibc 2.17, 2.23, 2.25, 2.26, 2.31, 2.36, 2.41 to 2.44; 64-bit
// little-endian targets. An arena is  mutex, flags, [have_fastchunks], [fastbins], top,
// last_remainder, bins, binmap, next, next_free, [attached_threads], system_mem, max_system_mem;
// what comes before the bins and whether attached_threads is there differs by version and by
// distribution, so both are told from the contents.
#ifndef EBB_RUNTIME_GLIBC_LAYOUT_H
#define EBB_RUNTIME_GLIBC_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GLIBC_BINS = 127, // bins 1 .. 127; 1 is the unsorted list, 2 .. 63 small, the rest large
    GLIBC_FASTBINS = 10,
    GLIBC_BINS_BYTES = GLIBC_BINS * 16,
    GLIBC_ARENA_BYTES_MAX = 112 + GLIBC_BINS_BYTES + 64,
    GLIBC_PAR_BYTES_MAX = 144,
};

// Where the bins begin inside an arena; all other places follow from it.
enum glibc_arena_kind {
    GLIBC_ARENA_2_27 = 112, // 2.27 to 2.42: with have_fastchunks and fastbins
    GLIBC_ARENA_2_17 = 104, // up to 2.26: with fastbins
    GLIBC_ARENA_2_43 = 24,  // 2.43 and later: no fastbins
};

// The offset of `next`, and how many bytes an arena takes.
size_t glibc_arena_next_offset(enum glibc_arena_kind kind);
size_t glibc_arena_size(enum glibc_arena_kind kind);

struct glibc_arena {
    uint64_t address;
    uint64_t bins_address; // of the first bin's fd
    uint32_t flags;
    uint64_t top;                            // the chunk at the end of the memory, in no bin
    uint64_t fastbins[GLIBC_FASTBINS];       // zeros where there are none
    uint64_t bins[GLIBC_BINS * 2];           // fd, bk of each
    uint64_t next;                           // the next arena of the ring
    uint64_t attached_threads;               // 0 too where the version has no such field
    uint64_t system_bytes, max_system_bytes; // system_mem, max_system_mem
};

// Decodes an arena of this kind at `address` from its bytes. 0; -EBADMSG when it cannot be one.
int glibc_arena_decode(enum glibc_arena_kind kind, uint64_t address, const uint8_t *data,
                       size_t len, struct glibc_arena *ret_arena);

// True when nothing that is decoded has changed between two readings of an arena. Any malloc() or
// free() that the tcache did not serve leaves a trace: in a bin, in a fastbin, or in top.
bool glibc_arena_is_same(const struct glibc_arena *a, const struct glibc_arena *b);

// The address by which an empty bin points at itself, 1 <= bin <= GLIBC_BINS.
uint64_t glibc_bin_address(const struct glibc_arena *arena, unsigned bin);

// Looks for the bins of an initialised arena in `len` bytes that lie at `address`: the end of a run
// of empty bins, which in a busy arena may be one. Other lists look like that too, so a find is but
// a candidate for a ring.
// `*offset` is where to start and is moved on for the next call. 0 with the address of the bins;
// -ENOENT.
int glibc_bins_find(uint64_t address, const uint8_t *data, size_t len, size_t *offset,
                    uint64_t *ret_bins_address);

// Looks for a main arena that was never used: zeros but for `next`, which points at itself, and
// attached_threads. 0 with its address and kind; -ENOENT.
int glibc_unused_arena_find(uint64_t address, const uint8_t *data, size_t len,
                            uint64_t *ret_address, enum glibc_arena_kind *ret_kind);

// The bin into which a chunk of this size is sorted, 2 .. 126.
unsigned glibc_bin_of_size(uint64_t chunk_bytes);

struct glibc_par {
    // As mallopt() and the tunables name them; arena_max 0: by the number of processors.
    uint64_t trim_threshold, top_pad, mmap_threshold, arena_test, arena_max;
    // 0: huge pages are not asked for.
    uint64_t thp_page_bytes, huge_page_bytes;
    // n_mmaps, n_mmaps_max, max_n_mmaps.
    uint64_t mmapped_chunks, mmapped_chunks_limit, max_mmapped_chunks;
    bool is_threshold_fixed; // set by the user, no longer moved by free()
    uint64_t mmapped_bytes, max_mmapped_bytes;
    uint64_t sbrk_base; // where the main arena began; 0 before it has any memory
    bool has_tcache;    // 2.26 and later; the counts are settings, not what is cached now
    uint64_t tcache_bins, tcache_max_bytes, tcache_count;
};

// What a malloc_par must agree with.
struct glibc_par_hint {
    uint64_t heap_start, heap_end; // the brk mapping; 0 without one
    uint64_t page_bytes;
    unsigned from, to; // versions whose layouts are looked for: 236 for 2.36
};

// Decodes a malloc_par at the start of `data`, in the layout that fits. 0; -EBADMSG when none does.
int glibc_par_decode(const uint8_t *data, size_t len, const struct glibc_par_hint *hint,
                     struct glibc_par *ret_par);

// How much a decoded malloc_par looks like one: its heap's start, and the defaults that hardly
// anybody changes.
unsigned glibc_par_score(const struct glibc_par *par, const struct glibc_par_hint *hint);

// Looks for the malloc_par in `data`, from `*offset` on, which is moved on for the next call. 0 or
// -ENOENT.
int glibc_par_find(const uint8_t *data, size_t len, const struct glibc_par_hint *hint,
                   size_t *offset, struct glibc_par *ret_par);

#endif
