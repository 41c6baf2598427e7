// SPDX-License-Identifier: Apache-2.0
// Messages on stderr and results on stdout. Tool world; no state of its own.
//
// write() and not stdio: one message is one write, an error of the disk is seen when it happens and
// not at exit, and there is no buffer that a fork could write twice.
#include "cmd/messages.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "render/format.h"

// The renderers' own escaping, so that a name looks the same in a message and in a report.
void message_escape(const char *name, char *ret_shown, size_t size)
{
    struct buffer shown = {0};
    // What could be escaped before memory ran out is still safe to show.
    (void)format_escaped_bytes(&shown, name, size - sizeof("..."));
    text_copy(buffer_text(&shown), ret_shown, size);
    buffer_free(&shown);
}

// One write for a whole message: lines of several processes do not mix. Longer ones are cut.
__attribute__((format(printf, 2, 0))) static void say(const char *prefix, const char *format,
                                                      va_list args)
{
    // Longer than any message: what is cut is a name that somebody made very long.
    char line[2048];
    size_t used = (size_t)snprintf(line, sizeof(line) - 1, "%s", prefix);
    int len = vsnprintf(line + used, sizeof(line) - 1 - used, format, args);
    if (len < 0)
        return;
    // vsnprintf() may have cut: what stands there counts.
    used = strlen(line);
    line[used++] = '\n';
    // Nothing can be told when stderr itself fails.
    (void)descriptor_write_all(STDERR_FILENO, line, used);
}

// What went wrong, in one sentence.
void message_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("ebb: ", format, args);
    va_end(args);
}

// What would help, below it and aligned with it.
void message_hint(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("     ", format, args);
    va_end(args);
}

// Whose limit it is "Too many open files" does not say.
void message_hint_limit(int error)
{
    if (error == -EMFILE)
        message_hint("That is ebb's own limit: raise it with 'ulimit -n 64'.");
}

// The same two lines for every verb: what is wrong, and where it is told right.
int message_refuse_usage(const char *verb, const char *sentence)
{
    message_error("%s: %s", verb, sentence);
    message_hint("'ebb %s --help' shows its options.", verb);
    return EXIT_USAGE;
}

// For a text that was rendered for stdout but belongs on stderr.
void message_text(const char *text, size_t len)
{
    (void)descriptor_write_all(STDERR_FILENO, text, len);
}

// A failure is remembered, so that renderers need not look after every line.
void output_printf(struct output *output, const char *format, ...)
{
    if (output->error < 0)
        return;
    va_list args;
    va_start(args, format);
    output->error = buffer_vprintf(&output->buffer, format, args);
    va_end(args);
}

// Once, at the end of a verb.
int output_finish(struct output *output)
{
    // A report that could not be rendered whole is not written at all.
    int error = output->error;
    if (error == 0)
        error = descriptor_write_all(STDOUT_FILENO, output->buffer.data, output->buffer.len);
    buffer_free(&output->buffer);
    // Empty again: a verb may print more than once.
    *output = (struct output){0};
    if (error == 0)
        return EXIT_DONE;
    // Renderers do not print: what their build lacks is said here.
    if (error == -ENOTSUP)
        message_error("this ebb was built without JSON (jansson)");
    // The reader of a pipe has had enough: that is its right.
    else if (error != -EPIPE)
        message_error("cannot write the result: %s", strerror(-error));
    return EXIT_FAILED;
}

// First of all, before any file is opened.
sigset_t output_prepare(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        // Read-only, so that writing to a stdout that was closed is still an error.
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)!open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    sigset_t defaults;
    sigemptyset(&defaults);
    // A pipe that nobody reads, a file at the limit of its size: errors of write(), not our end.
    const int numbers[] = {SIGPIPE, SIGXFSZ};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (signal(numbers[i], SIG_IGN) != SIG_IGN)
            sigaddset(&defaults, numbers[i]);
    }
    return defaults;
}

// Nothing moves where nobody watches: logs stay free of it.
void progress_start(struct progress *progress)
{
    *progress = (struct progress){.enabled = isatty(STDERR_FILENO) == 1};
}

// Writes `text` over the line that stands there.
static void progress_replace(struct progress *progress, const char *text)
{
    char line[600];
    size_t len = strlen(text);
    // Blanks over what the line before had more.
    size_t rest = progress->shown_len > len ? progress->shown_len - len : 0;
    int used = snprintf(line, sizeof(line), "\r%s%*s", text, (int)rest, "");
    if (used > 0 && (size_t)used < sizeof(line))
        (void)descriptor_write_all(STDERR_FILENO, line, (size_t)used);
    progress->shown_len = len;
}

// Names in it must be escaped.
void progress_show(struct progress *progress, const char *format, ...)
{
    if (!progress->enabled)
        return;
    char text[200];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    progress_replace(progress, text);
}

// Leaves an empty line for what comes next.
void progress_end(struct progress *progress)
{
    if (!progress->enabled || progress->shown_len == 0)
        return;
    progress_replace(progress, "");
    (void)descriptor_write_all(STDERR_FILENO, "\r", 1);
}
