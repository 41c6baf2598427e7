// SPDX-License-Identifier: Apache-2.0
// Fuzz target: an arena, its heap and its settings made of arbitrary bytes. Test code; no state.
//
// The input's first byte chooses the kind of arena; then comes the arena's page, with its
// self-pointers put in so that something hangs together, and then heap. One in two runs takes the
// bytes as they are.
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/glibc/mmapped.h"
#include "runtime/glibc/survey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes);

enum { DATA_BYTES = 4096, HEAP_BYTES = 65536, MEMORY_BYTES = DATA_BYTES + HEAP_BYTES };

// An address whose heap header would lie on its first page: data first, then the heap.
static const uint64_t base = UINT64_C(0x7f0000000000);

static int fuzz_peek(void *context, uint64_t address, void *data, size_t len)
{
    if (address < base || address - base > MEMORY_BYTES || len > MEMORY_BYTES - (address - base))
        return -EFAULT;
    memcpy(data, (uint8_t *)context + (address - base), len);
    return 0;
}

static int fuzz_count(void *context, const struct page_range *ranges, size_t count, uint64_t *bytes)
{
    (void)context;
    for (size_t i = 0; i < count; i++) {
        if (ranges[i].start >= ranges[i].end || (i > 0 && ranges[i].start < ranges[i - 1].end))
            abort();
        *bytes += ranges[i].end - ranges[i].start;
    }
    return 0;
}

static void put(uint8_t *memory, uint64_t address, uint64_t word)
{
    memcpy(memory + (address - base), &word, sizeof word);
}

// What an arena must have to be looked at any further.
static void make_arena(uint8_t *memory, enum glibc_arena_kind kind)
{
    uint64_t arena = base + 48, bins = arena + (uint64_t)kind, flags = 0;
    uint64_t last = bins + (uint64_t)(GLIBC_BINS - 1) * 16 - 16;
    uint64_t next = arena + glibc_arena_next_offset(kind);
    put(memory, arena, flags);
    put(memory, last + 16, last);
    put(memory, last + 24, last);
    put(memory, next, arena);
    put(memory, next + 16, 1);
    put(memory, next + 24, MEMORY_BYTES);
    put(memory, next + 32, MEMORY_BYTES);
    put(memory, base, arena);
    put(memory, base + 8, 0);
    put(memory, base + 16, MEMORY_BYTES);
}

static void run_arena(struct glibc_memory *memory, enum glibc_arena_kind kind)
{
    struct glibc_ring ring;
    struct glibc_arena arena;
    struct glibc_regions regions = {0};
    struct glibc_arena_survey survey;
    if (glibc_ring_read(memory, base + 48 + (uint64_t)kind, &ring) == 0)
        glibc_ring_free(&ring);
    if (glibc_arena_read(memory, kind, base + 48, &arena) != 0)
        return;
    if (glibc_heaps_read(memory, &arena, kind, 1 << 19, &regions) != 0) {
        struct glibc_region region = {base + DATA_BYTES, base + DATA_BYTES, base + MEMORY_BYTES};
        if (glibc_regions_add(&regions, &region) != 0)
            return;
    }
    if (glibc_arena_survey(memory, kind, &arena, &regions, &survey) == 0 &&
        survey.resident_bytes > survey.whole_bytes)
        abort();
    glibc_regions_free(&regions);
}

static void run_data(const uint8_t *data)
{
    struct glibc_par_hint hint = {base, base + MEMORY_BYTES, 4096, 0, 999};
    struct glibc_par par;
    enum glibc_arena_kind kind;
    uint64_t address;
    size_t offset = 0;
    while (glibc_par_find(data, DATA_BYTES, &hint, &offset, &par) == 0)
        glibc_par_score(&par, &hint);
    offset = 0;
    while (glibc_bins_find(base, data, DATA_BYTES, &offset, &address) == 0)
        continue;
    glibc_unused_arena_find(base, data, DATA_BYTES, &address, &kind);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes)
{
    static const enum glibc_arena_kind kinds[] = {GLIBC_ARENA_2_27, GLIBC_ARENA_2_17,
                                                  GLIBC_ARENA_2_43};
    uint8_t *bytes = calloc(1, MEMORY_BYTES);
    struct glibc_memory memory = {
        .peek = fuzz_peek, .count_resident = fuzz_count, .context = bytes, .page_bytes = 4096};
    if (bytes && length_bytes > 0 && glibc_memory_open(&memory) == 0) {
        size_t len = length_bytes - 1 < MEMORY_BYTES ? length_bytes - 1 : MEMORY_BYTES;
        enum glibc_arena_kind kind = kinds[data[0] % 3];
        memcpy(bytes, data + 1, len);
        if (data[0] & 64)
            make_arena(bytes, kind);
        run_data(bytes);
        run_arena(&memory, kind);
        for (uint64_t page = base; page < base + MEMORY_BYTES; page += 4096) {
            uint64_t found;
            glibc_mmapped_at(&memory, page, base + MEMORY_BYTES, &found);
        }
        glibc_memory_close(&memory);
    }
    free(bytes);
    return 0;
}
