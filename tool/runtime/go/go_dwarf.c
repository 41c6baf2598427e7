// SPDX-License-Identifier: Apache-2.0
#include "runtime/go/go_dwarf.h"
#include <errno.h>
int go_dwarf_locate(const struct target *target, const struct image *image,
                    struct go_runtime *runtime)
{
    (void)target;
    (void)image;
    (void)runtime;
    return -ENOENT;
}
