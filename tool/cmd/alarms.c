// SPDX-License-Identifier: Apache-2.0
// Alarms of a verb that follows processes, see alarms.h. Tool world; one thread uses them.
#include "cmd/alarms.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alarm/alarm.h"
#include "alarm/deliver.h"
#include "cmd/messages.h"
#include "render/alarm.h"

// At the end of a recording the last messages may still be on their way.
enum { ALARMS_MAX = 16, CLOSE_WAIT_MS = 10000 };

// All expressions share one delivery: a message says which it is of. It is closed by
// alarms_close(), which waits for what is on its way.
struct alarms {
    struct alarm *items[ALARMS_MAX];
    size_t count;
    struct alarm_delivery *delivery; // NULL where stderr is all
    char host[65];
};

// One expression of the list.
static int add_alarm(const char *verb, struct alarms *alarms, struct text expression)
{
    // What was typed is shown escaped; what is wrong with it is the parser's sentence.
    struct alarm_condition condition;
    char error[ALARM_ERROR_MAX], shown[MESSAGE_NAME_MAX], copy[MESSAGE_NAME_MAX];
    if (alarms->count == ALARMS_MAX)
        return message_refuse_usage(verb, "--alarm takes at most 16 expressions");
    // The text itself is not kept: the condition holds a copy of what messages repeat.
    if (alarm_condition_parse(expression, &condition, error) < 0) {
        text_copy(expression, copy, sizeof copy);
        message_escape(copy, shown, sizeof shown);
        message_error("%s: --alarm '%s': %s", verb, shown, error);
        return EXIT_USAGE;
    }
    if (alarm_new(&condition, &alarms->items[alarms->count]) < 0) {
        message_error("%s: %s", verb, strerror(ENOMEM));
        return EXIT_FAILED;
    }
    alarms->count++;
    return EXIT_DONE;
}

// Semicolons separate, since no expression has one; options of a verb hold one value.
static int add_all(const char *verb, struct alarms *alarms, const char *list)
{
    struct text rest = text_of(list), expression;
    int status = EXIT_DONE;
    while (status == EXIT_DONE && text_next_field(&rest, ';', &expression)) {
        text_skip_blanks(&expression);
        // A semicolon at the end is no slip.
        if (expression.len > 0)
            status = add_alarm(verb, alarms, expression);
    }
    if (status == EXIT_DONE && alarms->count == 0)
        return message_refuse_usage(verb, "--alarm needs an expression, such as "
                                          "'effective>80%limit for 30s'");
    return status;
}

static int open_delivery(const char *verb, struct alarms *alarms, const char *command,
                         const char *webhook)
{
    // stderr has each alarm in any case: without another way there is nothing to open.
    const struct alarm_delivery_options options = {.command = command, .webhook = webhook};
    if (!command && !webhook)
        return EXIT_DONE;
#ifndef EBB_WITH_JSON
    if (webhook) {
        message_error("%s: --webhook: this ebb was built without JSON (jansson)", verb);
        return EXIT_FAILED;
    }
#endif
    int error = alarm_delivery_open(&options, &alarms->delivery);
    if (error == 0)
        return EXIT_DONE;
    // The password of a URL would stand in `ps`, and so is not taken at all.
    if (error == -EINVAL)
        return message_refuse_usage(verb, "--webhook needs a URL such as http://HOST:PORT/PATH, "
                                          "without user and password");
    if (error == -ENOEXEC) {
        message_error("%s: --webhook: https needs the program curl, which is not in PATH", verb);
        message_hint("Install curl, or post to an http:// address.");
    } else {
        message_error("%s: %s", verb, strerror(-error));
    }
    return EXIT_FAILED;
}

// A string option, or NULL. No fallback in these tables: what was not given is NULL.
static const char *given(const struct options *options, const char *name)
{
    return options_get(options, name)->string;
}

