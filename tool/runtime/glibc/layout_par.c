// SPDX-License-Identifier: Apache-2.0
// The settings (malloc_par) in bytes, see layout.h. Tool world; pure.
#include <errno.h>
#include <string.h>

#include "runtime/glibc/layout.h"

// Offsets of one layout; the first five words are the same in all.
struct par_layout {
    uint8_t thp_page, huge_page; // 0: not there
    uint8_t counts;              // n_mmaps, n_mmaps_max, max_n_mmaps, no_dyn_threshold: four ints
    uint8_t mmapped;             // mmapped_mem, max_mmapped_mem
    uint8_t sbrk_base;
    uint8_t tcache; // 0: not there
    uint8_t size;
    uint16_t from, to; // versions, 236 for 2.36
};

// The richest first: an older layout may be a prefix of a younger one.
// Source: struct malloc_par of malloc/malloc.c: max_total_mem went with 2.25, tcache came with
// 2.26, thp_pagesize and hp_pagesize with 2.35, thp_mode with 2.43.
static const struct par_layout par_layouts[] = {
    {48, 56, 68, 88, 104, 112, 136, 243, 999}, // thp_mode
    {40, 48, 60, 80, 96, 104, 136, 235, 242},  // huge pages
    {0, 0, 40, 56, 72, 80, 112, 226, 234},     // tcache
    {0, 0, 40, 56, 80, 0, 88, 215, 224},       // max_total_mem before sbrk_base
    {0, 0, 40, 56, 72, 0, 80, 225, 225},
};

enum {
    // Below every mmap_threshold in use, which a layout that is off by a word would take for
    // arena_test.
    ARENA_TEST_MAX = 4096,
    ARENA_COUNT_MAX = 1 << 20,
    CHUNK_COUNT_MAX = 1 << 30,
    TCACHE_BINS_MAX = 4096,
    TCACHE_COUNT_MAX = 65535,
    DEFAULT_MMAPS_MAX = 65536,
    DEFAULT_ARENA_TEST = 8,
    DEFAULT_TCACHE_BINS_MIN = 64,
};

static const uint64_t address_limit = (uint64_t)1 << 48;

// Bytes need not be aligned.
static uint64_t word_at(const uint8_t *data, size_t offset)
{
    uint64_t word;
    memcpy(&word, data + offset, sizeof word);
    return word;
}

static uint32_t int_at(const uint8_t *data, size_t offset)
{
    uint32_t value;
    memcpy(&value, data + offset, sizeof value);
    return value;
}

// No checks here: what the words are worth is told afterwards.
static void par_decode_layout(const struct par_layout *layout, const uint8_t *data,
                              struct glibc_par *par)
{
    *par = (struct glibc_par){
        .trim_threshold = word_at(data, 0),
        .top_pad = word_at(data, 8),
        .mmap_threshold = word_at(data, 16),
        .arena_test = word_at(data, 24),
        .arena_max = word_at(data, 32),
        .thp_page_bytes = layout->thp_page ? word_at(data, layout->thp_page) : 0,
        .huge_page_bytes = layout->huge_page ? word_at(data, layout->huge_page) : 0,
        .mmapped_chunks = int_at(data, layout->counts),
        .mmapped_chunks_limit = int_at(data, (size_t)layout->counts + 4),
        .max_mmapped_chunks = int_at(data, (size_t)layout->counts + 8),
        .is_threshold_fixed = int_at(data, (size_t)layout->counts + 12) == 1,
        .mmapped_bytes = word_at(data, layout->mmapped),
        .max_mmapped_bytes = word_at(data, (size_t)layout->mmapped + 8),
        .sbrk_base = word_at(data, layout->sbrk_base),
        .has_tcache = layout->tcache != 0,
    };
    if (layout->tcache) {
        par->tcache_bins = word_at(data, layout->tcache);
        par->tcache_max_bytes = word_at(data, (size_t)layout->tcache + 8);
        par->tcache_count = word_at(data, (size_t)layout->tcache + 16);
    }
}

// 0, or a power of two that can be one.
static bool is_page_size(uint64_t bytes)
{
    return (bytes & (bytes - 1)) == 0 && (bytes == 0 || bytes >= GLIBC_PAR_BYTES_MAX);
}

// Sizes of pages come with the younger layouts; see par_may_begin() for the other settings.
static bool par_has_sound_settings(const struct glibc_par *par)
{
    return is_page_size(par->thp_page_bytes) && is_page_size(par->huge_page_bytes);
}

