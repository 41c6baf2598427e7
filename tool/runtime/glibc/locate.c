// SPDX-License-Identifier: Apache-2.0
// Finding glibc's malloc in a target, see locate.h. Tool world; one thread.
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/glibc/locate.h"
#include "runtime/locate.h"

enum {
    WINDOW_BYTES = 256 << 10,
    // An arena that lies across the end of a window is whole in the next.
    OVERLAP_BYTES = 4096,
    DATA_MAX_BYTES = 64 << 20,
};

// A static program has glibc's malloc when a text of its checks is in it; the note, which every
// program linked with glibc has, spares others the search.
static bool has_static_malloc(const struct target *target, const struct image *image)
{
    static const struct locate_rule rule = {.marks = MARK_GLIBC_FREE};
    bool may_be = image->section_count == 0 || image_section(image, ".note.ABI-tag");
    return may_be && locate_fits(target, image, &rule);
}

const struct image *glibc_image(const struct target *target)
{
    const struct image *image = images_by_name(target->images, "libc.so.6");
    if (!image)
        image = images_by_name(target->images, "libc-2.");
    if (image)
        return image->is_64bit ? image : NULL;
    // No libc.so: a static program, or one that is not glibc's.
    image = images_main(target->images);
    bool is_candidate = image && image->is_static && image->is_64bit;
    return is_candidate && has_static_malloc(target, image) ? image : NULL;
}

// Parses "2.36" at the front of `text` into 236.
static unsigned version_number(struct text text, size_t *ret_len)
{
    struct text rest = text;
    uint64_t major, minor;
    if (!text_take_u64(&rest, &major) || !text_take_prefix(&rest, ".") ||
        !text_take_u64(&rest, &minor) || major != 2 || minor > 99)
        return 0;
    *ret_len = text.len - rest.len;
    return (unsigned)(major * 100 + minor);
}

unsigned glibc_version(const struct image *image, char *ret_version, size_t size)
{
    static const char *const banners[] = {"stable release version ", "development release version ",
                                          "release version "};
    ret_version[0] = '\0';
    // The banner that libc.so prints when it is run; static programs lack it.
    for (size_t i = 0; i < sizeof banners / sizeof banners[0]; i++) {
        uint64_t address;
        size_t banner_len = strlen(banners[i]), len = 0;
        char text[16] = {0};
        if (image_find_bytes(image, ".rodata", banners[i], banner_len, 0, &address) != 0 ||
            image_read(image, address + banner_len, text, sizeof text - 1) != 0)
            continue;
        unsigned version = version_number(text_of(text), &len);
        if (version == 0)
            continue;
        text_copy((struct text){text, len}, ret_version, size);
        return version;
    }
    return 0;
}

// What the passes over the data share.
struct scan {
    struct glibc_memory *memory;
    const struct target *target;
    const struct image *image;
    const struct glibc_par_hint *hint;
    struct glibc_state *state;
    bool has_unused;
    unsigned par_count, par_score; // the best places for malloc_par
    uint64_t par_address;          // the last of them
    uint8_t *data;
};

// What is done with each window of data: 0 or -errno to stop.
typedef int scan_visit(struct scan *scan, uint64_t address, size_t len);

// Fetches a window. A page of a private file mapping that is not in memory holds what the file
// holds, or lies in swap; neither is an arena in use, so zeros do.
static int scan_fetch(struct scan *scan, uint64_t address, size_t len)
{
    for (size_t at = 0; at < len; at += GLIBC_PAGE_BYTES) {
        int error = scan->memory->peek(scan->memory->context, address + at, scan->data + at,
                                       GLIBC_PAGE_BYTES);
        if (error == -ENODATA || error == -EFAULT || error == -EIO)
            memset(scan->data + at, 0, GLIBC_PAGE_BYTES);
        else if (error)
            return error;
    }
    return 0;
}

// A candidate counts when its ring closes; the first one wins, which is libc's own: nothing else
// makes such runs.
static int visit_arena(struct scan *scan, uint64_t address, size_t len)
{
    struct glibc_state *state = scan->state;
    size_t offset = 0;
    uint64_t bins_address;
    while (state->bins_address == 0 &&
           glibc_bins_find(address, scan->data, len, &offset, &bins_address) == 0) {
        struct glibc_ring ring;
        int error = glibc_ring_read(scan->memory, bins_address, &ring);
        if (error == -ENOMEM || error == -EPERM || error == -ESRCH)
            return error;
        // Another list of libc's that looks like bins.
        if (error)
            continue;
        state->bins_address = bins_address;
        state->kind = ring.kind;
        glibc_ring_free(&ring);
    }
    // Only as long as nothing better was seen: an arena in use may come in a later window.
    uint64_t unused;
    enum glibc_arena_kind kind;
    if (state->bins_address == 0 && !scan->has_unused &&
        glibc_unused_arena_find(address, scan->data, len, &unused, &kind) == 0) {
        scan->has_unused = true;
        state->kind = kind;
    }
    return 0;
}

