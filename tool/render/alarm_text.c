// SPDX-License-Identifier: Apache-2.0
// Messages of alarms as text and as an environment, see alarm.h. Tool world; pure.
#include <inttypes.h>

#include "base/units.h"
#include "render/alarm.h"
#include "render/format.h"

// Appends until the first failure, which is remembered.
struct page {
    struct buffer *buffer;
    int error;
};

// For texts of ours and numbers.
__attribute__((format(printf, 2, 3))) static void put(struct page *page, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (!page->error)
        page->error = buffer_vprintf(page->buffer, format, args);
    va_end(args);
}

// For everything that comes from the target: mails and chats show control bytes in odd ways.
static void put_name(struct page *page, const char *name)
{
    if (!page->error)
        page->error = format_escaped(page->buffer, name, 0);
}

// "lazily freed      130 MiB"
static void put_figure(struct page *page, const char *title, uint64_t bytes)
{
    // Unknown is a word: no figure may stand for it.
    char size[UNITS_TEXT_MAX];
    if (bytes == SAMPLE_UNKNOWN)
        text_format(size, sizeof size, "unknown");
    else
        units_format_bytes(bytes, size, sizeof size);
    // One column for all figures, of our own titles: none is longer than 21 bytes.
    put(page, "%-22s%s\n", title, size);
}

// The name first, which people know; the PID tells which one of several.
static void put_subject(struct page *page, const struct alarm_message *message)
{
    put_name(page, message->subject.name[0] ? message->subject.name : "?");
    put(page, " (%d)", message->subject.pid);
}

// Without an account: a terminal or a journal wants one line.
int render_alarm_line(const struct alarm_message *message, struct buffer *buffer)
{
    struct page page = {buffer, 0};
    char sentence[EVENT_TEXT_MAX];
    alarm_describe(message, sentence, sizeof sentence);
    put_subject(&page, message);
    put(&page, ": %s", sentence);
    return page.error;
}

// The rows that hold anything, and what follows from them.
static void put_account(struct page *page, const struct digest *digest)
{
    // How old it is depends on the process; the figures above are of now.
    put(page, "\nWho owns it, at the last full reading:\n");
    for (int row = 0; row < ROW_COUNT; row++) {
        if (digest->row_bytes[row] > 0)
            put_figure(page, account_row_title((enum account_row)row), digest->row_bytes[row]);
    }
    put(page, "\nVerdict: ");
    put_name(page, digest->headline);
    put(page, "\n");
    if (digest->next[0]) {
        put(page, "Next: ");
        put_name(page, digest->next);
        put(page, "\n");
    }
}

int render_alarm_text(const struct alarm_message *message, const struct alarm_context *context,
                      struct buffer *buffer)
{
    struct page page = {buffer, 0};
    char sentence[EVENT_TEXT_MAX];
    alarm_describe(message, sentence, sizeof sentence);
    put(&page, "%s: ", message->state == ALARM_BEGAN ? "Alarm" : "Alarm over");
    put_subject(&page, message);
    // Several hosts may mail to one box.
    if (context->host[0]) {
        put(&page, " on ");
        put_name(&page, context->host);
    }
    put(&page, "\n%s\n(%s)\n\n", sentence, message->condition->text);
    put_figure(&page, "RSS", message->sample.rss_bytes);
    put_figure(&page, "lazily freed", message->sample.lazy_bytes);
    put_figure(&page, "effective RSS", message->sample.effective_bytes);
    // What came and went since its start, which the figures above do not show.
    if (message->sample.peak_rss_bytes > message->sample.rss_bytes)
        put_figure(&page, "peak RSS (kernel)", message->sample.peak_rss_bytes);
    if (context->digest)
        put_account(&page, context->digest);
    // Silence must not pass for quiet.
    if (message->held_back > 0)
        put(&page, "\n%" PRIu64 " more of this process came since the last message.\n",
            message->held_back);
    return page.error;
}

// One variable; its value is a name from outside.
static void put_variable(struct page *page, const char *name, const char *value)
{
    put(page, "EBB_ALARM_%s=", name);
    put_name(page, value);
    if (!page->error)
        page->error = buffer_append(page->buffer, "", 1);
}

// In digits, for scripts that compare.
static void put_number(struct page *page, const char *name, uint64_t value)
{
    char digits[24] = "";
    // What is not known is empty, and not a number that no memory has.
    if (value != SAMPLE_UNKNOWN)
        text_format(digits, sizeof digits, "%" PRIu64, value);
    put_variable(page, name, digits);
}

// Rates may be negative, and sizes are whole.
static void put_rate(struct page *page, const char *name, double value)
{
    char digits[64];
    // Whole bytes: shells have no other numbers.
    text_format(digits, sizeof digits, "%.0f", value);
    put_variable(page, name, digits);
}

int render_alarm_environment(const struct alarm_message *message,
                             const struct alarm_context *context, struct buffer *buffer)
{
    struct page page = {buffer, 0};
    // In the order of docs/alarms.md.
    const struct digest *digest = context->digest;
    char sentence[EVENT_TEXT_MAX];
    alarm_describe(message, sentence, sizeof sentence);
    put_variable(&page, "STATE", message->state == ALARM_BEGAN ? "began" : "ended");
    put_variable(&page, "EXPRESSION", message->condition->text);
    put_variable(&page, "SENTENCE", sentence);
    put_variable(&page, "METRIC", alarm_metric_name(message->condition->metric));
    put_rate(&page, "VALUE", message->value);
    put_rate(&page, "LEVEL", message->level);
    put_variable(&page, "HOST", context->host);
    put_number(&page, "PID", (uint64_t)(message->subject.pid > 0 ? message->subject.pid : 0));
    put_variable(&page, "NAME", message->subject.name);
    put_variable(&page, "CGROUP", message->subject.cgroup);
    put_number(&page, "RSS_BYTES", message->sample.rss_bytes);
    put_number(&page, "LAZY_BYTES", message->sample.lazy_bytes);
    put_number(&page, "EFFECTIVE_BYTES", message->sample.effective_bytes);
    put_variable(&page, "VERDICT", digest ? verdict_name(digest->verdict) : "");
    put_number(&page, "HELD_BACK", message->held_back);
    return page.error;
}
