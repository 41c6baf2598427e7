// SPDX-License-Identifier: Apache-2.0
// `ebb watch`: one page over one recording, live or from a file; the contract with the page is
// PAGE.md. Tool world.
//
// A thread takes samples (or follows a file that another ebb writes) and sends them to the
// streams; handlers run in the server's threads and read the recording under the same lock. No
// request reads a target: at most it makes the sampler take the first account of a process now
// rather than later.
#ifndef EBB_SERVE_VIEWER_H
#define EBB_SERVE_VIEWER_H

#include "history/history.h"
#include "sample/sampler.h"
#include "serve/http.h"

struct viewer;

struct viewer_options {
    struct sampler *sampler; // the viewer's from then on; NULL: a file
    struct history *history; // likewise; what the sampler's batches go into, or the file
    uint64_t keep_ms;        // of a live one, as the recording was made with; never 0
    bool has_levers;         // POST /api/lever
};

// 0; -ENOMEM; -EAGAIN (no thread). The sampler and the recording are its own, also after a failure.
int viewer_start(const struct viewer_options *options, struct viewer **ret_viewer);

// Ends the streams and the thread: before http_stop(), which needs the streams' end; viewer_free()
// comes behind it. NULL is fine.
void viewer_stop(struct viewer *viewer);
void viewer_free(struct viewer *viewer);

// For http_options: the page's files, the API. They stand as long as the viewer.
const struct http_route *viewer_routes(const struct viewer *viewer);

// Is the page itself in this build?
bool viewer_has_page(void);

// 0 while all goes well; -ESRCH: nothing is left to sample, -errno: sampling or writing ended with
// that. The page stays.
int viewer_state(struct viewer *viewer);

#endif
