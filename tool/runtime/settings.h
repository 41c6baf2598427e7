// SPDX-License-Identifier: Apache-2.0
// Allocators' settings: the texts that users write, parsed as the allocator parses them. Tool
// world; pure.
//
// Sources: jemalloc's conf_next() (src/conf.c, src/jemalloc.c), gperftools' EnvToInt() and friends
// (src/base/commandlineflags.h), mimalloc's mi_option_init() (src/options.c).
#ifndef EBB_RUNTIME_SETTINGS_H
#define EBB_RUNTIME_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

// Takes the next `key:value` off a jemalloc option string. False at the end and at the first
// malformed pair, where jemalloc stops reading as well; `*ret_malformed` tells which. Keys are
// letters, digits and '_' (so a blank after a comma is malformed); values run to the next comma.
bool conf_next_pair(struct text *rest, struct text *ret_key, struct text *ret_value,
                    bool *ret_malformed);

// A number as strtoimax(base 0) takes it, the whole of the text. False else.
bool setting_number(struct text text, int64_t *ret_value);

// "true"/"false" only.
bool setting_conf_bool(struct text text, bool *ret_value);

// mimalloc: empty, 1, TRUE, YES, ON are 1; 0, FALSE, NO, OFF are 0; numbers, with KiB/MiB/GiB for
// sizes.
bool setting_mimalloc_value(struct text text, int64_t *ret_value);

// gperftools: a value that starts with one of "tTyY1" or is empty is true.
bool setting_gperftools_bool(struct text text);

// A version's leading numbers: "5.3.0-0-g54ea" gives 5, 3, 0. False without a number before the
// first dot.
struct setting_version {
    unsigned major, minor, patch;
};
bool setting_version_parse(struct text text, struct setting_version *ret_version);
// True when `version` is at least major.minor.
bool setting_version_from(const struct setting_version *version, unsigned major, unsigned minor);

// Finds jemalloc's version string ("5.3.0-0-g" and 40 letters or digits) in a piece of read-only
// data. False when it is not there; the view borrows from `data`.
bool settings_find_jemalloc_version(const char *data, size_t len, struct text *ret_version);

#endif
