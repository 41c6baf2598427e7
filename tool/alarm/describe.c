// SPDX-License-Identifier: Apache-2.0
// What an alarm says in one sentence, see alarm.h. Tool world; pure.
#include <stdio.h>
#include <string.h>

#include "alarm/alarm.h"
#include "base/text.h"
#include "base/units.h"

// Slopes may be negative, and no figure here needs more than three digits.
static void format_value(enum alarm_metric metric, double value, char *ret_text, size_t size)
{
    char bytes[UNITS_TEXT_MAX];
    // Conversion of what has no place in the type is undefined: a damaged figure is cut.
    double magnitude = value < 0 ? -value : value;
    uint64_t whole = magnitude < 1e18 ? (uint64_t)magnitude : (uint64_t)1e18;
    units_format_bytes(whole, bytes, sizeof bytes);
    snprintf(ret_text, size, "%s%s%s", value < 0 ? "-" : "", bytes,
             metric == ALARM_GROWTH ? "/s" : "");
}

// "80 % of the limit (1.60 GiB)", or the size alone.
static void format_level(const struct alarm_condition *condition, const struct alarm_level *level,
                         double value, char *ret_text, size_t size)
{
    // A share names its whole; a size stands for itself.
    static const char *const owners[ALARM_BASE_COUNT] = {"", "the limit", "the host's memory",
                                                         "its RSS"};
    char bytes[UNITS_TEXT_MAX + 8];
    format_value(condition->metric, value, bytes, sizeof bytes);
    if (level->base == ALARM_BYTES)
        snprintf(ret_text, size, "%s", bytes);
    else
        snprintf(ret_text, size, "%.3g %% of %s (%s)", level->number, owners[level->base], bytes);
}

// ", for 31 s": what began at this moment has lasted for no time, and nothing is said of it.
static void format_lasted(const struct alarm_message *message, char *ret_text, size_t size)
{
    char seconds[UNITS_TEXT_MAX];
    bool is_beginning = message->state == ALARM_BEGAN;
    ret_text[0] = '\0';
    // Tenths of a second are what is shown.
    if (message->lasted_ms < 50)
        return;
    units_format_seconds((double)message->lasted_ms / 1000, seconds, sizeof seconds);
    snprintf(ret_text, size, ", %s %s", is_beginning ? "for" : "after", seconds);
}

// Who reads it at night sees the figure first, then what it is compared with, then how long.
void alarm_describe(const struct alarm_message *message, char *ret_text, size_t size)
{
    const struct alarm_condition *condition = message->condition;
    bool began = message->state == ALARM_BEGAN;
    char value[2 * UNITS_TEXT_MAX + 24], level[96], lasted[UNITS_TEXT_MAX + 8];
    format_value(condition->metric, message->value, value, sizeof value);
    format_level(condition, began ? &condition->threshold : &condition->clear, message->level,
                 level, sizeof level);
    format_lasted(message, lasted, sizeof lasted);
    // The words "above" and "again" turn round for lower bounds and ends.
    const char *title = alarm_metric_title(condition->metric);
    // How sure a slope is. In plain ASCII: mails and consoles take it as it is.
    if (message->error > 0) {
        char error[UNITS_TEXT_MAX + 8];
        size_t len = strlen(value);
        format_value(condition->metric, message->error, error, sizeof error);
        snprintf(value + len, sizeof value - len, " +/- %s", error);
    }
    if (message->process_ended)
        text_format(ret_text, size, "the process ended, with %s at %s%s", title, value, lasted);
    else if (began)
        text_format(ret_text, size, "%s is %s: %s %s%s", title, value,
                    condition->is_above ? "above" : "below", level, lasted);
    else
        text_format(ret_text, size, "%s is %s: %s %s again%s", title, value,
                    condition->is_above ? "below" : "above", level, lasted);
}

// Recordings know nothing of conditions: the sentence says it all.
void alarm_event(const struct alarm_message *message, struct event *ret_event)
{
    struct event event = {
        .subject = message->subject.id,
        .time_ms = message->time_ms,
        .kind = EVENT_ALARM,
        .value = message->state == ALARM_BEGAN,
    };
    alarm_describe(message, event.text, sizeof event.text);
    *ret_event = event;
}
