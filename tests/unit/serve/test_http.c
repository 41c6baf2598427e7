// SPDX-License-Identifier: Apache-2.0
// Unit tests of the HTTP frame and of streams over real sockets, many clients at once. Test world.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "serve/stream.h"

enum { PIECES = 50, CLIENTS = 8 };

// What the handlers share.
struct site {
    struct http *http;
    struct http_address address;
    struct stream *stream;
    atomic_uint pulls_open;
};

static int get_plain(void *context, const struct http_request *request, struct http_answer *answer)
{
    (void)context;
    const char *name = uri_find(http_request_uri(request), "name");
    answer->type = "text/plain";
    return buffer_printf(&answer->body, "hello %s", name ? name : "you");
}

static int post_echo(void *context, const struct http_request *request, struct http_answer *answer)
{
    (void)context;
    struct text body = http_request_body(request);
    return buffer_append(&answer->body, body.data, body.len);
}

// Half an answer, then a failure: nothing of it may be sent.
static int get_failure(void *context, const struct http_request *request,
                       struct http_answer *answer)
{
    (void)context;
    (void)buffer_append(&answer->body, "half", 4);
    return uri_find(http_request_uri(request), "memory") ? -ENOMEM : -EIO;
}

struct pieces {
    struct site *site;
    unsigned left;
};

static int pull_piece(void *context, struct buffer *piece)
{
    struct pieces *pieces = context;
    if (pieces->left-- == 0)
        return 1;
    return buffer_printf(piece, "%u ", pieces->left);
}

static int pull_failure(void *context, struct buffer *piece)
{
    struct pieces *pieces = context;
    return pieces->left-- < PIECES - 3 ? -EIO : buffer_append(piece, "part", 4);
}

static void free_pieces(void *context)
{
    struct pieces *pieces = context;
    atomic_fetch_sub(&pieces->site->pulls_open, 1);
    free(pieces);
}

static int get_long(void *context, const struct http_request *request, struct http_answer *answer)
{
    struct pieces *pieces = malloc(sizeof *pieces);
    *pieces = (struct pieces){.site = context, .left = PIECES};
    atomic_fetch_add(&pieces->site->pulls_open, 1);
    answer->pull = uri_find(http_request_uri(request), "fail") ? pull_failure : pull_piece;
    answer->pull_context = pieces;
    answer->pull_free = free_pieces;
    return 0;
}

static int get_stream(void *context, const struct http_request *request, struct http_answer *answer)
{
    struct site *site = context;
    (void)request;
    return stream_answer(site->stream, answer);
}

// More than the kernel takes of an answer that nobody reads.
static int get_large(void *context, const struct http_request *request, struct http_answer *answer)
{
    enum { LARGE_BYTES = 16 << 20 };
    char *large = calloc(1, LARGE_BYTES);
    (void)context;
    (void)request;
    int error = buffer_append(&answer->body, large, LARGE_BYTES);
    free(large);
    return error;
}

static int get_asset(void *context, const struct http_request *request, struct http_answer *answer)
{
    static const char asset[] = "an asset";
    (void)context;
    (void)request;
    answer->asset = asset;
    answer->asset_len = sizeof asset - 1;
    answer->etag = "\"tag\"";
    return 0;
}

static const struct http_route routes[] = {
    {.path = "/plain", .handler = get_plain},
    {.path = "/echo", .method = HTTP_POST, .handler = post_echo},
    {.path = "/failure", .handler = get_failure},
    {.path = "/long", .handler = get_long},
    {.path = "/large", .handler = get_large},
    {.path = "/stream", .handler = get_stream},
    {.path = "/asset", .is_public = true, .handler = get_asset},
    {.path = NULL},
};

static void open_site(struct site *site, const char *token, unsigned streams_max)
{
    memset(site, 0, sizeof *site);
    assert_int_equal(http_address_parse(text_of("127.0.0.1:0"), 0, &site->address), 0);
    int fd = http_listen(&site->address);
    assert_true(fd >= 0);
    assert_int_not_equal(site->address.port, 0);
    assert_int_equal(stream_new(&site->stream), 0);
    struct http_options options = {
        .routes = routes, .context = site, .token = token, .streams_max = streams_max};
    assert_int_equal(http_start(&options, fd, &site->address, &site->http), 0);
}

