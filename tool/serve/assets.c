// SPDX-License-Identifier: Apache-2.0
// Finding one of the page's files, see assets.h. Tool world.
#include "serve/assets.h"

#include <string.h>

// Some twenty files: no table of hashes is worth it.
const struct asset *assets_find(const char *path)
{
    for (const struct asset *asset = assets_list(); asset->path; asset++) {
        if (strcmp(asset->path, path) == 0)
            return asset;
    }
    return NULL;
}
