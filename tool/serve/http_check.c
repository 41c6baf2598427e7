// SPDX-License-Identifier: Apache-2.0
// Who may ask: Host, Origin, token. Tool world; no state.
//
// A page on another site can make its visitor's browser send requests to a loopback address. It
// cannot forge Host, Origin and Sec-Fetch-Site (forbidden header names, Fetch standard), so these
// three tell. Host alone catches DNS rebinding, where Origin and Host agree on a foreign name.
#include "serve/http_internal.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

// A header that counts is given once or not at all: of two, others might read the other.
struct counted {
    const char *name, *value;
    unsigned count;
};

// Called by libmicrohttpd for each header.
static enum MHD_Result count_header(void *context, enum MHD_ValueKind kind, const char *key,
                                    const char *value)
{
    struct counted *counted = context;
    (void)kind;
    if (strcasecmp(key, counted->name) == 0) {
        counted->count++;
        counted->value = value;
    }
    return MHD_YES;
}

// False when there are several; `*ret_value` is NULL when there is none.
static bool take_header(const struct http_request *request, const char *name,
                        const char **ret_value)
{
    struct counted counted = {.name = name};
    MHD_get_connection_values(request->connection, MHD_HEADER_KIND, count_header, &counted);
    *ret_value = counted.value;
    return counted.count <= 1;
}

// Letters' case does not matter in names.
static bool name_is(struct text name, const char *other)
{
    return other[0] && name.len == strlen(other) && strncasecmp(name.data, other, name.len) == 0;
}

// A server on 0.0.0.0 or [::] is reached by any address of the host. An address as a name cannot be
// rebound, so whichever it is, it is ours.
static bool is_everywhere(const struct http_address *address)
{
    const struct sockaddr_storage *socket = &address->socket;
    if (socket->ss_family == AF_INET6)
        return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)socket)->sin6_addr) != 0;
    return ((const struct sockaddr_in *)socket)->sin_addr.s_addr == htonl(INADDR_ANY);
}

// The names that this server goes by.
static bool knows_host(const struct http *http, struct text name, bool is_address)
{
    // localhost and its two addresses cannot be rebound: browsers and resolvers see to that.
    char own[HTTP_ADDRESS_TEXT_MAX];
    struct text own_name;
    bool own_is_address;
    if (http->options.any_host || name_is(name, "localhost") || name_is(name, "127.0.0.1") ||
        name_is(name, "::1"))
        return true;
    http_address_format(&http->address, own);
    if (uri_take_host(text_of(own), &own_name, &own_is_address) && own_name.len == name.len &&
        memcmp(own_name.data, name.data, name.len) == 0)
        return true;
    // Nobody else's name leads to a loopback address honestly.
    if (http->address.is_loopback)
        return false;
    return (is_address && is_everywhere(&http->address)) || name_is(name, http->own_name);
}

// Is the origin just the host that was asked? Only http: we speak nothing else.
static bool is_own_origin(const char *origin, const char *host)
{
    struct text rest = text_of(origin);
    return text_take_prefix(&rest, "http://") && name_is(rest, host);
}

// A link or bookmark that leads here is no request of a foreign page's script: the page it opens is
// empty until it has asked for data itself.
static bool is_visit(const struct http_request *request, const struct http_route *route)
{
    const char *mode = http_request_header(request, "Sec-Fetch-Mode");
    const char *target = http_request_header(request, "Sec-Fetch-Dest");
    return route && route->is_public && request->method == HTTP_GET && mode && target &&
           strcmp(mode, "navigate") == 0 && strcmp(target, "document") == 0;
}

// 0 or 403. Programs send neither header.
static unsigned check_origin(const struct http_request *request, const struct http_route *route,
                             const char *host)
{
    const char *origin, *site;
    if (!take_header(request, "Origin", &origin) || !take_header(request, "Sec-Fetch-Site", &site))
        return MHD_HTTP_FORBIDDEN;
    // Sent with every POST and every cross-origin request; "null" is foreign too.
    if (origin && !is_own_origin(origin, host))
        return MHD_HTTP_FORBIDDEN;
    // Older browsers and programs send none; "none" is an address that was typed.
    if (!site || strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0)
        return 0;
    return is_visit(request, route) ? 0 : MHD_HTTP_FORBIDDEN;
}

// 0 or 401.
static unsigned check_token(const struct http_request *request, const struct http_route *route)
{
    const char *header;
    struct text token;
    // What is not there needs no token to be told so: then 404 comes before 401.
    if (!request->http->token[0] || !route || route->is_public)
        return 0;
    if (!take_header(request, MHD_HTTP_HEADER_AUTHORIZATION, &header) || !header ||
        !uri_take_bearer(text_of(header), &token) || !uri_token_equals(token, request->http->token))
        return MHD_HTTP_UNAUTHORIZED;
    return 0;
}

// Host first: to who asks under a foreign name nothing else is told.
unsigned http_check(struct http_request *request, const struct http_route *route,
                    struct http_answer *answer)
{
    const char *host;
    struct text name;
    bool is_address;
    if (!take_header(request, MHD_HTTP_HEADER_HOST, &host) || !host ||
        !uri_take_host(text_of(host), &name, &is_address) ||
        !knows_host(request->http, name, is_address)) {
        (void)http_answer_error(answer, MHD_HTTP_MISDIRECTED_REQUEST,
                                "this server has another name: open it as localhost, or at the "
                                "address that it listens on");
        return MHD_HTTP_MISDIRECTED_REQUEST;
    }
    if (check_origin(request, route, host)) {
        (void)http_answer_error(answer, MHD_HTTP_FORBIDDEN,
                                "requests of other sites' pages are not answered");
        return MHD_HTTP_FORBIDDEN;
    }
    if (check_token(request, route)) {
        (void)http_answer_error(answer, MHD_HTTP_UNAUTHORIZED,
                                "the token is missing or wrong: open the address that was printed, "
                                "with all behind its '#'");
        return MHD_HTTP_UNAUTHORIZED;
    }
    return 0;
}
