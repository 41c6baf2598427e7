// SPDX-License-Identifier: Apache-2.0
// What the files of the watch share. Tool world; internal to serve/{watch,live,follow,api,page}.c.
#ifndef EBB_SERVE_WATCH_INTERNAL_H
#define EBB_SERVE_WATCH_INTERNAL_H

#include <pthread.h>

#include "serve/stream.h"
#include "serve/watch.h"

enum { WATCH_WANTED_MAX = 64 };

struct watch {
    struct watch_options options;
    pthread_mutex_t lock; // guards what follows and the recording's handle
    pthread_cond_t wake;  // of the thread
    bool is_stopping;
    int state; // see watch_state()
    // Subjects whose first account a client waits for; the thread empties it.
    unsigned wanted[WATCH_WANTED_MAX];
    size_t wanted_count;
    // Subjects that were wanted once: never again.
    unsigned asked[WATCH_WANTED_MAX];
    size_t asked_count;
    // What is not changed any more once the thread runs.
    struct stream *stream;
    struct http_route *routes;
    pthread_t thread;
    bool has_thread;
};

// The day's clock, as samples have it.
int64_t watch_now_ms(void);

// Waits up to `ms` for watch_stop(), under the lock. True: stop.
bool watch_wait(struct watch *watch, uint64_t ms);

// The thread: of a live recording, and of a file.
void *watch_live(void *watch);
void *watch_follow(void *watch);

// Remembers that a client waits for the subject's first account. Under the lock.
void watch_want(struct watch *watch, unsigned subject);

// The routes of the API; those of files are watch_file()'s. `watch_api_routes` ends with NULL.
extern const struct http_route watch_api_routes[];
int watch_file(void *watch, const struct http_request *request, struct http_answer *answer);
int watch_no_page(void *watch, const struct http_request *request, struct http_answer *answer);
int watch_lever(void *watch, const struct http_request *request, struct http_answer *answer);

#endif