// Everything that can be wrong is found before the recording begins: nobody wants to learn at night
// that the web hook's address was none.
int alarms_open(const char *verb, const struct options *options, struct alarms **ret_alarms)
{
    const char *list = given(options, "alarm");
    const char *command = given(options, "exec"), *webhook = given(options, "webhook");
    if (!list && (command || webhook))
        return message_refuse_usage(verb, "--exec and --webhook tell of alarms: they go with "
                                          "--alarm");
    if (!list) {
        *ret_alarms = NULL;
        return EXIT_DONE;
    }
    // From here on everything is freed in one place.
    struct alarms *alarms = calloc(1, sizeof *alarms);
    if (!alarms) {
        message_error("%s: %s", verb, strerror(ENOMEM));
        return EXIT_FAILED;
    }
    // A host without a name is nothing to fail for; a long one is cut.
    if (gethostname(alarms->host, sizeof alarms->host - 1) < 0)
        alarms->host[0] = '\0';
    int status = add_all(verb, alarms, list);
    if (status == EXIT_DONE)
        status = open_delivery(verb, alarms, command, webhook);
    if (status == EXIT_DONE)
        *ret_alarms = alarms;
    else
        alarms_close(alarms);
    return status;
}

// The message in all its forms, queued. 0 or -errno.
static int deliver(struct alarms *alarms, const struct alarm_message *message,
                   const struct digest *digest)
{
    // All forms at once, and copied by the queue: the digest is the sampler's until the next round.
    const struct alarm_context context = {alarms->host, digest};
    struct buffer text = {0}, json = {0}, environment = {0};
    int error = render_alarm_text(message, &context, &text);
    // The webhook's form; a delivery without one does not look at it.
    if (!error)
        error = render_alarm_json(message, &context, &json);
    // A build without JSON has no web hook that would miss it.
    if (error == -ENOTSUP)
        error = 0;
    if (!error)
        error = render_alarm_environment(message, &context, &environment);
    // For commands that pass it on; with its NUL, as all of them.
    if (!error && json.len > 0)
        error = buffer_printf(&environment, "EBB_ALARM_JSON=%s%c", json.data, '\0');
    const struct alarm_note note = {
        .text = buffer_text(&text),
        .json = buffer_text(&json),
        .environment = buffer_text(&environment),
    };
    if (!error)
        error = alarm_delivery_put(alarms->delivery, &note);
    buffer_free(&text);
    buffer_free(&json);
    buffer_free(&environment);
    return error;
}

static void tell(struct alarms *alarms, const struct sampler *sampler,
                 const struct alarm_message *message)
{
    // One write, so that lines of several alarms do not mix.
    struct buffer line = {0};
    if (render_alarm_line(message, &line) == 0)
        message_error("%s: %s", message->state == ALARM_BEGAN ? "alarm" : "alarm over", line.data);
    buffer_free(&line);
    if (!alarms->delivery)
        return;
    // Never waits: the queue is sent by a thread of its own.
    int error = deliver(alarms, message, sampler_digest(sampler, message->subject.id));
    if (error)
        message_error("an alarm could not be passed on: %s",
                      error == -ENOBUFS ? "too many are waiting" : strerror(-error));
}

void alarms_step(struct alarms *alarms, struct sampler *sampler, const struct batch *batch,
                 void (*on_event)(void *context, const struct event *event), void *context)
{
    char problem[ALARM_PROBLEM_MAX];
    if (!alarms)
        return;
    // Ended ones too: their end is what an alarm may be waiting for.
    size_t subject_count;
    const struct subject *subjects = sampler_subjects(sampler, &subject_count);
    for (size_t i = 0; i < alarms->count; i++) {
        const struct alarm_message *messages;
        size_t count;
        // Without memory some processes are looked at in the next round.
        (void)alarm_step(alarms->items[i], batch, subjects, subject_count, &messages, &count);
        // Nothing begins or ends by a figure that is only guessed: these are read more deeply next.
        const unsigned *wants;
        size_t want_count = alarm_wants(alarms->items[i], &wants);
        for (size_t k = 0; k < want_count; k++)
            sampler_want_account(sampler, wants[k]);
        for (size_t k = 0; k < count; k++) {
            struct event event;
            tell(alarms, sampler, &messages[k]);
            alarm_event(&messages[k], &event);
            if (on_event)
                on_event(context, &event);
        }
    }
    if (alarms->delivery && alarm_delivery_take_problem(alarms->delivery, problem))
        message_error("%s", problem);
}

// The last messages are often those of the end itself, so they are waited for, within reason.
void alarms_close(struct alarms *alarms)
{
    if (!alarms)
        return;
    if (alarms->delivery) {
        char problem[ALARM_PROBLEM_MAX];
        alarm_delivery_close(alarms->delivery, CLOSE_WAIT_MS, problem);
        if (problem[0])
            message_error("%s", problem);
    }
    for (size_t i = 0; i < alarms->count; i++)
        alarm_free(alarms->items[i]);
    free(alarms);
}
