// SPDX-License-Identifier: Apache-2.0
// Finding runtimes among a target's images, see locate.h. Tool world; no state.
#include "runtime/locate.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/locate_memory.h"

enum { WINDOW_BYTES = 256 << 10 };

// Rules name files, wherever a distribution puts them.
const char *locate_file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static const struct image_section *find_section(const struct image *image, const char *name)
{
    const struct image_section *section = image_section(image, name);
    return section && section->size > 0 ? section : NULL;
}

// Windows overlap, so that a text across a border is found; nothing is mapped, so that a file that
// shrinks meanwhile cannot end this program.
bool locate_scan(const struct image *image, const char *section_name, size_t overlap,
                 locate_visit *visit, void *context)
{
    const struct image_section *section = find_section(image, section_name);
    char *window = section ? malloc(WINDOW_BYTES) : NULL;
    if (!window)
        return false;
    uint64_t size = section->size < LOCATE_SECTION_MAX ? section->size : LOCATE_SECTION_MAX;
    bool found = false;
    for (uint64_t at = 0; at < size && !found; at += WINDOW_BYTES - overlap) {
        size_t len = size - at < WINDOW_BYTES ? (size_t)(size - at) : WINDOW_BYTES;
        if (image_read_at(image, section->offset + at, window, len))
            break;
        found = visit(context, window, len, section->address + at);
        if (len < WINDOW_BYTES)
            break;
    }
    free(window);
    return found;
}

// One marker's search over all windows.
struct marker_search {
    const struct locate_marker *marker;
    uint64_t from;
    uint64_t found; // linked address
};

// The byte of a text that is the rarest in read-only data: one that is no small letter, digit or
// blank.
static size_t anchor_of(const char *text)
{
    for (size_t i = 0; text[i]; i++)
        if (!islower((unsigned char)text[i]) && !isdigit((unsigned char)text[i]) && text[i] != ' ')
            return i;
    return 0;
}

// Finds head directly followed by tail. Jumps from anchor to anchor: several times as fast as
// memmem() here.
static const char *find_marker(const char *data, size_t len, const struct locate_marker *marker)
{
    size_t head_len = strlen(marker->head), tail_len = strlen(marker->tail);
    size_t anchor = anchor_of(marker->head);
    if (len < head_len + tail_len)
        return NULL;
    const char *at = data + anchor, *end = data + len - (head_len + tail_len) + anchor + 1;
    while (at < end && (at = memchr(at, marker->head[anchor], (size_t)(end - at))) != NULL) {
        const char *hit = at - anchor;
        if (memcmp(hit, marker->head, head_len) == 0 &&
            memcmp(hit + head_len, marker->tail, tail_len) == 0)
            return hit;
        at++;
    }
    return NULL;
}

static bool search_window(void *context, const char *data, size_t len, uint64_t linked_address)
{
    struct marker_search *search = context;
    size_t skip = 0;
    if (search->from > linked_address)
        skip = search->from - linked_address < len ? (size_t)(search->from - linked_address) : len;
    const char *hit = find_marker(data + skip, len - skip, search->marker);
    if (hit)
        search->found = linked_address + (uint64_t)(hit - data);
    return hit != NULL;
}

enum { MARKER_OVERLAP = 128 };

int locate_string(const struct image *image, const char *section, struct locate_marker marker,
                  uint64_t from, uint64_t *ret_linked_address)
{
    struct marker_search search = {.marker = &marker, .from = from};
    if (!locate_scan(image, section, MARKER_OVERLAP, search_window, &search))
        return -ENOENT;
    *ret_linked_address = search.found;
    return 0;
}

// Byte by byte: such strings are short, and the section may end right behind them.
int locate_read_string(const struct image *image, uint64_t linked_address, char *ret_string,
                       size_t size)
{
    size_t len = 0;
    while (len + 1 < size) {
        char byte;
        int error = image_read(image, linked_address + len, &byte, 1);
        if (error && len == 0)
            return error;
        if (error || byte < ' ' || byte > '~')
            break;
        ret_string[len++] = byte;
    }
    ret_string[len] = '\0';
    return 0;
}

const struct image *locate_by_name(const struct target *target, const struct locate_rule *rule)
{
    for (size_t i = 0; target->images && i < target->images->count; i++) {
        const struct image *image = &target->images->items[i];
        const char *name = locate_file_name(image->path);
        for (size_t n = 0; n < LOCATE_NAMES_MAX && rule->names[n]; n++)
            if (strncmp(name, rule->names[n], strlen(rule->names[n])) == 0)
                return image;
    }
    return NULL;
}

// Where in the cache an image's findings lie; NULL for an image that is not the target's, or
// without a cache.
static struct locate_found *found_of(const struct target *target, const struct image *image)
{
    struct locate_cache *cache = target->located;
    const struct images *images = target->images;
    if (!cache || !images || image < images->items || image >= images->items + images->count ||
        images->count > IMAGES_MAX)
        return NULL;
    return &cache->found[image - images->items];
}

// All images at once, the executable first: should the budget run out, it is libraries that go
// without.
static void fill_cache(const struct target *target)
{
    uint64_t budget_bytes = LOCATE_ALL_MAX;
    for (size_t i = 0; i < target->images->count && i < IMAGES_MAX; i++) {
        const struct image *image = &target->images->items[i];
        uint32_t *marks = &target->located->found[i].marks;
        if (target->memory && locate_memory_get(target->memory, image, marks))
            continue;
        *marks = locate_search(image, &budget_bytes);
        // What was searched with the last of the budget may have been cut short.
        if (target->memory && budget_bytes > 0)
            locate_memory_put(target->memory, image, *marks);
    }
    target->located->is_filled = true;
}

bool locate_fits(const struct target *target, const struct image *image,
                 const struct locate_rule *rule)
{
    uint64_t budget_bytes = LOCATE_ALL_MAX;
    struct locate_found alone = {0}, *found = found_of(target, image);
    if (!found) {
        found = &alone;
        alone.marks = locate_search(image, &budget_bytes);
    } else if (!target->located->is_filled) {
        fill_cache(target);
    }
    if (rule->marks == 0 || (found->marks & rule->marks) != rule->marks)
        return false;
    if ((found->proven & rule->marks) == rule->marks)
        return true;
    // What fails once fails always: without its marks the image is not asked again.
    if (rule->proves && !rule->proves(target, image))
        found->marks &= ~rule->marks;
    else
        found->proven |= rule->marks;
    return (found->proven & rule->marks) == rule->marks;
}

// Names come first: with them most processes are answered without a read.
const struct image *locate_image(const struct target *target, const struct locate_rule *rule)
{
    const struct image *named = locate_by_name(target, rule);
    if (named || rule->marks == 0 || !target->images)
        return named;
    for (size_t i = 0; i < target->images->count; i++)
        if (locate_fits(target, &target->images->items[i], rule))
            return &target->images->items[i];
    return NULL;
}

// A dynamic program that brings a malloc of its own exports it, stripped or not, because libc's own
// calls must come to it. One that imports malloc() has no symbol with a value.
bool locate_defines_malloc(const struct image *image)
{
    static const char *const name = "malloc";
    struct image_symbol symbol = {0};
    if (image->section_count == 0 || (image->is_static && !image_section(image, ".symtab")))
        return true;
    return image_find_symbols(image, &name, 1, &symbol) == 1;
}
