// SPDX-License-Identifier: Apache-2.0
// The page with a recording inside it: one file that needs no server and no network. Tool world.
#ifndef EBB_SERVE_STANDALONE_H
#define EBB_SERVE_STANDALONE_H

#include "history/history.h"

struct standalone_options {
    const unsigned *subjects; // whose series stand in it
    size_t subject_count;
    int64_t from_ms, to_ms;
    // Where it goes, piece by piece: 0, or -errno, which ends it.
    int (*write)(void *context, const char *data, size_t len);
    void *context;
};

// Writes the page. Of long recordings it holds a sample of the points (history_series()), so that
// it stays at some MiB. 0; -ENOTSUP in a build without the page; -ENOMEM; -errno of the recording
// or of `write`.
int standalone_write(struct history *history, const struct standalone_options *options);

#endif