static void close_site(struct site *site)
{
    stream_end(site->stream);
    http_stop(site->http);
    assert_int_equal(atomic_load(&site->pulls_open), 0);
    assert_false(stream_has_clients(site->stream));
    stream_free(site->stream);
}

static int connect_to(const struct site *site)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&site->address.socket, site->address.len),
                     0);
    return fd;
}

// Sends a request and reads all that comes back, until the server closes.
static void ask(const struct site *site, const char *request, char *ret_answer, size_t size)
{
    int fd = connect_to(site);
    size_t len = 0;
    ssize_t got = send(fd, request, strlen(request), MSG_NOSIGNAL);
    assert_int_equal(got, strlen(request));
    while (len < size - 1 && (got = recv(fd, ret_answer + len, size - 1 - len, 0)) > 0)
        len += (size_t)got;
    ret_answer[len] = '\0';
    close(fd);
}

// One GET; `more` are further header lines.
static void get(const struct site *site, const char *path, const char *more, char *ret_answer,
                size_t size)
{
    char request[1024];
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", path, more);
    ask(site, request, ret_answer, size);
}

static void assert_answer(const char *answer, unsigned status, const char *part)
{
    char line[32];
    snprintf(line, sizeof line, "HTTP/1.1 %u ", status);
    if (strncmp(answer, line, strlen(line)) != 0 || !strstr(answer, part))
        fail_msg("not %u with %s: %s", status, part, answer);
}

static void test_answers(void **state)
{
    (void)state;
    struct site site;
    char answer[8192];
    open_site(&site, NULL, 0);
    get(&site, "/plain?name=w%C3%B6rld", "", answer, sizeof answer);
    assert_answer(answer, 200, "hello w\xc3\xb6rld");
    assert_answer(answer, 200, "Cache-Control: no-store");
    ask(&site,
        "POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 4\r\n\r\n"
        "body",
        answer, sizeof answer);
    assert_answer(answer, 200, "\r\n\r\nbody");
    get(&site, "/failure", "", answer, sizeof answer);
    assert_answer(answer, 500, "{\"error\":\"reading failed: Input/output error\"}");
    assert_null(strstr(answer, "half"));
    get(&site, "/failure?memory", "", answer, sizeof answer);
    assert_answer(answer, 503, "Retry-After: 1");
    get(&site, "/asset", "If-None-Match: W/\"x\", \"tag\"\r\n", answer, sizeof answer);
    assert_answer(answer, 304, "ETag: \"tag\"");
    get(&site, "/asset", "", answer, sizeof answer);
    assert_answer(answer, 200, "an asset");
    get(&site, "/long", "", answer, sizeof answer);
    assert_answer(answer, 200, "\r\n0\r\n\r\n");
    // Broken off without the last chunk: a client sees that it is not whole.
    get(&site, "/long?fail", "", answer, sizeof answer);
    assert_answer(answer, 200, "part");
    assert_null(strstr(answer, "\r\n0\r\n\r\n"));
    close_site(&site);
}

static void test_token(void **state)
{
    (void)state;
    struct site site;
    char answer[8192];
    open_site(&site, "0123456789abcdef", 0);
    get(&site, "/plain", "", answer, sizeof answer);
    assert_answer(answer, 401, "WWW-Authenticate: Bearer");
    get(&site, "/plain", "Authorization: Bearer 0123456789abcdee\r\n", answer, sizeof answer);
    assert_answer(answer, 401, "token");
    get(&site, "/plain", "Authorization: Bearer 0123456789abcdef\r\n", answer, sizeof answer);
    assert_answer(answer, 200, "hello");
    get(&site, "/plain", "Authorization: Bearer 0123456789abcdef\r\nAuthorization: Bearer x\r\n",
        answer, sizeof answer);
    assert_answer(answer, 401, "token");
    get(&site, "/asset", "", answer, sizeof answer);
    assert_answer(answer, 200, "an asset");
    close_site(&site);
    struct http *http;
    struct http_options options = {.routes = routes, .token = "short"};
    assert_int_equal(http_start(&options, http_listen(&site.address), &site.address, &http),
                     -EINVAL);
}

