// SPDX-License-Identifier: Apache-2.0
// The page's files as answers. Tool world.
#include "serve/viewer_internal.h"

#include "serve/assets.h"

// Files are part of the command: they change with its build alone, and the browser asks each time
// whether they have (no-cache), so that an upgrade is seen at once.
int viewer_file(void *viewer, const struct http_request *request, struct http_answer *answer)
{
    (void)viewer;
    const struct asset *asset = assets_find(http_request_uri(request)->path);
    if (!asset)
        return http_answer_error(answer, 404, "there is nothing at this path");
    answer->type = asset->type;
    answer->asset = asset->start;
    answer->asset_len = (size_t)(asset->end - asset->start);
    answer->etag = asset->etag;
    return 0;
}

// A build without npm: the figures are there all the same.
int viewer_no_page(void *viewer, const struct http_request *request, struct http_answer *answer)
{
    static const char text[] =
        "This ebb was built without its page: that needs npm, once, while it is built.\n"
        "The figures are there: /api/about, /api/series?subject=1, /api/stream.\n";
    (void)viewer;
    (void)request;
    answer->type = "text/plain; charset=utf-8";
    return buffer_append(&answer->body, text, sizeof text - 1);
}
