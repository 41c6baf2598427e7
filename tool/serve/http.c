// SPDX-License-Identifier: Apache-2.0
// The frame: a server, its connections, and from a request to its handler; see http.h. Tool world.
#include "serve/http_internal.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

// Enough for SQLite and a survey's table; sanitizers take several times as much.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STACK_BYTES = 2 << 20 };
#else
enum { STACK_BYTES = 256 << 10 };
#endif
enum { CONNECTIONS_MAX = 64, CONNECTIONS_LEAST = 4, MEMORY_BYTES = 32 << 10 };

static const char *const method_names[] = {[HTTP_GET] = "GET", [HTTP_POST] = "POST"};

// Goes on while the host sleeps.
uint64_t http_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

// The connection that a request came on; NULL where memory for it ran out.
static struct http_connection *connection_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

// All that came on a connection so far, read or not. 0 where the system does not say.
static uint64_t received_bytes(int fd)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 ? info.tcpi_bytes_received : 0;
}

// The lock is http_tick()'s: nobody is broken off for a deadline that is just being moved.
static void set_deadline(struct http *http, struct http_connection *connection, unsigned seconds,
                         bool is_idle)
{
    if (!connection)
        return;
    uint64_t now = http_now_ns();
    pthread_mutex_lock(&http->lock);
    connection->deadline_ns = seconds ? now + seconds * UINT64_C(1000000000) : 0;
    connection->idle_since_ns = is_idle ? now : 0;
    connection->idle_bytes = is_idle ? received_bytes(connection->fd) : 0;
    pthread_mutex_unlock(&http->lock);
}

// Of the request's connection.
void http_set_deadline(struct http_request *request, unsigned seconds)
{
    set_deadline(request->http, connection_of(request->connection), seconds, false);
}

// Something was sent since it is idle, and perhaps not read or not acted upon yet: on a loaded host
// its thread just did not come to it.
static bool has_asked(const struct http_connection *connection)
{
    char byte;
    return received_bytes(connection->fd) > connection->idle_bytes ||
           recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

// Who holds a place and asks for nothing loses it to who comes, the longest wait first: from three
// quarters of the places on, so that one is free while the thread of that connection ends. With
// the lock held.
static void make_room(struct http *http)
{
    unsigned most = http->options.connections_max;
    struct http_connection *longest = NULL;
    if (http->connection_count <= most - most / 4)
        return;
    for (struct http_connection *at = http->connections; at; at = at->next) {
        if (at->idle_since_ns && (!longest || at->idle_since_ns < longest->idle_since_ns) &&
            !has_asked(at))
            longest = at;
    }
    if (!longest)
        return;
    // Its thread wakes and ends it; until then it is not chosen again.
    longest->idle_since_ns = 0;
    (void)shutdown(longest->fd, SHUT_RDWR);
}

// The descriptor is remembered so that http_tick() can end the connection under its thread's feet:
// until CLOSED was told, the number is not given again.
static void connection_started(struct http *http, struct MHD_Connection *mhd, void **socket_context)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct http_connection *connection = calloc(1, sizeof *connection);
    // Such a connection is served all the same, but for http_tick().
    if (!connection || !info) {
        free(connection);
        return;
    }
    connection->fd = info->connect_fd;
    uint64_t now = http_now_ns();
    connection->deadline_ns = now + HTTP_HEAD_S * UINT64_C(1000000000);
    connection->idle_since_ns = now;
    pthread_mutex_lock(&http->lock);
    http->connection_count++;
    // Before it is in the list: the newest is not the one to go.
    make_room(http);
    // Newest first: order does not matter to anybody.
    connection->next = http->connections;
    if (connection->next)
        connection->next->previous = connection;
    http->connections = connection;
    pthread_mutex_unlock(&http->lock);
    *socket_context = connection;
}

// Out of the list before the descriptor is closed.
static void connection_closed(struct http *http, struct http_connection *connection)
{
    if (!connection)
        return;
    // http_tick() holds the lock while it uses descriptors: behind this it has this one no more.
    pthread_mutex_lock(&http->lock);
    http->connection_count--;
    if (connection->next)
        connection->next->previous = connection->previous;
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        http->connections = connection->next;
    pthread_mutex_unlock(&http->lock);
    free(connection);
}

// MHD_NotifyConnectionCallback.
static void notify_connection(void *context, struct MHD_Connection *mhd, void **socket_context,
                              enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        connection_started(context, mhd, socket_context);
    } else {
        connection_closed(context, *socket_context);
        *socket_context = NULL;
    }
}

