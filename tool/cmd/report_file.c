// SPDX-License-Identifier: Apache-2.0
// The files that `ebb report` reads, see report_file.h. Tool world; no state.
#include "cmd/report_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "cmd/messages.h"
#include "history/import.h"

// A dump of months: 200 bytes a line, one a second for a month are 500 MiB.
static const size_t dump_limit_bytes = (size_t)1 << 30;

// Each sentence says what would help, where something does.
int report_file_refuse(const char *path, int error)
{
    char shown[MESSAGE_NAME_MAX] = "the recording";
    if (path)
        message_escape(path, shown, sizeof shown);
    switch (-error) {
    case EBADMSG:
        message_error("report: %s is no recording of ebb, or is damaged", shown);
        message_hint("ebb record makes one; dumps of pprofplus (JSON lines) are read as well.");
        break;
    case EPROTONOSUPPORT:
        message_error("report: %s was recorded by a newer ebb than this one (" EBB_VERSION ")",
                      shown);
        break;
    case ENODATA:
        message_error("report: %s has no sample in that time", shown);
        break;
    // HTML without HTTP or JSON, dumps without JSON.
    case ENOTSUP:
        message_error("report: this ebb was built without what that needs");
        break;
    case EACCES:
    case EPERM:
        message_error("report: %s may not be read: %s", shown, strerror(-error));
        return EXIT_NOT_PERMITTED;
    default:
        message_error("report: cannot read %s: %s", shown, strerror(-error));
        break;
    }
    return EXIT_FAILED;
}

int report_file_refuse_empty(const char *path, const struct history_about *about)
{
    char shown[MESSAGE_NAME_MAX];
    message_escape(path, shown, sizeof shown);
    message_error("report: %s has no sample", shown);
    // What it had is in the log, which somebody left behind.
    if (!about->is_ended)
        message_hint("It was cut off: a copy of it needs the log %s-wal beside it.", shown);
    return EXIT_FAILED;
}

// On stderr, so that the report itself stays what a script expects.
static void tell_counts(const char *path, const struct import_counts *counts)
{
    char shown[MESSAGE_NAME_MAX];
    message_escape(path, shown, sizeof shown);
    if (counts->skipped_lines > 0)
        message_error("report: %zu lines of %s could not be read and are left out; the first is "
                      "line %zu",
                      counts->skipped_lines, shown, counts->first_skipped);
}

// Whether it is a dump at all its lines tell.
static int import(const char *path, const struct buffer *dump, struct history **ret_history)
{
    // Until its lines tell another one.
    struct history_options options = {.interval_ms = 1000, .title = path};
    struct history *history;
    struct import_counts counts;
    int error = history_create(":memory:", &options, &history);
    if (error)
        return report_file_refuse(path, error);
    error = import_pprofplus(buffer_text(dump), history, &counts);
    if (error) {
        history_close(history);
        return report_file_refuse(path, error);
    }
    tell_counts(path, &counts);
    *ret_history = history;
    return EXIT_DONE;
}

// JSON lines begin with a brace; a recording never does. A file of nothing but blanks may be as
// long as it likes: one block decides.
static bool is_dump(const char *path)
{
    char block[4096];
    // A pipe that nobody writes to must not be waited for.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    ssize_t len = read(fd, block, sizeof block);
    close(fd);
    ssize_t at = 0;
    while (at < len && (block[at] == ' ' || block[at] == '\n' || block[at] == '\r'))
        at++;
    return at < len && block[at] == '{';
}

// A recording first: only what is none is looked at as a dump.
int report_file_open(const char *path, struct history **ret_history)
{
    int error = history_open(path, ret_history);
    if (error != -EBADMSG || !is_dump(path))
        return error ? report_file_refuse(path, error) : EXIT_DONE;
    // Read whole: its lines must be sorted before the first of them is stored.
    struct buffer dump = {.limit = dump_limit_bytes};
    error = buffer_read_at(&dump, AT_FDCWD, path);
    int status = error ? report_file_refuse(path, error) : import(path, &dump, ret_history);
    buffer_free(&dump);
    return status;
}
