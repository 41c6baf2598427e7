// SPDX-License-Identifier: Apache-2.0
// Growth of plain C arrays, see array.h. Tool world.
#include "base/array.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int array_reserve_one(void *items, size_t *capacity, size_t count, size_t item_size)
{
    if (count < *capacity)
        return 0;
    // Doubling: appending n elements copies at most 2 n of them.
    size_t wanted = *capacity ? *capacity * 2 : 16;
    // Sizes stay below PTRDIFF_MAX, so that pointers into the array can be subtracted.
    if (wanted > SIZE_MAX / 2 / item_size)
        return -ENOMEM;
    // The owner's pointer has any object type, so it is moved as bytes.
    void *old;
    memcpy(&old, items, sizeof old);
    void *grown = realloc(old, wanted * item_size);
    if (!grown)
        return -ENOMEM;
    memcpy(items, &grown, sizeof grown);
    *capacity = wanted;
    // The owner has it now, by way of the bytes copied above.
    // cppcheck-suppress memleak
    return 0;
}
