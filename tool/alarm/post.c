// SPDX-License-Identifier: Apache-2.0
// A POST over plain HTTP, see post.h. Tool world; no state.
#include "alarm/post.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "alarm/clock.h"
#include "alarm/resolve.h"
#include "base/buffer.h"

// Long enough for any status line with headers that matter to nobody here.
enum { ANSWER_MAX = 4096, LOOK_MS = 100 };

// What cannot stand in a request line or a header unescaped is refused and not repaired: a line
// break would begin a header of somebody else's choice.
static bool is_plain(struct text url)
{
    for (size_t i = 0; i < url.len; i++) {
        if (url.data[i] <= ' ' || url.data[i] > '~' || strchr("\"<>\\^`{|}#", url.data[i]))
            return false;
    }
    return true;
}

// "[::1]" or a name, off the front of the authority.
static bool take_host(struct text *authority, struct post_url *url)
{
    struct text host = {authority->data, 0};
    // A colon ends a name; in an address of version 6 it is part of it.
    char end = ':';
    if (text_take_prefix(authority, "[")) {
        host.data = authority->data;
        end = ']';
    }
    while (host.len < authority->len && authority->data[host.len] != end)
        host.len++;
    // A bracket must be closed.
    if (end == ']' && host.len == authority->len)
        return false;
    size_t used = host.len + (end == ']');
    authority->data += used;
    authority->len -= used;
    return host.len > 0 && text_copy(host, url->host, sizeof url->host);
}

// Nothing may follow it: "http://host:80x/" is a slip.
static bool take_port(struct text authority, struct post_url *url)
{
    // What the schemes have where none is given.
    uint64_t port = url->is_https ? 443 : 80;
    if (text_take_prefix(&authority, ":") && !text_take_u64(&authority, &port))
        return false;
    if (authority.len > 0 || port == 0 || port > 65535)
        return false;
    snprintf(url->port, sizeof url->port, "%u", (unsigned)port);
    return true;
}

// The authority ends at the path or, without one, at the query.
int post_parse_url(struct text text, struct post_url *ret_url)
{
    struct post_url url = {0};
    if (!is_plain(text))
        return -EINVAL;
    url.is_https = text_take_prefix(&text, "https://");
    if (!url.is_https && !text_take_prefix(&text, "http://"))
        return -EINVAL;
    // Host and port, up to what the server is asked for.
    struct text authority = {text.data, 0};
    while (authority.len < text.len && !strchr("/?", text.data[authority.len]))
        authority.len++;
    struct text path = {text.data + authority.len, text.len - authority.len};
    // Its owner would find the password in every listing of processes.
    if (text_contains(authority, "@"))
        return -EINVAL;
    if (path.len + 2 > sizeof url.path || authority.len >= sizeof url.host)
        return -ENAMETOOLONG;
    // A query may follow the host at once; a request line has a path all the same.
    bool has_slash = path.len > 0 && path.data[0] == '/';
    text_format(url.path, sizeof url.path, "%s%.*s", has_slash ? "" : "/", (int)path.len,
                path.data);
    if (!take_host(&authority, &url) || !take_port(authority, &url))
        return -EINVAL;
    *ret_url = url;
    return 0;
}

// HTTP/1.0 and 1.1 alone: that is what such a request is answered with.
int post_parse_status(struct text line)
{
    uint64_t minor, status;
    if (!text_take_prefix(&line, "HTTP/1.") || !text_take_u64(&line, &minor) ||
        !text_take_prefix(&line, " ") || !text_take_u64(&line, &status) || status < 100 ||
        status > 599)
        return -EBADMSG;
    return (int)status;
}

// One exchange: how long it may still take, and who may end it.
struct exchange {
    int fd;
    uint64_t deadline_ms;
    const atomic_bool *cancelled;
};

// Waits until the socket is ready. In short steps, to see whether it was cancelled.
static int wait_ready(const struct exchange *exchange, short events)
{
    // The deadline is for the whole exchange, however slowly its bytes drip in.
    while (alarm_clock_ms() < exchange->deadline_ms) {
        struct pollfd poll_fd = {.fd = exchange->fd, .events = events};
        int ready = poll(&poll_fd, 1, LOOK_MS);
        if (ready > 0)
            return 0;
        if (ready < 0 && errno != EINTR)
            return -errno;
        if (atomic_load(exchange->cancelled))
            return -ECANCELED;
    }
    return -ETIMEDOUT;
}

