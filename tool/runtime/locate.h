// SPDX-License-Identifier: Apache-2.0
// Finding an allocator or a managed runtime among a target's images, also in a stripped one. Tool
// world; no state.
//
// Two ways, the cheaper first: the file's name, then texts in read-only data that the runtime's
// code cannot do without, which survive stripping. Each rule names at least two such texts, whole
// messages or option names, so that a program that merely speaks of an allocator is not taken for
// it.
#ifndef EBB_RUNTIME_LOCATE_H
#define EBB_RUNTIME_LOCATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "runtime/target.h"

// A text to look for, in two halves: this program's own read-only data never holds the whole of it.
struct locate_marker {
    const char *head, *tail;
};

enum { LOCATE_MARKERS_MAX = 4, LOCATE_NAMES_MAX = 4 };

struct locate_rule {
    const char *names[LOCATE_NAMES_MAX];              // starts of file names: "libjemalloc.so"
    struct locate_marker markers[LOCATE_MARKERS_MAX]; // all of them must be there
};

// The image that holds the runtime, or NULL. Cost: a pass over the read-only data of every image
// that is not known by name, each up to LOCATE_SECTION_MAX bytes.
const struct image *locate_image(const struct target *target, const struct locate_rule *rule);

// The same, by file names alone. `rule->markers` is not looked at.
const struct image *locate_by_name(const struct target *target, const struct locate_rule *rule);

// True when the image holds every marker.
bool locate_has_markers(const struct image *image, const struct locate_marker *markers,
                        size_t count);

enum { LOCATE_SECTION_MAX = 64 << 20 };

// Calls `visit` with windows of a section's bytes, overlapping by `overlap` bytes, until it returns
// true or the section (or LOCATE_SECTION_MAX) ends. True when `visit` did.
typedef bool locate_visit(void *context, const char *data, size_t len, uint64_t linked_address);
bool locate_scan(const struct image *image, const char *section, size_t overlap,
                 locate_visit *visit, void *context);

// Finds head+tail in `section` from `from` on. 0 and its linked address; -ENOENT.
int locate_string(const struct image *image, const char *section, struct locate_marker marker,
                  uint64_t from, uint64_t *ret_linked_address);

// The text at a linked address, up to a NUL, at most `size - 1` bytes; unprintable bytes end it. 0
// or -errno.
int locate_read_string(const struct image *image, uint64_t linked_address, char *ret_string,
                       size_t size);

// The last component of a path.
const char *locate_file_name(const char *path);

#endif
