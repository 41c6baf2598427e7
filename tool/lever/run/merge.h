// SPDX-License-Identifier: Apache-2.0
// Settings in environment variables: one key replaced, all others kept, in the syntax of whoever
// reads them. Tool world; pure.
//
// Each takes the variable's present value ("" when it is not set) and appends the new one.
// 0, -ENOMEM, -EFBIG.
#ifndef EBB_LEVER_RUN_MERGE_H
#define EBB_LEVER_RUN_MERGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

// Go's GODEBUG: "key=value,...". The last of one key counts, so that ours goes to the end. Source:
// parsegodebug() of runtime/runtime1.go.
int merge_godebug(struct text old, const char *key, const char *value, struct buffer *merged);

// jemalloc's MALLOC_CONF: "key:value,...". It stops reading at the first malformed pair, so that
// ours goes to the front, and is the only one of its key. Source: conf_next() of jemalloc.
int merge_malloc_conf(struct text old, const char *key, const char *value, struct buffer *merged);

// LD_PRELOAD: paths parted by blanks or colons. Takes out the allocators that are known by their
// file names, and puts `library` (NULL: none) to the front, since the first definition counts.
// Source: ld.so(8). The number of those taken out is added to `*ret_removed`.
int merge_preload(struct text old, const char *library, struct buffer *merged, size_t *ret_removed);

// Can LD_PRELOAD hold this path? It knows no quotes.
bool merge_preload_can_hold(const char *path);

#endif
