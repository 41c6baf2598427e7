// SPDX-License-Identifier: Apache-2.0
// An HTTP server for a few pages and figures, by libmicrohttpd: the frame, which knows nothing of
// what it serves. Tool world.
//
// A caller gives it a table of routes. The frame does everything else before a handler is asked:
// limits (414, 431, 413), form (400), Host (421), Origin (403), token (401), path (404), method
// (405); and everything that an answer needs: security headers, lengths, ETag, HEAD, errors as
// JSON.
//
// Threads: each connection has its own (small) one, so a handler may take its time without holding
// up others, and several handlers run at once: what they share must be locked by the caller.
#ifndef EBB_SERVE_HTTP_H
#define EBB_SERVE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/buffer.h"
#include "serve/uri.h"

struct http;         // a running server
struct http_request; // one request, while its handler runs

enum http_method { HTTP_GET, HTTP_POST };

// Gives the next piece of a long answer: appends to `piece`, which is empty. 0; 1 at the end
// (what it appended before still counts); -errno breaks the connection off, since it is too late
// for a status. May wait for at most a second at a time (appending nothing is fine): then the frame
// sees whether the client or the server is gone.
typedef int (*http_pull)(void *context, struct buffer *piece);

// What a handler fills in; it is all zero before. A body is one of three.
struct http_answer {
    unsigned status;    // 200 unless set
    const char *type;   // Content-Type, static; NULL: JSON
    struct buffer body; // the frame frees it
    // Or bytes that live as long as the server, with their ETag (in quotes, static); the frame
    // answers 304 by itself.
    const void *asset;
    size_t asset_len;
    const char *etag;
    // Or pulled piece by piece. `pull_free` is called once in any case, also after a failure.
    http_pull pull;
    void *pull_context;
    void (*pull_free)(void *context);
    bool is_stream; // has no end: counted on its own, and not broken off for being slow to end
    char attachment[128]; // file name to save it under; "" shows it. Printable ASCII, no quotes
};

// Answers a request. 0; or -errno (-ENOMEM: 503, others 500) with the answer emptied by the frame.
typedef int (*http_handler)(void *context, const struct http_request *request,
                            struct http_answer *answer);

struct http_route {
    const char *path; // exact: "/metrics". NULL ends the table
    enum http_method method;
    // Without the token, and when a link on another site leads here: a page without data.
    bool is_public;
    http_handler handler;
};

struct http_options {
    const struct http_route *routes; // borrowed; HEAD is answered wherever GET is
    void *context;                   // for the handlers
    const char *token;               // NULL: none is needed. Copied
    // What a Host header may name besides localhost and the address that is listened on. Of a
    // server on all addresses: any address, and the host's own name.
    bool any_host;            // any name: only for data that a foreign page may as well see
    unsigned connections_max; // 0: 64; fewer where this process may have few descriptors
    unsigned streams_max;     // 0: half of it
    // What the page may load; NULL: itself alone (default-src 'none'; script-src 'self' ...).
    const char *policy;
};

// Where to listen: "127.0.0.1:7878", "[::1]:80", "0.0.0.0:9100", ":9100" (127.0.0.1), "9100".
struct http_address {
    struct sockaddr_storage socket;
    socklen_t len;
    unsigned port;
    bool is_loopback;
};
// 0; -EINVAL: a name, or no address at all; -ERANGE: no port. A port left out is `port`.
int http_address_parse(struct text text, unsigned port, struct http_address *ret_address);
// "127.0.0.1:7878", "[::1]:7878".
enum { HTTP_ADDRESS_TEXT_MAX = 64 };
void http_address_format(const struct http_address *address, char ret_text[HTTP_ADDRESS_TEXT_MAX]);

// A listening socket (closed by exec, at once reusable), or -errno: -EADDRINUSE, -EACCES (a port
// below 1024), -EADDRNOTAVAIL. `address->port` 0 becomes the port that the kernel chose.
int http_listen(struct http_address *address);
// The same, trying up to `tries` ports from address->port on when they are in use.
int http_listen_near(struct http_address *address, unsigned tries);

// Starts to serve on a socket of http_listen(), which is the server's from then on, also after a
// failure. 0; -EINVAL, -ENOMEM, -EAGAIN (no thread).
int http_start(const struct http_options *options, int listen_fd,
               const struct http_address *address, struct http **ret_http);
// Breaks off the connections that are overdue: no whole request within five seconds, idle for long,
// an answer that is not read. Who asks for nothing gives way to who comes without it, from three
// quarters of `connections_max` on, the longest wait first. Call it about once a second, from one
// thread.
void http_tick(struct http *http);
// Breaks off all connections, waits for their threads (a second at most: see http_pull) and frees
// the server. NULL is fine. The caller may first end its streams.
void http_stop(struct http *http);

// Of a request: the method (HEAD is GET), the path and query, the body ("" of a GET), a header or
// NULL.
enum http_method http_request_method(const struct http_request *request);
const struct uri *http_request_uri(const struct http_request *request);
struct text http_request_body(const struct http_request *request);
const char *http_request_header(const struct http_request *request, const char *name);

// Fills in an error: {"error":"SENTENCE"}. Sentences are ours, or escaped. 0 or -ENOMEM.
int http_answer_error(struct http_answer *answer, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// Frees what an answer holds, for handlers that change their mind.
void http_answer_free(struct http_answer *answer);

// A new token: 32 hexadecimal digits from getrandom(2). 0 or -errno.
enum { HTTP_TOKEN_MAX = 129, HTTP_TOKEN_LEN_MIN = 8 };
int http_token_make(char ret_token[HTTP_TOKEN_MAX]);
// Is this one of 8 to 128 letters, digits and -._~, as fits a URL and a header?
bool http_token_is_valid(const char *token);

#endif
