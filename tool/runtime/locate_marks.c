// SPDX-License-Identifier: Apache-2.0
// One pass over an image's read-only data for the marks of all runtimes, see locate.h. Tool world;
// no state.
//
// The search is Wu and Manber's ("A fast algorithm for multi-pattern searching", 1994) with blocks
// of two bytes: from the last two bytes of a window as long as the shortest mark a table tells how
// far the next place lies at which any mark could end. Most steps are as long as that mark, so that
// sixteen marks cost what one does.
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/locate.h"

// In the order of the bits of enum locate_mark. Short marks would make all steps short: none is
// below 16 bytes.
static const struct locate_marker markers[] = {
    {"<jemalloc>: Malformed", " conf string"},
    {"<jemalloc>: Error in", " munmap(): "},
    {"Attempt to free", " invalid pointer"},
    {"Bytes in page", " heap freelist"},
    {"TCMALLOC_RELEASE", "_RATE"},
    {"tcmalloc.per_cpu_", "caches_active"},
    {"tcmalloc.pageheap_unmapped", "_bytes"},
    {"mimalloc: err", "or: "},
    {"environment option mimalloc_%s has", " an invalid value"},
    {"max size of the old", " space (in Mbytes)"},
    {"semi_space_growth", "_factor"},
    {"Symbolic link", " loop"},
    {"No error", " information"},
    {"Filename too", " long"},
    {"free(): invalid", " pointer"},
    {"libebb, ", "version "},
};

enum {
    MARKS = sizeof markers / sizeof markers[0],
    MARK_BYTES_MAX = 64,
    WINDOW_BYTES = 256 << 10,
    BLOCKS = 1 << 16,
};

// Too large for a stack: 320 KiB.
struct matcher {
    char texts[MARKS][MARK_BYTES_MAX];
    size_t lens[MARKS];
    size_t shortest;
    uint8_t steps[BLOCKS];
    char window[WINDOW_BYTES];
};

static size_t block_at(const char *data)
{
    return (size_t)(uint8_t)data[0] << 8 | (uint8_t)data[1];
}

// The halves meet only here, in memory of its own that is given back.
static void matcher_init(struct matcher *matcher)
{
    matcher->shortest = MARK_BYTES_MAX;
    for (size_t i = 0; i < MARKS; i++) {
        text_format(matcher->texts[i], sizeof matcher->texts[i], "%s%s", markers[i].head,
                    markers[i].tail);
        matcher->lens[i] = strlen(matcher->texts[i]);
        if (matcher->lens[i] < matcher->shortest)
            matcher->shortest = matcher->lens[i];
    }
    // A block that is in no mark may be passed over whole.
    size_t last = matcher->shortest - 2;
    memset(matcher->steps, (int)(last + 1), sizeof matcher->steps);
    for (size_t i = 0; i < MARKS; i++) {
        for (size_t at = 0; at <= last; at++) {
            uint8_t *step = &matcher->steps[block_at(matcher->texts[i] + at)];
            if (last - at < *step)
                *step = (uint8_t)(last - at);
        }
    }
}

// The marks that begin at `at`.
static uint32_t marks_at(const struct matcher *matcher, const char *at, size_t left)
{
    uint32_t marks = 0;
    for (size_t i = 0; i < MARKS; i++)
        if (*at == matcher->texts[i][0] && matcher->lens[i] <= left &&
            memcmp(at, matcher->texts[i], matcher->lens[i]) == 0)
            marks |= UINT32_C(1) << i;
    return marks;
}

static uint32_t search_window(const struct matcher *matcher, size_t len)
{
    const char *data = matcher->window;
    size_t last = matcher->shortest - 2;
    uint32_t marks = 0;
    for (size_t at = 0; at + matcher->shortest <= len;) {
        size_t step = matcher->steps[block_at(data + at + last)];
        if (step == 0)
            marks |= marks_at(matcher, data + at, len - at);
        at += step ? step : 1;
    }
    return marks;
}

// Windows overlap by a mark, so that one across a border is found. What cannot be read has none.
static uint32_t search_range(struct matcher *matcher, const struct image *image, uint64_t offset,
                             uint64_t size, uint64_t *budget_bytes)
{
    uint32_t marks = 0;
    if (size > LOCATE_SECTION_MAX)
        size = LOCATE_SECTION_MAX;
    if (size > *budget_bytes)
        size = *budget_bytes;
    *budget_bytes -= size;
    for (uint64_t at = 0; at < size; at += WINDOW_BYTES - MARK_BYTES_MAX) {
        size_t len = size - at < WINDOW_BYTES ? (size_t)(size - at) : WINDOW_BYTES;
        if (image_read_at(image, offset + at, matcher->window, len))
            break;
        marks |= search_window(matcher, len);
        if (len < WINDOW_BYTES)
            break;
    }
    return marks;
}

uint32_t locate_search(const struct image *image, uint64_t *budget_bytes)
{
    const struct image_section *section = image_section(image, ".rodata");
    bool is_bare = image->section_count == 0;
    if (!is_bare && (!section || section->type == SHT_NOBITS))
        return 0;
    struct matcher *matcher = malloc(sizeof *matcher);
    if (!matcher)
        return 0;
    matcher_init(matcher);
    uint32_t marks = 0;
    if (section)
        marks = search_range(matcher, image, section->offset, section->size, budget_bytes);
    // Without sections the texts lie beside the code or in a segment of their own.
    for (size_t i = 0; is_bare && i < image->segment_count; i++)
        if (!(image->segments[i].flags & PF_W))
            marks |= search_range(matcher, image, image->segments[i].offset,
                                  image->segments[i].file_bytes, budget_bytes);
    free(matcher);
    return marks;
}
