// SPDX-License-Identifier: Apache-2.0
// Where `ebb report` writes, see report_sink.h. Tool world; no state.
#include "cmd/report_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "cmd/messages.h"

// O_EXCL: a report that took a night's recording is not lost to the next one's name.
int report_sink_open(const struct options *options, struct report_sink *ret_sink)
{
    const struct option_value *output = options_get(options, "output");
    if (!output->given) {
        *ret_sink = (struct report_sink){.fd = STDOUT_FILENO};
        return EXIT_DONE;
    }
    // 0666 and the umask, as for any file that one makes; a recording itself is 0600.
    int fd = open(output->string, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0) {
        *ret_sink = (struct report_sink){.fd = fd, .path = output->string};
        return EXIT_DONE;
    }
    int error = errno;
    char shown[MESSAGE_NAME_MAX];
    message_escape(output->string, shown, sizeof shown);
    if (error == EEXIST)
        message_error("report: %s is there already, and nothing is overwritten", shown);
    else
        message_error("report: cannot write %s: %s", shown, strerror(error));
    return error == EACCES || error == EPERM ? EXIT_NOT_PERMITTED : EXIT_FAILED;
}

// The caller stops at the first failure, which is kept for the message.
int report_sink_write(void *context, const char *data, size_t len)
{
    struct report_sink *sink = context;
    int error = descriptor_write_all(sink->fd, data, len);
    if (error) {
        sink->has_failed = true;
        sink->error = -error;
    }
    return error;
}

// stdout keeps what it got: it cannot be taken back.
void report_sink_drop(struct report_sink *sink)
{
    if (!sink->path)
        return;
    close(sink->fd);
    unlink(sink->path);
}

// A full disk may show at the close only.
int report_sink_close(struct report_sink *sink)
{
    if (sink->path && !sink->has_failed && close(sink->fd) != 0) {
        sink->has_failed = true;
        sink->error = errno;
    }
    if (!sink->has_failed)
        return EXIT_DONE;
    // A file that was cut would look like a whole one.
    if (sink->path)
        unlink(sink->path);
    // A reader that closed the pipe (| head) has what it wanted.
    if (sink->error != EPIPE)
        message_error("report: cannot write %s: %s", sink->path ? sink->path : "to stdout",
                      strerror(sink->error));
    return EXIT_FAILED;
}
