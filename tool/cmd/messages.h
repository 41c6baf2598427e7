// SPDX-License-Identifier: Apache-2.0
// What ebb says: messages on stderr, results on stdout. Tool world; verbs alone call this.
#ifndef EBB_CMD_MESSAGES_H
#define EBB_CMD_MESSAGES_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

enum { MESSAGE_NAME_MAX = 256 };

// What ebb answers to its caller; with --exit-code it is EXIT_VERDICT plus the verdict's number.
enum exit_status {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_NO_PROCESS = 3,
    EXIT_NOT_PERMITTED = 4,
    EXIT_VERDICT = 10,
};

// Copies a name from outside so that a terminal shows it and does nothing else (format_escaped()),
// cut with "..." to fit; always terminated. `size` is at least 16.
void message_escape(const char *name, char *ret_shown, size_t size);

// "ebb: SENTENCE" and "     SENTENCE" on stderr, in one write. Names from outside must be escaped.
void message_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void message_hint(const char *format, ...) __attribute__((format(printf, 1, 2)));
// What helps where ebb ran into a limit of its own (-EMFILE); nothing for any other error.
void message_hint_limit(int error);

// "ebb: VERB: SENTENCE" and the way to the verb's options, for what their table cannot express.
// EXIT_USAGE.
int message_refuse_usage(const char *verb, const char *sentence);

// Writes a text as it is to stderr.
void message_text(const char *text, size_t len);

// Results are gathered and written in one go, so that a failure leaves no half table. The first
// failure (-ENOMEM, -EFBIG) is remembered and told by output_finish(); what comes after is dropped.
struct output {
    // Renderers append to `buffer` directly and put what they return into `error`; -ENOTSUP is a
    // build without JSON.
    struct buffer buffer;
    int error;
};
void output_printf(struct output *output, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Writes all to stdout and frees it. EXIT_DONE, or EXIT_FAILED after a message; a reader that
// closed the pipe (`| head`) is no news: EXIT_FAILED without a message.
int output_finish(struct output *output);

// Makes sure that descriptors 0 to 2 are taken, so that no file that is opened later can be written
// to by mistake, and that a closed pipe, or a file that may not grow (ulimit -f), gives an error
// instead of a signal. What fills the gaps is closed by exec. Returns those of the signals that
// were not ignored before: what ebb executes is to have them as they were.
sigset_t output_prepare(void);

// A line on the terminal that the next one replaces; nothing where stderr is no terminal.
struct progress {
    bool enabled;
    size_t shown_len;
};
void progress_start(struct progress *progress);
void progress_show(struct progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void progress_end(struct progress *progress);

#endif
