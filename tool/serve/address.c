// SPDX-License-Identifier: Apache-2.0
// Addresses to listen on, and listening, see http.h. Tool world; no state.
#include "serve/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

// Browsers open several connections at once.
enum { BACKLOG = 32, PORT_LARGEST = 65535 };

// The part in front of the port, without brackets. False for brackets that do not match.
static bool take_name(struct text *rest, struct text *ret_name)
{
    bool in_brackets = text_take_prefix(rest, "[");
    const char *end = rest->len > 0 ? memchr(rest->data, in_brackets ? ']' : ':', rest->len) : NULL;
    if (in_brackets && !end)
        return false;
    size_t len = end ? (size_t)(end - rest->data) : rest->len;
    *ret_name = (struct text){rest->data, len};
    *rest = (struct text){rest->data + len, rest->len - len};
    if (in_brackets)
        (void)text_take_prefix(rest, "]");
    return true;
}

// An address of either family; names are not looked up, since they may mean several addresses.
static int parse_name(struct text name, struct http_address *address)
{
    // inet_pton() wants its text terminated.
    char shown[INET6_ADDRSTRLEN];
    struct sockaddr_in *v4 = (struct sockaddr_in *)&address->socket;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address->socket;
    // ":8080" is loopback, not all addresses: a slip must not open a port to others.
    if (name.len == 0 || text_equals(name, "localhost"))
        name = text_of("127.0.0.1");
    if (!text_copy(name, shown, sizeof shown))
        return -EINVAL;
    if (inet_pton(AF_INET, shown, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        address->len = sizeof *v4;
        // 127.0.0.0/8, RFC 1122.
        address->is_loopback = ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    } else if (inet_pton(AF_INET6, shown, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        address->len = sizeof *v6;
        address->is_loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) != 0;
    } else {
        return -EINVAL;
    }
    return 0;
}

// The port, in both places.
static void set_port(struct http_address *address, unsigned port)
{
    address->port = port;
    if (address->socket.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&address->socket)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)&address->socket)->sin_port = htons((uint16_t)port);
}

// Digits alone are a port: nobody means the address 0.0.35.40.
int http_address_parse(struct text text, unsigned port, struct http_address *ret_address)
{
    struct http_address address;
    // What the kernel is given must have no rests of the stack in it.
    memset(&address, 0, sizeof address);
    struct text rest = text, name = {NULL, 0};
    uint64_t number = port;
    // "127.0.0.1" begins with a number as well, and goes on.
    bool is_bare = text_take_u64(&rest, &number) && rest.len == 0;
    if (!is_bare) {
        rest = text;
        number = port;
        if (text.len == 0 || !take_name(&rest, &name))
            return -EINVAL;
        if (text_take_prefix(&rest, ":") && !text_take_u64(&rest, &number))
            return -EINVAL;
        if (rest.len > 0)
            return -EINVAL;
    }
    int error = parse_name(name, &address);
    if (error)
        return error;
    // Last, so that the form is judged before the number.
    if (number > PORT_LARGEST)
        return -ERANGE;
    set_port(&address, (unsigned)number);
    *ret_address = address;
    return 0;
}

// As it stands in a URL.
void http_address_format(const struct http_address *address, char ret_text[HTTP_ADDRESS_TEXT_MAX])
{
    char name[INET6_ADDRSTRLEN] = "?";
    bool is_v6 = address->socket.ss_family == AF_INET6;
    const void *bytes =
        is_v6 ? (const void *)&((const struct sockaddr_in6 *)&address->socket)->sin6_addr
              : (const void *)&((const struct sockaddr_in *)&address->socket)->sin_addr;
    (void)inet_ntop(address->socket.ss_family, bytes, name, sizeof name);
    text_format(ret_text, HTTP_ADDRESS_TEXT_MAX, is_v6 ? "[%s]:%u" : "%s:%u", name, address->port);
}

// Which port port 0 became.
static int read_port(int fd, struct http_address *address)
{
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    if (getsockname(fd, (struct sockaddr *)&bound, &len) < 0)
        return -errno;
    // As the kernel has it, with the family's own port in its place.
    address->socket = bound;
    set_port(address,
             ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                               : ((struct sockaddr_in *)&bound)->sin_port));
    return 0;
}

// SO_REUSEADDR: connections of a server that has just ended do not count as a port in use.
int http_listen(struct http_address *address)
{
    int fd = socket(address->socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int yes = 1;
    // Not SO_REUSEPORT: two servers on one port would share its connections.
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    // "[::]" means IPv6 alone, whatever the host's default is.
    if (address->socket.ss_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
    int error = 0;
    // listen() may be the one to find the port in use.
    if (bind(fd, (const struct sockaddr *)&address->socket, address->len) < 0 ||
        listen(fd, BACKLOG) < 0)
        error = -errno;
    if (!error)
        error = read_port(fd, address);
    if (error) {
        close(fd);
        return error;
    }
    return fd;
}

// The next ones first: a second page of the same user has an address near the first one's.
int http_listen_near(struct http_address *address, unsigned tries)
{
    unsigned first = address->port;
    int fd = -EADDRINUSE;
    // Any other failure would be the same at the next port.
    for (unsigned i = 0; i < tries && fd == -EADDRINUSE && first + i <= PORT_LARGEST; i++) {
        set_port(address, first + i);
        fd = http_listen(address);
    }
    return fd;
}