static void test_ports(void **state)
{
    (void)state;
    struct site site;
    open_site(&site, NULL, 0);
    struct http_address same = site.address, near = site.address;
    assert_int_equal(http_listen(&same), -EADDRINUSE);
    int fd = http_listen_near(&near, 10);
    assert_true(fd >= 0);
    assert_true(near.port > site.address.port);
    close(fd);
    close_site(&site);
}

// A client that opens a stream and waits until it is one.
static int open_stream(const struct site *site, char *ret_answer, size_t size)
{
    static const char request[] = "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n";
    int fd = connect_to(site);
    assert_int_equal(send(fd, request, sizeof request - 1, MSG_NOSIGNAL), sizeof request - 1);
    ssize_t got = recv(fd, ret_answer, size - 1, 0);
    assert_true(got > 0);
    ret_answer[got] = '\0';
    return fd;
}

// Reads until `wanted` has come.
static void assert_hears(int fd, const char *wanted)
{
    char heard[65536];
    size_t len = 0;
    ssize_t got;
    heard[0] = '\0';
    while (!strstr(heard, wanted) && len < sizeof heard - 1 &&
           (got = recv(fd, heard + len, sizeof heard - 1 - len, 0)) > 0) {
        len += (size_t)got;
        heard[len] = '\0';
    }
    if (!strstr(heard, wanted))
        fail_msg("not heard: %s in %s", wanted, heard);
}

static void send_line(struct stream *stream, const char *text)
{
    struct buffer line = {0};
    assert_int_equal(buffer_append(&line, text, strlen(text)), 0);
    assert_int_equal(stream_send(stream, "batch", &line), 0);
    assert_null(line.data);
}

static void test_streams(void **state)
{
    (void)state;
    struct site site;
    char answer[4096];
    open_site(&site, NULL, 2);
    int first = open_stream(&site, answer, sizeof answer);
    assert_answer(answer, 200, "text/event-stream");
    int second = open_stream(&site, answer, sizeof answer);
    int third = open_stream(&site, answer, sizeof answer);
    assert_answer(answer, 503, "Retry-After");
    close(third);
    send_line(site.stream, "{\"a\":1}");
    assert_hears(first, "id: 0\nevent: batch\ndata: {\"a\":1}\n\n");
    assert_hears(second, "data: {\"a\":1}\n\n");
    struct buffer broken = {0};
    assert_int_equal(buffer_append(&broken, "two\nlines", 9), 0);
    assert_int_equal(stream_send(site.stream, "batch", &broken), -EINVAL);
    // The place of one that left is free again, once its thread has seen it.
    close(second);
    for (int i = 0; i < 200; i++) {
        third = open_stream(&site, answer, sizeof answer);
        if (strncmp(answer, "HTTP/1.1 200", 12) == 0)
            break;
        close(third);
        usleep(20000);
    }
    assert_answer(answer, 200, "text/event-stream");
    send_line(site.stream, "again");
    assert_hears(third, "data: again\n\n");
    close_site(&site);
    // Both hear the end.
    while (recv(first, answer, sizeof answer, 0) > 0)
        continue;
    close(first);
    close(third);
}

// A client that reads nothing loses its place; the memory of all messages is bounded.
static void test_slow_client(void **state)
{
    (void)state;
    struct site site;
    char answer[4096];
    open_site(&site, NULL, 2);
    int fd = open_stream(&site, answer, sizeof answer);
    char *large = malloc(1 << 20);
    memset(large, 'x', (1 << 20) - 1);
    large[(1 << 20) - 1] = '\0';
    for (int i = 0; i < 40; i++)
        send_line(site.stream, large);
    free(large);
    // It was broken off: what comes ends, and is less than all.
    size_t total = 0;
    char *piece = malloc(1 << 20);
    ssize_t got;
    while ((got = recv(fd, piece, 1 << 20, 0)) > 0)
        total += (size_t)got;
    assert_true(total < (size_t)36 << 20);
    free(piece);
    close(fd);
    close_site(&site);
}

