// SPDX-License-Identifier: Apache-2.0
// What the files of the frame share: the server, its connections, a request. Tool world; internal
// to serve/http*.c.
//
// `lock` guards the list of connections and the counts; all else of a connection belongs to its
// own thread, but its times, which are read and written under the lock.
#ifndef EBB_SERVE_HTTP_INTERNAL_H
#define EBB_SERVE_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "serve/http.h"

// How long a client may take, in seconds: for a request's head or body, until its next one, and to
// read an answer, or a long one.
enum { HTTP_HEAD_S = 5, HTTP_IDLE_S = 15, HTTP_READ_S = 60, HTTP_LONG_S = 300 };
enum { HTTP_BODY_MAX = 4096, HTTP_LONG_MAX = 8 };

struct http_connection {
    struct http_connection *previous, *next;
    int fd;
    uint64_t deadline_ns;   // CLOCK_BOOTTIME; 0: none
    uint64_t idle_since_ns; // that it has waited for a request's head; 0: it has one, or is shut
    uint64_t idle_bytes;    // that had been received then
};

struct http {
    struct MHD_Daemon *daemon;
    struct http_options options;
    struct http_address address;
    char token[HTTP_TOKEN_MAX]; // "": none
    char own_name[256];         // the host's
    pthread_mutex_t lock;
    struct http_connection *connections;
    unsigned connection_count;
    unsigned streams, longs; // that are being answered
    atomic_bool is_stopping;
};

struct http_request {
    struct http *http;
    struct MHD_Connection *connection;
    enum http_method method;
    bool is_head, is_started, is_refused;
    int uri_error; // of uri_parse()
    struct uri uri;
    char body[HTTP_BODY_MAX + 1];
    size_t body_len;
    struct http_answer answer; // of a refusal that waits for the body's end
};

// CLOCK_BOOTTIME: what was overdue before a suspension is so afterwards.
uint64_t http_now_ns(void);

// Gives the connection's client until then; 0 seconds: for ever.
void http_set_deadline(struct http_request *request, unsigned seconds);

// May this request be answered at all? 0, or the status of a refusal that is in `answer`. `route`
// is NULL where there is none.
unsigned http_check(struct http_request *request, const struct http_route *route,
                    struct http_answer *answer);

// Hands an answer to libmicrohttpd and frees it in any case.
enum MHD_Result http_send(struct http_request *request, struct http_answer *answer);

#endif
