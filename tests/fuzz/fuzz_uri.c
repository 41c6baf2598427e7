// SPDX-License-Identifier: Apache-2.0
// Fuzz target: request targets, queries, hosts, tokens, addresses to listen on, /proc/net/tcp. Test
// code; no state.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proc/listener.h"
#ifdef EBB_WITH_HTTP
#include "serve/http.h"
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes);

#ifdef EBB_WITH_HTTP
// What was taken must keep the header's promises.
static void check_uri(struct text text)
{
    struct uri uri;
    uint64_t number = 0;
    int64_t moment = 0;
    if (uri_parse(text, &uri) < 0)
        return;
    if (uri.path[0] != '/' || strstr(uri.path, "/../") || strstr(uri.path, "//"))
        abort();
    for (size_t i = 0; i < uri.parameter_count; i++) {
        if (!uri_is_utf8(text_of(uri.parameters[i].value)))
            abort();
        (void)uri_take_u64(&uri, uri.parameters[i].name, 1000, &number);
        (void)uri_take_moment(&uri, uri.parameters[i].name, &moment);
    }
    if (number > 1000 || moment > INT64_MAX / 4)
        abort();
}

static void check_host(struct text text)
{
    struct text name;
    bool is_address;
    struct http_address address;
    char shown[HTTP_ADDRESS_TEXT_MAX];
    if (uri_take_host(text, &name, &is_address) && (name.len == 0 || name.len > text.len))
        abort();
    if (http_address_parse(text, 1, &address) == 0)
        http_address_format(&address, shown);
    if (uri_take_bearer(text, &name) &&
        uri_token_equals(name, "0123456789") != text_equals(name, "0123456789"))
        abort();
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes)
{
    struct text text = {(const char *)data, length_bytes};
    uint64_t inode;
    (void)listener_parse(text, 7878, &inode);
#ifdef EBB_WITH_HTTP
    check_uri(text);
    check_host(text);
#endif
    return 0;
}
