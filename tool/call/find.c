// SPDX-License-Identifier: Apache-2.0
// Functions by name, see call_find_function() in call.h. Tool world; no state.
#include <elf.h>
#include <errno.h>

#include "call/call.h"

// A symbol may say anything: what is called must be code of this image.
static bool is_code(const struct image *image, uint64_t linked_address)
{
    for (size_t i = 0; i < image->segment_count; i++) {
        const struct image_segment *segment = &image->segments[i];
        if ((segment->flags & PF_X) && linked_address >= segment->address &&
            linked_address - segment->address < segment->memory_bytes)
            return true;
    }
    return false;
}

// A pass for each name: they are one or two. An indirect function (STT_GNU_IFUNC) is no function
// but chooses one, and is passed over.
static int find_in_image(const struct image *image, const char *const *names, uint64_t *ret_address)
{
    for (size_t i = 0; names[i]; i++) {
        struct image_symbol symbol;
        int found = image_find_symbols(image, &names[i], 1, &symbol);
        if (found < 0)
            return found;
        if (found == 1 && symbol.type == STT_FUNC && is_code(image, symbol.value)) {
            *ret_address = image->bias + symbol.value;
            return 0;
        }
    }
    return -ENOENT;
}

// The executable comes first: its own copy is the one it uses. An image that cannot be read is as
// one that lacks them.
int call_find_function(const struct images *images, const char *const *names, uint64_t *ret_address,
                       const struct image **ret_image)
{
    for (size_t i = 0; i < images->count; i++) {
        if (find_in_image(&images->items[i], names, ret_address) != 0)
            continue;
        if (ret_image)
            *ret_image = &images->items[i];
        return 0;
    }
    return -ENOENT;
}