// shutdown() rather than close(): the connection's own thread wakes and ends it.
void http_tick(struct http *http)
{
    uint64_t now = http_now_ns();
    pthread_mutex_lock(&http->lock);
    for (struct http_connection *at = http->connections; at; at = at->next) {
        // Its thread frees it; until then it is shut again each second, which harms nothing.
        if (at->deadline_ns && at->deadline_ns < now)
            (void)shutdown(at->fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&http->lock);
}

// MHD_OPTION_URI_LOG_CALLBACK: the only place that gets the request line's target as it was sent.
// What it returns goes with the request.
static void *begin_request(void *context, const char *uri, struct MHD_Connection *connection)
{
    // 5 KiB with its body: for the time of the request.
    struct http_request *request = calloc(1, sizeof *request);
    if (!request)
        return NULL;
    request->http = context;
    request->connection = connection;
    // Judged later, behind Host and Origin: now nobody could be answered.
    request->uri_error = uri_parse(text_of(uri), &request->uri);
    return request;
}

// Paths are decoded by uri_parse() alone: libmicrohttpd's own decoding is left out.
static size_t keep_escapes(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

// MHD_RequestCompletedCallback: also for requests that broke off.
static void end_request(void *context, struct MHD_Connection *connection, void **request_context,
                        enum MHD_RequestTerminationCode code)
{
    struct http_request *request = *request_context;
    (void)code;
    // The next request may come on the same connection.
    set_deadline(context, connection_of(connection), HTTP_IDLE_S, true);
    if (request)
        http_answer_free(&request->answer);
    free(request);
    *request_context = NULL;
}

// The route of a path and method. `*ret_has_path`: the path has routes, if of other methods.
static const struct http_route *find_route(const struct http_request *request, bool *ret_has_path)
{
    const struct http_route *found = NULL;
    *ret_has_path = false;
    for (const struct http_route *route = request->http->options.routes; route->path; route++) {
        if (strcmp(route->path, request->uri.path) != 0)
            continue;
        // 404 and 405 differ in this.
        *ret_has_path = true;
        if (route->method == request->method)
            found = route;
    }
    return found;
}

// False for what no route may have.
static bool take_method(struct http_request *request, const char *method)
{
    request->is_head = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
    if (request->is_head || strcmp(method, method_names[HTTP_GET]) == 0)
        request->method = HTTP_GET;
    else if (strcmp(method, method_names[HTTP_POST]) == 0)
        request->method = HTTP_POST;
    else
        return false;
    return true;
}

// The request line. 0 or a status with `answer` filled in.
static unsigned check_line(struct http_request *request, bool is_known_method,
                           const struct http_route *route, bool has_path,
                           struct http_answer *answer)
{
    unsigned status = 0;
    // Lines that fill libmicrohttpd's own buffer have got their 414 from it.
    if (request->uri_error == -ENAMETOOLONG) {
        status = MHD_HTTP_URI_TOO_LONG;
        (void)http_answer_error(answer, status, "the path or query is too long");
    } else if (request->uri_error) {
        status = MHD_HTTP_BAD_REQUEST;
        (void)http_answer_error(answer, status, "the path or query is malformed");
        // What the method alone makes wrong, or no path of ours could take.
    } else if (!route && (has_path || !is_known_method)) {
        status = MHD_HTTP_METHOD_NOT_ALLOWED;
        (void)http_answer_error(answer, status, "this method is not for this path");
    } else if (!route) {
        status = MHD_HTTP_NOT_FOUND;
        (void)http_answer_error(answer, status, "there is nothing at this path");
    }
    return status;
}

// A handler that failed has filled in nothing, or half of it.
static void call_handler(struct http_request *request, const struct http_route *route,
                         struct http_answer *answer)
{
    int error = route->handler(request->http->options.context, request, answer);
    if (!error)
        return;
    // What a handler has begun is never sent.
    http_answer_free(answer);
    (void)http_answer_error(
        answer, error == -ENOMEM ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_INTERNAL_SERVER_ERROR,
        error == -ENOMEM ? "out of memory" : "reading failed: %s", strerror(-error));
}

// The announced length of a body, too long or no number: true.
static bool announces_too_much(const struct http_request *request)
{
    // libmicrohttpd has refused what is no number; a bound is ours.
    const char *header = http_request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    struct text rest = text_of(header ? header : "0");
    uint64_t length;
    return !text_take_u64(&rest, &length) || length > HTTP_BODY_MAX;
}

// First call for a request: its head is there. Refusals come now, before any body is read.
static enum MHD_Result begin(struct http_request *request, const char *method)
{
    struct http_answer answer = {0};
    bool has_path, is_known = take_method(request, method);
    // Of a path that did not parse, "" is left, which no route has.
    const struct http_route *route = find_route(request, &has_path);
    if (!is_known)
        route = NULL;
    // Later calls for this request bring its body, and its end.
    request->is_started = true;
    // Who may not ask is not told what there is.
    unsigned status = http_check(request, route, &answer);
    if (!status)
        status = check_line(request, is_known, route, has_path, &answer);
    if (!status && announces_too_much(request)) {
        status = MHD_HTTP_CONTENT_TOO_LARGE;
        (void)http_answer_error(&answer, status, "the body is too large");
    }
    // A body that was announced is not read any more: the connection ends behind the answer.
    if (status)
        return http_send(request, &answer);
    http_set_deadline(request, HTTP_HEAD_S);
    return MHD_YES;
}

// A piece of the body. A chunked one announces no length, so it is counted here too; the refusal
// waits for its end, as libmicrohttpd wants it.
static enum MHD_Result take_body(struct http_request *request, const char *data, size_t *data_len)
{
    if (!request->is_refused && *data_len > HTTP_BODY_MAX - request->body_len) {
        request->is_refused = true;
        (void)http_answer_error(&request->answer, MHD_HTTP_CONTENT_TOO_LARGE,
                                "the body is too large");
    }
    if (!request->is_refused) {
        memcpy(request->body + request->body_len, data, *data_len);
        request->body_len += *data_len;
    }
    // All of it was taken, kept or not.
    *data_len = 0;
    return MHD_YES;
}

// MHD_AccessHandlerCallback: once with the head, for each piece of a body, and at its end.
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *data_len, void **request_context)
{
    (void)context;
    (void)connection;
    (void)url;
    (void)version;
    struct http_request *request = *request_context;
    // Out of memory: the connection is closed.
    if (!request)
        return MHD_NO;
    if (!request->is_started)
        return begin(request, method);
    if (*data_len > 0)
        return take_body(request, data, data_len);
    // A refusal that waited for the body's end, or an empty one.
    struct http_answer answer = request->answer;
    request->answer = (struct http_answer){0};
    if (!request->is_refused) {
        bool has_path;
        // Nothing bounds how long a handler takes: it is ours.
        http_set_deadline(request, 0);
        call_handler(request, find_route(request, &has_path), &answer);
    }
    return http_send(request, &answer);
}

// libmicrohttpd wants its options as a list of arguments.
static struct MHD_Daemon *start_daemon(struct http *http, int listen_fd)
{
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
                     MHD_USE_POLL | MHD_USE_ITC;
    // libmicrohttpd asks for the family even of a socket that it is given.
    if (http->address.socket.ss_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    unsigned connections = http->options.connections_max;
    return MHD_start_daemon(
        flags, 0, NULL, NULL, handle, http, MHD_OPTION_LISTEN_SOCKET, listen_fd,
        MHD_OPTION_CONNECTION_LIMIT, connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        http->address.is_loopback ? connections : (connections + 1) / 2,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_READ_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)MEMORY_BYTES, MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_BYTES,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, begin_request, http,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_NOTIFY_CONNECTION,
        notify_connection, http, MHD_OPTION_NOTIFY_COMPLETED, end_request, http, MHD_OPTION_END);
}

// A quarter of the descriptors that this process may have: libmicrohttpd's listening thread asks
// again at once when accept() finds none, and the caller has files of its own to open.
static unsigned fitting_connections(unsigned wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur / 4 >= wanted)
        return wanted;
    return limit.rlim_cur / 4 > CONNECTIONS_LEAST ? (unsigned)(limit.rlim_cur / 4)
                                                  : CONNECTIONS_LEAST;
}

