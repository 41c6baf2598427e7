// SPDX-License-Identifier: Apache-2.0
// Where `ebb report` writes: stdout, or a file that was not there. Tool world.
#ifndef EBB_CMD_REPORT_SINK_H
#define EBB_CMD_REPORT_SINK_H

#include "cmd/options.h"
#include "history/report.h"

struct report_sink {
    const char *path; // NULL: stdout
    int fd;
    bool has_failed; // a write did: report_sink_close() says so
    int error;
};

// As --output says. EXIT_DONE, or a status after a message: nothing is ever overwritten.
int report_sink_open(const struct options *options, struct report_sink *ret_sink);
// As export_sink's write; `context` is the sink.
int report_sink_write(void *context, const char *data, size_t len);
// Ends it. EXIT_DONE, or EXIT_FAILED after a message, with no half file left.
int report_sink_close(struct report_sink *sink);
// Gives it up: removes the file that it made.
void report_sink_drop(struct report_sink *sink);

// The report as a page that stands alone. 0; -ENOTSUP in a build without the page; -errno.
int report_html(struct history *history, const struct report *report, struct report_sink *sink);

#endif
