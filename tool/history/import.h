// SPDX-License-Identifier: Apache-2.0
// Recordings of other tools, read into one of ours. Tool world; one thread.
#ifndef EBB_HISTORY_IMPORT_H
#define EBB_HISTORY_IMPORT_H

#include "base/text.h"
#include "history/history.h"

// Reads what pprofplus dumps: a JSON object for each line with "timestamp" (seconds, milliseconds,
// micro- or nanoseconds since the epoch, or RFC 3339) and any of sys, heapsys, heapalloc,
// heapinuse, heapreleased, heapidle, vms, rss in bytes. Each line becomes a sample of one process
// "pprofplus" with these figures in Go's ledger; lazily freed memory is unknown. Lines that are
// none are counted and skipped.
struct import_counts {
    size_t samples, skipped_lines, first_skipped; // its number, from 1
};
// 0 with what was read in `history`; -EBADMSG when no line could be read; -ENOTSUP in a build
// without JSON; -ENOMEM; -errno of the recording.
int import_pprofplus(struct text file, struct history *history, struct import_counts *ret_counts);

#endif