// Chunks and bytes of mmapped memory must tell the same story.
static bool par_has_sound_counters(const struct glibc_par *par, uint64_t page_bytes)
{
    if (par->mmapped_chunks > par->max_mmapped_chunks ||
        par->max_mmapped_chunks > CHUNK_COUNT_MAX || par->mmapped_chunks_limit > CHUNK_COUNT_MAX)
        return false;
    if (par->mmapped_bytes > par->max_mmapped_bytes || par->max_mmapped_bytes >= address_limit)
        return false;
    if (par->mmapped_bytes % page_bytes != 0 || par->max_mmapped_bytes % page_bytes != 0)
        return false;
    return par->mmapped_bytes >= par->mmapped_chunks * page_bytes &&
           (par->mmapped_chunks == 0) == (par->mmapped_bytes == 0) &&
           (par->max_mmapped_chunks == 0) == (par->max_mmapped_bytes == 0);
}

// Bins and counts are small numbers, whatever a tunable says.
static bool par_has_sound_tcache(const struct glibc_par *par)
{
    return !par->has_tcache ||
           (par->tcache_bins <= TCACHE_BINS_MAX && par->tcache_count <= TCACHE_COUNT_MAX &&
            par->tcache_max_bytes < address_limit &&
            (par->tcache_bins == 0 || par->tcache_max_bytes > 0));
}

// What makes it certain: the start of the heap; without a heap, the defaults that nearly nobody
// changes.
// Source: mp_'s initialiser: n_mmaps_max 65536, arena_test NARENAS_FROM_NCORES(1).
static bool par_has_anchor(const struct glibc_par *par, const struct glibc_par_hint *hint)
{
    if (par->sbrk_base != 0)
        return par->sbrk_base >= hint->heap_start && par->sbrk_base < hint->heap_end &&
               par->mmap_threshold > 0;
    return par->mmapped_chunks_limit == DEFAULT_MMAPS_MAX && par->mmap_threshold > 0 &&
           par->arena_test == DEFAULT_ARENA_TEST &&
           (!par->has_tcache || par->tcache_bins >= DEFAULT_TCACHE_BINS_MIN);
}

// What all layouts ask of their first five words, which are the same: settings may be anything that
// a user could want, but no addresses. It rules out nearly every place, above all the zeros that
// most of libc's data is.
static bool par_may_begin(const uint8_t *data, size_t len)
{
    return len >= 40 && word_at(data, 16) > 0 && word_at(data, 8) < address_limit &&
           word_at(data, 24) <= ARENA_TEST_MAX && word_at(data, 32) <= ARENA_COUNT_MAX;
}

int glibc_par_decode(const uint8_t *data, size_t len, const struct glibc_par_hint *hint,
                     struct glibc_par *ret_par)
{
    if (!par_may_begin(data, len))
        return -EBADMSG;
    for (size_t i = 0; i < sizeof par_layouts / sizeof par_layouts[0]; i++) {
        const struct par_layout *layout = &par_layouts[i];
        bool is_other_version = hint->to < layout->from || hint->from > layout->to;
        if (is_other_version || len < layout->size)
            continue;
        if (int_at(data, (size_t)layout->counts + 12) > 1)
            continue;
        struct glibc_par par;
        par_decode_layout(layout, data, &par);
        if (par_has_sound_settings(&par) && par_has_sound_counters(&par, hint->page_bytes) &&
            par_has_sound_tcache(&par) && par_has_anchor(&par, hint)) {
            *ret_par = par;
            return 0;
        }
    }
    return -EBADMSG;
}

unsigned glibc_par_score(const struct glibc_par *par, const struct glibc_par_hint *hint)
{
    unsigned score = 0;
    // Nothing else in libc's data holds the very start of the heap behind such words.
    if (par->sbrk_base != 0 && par->sbrk_base == hint->heap_start)
        score += 4;
    else if (par->sbrk_base != 0 && par->sbrk_base - hint->heap_start < hint->page_bytes)
        score += 2;
    score += par->mmapped_chunks_limit == DEFAULT_MMAPS_MAX;
    score += par->arena_test == DEFAULT_ARENA_TEST;
    score += par->top_pad != 0 && par->top_pad % hint->page_bytes == 0;
    score += par->mmap_threshold >= hint->page_bytes;
    return score;
}

// Word by word: libc's data has a few thousand of them, of which next to none passes the first
// check.
int glibc_par_find(const uint8_t *data, size_t len, const struct glibc_par_hint *hint,
                   size_t *offset, struct glibc_par *ret_par)
{
    for (size_t at = *offset; at < len; at += 8) {
        if (glibc_par_decode(data + at, len - at, hint, ret_par) == 0) {
            *offset = at + 8;
            return 0;
        }
    }
    return -ENOENT;
}
