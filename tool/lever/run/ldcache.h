// SPDX-License-Identifier: Apache-2.0
// The list of libraries that ldconfig(8) keeps for the dynamic loader. Tool world; pure.
//
// Source: glibc's sysdeps/generic/dl-cache.h, the format "glibc-ld.so.cache1.1" of 2.2 and later,
// which may stand behind the older "ld.so-1.7.0".
#ifndef EBB_LEVER_RUN_LDCACHE_H
#define EBB_LEVER_RUN_LDCACHE_H

#include <stdbool.h>

#include "base/text.h"

struct ldcache {
    struct text data; // from the new format's header on
    size_t count, next;
};

// 0, -EBADMSG when the file is of no known format.
int ldcache_open(struct text file, struct ldcache *ret_cache);

// Takes the next library: its soname and its path, views into the file. False at the end. Entries
// that lead out of the file are left out.
bool ldcache_next(struct ldcache *cache, struct text *ret_soname, struct text *ret_path);

#endif
