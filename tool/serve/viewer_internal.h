// SPDX-License-Identifier: Apache-2.0
// What the files of the viewer share. Tool world; internal to
// serve/{viewer,live,follow,api,page}.c.
#ifndef EBB_SERVE_VIEWER_INTERNAL_H
#define EBB_SERVE_VIEWER_INTERNAL_H

#include <pthread.h>

#include "serve/stream.h"
#include "serve/viewer.h"

enum { VIEWER_WANTED_MAX = 64 };

struct viewer {
    struct viewer_options options;
    pthread_mutex_t lock; // guards what follows and the recording's handle
    pthread_cond_t wake;  // of the thread, and of viewer_start()
    bool is_stopping, has_begun;
    int state; // see viewer_state()
    // Subjects whose first account a client waits for; the thread empties it.
    unsigned wanted[VIEWER_WANTED_MAX];
    size_t wanted_count;
    // Subjects that were wanted once: never again.
    unsigned asked[VIEWER_WANTED_MAX];
    size_t asked_count;
    // What is not changed any more once the thread runs.
    struct stream *stream;
    struct http_route *routes;
    pthread_t thread;
    bool has_thread;
};

// The day's clock, as samples have it.
int64_t viewer_now_ms(void);

// Waits up to `ms` for viewer_stop(), under the lock. True: stop.
bool viewer_wait(struct viewer *viewer, uint64_t ms);

// Says that the first round is done. Under the lock.
void viewer_begin(struct viewer *viewer);

// The thread: of a live recording, and of a file.
void *viewer_live(void *context);
void *viewer_follow(void *context);

// Remembers that a client waits for the subject's first account. Under the lock.
void viewer_want(struct viewer *viewer, unsigned subject);

// The routes of the API; those of files are viewer_file()'s. `viewer_api_routes` ends with NULL.
extern const struct http_route viewer_api_routes[];
int viewer_file(void *viewer, const struct http_request *request, struct http_answer *answer);
int viewer_no_page(void *viewer, const struct http_request *request, struct http_answer *answer);
int viewer_lever(void *context, const struct http_request *request, struct http_answer *answer);

#endif