static void *be_client(void *context)
{
    const struct site *site = context;
    char answer[8192];
    for (int i = 0; i < 10; i++) {
        get(site, "/plain?name=x", "", answer, sizeof answer);
        assert_answer(answer, 200, "hello x");
        get(site, "/long", "", answer, sizeof answer);
        if (strncmp(answer, "HTTP/1.1 503", 12) != 0)
            assert_answer(answer, 200, "\r\n0\r\n\r\n");
        int fd = open_stream(site, answer, sizeof answer);
        close(fd);
    }
    return NULL;
}

// All at once, while messages are sent and the server looks for who is overdue.
static void test_many(void **state)
{
    (void)state;
    struct site site;
    pthread_t clients[CLIENTS];
    open_site(&site, NULL, 0);
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&clients[i], NULL, be_client, &site), 0);
    for (int i = 0; i < 100; i++) {
        send_line(site.stream, "{}");
        http_tick(site.http);
        usleep(1000);
    }
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(clients[i], NULL);
    close_site(&site);
}

// Of large answers that nobody reads a few are kept in memory, however many ask.
static void test_unread(void **state)
{
    enum { ASKING = 12, KEPT = 8 };
    static const char line[] = "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n";
    (void)state;
    struct site site;
    int fds[ASKING];
    open_site(&site, NULL, 0);
    for (int i = 0; i < ASKING; i++) {
        char head[13] = "";
        fds[i] = connect_to(&site);
        assert_int_equal(send(fds[i], line, sizeof line - 1, 0), sizeof line - 1);
        assert_int_equal(recv(fds[i], head, 12, MSG_WAITALL), 12);
        assert_string_equal(head, i < KEPT ? "HTTP/1.1 200" : "HTTP/1.1 503");
    }
    for (int i = 0; i < ASKING; i++)
        close(fds[i]);
    close_site(&site);
}

// True when it was answered. One that is turned away at the door may be cut off in its sending.
static bool is_served(const struct site *site)
{
    static const char line[] = "GET /plain HTTP/1.1\r\nHost: localhost\r\n\r\n";
    char head[13] = "";
    int fd = connect_to(site);
    (void)send(fd, line, sizeof line - 1, MSG_NOSIGNAL);
    (void)recv(fd, head, 12, MSG_WAITALL);
    close(fd);
    return strcmp(head, "HTTP/1.1 200") == 0;
}

// Who asks for nothing shuts nobody out, and no stream is ended for it.
static void test_idle(void **state)
{
    enum { IDLE = 300 };
    (void)state;
    struct site site;
    char answer[4096];
    int idle[IDLE];
    open_site(&site, NULL, 0);
    int stream = open_stream(&site, answer, sizeof answer);
    for (int i = 0; i < IDLE; i++)
        idle[i] = connect_to(&site);
    // On a slow host those that came in a flood are still on their way out. Nothing else would end
    // them: no http_tick() comes here.
    bool served = is_served(&site);
    for (int i = 0; i < 100 && !served; i++) {
        usleep(20000);
        served = is_served(&site);
    }
    assert_true(served);
    send_line(site.stream, "goes on");
    assert_hears(stream, "goes on");
    for (int i = 0; i < IDLE; i++)
        close(idle[i]);
    close(stream);
    close_site(&site);
}

// The end comes in the middle of everything.
static void test_stop(void **state)
{
    (void)state;
    struct site site;
    char answer[4096];
    open_site(&site, NULL, 0);
    int stream = open_stream(&site, answer, sizeof answer);
    int idle = connect_to(&site), half = connect_to(&site), unread = connect_to(&site);
    static const char begun[] = "GET /plain HTTP/1.1\r\nHost: loc";
    static const char wants_long[] = "GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_int_equal(send(half, begun, sizeof begun - 1, 0), sizeof begun - 1);
    assert_int_equal(send(unread, wants_long, sizeof wants_long - 1, 0), sizeof wants_long - 1);
    close_site(&site);
    close(stream);
    close(idle);
    close(half);
    close(unread);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),     cmocka_unit_test(test_token),
        cmocka_unit_test(test_ports),       cmocka_unit_test(test_streams),
        cmocka_unit_test(test_slow_client), cmocka_unit_test(test_many),
        cmocka_unit_test(test_unread),      cmocka_unit_test(test_stop),
        cmocka_unit_test(test_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