// The likeliest place wins; two that are equally likely are none.
static int visit_par(struct scan *scan, uint64_t address, size_t len)
{
    size_t offset = 0;
    struct glibc_par par;
    while (glibc_par_find(scan->data, len, scan->hint, &offset, &par) == 0) {
        unsigned score = glibc_par_score(&par, scan->hint);
        bool is_first = scan->par_count == 0;
        // The overlap of two windows shows the same place twice; the offset is already beyond it.
        uint64_t place = address + offset - 8;
        bool is_same = !is_first && place == scan->par_address;
        if (is_same || (!is_first && score < scan->par_score))
            continue;
        scan->par_count = is_first || score > scan->par_score ? 1 : scan->par_count + 1;
        scan->par_score = score;
        scan->par_address = place;
        scan->state->par = par;
    }
    return 0;
}

static int scan_mapping(struct scan *scan, uint64_t start, uint64_t end, scan_visit *visit)
{
    for (uint64_t at = start; at < end;) {
        uint64_t left = end - at;
        size_t len = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
        int error = scan_fetch(scan, at, len);
        if (!error)
            error = visit(scan, at, len);
        if (error)
            return error;
        // The last window; another step back would never end.
        if (len == left)
            break;
        at += len - OVERLAP_BYTES;
    }
    return 0;
}

// The image's writable data; .bss too, since a linker may place an arena of zeros and one pointer
// there.
static int scan_image(struct scan *scan, scan_visit *visit)
{
    const struct mappings *mappings = scan->target->mappings;
    uint64_t budget = DATA_MAX_BYTES;
    for (size_t i = mappings_lower_bound(mappings, scan->image->low); i < mappings->count; i++) {
        const struct mapping *mapping = &mappings->items[i];
        if (mapping->start >= scan->image->high)
            break;
        bool is_data = (mapping->flags & MAPPING_WRITE) && !(mapping->flags & MAPPING_SHARED) &&
                       (mapping->kind == MAPPING_FILE || mapping->kind == MAPPING_ANONYMOUS);
        if (!is_data)
            continue;
        // The kernel may have merged what follows the image's data to it.
        uint64_t end = mapping->end < scan->image->high ? mapping->end : scan->image->high;
        end = (end + GLIBC_PAGE_BYTES - 1) & ~(uint64_t)(GLIBC_PAGE_BYTES - 1);
        if (end - mapping->start > budget)
            end = mapping->start + budget;
        budget -= end - mapping->start;
        int error = scan_mapping(scan, mapping->start, end, visit);
        if (error)
            return error;
    }
    return 0;
}

// The versions that have this kind of arena.
static void hint_from_kind(struct glibc_par_hint *hint, enum glibc_arena_kind kind)
{
    hint->from = kind == GLIBC_ARENA_2_17 ? 0 : kind == GLIBC_ARENA_2_27 ? 227 : 243;
    hint->to = kind == GLIBC_ARENA_2_17 ? 226 : kind == GLIBC_ARENA_2_27 ? 242 : UINT_MAX;
}

// The version's own layout of malloc_par first; a distribution may have backported another.
static int scan_par(struct scan *scan, struct glibc_par_hint *hint, unsigned version)
{
    hint->from = hint->to = version;
    scan->hint = hint;
    int error = version ? scan_image(scan, visit_par) : 0;
    if (error || scan->par_count == 1)
        return error;
    // Several or none: any layout that arenas of this kind ever went with.
    hint_from_kind(hint, scan->state->kind);
    scan->par_count = 0;
    return scan_image(scan, visit_par);
}

int glibc_locate(const struct target *target, struct glibc_memory *memory,
                 const struct image *image, unsigned version, struct glibc_state *ret_state)
{
    struct glibc_state state = {0};
    struct glibc_par_hint hint = {.page_bytes = memory->page_bytes};
    struct scan scan = {.memory = memory, .target = target, .image = image, .state = &state};
    glibc_brk(target, &hint.heap_start, &hint.heap_end);
    scan.data = malloc(WINDOW_BYTES);
    if (!scan.data)
        return -ENOMEM;
    int error = scan_image(&scan, visit_arena);
    if (!error && state.bins_address == 0 && !scan.has_unused)
        error = -ENOENT;
    if (!error)
        error = scan_par(&scan, &hint, version);
    free(scan.data);
    if (error)
        return error;
    // Two places that look alike are as good as none.
    state.has_par = scan.par_count == 1;
    *ret_state = state;
    return 0;
}

bool glibc_brk(const struct target *target, uint64_t *ret_start, uint64_t *ret_end)
{
    const struct mappings *mappings = target->mappings;
    bool found = false;
    for (size_t i = 0; i < mappings->count; i++) {
        if (mappings->items[i].kind != MAPPING_BRK)
            continue;
        if (!found)
            *ret_start = mappings->items[i].start;
        *ret_end = mappings->items[i].end;
        found = true;
    }
    return found;
}
