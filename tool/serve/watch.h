// SPDX-License-Identifier: Apache-2.0
// `ebb watch`: one page over one recording, live or from a file; the contract with the page is
// PAGE.md. Tool world.
//
// A thread takes samples (or follows a file that another ebb writes) and sends them to the
// streams; handlers run in the server's threads and read the recording under the same lock. No
// request reads a target: at most it makes the sampler take the first account of a process now
// rather than later.
#ifndef EBB_SERVE_WATCH_H
#define EBB_SERVE_WATCH_H

#include "history/history.h"
#include "sample/sampler.h"
#include "serve/http.h"

struct watch;

struct watch_options {
    struct sampler *sampler; // the watch's from then on; NULL: a file
    struct history *history; // likewise; what the sampler's batches go into, or the file
    uint64_t keep_ms;        // of a live one
    bool has_levers;         // POST /api/lever
};

// 0; -ENOMEM; -EAGAIN (no thread). The sampler and the recording are its own, also after a failure.
int watch_start(const struct watch_options *options, struct watch **ret_watch);

// Ends the streams and the thread: before http_stop(), which needs the streams' end; watch_free()
// comes behind it. NULL is fine.
void watch_stop(struct watch *watch);
void watch_free(struct watch *watch);

// For http_options: the page's files, the API. They stand as long as the watch.
const struct http_route *watch_routes(const struct watch *watch);

// Is the page itself in this build?
bool watch_has_page(void);

// 0 while all goes well; -ESRCH: nothing is left to sample, -errno: sampling or writing ended with
// that. The page stays.
int watch_state(struct watch *watch);

#endif
