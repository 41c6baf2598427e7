// SPDX-License-Identifier: Apache-2.0
// mimalloc's option table, read from the target's memory without symbols. Tool world; no state.
//
// The table is an array of {long value; int init; int index; const char *name; ...}. It is found
// through a pointer to the string "show_errors" in .data and believed when every index follows the
// one before. Source: src/options.c of 1.8 to 3.1, struct mi_option_desc_s.
#ifndef EBB_RUNTIME_ALLOCATORS_MIMALLOC_OPTIONS_H
#define EBB_RUNTIME_ALLOCATORS_MIMALLOC_OPTIONS_H

#include <stdint.h>

#include "image/image.h"
#include "runtime/target.h"

enum { MIMALLOC_OPTIONS_MAX = 96, MIMALLOC_NAME_MAX = 48 };

enum mimalloc_init { MIMALLOC_UNREAD, MIMALLOC_DEFAULT, MIMALLOC_SET };

struct mimalloc_option {
    char name[MIMALLOC_NAME_MAX];
    int64_t value;
    enum mimalloc_init init;
};

struct mimalloc_options {
    struct mimalloc_option items[MIMALLOC_OPTIONS_MAX];
    size_t count;
};

// 0; -ENOENT when no table is found; -errno of reading.
int mimalloc_options_read(const struct target *target, const struct image *image,
                          struct mimalloc_options *ret_options);

const struct mimalloc_option *mimalloc_option_find(const struct mimalloc_options *options,
                                                   const char *name);

// Adds the options that decide when memory goes back, with their sources, and sets
// FACT_GIVES_LAZILY. `options` may be empty: then only the environment speaks. 0 or -ENOMEM.
int mimalloc_options_add(const struct target *target, const struct mimalloc_options *options,
                         struct runtime_report *report);

#endif
