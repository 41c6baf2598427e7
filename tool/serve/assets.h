// SPDX-License-Identifier: Apache-2.0
// The page's files, embedded in the command. Tool world; constant.
//
// tool/serve/assets.cmake makes the table from web/ and from uPlot; a build without npm has an
// empty one.
#ifndef EBB_SERVE_ASSETS_H
#define EBB_SERVE_ASSETS_H

#include <stddef.h>

struct asset {
    const char *path; // "/", "/app.js"
    const char *type; // Content-Type
    const char *etag; // in quotes
    const unsigned char *start, *end;
};

// All files; NULL as path ends them. Thread-safe.
const struct asset *assets_list(void);
// One of them, or NULL.
const struct asset *assets_find(const char *path);

#endif
