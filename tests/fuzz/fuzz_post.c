// SPDX-License-Identifier: Apache-2.0
// Fuzz target: a web hook's URL, and the status line of its answer.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "alarm/post.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct text text = {(const char *)data, size};
    struct post_url url;
    // Nothing of it may end a header's line or begin another one.
    if (post_parse_url(text, &url) == 0 &&
        (url.path[0] != '/' || url.host[0] == '\0' || strpbrk(url.path, "\r\n \t") ||
         strpbrk(url.host, "\r\n /@") || atoi(url.port) < 1 || atoi(url.port) > 65535))
        abort();
    int status = post_parse_status(text);
    if (status >= 0 && (status < 100 || status > 599))
        abort();
    return 0;
}
