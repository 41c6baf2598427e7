// SPDX-License-Identifier: Apache-2.0
// Finding runtimes among a target's images, see locate.h. Tool world; no state.
#include "runtime/allocators/locate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW_BYTES = 256 << 10 };

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

// One search over all windows: where each marker was seen first.
struct marker_search {
    const struct locate_marker *markers;
    size_t count, missing;
    uint64_t from;
    uint64_t found[LOCATE_MARKERS_MAX]; // linked addresses, 0: not yet
};

// Finds head directly followed by tail.
static const char *find_marker(const char *data, size_t len, const struct locate_marker *marker)
{
    size_t head_len = strlen(marker->head), tail_len = strlen(marker->tail);
    const char *end = data + len;
    while ((size_t)(end - data) >= head_len + tail_len) {
        const char *hit = memmem(data, (size_t)(end - data), marker->head, head_len);
        if (!hit || (size_t)(end - hit) < head_len + tail_len)
            return NULL;
        if (memcmp(hit + head_len, marker->tail, tail_len) == 0)
            return hit;
        data = hit + 1;
    }
    return NULL;
}

static bool search_window(void *context, const char *data, size_t len, uint64_t linked_address)
{
    struct marker_search *search = context;
    size_t skip = 0;
    if (search->from > linked_address)
        skip = search->from - linked_address < len ? (size_t)(search->from - linked_address) : len;
    for (size_t i = 0; i < search->count; i++) {
        if (search->found[i])
            continue;
        const char *hit = find_marker(data + skip, len - skip, &search->markers[i]);
        if (!hit)
            continue;
        search->found[i] = linked_address + (uint64_t)(hit - data);
        search->missing--;
    }
    return search->missing == 0;
}

enum { MARKER_OVERLAP = 128 };

bool locate_has_markers(const struct image *image, const struct locate_marker *markers,
                        size_t count)
{
    struct marker_search search = {.markers = markers, .count = count, .missing = count};
    return count > 0 && locate_scan(image, ".rodata", MARKER_OVERLAP, search_window, &search);
}

int locate_string(const struct image *image, const char *section, struct locate_marker marker,
                  uint64_t from, uint64_t *ret_linked_address)
{
    struct marker_search search = {.markers = &marker, .count = 1, .missing = 1, .from = from};
    if (!locate_scan(image, section, MARKER_OVERLAP, search_window, &search))
        return -ENOENT;
    *ret_linked_address = search.found[0];
    return 0;
}

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

static size_t marker_count(const struct locate_rule *rule)
{
    size_t count = 0;
    while (count < LOCATE_MARKERS_MAX && rule->markers[count].head)
        count++;
    return count;
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

const struct image *locate_image(const struct target *target, const struct locate_rule *rule)
{
    const struct image *named = locate_by_name(target, rule);
    size_t count = marker_count(rule);
    if (named || count == 0 || !target->images)
        return named;
    for (size_t i = 0; i < target->images->count; i++)
        if (locate_has_markers(&target->images->items[i], rule->markers, count))
            return &target->images->items[i];
    return NULL;
}
