// SPDX-License-Identifier: Apache-2.0
// Finding an allocator or a managed runtime among a target's images, also in a stripped one. Tool
// world; no state but the cache that the target lends.
//
// Three steps, the cheaper first: the file's name; texts in read-only data that the runtime's code
// cannot do without, which survive stripping; and, since any program may speak of an allocator, a
// proof that no text can fake: a symbol, a table in memory, the size that the runtime must have.
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

// The texts that one pass over an image looks for, as bits of a set.
enum locate_mark {
    MARK_JEMALLOC_CONF = 1 << 0,     // what it says of a malformed option string
    MARK_JEMALLOC_MUNMAP = 1 << 1,   // of a failed munmap()
    MARK_TCMALLOC_FREE = 1 << 2,     // gperftools: of an invalid pointer
    MARK_TCMALLOC_FREELIST = 1 << 3, // gperftools: a line of its statistics
    MARK_TCMALLOC_RATE = 1 << 4,     // gperftools: a variable's name
    MARK_TCMALLOC_PER_CPU = 1 << 5,  // Google's: a property that gperftools lacks
    MARK_TCMALLOC_UNMAPPED = 1 << 6, // a property of both
    MARK_MIMALLOC_ERROR = 1 << 7,    // the start of all its messages
    MARK_MIMALLOC_OPTION = 1 << 8,   // what it says of an invalid option
    MARK_V8_OLD_SPACE = 1 << 9,      // a flag's help
    MARK_V8_SEMI_SPACE = 1 << 10,    // another flag's name
    MARK_MUSL_LOOP = 1 << 11,        // errors as strerror() words them in no other C library
    MARK_MUSL_NO_ERROR = 1 << 12,
    MARK_MUSL_LONG_NAME = 1 << 13,
    MARK_GLIBC_FREE = 1 << 14, // what free() says of an invalid pointer
    MARK_LIBEBB = 1 << 15,     // the banner
};

enum { LOCATE_NAMES_MAX = 4 };

// No two rules share a mark.
struct locate_rule {
    const char *names[LOCATE_NAMES_MAX]; // starts of file names: "libjemalloc.so"
    uint32_t marks;                      // enum locate_mark, all of them; 0: by name alone
    // Is it the runtime, and no program that only holds its texts? Asked once per image that has
    // all marks and is not known by name. NULL: the marks are proof enough.
    bool (*proves)(const struct target *target, const struct image *image);
};

// What is known of each image, by its index; the registry lends one to all readers of a target.
// Zeros: nothing yet.
struct locate_cache {
    bool is_filled;
    struct locate_found {
        uint32_t marks;  // texts that are in it
        uint32_t proven; // marks of the rules that it was proven to be
    } found[IMAGES_MAX];
};

enum { LOCATE_SECTION_MAX = 64 << 20, LOCATE_ALL_MAX = 512 << 20 };

// The image that holds the runtime, or NULL: by name first, else by marks and proof. Cost: the
// first call for a target goes once over the read-only data of every image, each up to
// LOCATE_SECTION_MAX bytes and all together up to LOCATE_ALL_MAX, for all rules; the others look it
// up. Without a cache in the target every call goes over all of it.
const struct image *locate_image(const struct target *target, const struct locate_rule *rule);

// The same, by file names alone.
const struct image *locate_by_name(const struct target *target, const struct locate_rule *rule);

// True when `image`, one of the target's, has the rule's marks and passes its proof. Names are not
// looked at.
bool locate_fits(const struct target *target, const struct image *image,
                 const struct locate_rule *rule);

// A proof for those that always take the place of malloc(): the image defines it. True as well
// where nothing can tell, in a static program without symbols. Cost: a walk of the symbols.
bool locate_defines_malloc(const struct image *image);

// Looks for all marks in the read-only data of an image, up to `*budget_bytes`, which is counted
// down; in one without a section table, in all segments that are not written. Returns the set.
uint32_t locate_search(const struct image *image, uint64_t *budget_bytes);

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
