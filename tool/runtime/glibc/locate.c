// SPDX-License-Identifier: Apache-2.0
// Finding glibc's malloc in a target, see locate.h. Tool world; one thread.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/glibc/locate.h"

enum {
    WINDOW_BYTES = 256 << 10,
    // An arena that lies across the end of a window is whole in the next.
    OVERLAP_BYTES = 4096,
    DATA_MAX_BYTES = 64 << 20,
};

// Sections that only a program linked with glibc's archive has.
static bool has_glibc_sections(const struct image *image)
{
    return image_section(image, "__libc_IO_vtables") || image_section(image, "__libc_subfreeres") ||
           image_section(image, "__libc_freeres_fn") || image_section(image, "__libc_atexit");
}

const struct image *glibc_image(const struct target *target)
{
    const struct image *image = images_by_name(target->images, "libc.so.6");
    if (!image)
        image = images_by_name(target->images, "libc-2.");
    if (image)
        return image->is_64bit ? image : NULL;
    image = images_main(target->images);
    if (!image || !image->is_static || !image->is_64bit)
        return NULL;
    if (has_glibc_sections(image))
        return image;
    // Without a section table only the texts of malloc's own checks tell.
    static const char text[] = "corrupted double-linked list";
    uint64_t address;
    bool has_text = image->section_count == 0 &&
                    image_find_bytes(image, NULL, text, sizeof text - 1, 0, &address) == 0;
    return has_text ? image : NULL;
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

struct scan {
    struct glibc_memory *memory;
    const struct image *image;
    const struct glibc_par_hint *hint;
    struct glibc_state *state;
    uint64_t unused_address;
    bool has_unused;
    unsigned par_count;
    uint8_t *data;
};

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
static int scan_arena(struct scan *scan, uint64_t address, size_t len)
{
    size_t offset = 0;
    uint64_t bins_address;
    while (scan->state->bins_address == 0 &&
           glibc_bins_find(address, scan->data, len, &offset, &bins_address) == 0) {
        struct glibc_ring ring;
        int error = glibc_ring_read(scan->memory, bins_address, &ring);
        if (error == -ENOMEM || error == -EPERM || error == -ESRCH)
            return error;
        if (error)
            continue;
        scan->state->bins_address = bins_address;
        glibc_ring_free(&ring);
    }
    return 0;
}

static int scan_window(struct scan *scan, uint64_t address, size_t len)
{
    int error = scan_fetch(scan, address, len);
    if (!error)
        error = scan_arena(scan, address, len);
    if (error)
        return error;
    enum glibc_arena_kind kind;
    if (!scan->has_unused &&
        glibc_unused_arena_find(address, scan->data, len, &scan->unused_address, &kind) == 0)
        scan->has_unused = true;
    size_t offset = 0;
    struct glibc_par par;
    while (glibc_par_find(scan->data, len, scan->hint, &offset, &par) == 0) {
        // The overlap of two windows shows the same place twice.
        if (scan->par_count > 0 && memcmp(&par, &scan->state->par, sizeof par) == 0)
            continue;
        scan->state->par = par;
        scan->par_count++;
    }
    return 0;
}

static int scan_mapping(struct scan *scan, uint64_t start, uint64_t end)
{
    for (uint64_t at = start; at < end;) {
        uint64_t left = end - at;
        size_t len = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
        int error = scan_window(scan, at, len);
        if (error)
            return error;
        if (len == left)
            break;
        at += len - OVERLAP_BYTES;
    }
    return 0;
}

// The image's writable data; .bss too, since a linker may place an arena of zeros and one pointer
// there.
static int scan_image(struct scan *scan, const struct target *target)
{
    const struct mappings *mappings = target->mappings;
    uint64_t budget = DATA_MAX_BYTES;
    for (size_t i = mappings_lower_bound(mappings, scan->image->low); i < mappings->count; i++) {
        const struct mapping *mapping = &mappings->items[i];
        if (mapping->start >= scan->image->high)
            break;
        bool is_data = (mapping->flags & MAPPING_WRITE) && !(mapping->flags & MAPPING_SHARED) &&
                       (mapping->kind == MAPPING_FILE || mapping->kind == MAPPING_ANONYMOUS);
        if (!is_data)
            continue;
        uint64_t end = mapping->end < scan->image->high ? mapping->end : scan->image->high;
        end = (end + GLIBC_PAGE_BYTES - 1) & ~(uint64_t)(GLIBC_PAGE_BYTES - 1);
        if (end - mapping->start > budget)
            end = mapping->start + budget;
        budget -= end - mapping->start;
        int error = scan_mapping(scan, mapping->start, end);
        if (error)
            return error;
    }
    return 0;
}

int glibc_locate(const struct target *target, struct glibc_memory *memory,
                 const struct image *image, const struct glibc_par_hint *hint,
                 struct glibc_state *ret_state)
{
    struct glibc_state state = {0};
    struct scan scan = {.memory = memory, .image = image, .hint = hint, .state = &state};
    scan.data = malloc(WINDOW_BYTES);
    if (!scan.data)
        return -ENOMEM;
    int error = scan_image(&scan, target);
    free(scan.data);
    if (error)
        return error;
    state.has_par = scan.par_count == 1;
    if (state.bins_address == 0 && !scan.has_unused)
        return -ENOENT;
    *ret_state = state;
    return 0;
}
