// SPDX-License-Identifier: Apache-2.0
// The reader of musl's malloc: dynamic (the loader is the C library) and static. Tool world; no
// state.
//
// From 1.2.1 on musl's malloc is "mallocng": groups of slots in mmap'd memory, their records in
// brk. Older versions grow brk and mmap large blocks. Either way the memory is held: groups are
// claimed, not read.
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "runtime/locate.h"
#include "runtime/opaque.h"
#include "runtime/settings.h"

static const struct locate_marker loader_banner = {"musl libc", " ("};
// What a static program has of it: mallocng's size classes (malloc.c, in units of 16 bytes), or
// errors in musl's own words (src/errno/__strerror.h).
static const uint16_t size_classes[] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 12,  15,
                                        18, 20, 25, 31, 36, 42, 50, 63, 72, 84, 102, 127};
static const struct locate_rule static_rule = {
    .marks = MARK_MUSL_LOOP | MARK_MUSL_NO_ERROR | MARK_MUSL_LONG_NAME,
};

// The table of size classes is data that malloc itself reads: it is there whenever malloc is.
static bool is_static_musl(const struct target *target, const struct image *image)
{
    uint64_t at;
    return locate_fits(target, image, &static_rule) ||
           image_find_bytes(image, ".rodata", size_classes, sizeof size_classes, 0, &at) == 0;
}

// The loader and the C library are one file, which distributions name differently: its banner
// decides.
static const struct image *musl_image(const struct target *target)
{
    for (size_t i = 0; target->images && i < target->images->count; i++) {
        const struct image *image = &target->images->items[i];
        const char *name = locate_file_name(image->path);
        bool named = strncmp(name, "ld-musl-", 8) == 0 || strncmp(name, "libc.musl-", 10) == 0 ||
                     strcmp(name, "libc.so") == 0;
        uint64_t at;
        if (named && locate_string(image, ".rodata", loader_banner, 0, &at) == 0)
            return image;
        if (image->is_main && image->is_static && is_static_musl(target, image))
            return image;
    }
    return NULL;
}

static bool musl_find(const struct target *target)
{
    return musl_image(target) != NULL;
}

// The version stands alone in the loader's read-only data ("1.2.3"), not far from its banner.
// Source: __libc_version in src/internal/version.c. Static programs do not link it.
struct version_search {
    char version[24];
};

// A short string of digits and two dots, beginning with 0 or 1, alone between two NULs.
// The two NULs keep parts of other numbers out.
static bool visit_version(void *context, const char *data, size_t len, uint64_t linked_address)
{
    (void)linked_address;
    struct version_search *search = context;
    for (size_t at = 0; at + 2 < len; at++) {
        if (data[at] != '\0' || (data[at + 1] != '0' && data[at + 1] != '1') || data[at + 2] != '.')
            continue;
        const char *stop = memchr(data + at + 1, '\0', len - at - 1);
        struct text text = {data + at + 1, stop ? (size_t)(stop - data) - at - 1 : 0};
        size_t digits = 0, dots = 0;
        for (size_t i = 0; i < text.len && i < 16; i++) {
            digits += text.data[i] >= '0' && text.data[i] <= '9';
            dots += text.data[i] == '.';
        }
        if (text.len < 5 || text.len > 12 || dots != 2 || digits + dots != text.len)
            continue;
        text_copy(text, search->version, sizeof search->version);
        return true;
    }
    return false;
}

// Where another malloc is in the program, musl's own has nothing to hold.
// Source: from 1.2.1 on mallocng is the default of configure; --with-malloc=oldmalloc brings the
// other one back, which no text tells.
static int musl_read(const struct target *target, struct runtime_report *ret_report)
{
    const struct image *image = musl_image(target);
    if (!image)
        return -ENOENT;
    struct version_search search = {{0}};
    if (!image->is_static || !image->is_main)
        locate_scan(image, ".rodata", 32, visit_version, &search);
    opaque_name(ret_report, "musl", image, search.version);
    int error = 0;
    struct setting_version version;
    if (setting_version_parse(text_of(search.version), &version)) {
        bool is_ng =
            version.major > 1 || version.minor > 2 || (version.minor == 2 && version.patch >= 1);
        error = report_add_setting(ret_report, "malloc", is_ng ? "mallocng" : "oldmalloc",
                                   "default of this version");
    }
    if (error)
        return error;
    // A preloaded or linked malloc takes musl's place.
    if (mimalloc_reader.find(target) || jemalloc_reader.find(target) ||
        tcmalloc_reader.find(target) || libebb_reader.find(target)) {
        ret_report->facts |= FACT_OPAQUE;
        return 0;
    }
    // Nothing in musl answers a question: there is no mallinfo() and there are no statistics.
    ret_report->facts |= FACT_OPAQUE;
    return opaque_has_managed(target) ? 0 : target_claim_rest(target, ret_report, true);
}

const struct runtime_reader musl_reader = {"musl", musl_find, musl_read};
