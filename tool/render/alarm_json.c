// SPDX-License-Identifier: Apache-2.0
// Messages of alarms as JSON, as docs/alarms.md describes them. Tool world; pure.
#include <errno.h>

#include "render/alarm.h"
#include "render/json.h"

#ifdef EBB_WITH_JSON

// null is not 0: a program must see the difference.
static json_t *json_of_size(uint64_t bytes)
{
    return bytes == SAMPLE_UNKNOWN ? json_null() : json_of_u64(bytes);
}

// Rows by the same names as everywhere else.
static json_t *json_of_account(const struct digest *digest)
{
    // Every row, 0 too: programs index without asking.
    json_t *rows = json_object();
    for (int row = 0; row < ROW_COUNT; row++)
        json_put(&rows, account_row_key((enum account_row)row),
                 json_of_u64(digest->row_bytes[row]));
    json_t *object = json_object();
    json_put(&object, "rows", rows);
    json_put(&object, "verdict", json_string(verdict_name(digest->verdict)));
    json_put(&object, "headline", json_of_name(digest->headline));
    json_put(&object, "next", digest->next[0] ? json_of_name(digest->next) : json_null());
    json_put(&object, "runtimes", json_of_name(digest->runtimes));
    json_put(&object, "limit_bytes", json_of_size(digest->group_limit_bytes));
    json_put(&object, "working_set_bytes", json_of_size(digest->group_working_set_bytes));
    return object;
}

// Names of fields as in `ebb explain --json`.
static json_t *json_of_subject(const struct alarm_message *message)
{
    json_t *object = json_object();
    json_put(&object, "pid", json_integer(message->subject.pid));
    json_put(&object, "name", json_of_name(message->subject.name));
    json_put(&object, "cmdline", json_of_name(message->subject.cmdline));
    json_put(&object, "cgroup", json_of_name(message->subject.cgroup));
    json_put(&object, "rss_bytes", json_of_size(message->sample.rss_bytes));
    json_put(&object, "lazy_bytes", json_of_size(message->sample.lazy_bytes));
    json_put(&object, "effective_rss_bytes", json_of_size(message->sample.effective_bytes));
    return object;
}

// Its text is escaped where it names things, so a chat may show it as it is.
static json_t *json_of_text(const struct alarm_message *message,
                            const struct alarm_context *context)
{
    // No text at all is a failure of memory, which the tree passes on.
    struct buffer text = {0};
    json_t *string = NULL;
    if (render_alarm_text(message, context, &text) == 0)
        string = json_string(text.data);
    buffer_free(&text);
    return string;
}

int render_alarm_json(const struct alarm_message *message, const struct alarm_context *context,
                      struct buffer *buffer)
{
    // As long as an event's text: the two say the same.
    char sentence[EVENT_TEXT_MAX];
    alarm_describe(message, sentence, sizeof sentence);
    json_t *object = json_object();
    json_put(&object, "schema", json_integer(1));
    json_put(&object, "text", json_of_text(message, context));
    json_put(&object, "state", json_string(message->state == ALARM_BEGAN ? "began" : "ended"));
    json_put(&object, "expression", json_string(message->condition->text));
    json_put(&object, "sentence", json_string(sentence));
    json_put(&object, "metric", json_string(alarm_metric_name(message->condition->metric)));
    json_put(&object, "value", json_of_double(message->value));
    // Of a growth: its standard error. null of figures that are exact.
    json_put(&object, "value_error",
             message->error > 0 ? json_of_double(message->error) : json_null());
    json_put(&object, "level", json_of_double(message->level));
    json_put(&object, "time_ms", json_integer(message->time_ms));
    json_put(&object, "lasted_ms", json_of_u64(message->lasted_ms));
    json_put(&object, "held_back", json_of_u64(message->held_back));
    json_put(&object, "process_ended", json_boolean(message->process_ended));
    json_put(&object, "host", json_of_name(context->host));
    json_put(&object, "process", json_of_subject(message));
    json_put(&object, "account", context->digest ? json_of_account(context->digest) : json_null());
    // A variable of the environment has it too, and scripts log such a line by line.
    return json_append_line(object, buffer);
}

#else

int render_alarm_json(const struct alarm_message *message, const struct alarm_context *context,
                      struct buffer *buffer)
{
    (void)message;
    (void)context;
    (void)buffer;
    return -ENOTSUP;
}

#endif