// Not blocking, so that the time that is left bounds the handshake as well.
static int connect_to(struct exchange *exchange, const struct addrinfo *address)
{
    int failure = 0;
    socklen_t len = sizeof failure;
    // Closed by exec: a command of another alarm must not hold it.
    exchange->fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (exchange->fd < 0)
        return -errno;
    int error = connect(exchange->fd, address->ai_addr, address->ai_addrlen) < 0 ? -errno : 0;
    if (error == -EINPROGRESS)
        error = wait_ready(exchange, POLLOUT);
    // Ready says that it is over, not that it went well.
    if (!error && getsockopt(exchange->fd, SOL_SOCKET, SO_ERROR, &failure, &len) == 0)
        error = -failure;
    if (error)
        close(exchange->fd);
    return error;
}

// The first address that answers; a name often has one that nobody listens on.
static int connect_any(struct exchange *exchange, const struct post_url *url)
{
    struct addrinfo *addresses;
    int error =
        resolve_host(url->host, url->port, exchange->deadline_ms, exchange->cancelled, &addresses);
    if (error)
        return error;
    error = -ENOENT;
    for (const struct addrinfo *address = addresses; address; address = address->ai_next) {
        error = connect_to(exchange, address);
        if (!error || error == -ETIMEDOUT || error == -ECANCELED)
            break;
    }
    freeaddrinfo(addresses);
    return error;
}

// A socket's buffer may be smaller than the message.
static int send_all(const struct exchange *exchange, struct text text)
{
    while (text.len > 0) {
        // Without the signal: a hook that hangs up is a failure and not our end.
        ssize_t sent = send(exchange->fd, text.data, text.len, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN) {
            int error = wait_ready(exchange, POLLOUT);
            if (error)
                return error;
            continue;
        }
        if (sent < 0)
            return -errno;
        text.data += sent;
        text.len -= (size_t)sent;
    }
    return 0;
}

// Has the line of a final answer come, and is at the front? Interim ones (100 Continue) say that it
// is still to come, and go with their headers.
static bool has_answer(struct text *rest)
{
    for (;;) {
        if (!memchr(rest->data, '\n', rest->len))
            return false;
        int status = post_parse_status(*rest);
        if (status < 100 || status > 199)
            return true;
        const char *end = memmem(rest->data, rest->len, "\r\n\r\n", 4);
        if (!end)
            return false;
        rest->len -= (size_t)(end + 4 - rest->data);
        rest->data = end + 4;
    }
}

// Only the status line matters; what comes behind it is left to the kernel.
static int receive_status(const struct exchange *exchange)
{
    char answer[ANSWER_MAX] = "";
    size_t len = 0;
    struct text rest = {answer, 0};
    // A line that has no end within that is no HTTP.
    while (len < sizeof answer && !has_answer(&rest)) {
        int error = wait_ready(exchange, POLLIN);
        if (error)
            return error;
        ssize_t got = recv(exchange->fd, answer + len, sizeof answer - len, 0);
        if (got < 0 && errno != EINTR && errno != EAGAIN)
            return -errno;
        if (got == 0)
            break;
        len += got > 0 ? (size_t)got : 0;
        rest.len += got > 0 ? (size_t)got : 0;
    }
    return post_parse_status(rest);
}

// Host has the port always, which RFC 9110 allows; an address of version 6 goes into brackets.
static int write_request(const struct post_url *url, struct text body, struct buffer *request)
{
    bool is_address = strchr(url->host, ':') != NULL;
    int error = buffer_printf(request,
                              "POST %s HTTP/1.1\r\nHost: %s%s%s:%s\r\nUser-Agent: ebb/%s\r\n"
                              "Content-Type: application/json\r\nContent-Length: %zu\r\n"
                              "Connection: close\r\n\r\n",
                              url->path, is_address ? "[" : "", url->host, is_address ? "]" : "",
                              url->port, EBB_VERSION, body.len);
    return error ? error : buffer_append(request, body.data, body.len);
}

int post_send(const struct post_url *url, struct text body, unsigned timeout_ms,
              const atomic_bool *cancelled, int *ret_status)
{
    // From here on the clock runs.
    struct exchange exchange = {
        .deadline_ms = alarm_clock_ms() + timeout_ms,
        .cancelled = cancelled,
    };
    struct buffer request = {0};
    int error = write_request(url, body, &request);
    if (!error)
        error = connect_any(&exchange, url);
    if (!error) {
        error = send_all(&exchange, buffer_text(&request));
        // Once sent, only the answer tells whether somebody has it.
        int status = error ? error : receive_status(&exchange);
        if (status >= 0)
            *ret_status = status;
        error = status < 0 ? status : 0;
        close(exchange.fd);
    }
    buffer_free(&request);
    return error;
}
