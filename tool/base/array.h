// SPDX-License-Identifier: Apache-2.0
// Growth of plain C arrays by doubling. Tool world; the array's owner guards it.
#ifndef EBB_BASE_ARRAY_H
#define EBB_BASE_ARRAY_H

#include <stddef.h>

// Makes sure that `*items` has room for one more element of `item_size` bytes behind `count`.
// 0 or -ENOMEM; on failure array and capacity are unchanged. `items` points to the owner's pointer.
int array_reserve_one(void *items, size_t *capacity, size_t count, size_t item_size);

#endif