// Everything that is left out gets its default.
static void fill_in(struct http *http, const struct http_options *options,
                    const struct http_address *address)
{
    http->options = *options;
    http->address = *address;
    if (http->options.connections_max == 0)
        http->options.connections_max = CONNECTIONS_MAX;
    http->options.connections_max = fitting_connections(http->options.connections_max);
    if (http->options.streams_max == 0)
        http->options.streams_max = (http->options.connections_max + 1) / 2;
    // The caller's may be on its stack.
    if (options->token)
        text_copy(text_of(options->token), http->token, sizeof http->token);
    // For Host, where the server is reached by name.
    if (gethostname(http->own_name, sizeof http->own_name - 1) < 0)
        http->own_name[0] = '\0';
    pthread_mutex_init(&http->lock, NULL);
}

// The socket is ours at once: so a failure needs no rule of its own.
int http_start(const struct http_options *options, int listen_fd,
               const struct http_address *address, struct http **ret_http)
{
    bool is_valid = !options->token || http_token_is_valid(options->token);
    struct http *http = is_valid ? calloc(1, sizeof *http) : NULL;
    if (!http) {
        close(listen_fd);
        return is_valid ? -ENOMEM : -EINVAL;
    }
    fill_in(http, options, address);
    http->daemon = start_daemon(http, listen_fd);
    if (!http->daemon) {
        close(listen_fd);
        pthread_mutex_destroy(&http->lock);
        free(http);
        return -EAGAIN;
    }
    *ret_http = http;
    return 0;
}

// Sockets are shut first: threads that wait in a write come back, those in a pull see the flag.
void http_stop(struct http *http)
{
    if (!http)
        return;
    // Read by long answers between two pieces.
    atomic_store(&http->is_stopping, true);
    pthread_mutex_lock(&http->lock);
    for (struct http_connection *at = http->connections; at; at = at->next)
        (void)shutdown(at->fd, SHUT_RDWR);
    pthread_mutex_unlock(&http->lock);
    MHD_stop_daemon(http->daemon);
    pthread_mutex_destroy(&http->lock);
    free(http);
}

// HEAD is answered as GET; what is left out, libmicrohttpd leaves out.
enum http_method http_request_method(const struct http_request *request)
{
    return request->method;
}

// Borrowed, as the next two, until the handler returns.
const struct uri *http_request_uri(const struct http_request *request)
{
    return &request->uri;
}

// NUL-terminated behind its end.
struct text http_request_body(const struct http_request *request)
{
    return (struct text){request->body, request->body_len};
}

// Of several of one name the first.
const char *http_request_header(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}
