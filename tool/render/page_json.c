// SPDX-License-Identifier: Apache-2.0
// A recording's subjects, events and accounts as JSON, see page.h. Tool world.
#include "render/page.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "render/json_write.h"
#include "render/page_internal.h"
#include "sample/digest.h"

// Words for the page; figures of time are nanoseconds.
const char *page_unit_name(enum figure_unit unit)
{
    // By value: a unit that is new must have a name here.
    static const char *const names[] = {
        [FIGURE_BYTES] = "bytes",
        [FIGURE_COUNT] = "count",
        [FIGURE_NANOSECONDS] = "nanoseconds",
        [FIGURE_RATIO] = "ratio",
    };
    return names[unit];
}

// The first failure stays: what comes after it is dropped.
void page_put(struct page_out *out, const char *text)
{
    if (!out->error)
        out->error = buffer_append(out->buffer, text, text_of(text).len);
}

// "key":, with a comma in front of all but the first of an object.
void page_key(struct page_out *out, const char *key)
{
    // By what stands there, so that no caller has to count.
    bool is_first = out->buffer->len > 0 && out->buffer->data[out->buffer->len - 1] == '{';
    page_put(out, is_first ? "\"" : ",\"");
    page_put(out, key);
    page_put(out, "\":");
}

// Unknown figures are null, here as in a series.
void page_u64(struct page_out *out, const char *key, uint64_t value)
{
    page_key(out, key);
    // Digits by hand: these are most of what a page reads.
    if (!out->error)
        out->error = json_write_u64(out->buffer, value);
}

// Moments, and what may be negative.
void page_i64(struct page_out *out, const char *key, int64_t value)
{
    page_key(out, key);
    if (!out->error)
        out->error = json_write_i64(out->buffer, value);
}

// The only way for a text from a target into the page's JSON. It escapes what would end a string,
// or a script that the JSON is put into.
void page_name(struct page_out *out, const char *key, const char *value)
{
    page_key(out, key);
    if (!out->error)
        out->error = json_write_name(out->buffer, value);
}

// As JSON spells it.
void page_bool(struct page_out *out, const char *key, bool value)
{
    page_key(out, key);
    page_put(out, value ? "true" : "false");
}

// A verdict that was never reached is null.
void page_verdict(struct page_out *out, const char *key, enum verdict_code verdict)
{
    page_key(out, key);
    // Of a hostile recording it may be any number.
    if (verdict >= VERDICT_LAZY && verdict <= VERDICT_UNKNOWN) {
        page_put(out, "\"");
        page_put(out, verdict_name(verdict));
        page_put(out, "\"");
    } else {
        page_put(out, "null");
    }
}

// Ratios are held in millionths and written as what they are.
void page_figure_value(struct page_out *out, enum figure_unit unit, uint64_t value)
{
    if (out->error)
        return;
    if (unit == FIGURE_RATIO && value != SAMPLE_UNKNOWN)
        out->error =
            buffer_printf(out->buffer, "%llu.%06llu", (unsigned long long)(value / 1000000),
                          (unsigned long long)(value % 1000000));
    else
        out->error = json_write_u64(out->buffer, value);
}

// The head of a figure's object, without its value and its closing brace.
void page_figure_head(struct page_out *out, const char *runtime, const char *name,
                      enum figure_unit unit)
{
    page_name(out, "runtime", runtime);
    page_name(out, "name", name);
    page_name(out, "unit", page_unit_name(unit));
}

// The figures of an account. `subject` 0: an object of its own, else one in a batch's list.
void page_figures(struct page_out *out, const struct digest *digest, unsigned subject)
{
    for (size_t i = 0; i < digest->figure_count; i++) {
        const struct digest_figure *figure = &digest->figures[i];
        // A list that was just opened: no comma in front.
        bool is_first = out->buffer->len > 0 && out->buffer->data[out->buffer->len - 1] == '[';
        page_put(out, is_first ? "{" : ",{");
        if (subject)
            page_u64(out, "subject", subject);
        page_figure_head(out, figure->runtime, figure->figure.name, figure->figure.unit);
        page_key(out, "value");
        page_figure_value(out, figure->figure.unit, digest_figure_value(&figure->figure));
        page_put(out, "}");
    }
}

// Who it is; then what is known of it.
int page_write_subject(const struct subject *subject, const struct sample *sample,
                       const struct digest *digest, struct buffer *buffer)
{
    // Several of these go into one buffer: what stands in front is none of its business.
    struct page_out out = {.buffer = buffer};
    page_put(&out, "{");
    page_u64(&out, "id", subject->id);
    // For people and for `ebb explain`; the page itself goes by the id.
    page_i64(&out, "pid", subject->pid);
    page_name(&out, "name", subject->name);
    page_name(&out, "cmdline", subject->cmdline);
    page_name(&out, "cgroup", subject->cgroup);
    // Known from accounts alone.
    page_name(&out, "runtimes", digest ? digest->runtimes : "");
    page_i64(&out, "start_ms", subject->start_ms);
    page_i64(&out, "first_ms", subject->first_ms);
    page_i64(&out, "last_ms", subject->last_ms);
    // A recording in memory never ends by itself: its processes do.
    // Or has become another program: then a new subject goes on from it.
    page_bool(&out, "ended", subject->has_ended);
    page_u64(&out, "rss_bytes", sample ? sample->rss_bytes : SAMPLE_UNKNOWN);
    page_u64(&out, "lazy_bytes", sample ? sample->lazy_bytes : SAMPLE_UNKNOWN);
    page_u64(&out, "effective_bytes", sample ? sample->effective_bytes : SAMPLE_UNKNOWN);
    page_verdict(&out, "verdict", digest ? digest->verdict : 0);
    // The sentence that the page shows largest.
    page_key(&out, "headline");
    if (digest && !out.error)
        out.error = json_write_name(buffer, digest->headline);
    else
        page_put(&out, "null");
    page_put(&out, "}");
    return out.error;
}

// The last sample of a subject. False when there is none.
static bool last_sample(struct history *history, const struct subject *subject,
                        struct sample *ret_sample)
{
    // Not a count of samples: of a busy process there are sixty in a minute, of a quiet one there
    // is one.
    // A sample stands for a minute at most until the next one.
    enum { STANDS_MS = 61000 };
    struct series series;
    // A few dozen samples at most, whatever the interval is.
    if (history_series(history, subject->id, subject->last_ms - STANDS_MS, subject->last_ms, 0,
                       &series) < 0)
        return false;
    bool has_some = series.count > 0;
    if (has_some) {
        // Those before it are older.
        size_t last = series.count - 1;
        *ret_sample = (struct sample){
            .rss_bytes = series.columns[SERIES_RSS][last],
            .lazy_bytes = series.columns[SERIES_LAZY][last],
            .effective_bytes = series.columns[SERIES_EFFECTIVE][last],
        };
    }
    series_free(&series);
    return has_some;
}

// One element of about's list.
static int write_known_subject(struct history *history, const struct subject *subject,
                               struct buffer *buffer)
{
    // Either may be missing: a process that was never read deep, or one that has just come.
    struct sample sample;
    struct digest digest;
    int64_t time_ms;
    // Either may be missing: most processes of a host have no account.
    bool has_sample = last_sample(history, subject, &sample);
    // The newest, whenever it was.
    bool has_digest = history_digest(history, subject->id, INT64_MAX / 4, &time_ms, &digest) == 0;
    int error = page_write_subject(subject, has_sample ? &sample : NULL,
                                   has_digest ? &digest : NULL, buffer);
    if (has_digest)
        digest_free(&digest);
    return error;
}

// All subjects, as an array. Cost: two reads of the recording for each.
static void write_subjects(struct history *history, struct page_out *out)
{
    // One copy of them all, so that what is added meanwhile is not seen by half.
    struct subject *subjects = NULL;
    size_t count = 0;
    if (!out->error)
        out->error = history_subjects(history, &subjects, &count);
    page_put(out, "[");
    for (size_t i = 0; i < count && !out->error; i++) {
        if (i > 0)
            page_put(out, ",");
        if (!out->error)
            out->error = write_known_subject(history, &subjects[i], out->buffer);
    }
    page_put(out, "]");
    free(subjects);
}

// The recording's own head, and who is in it.
int page_write_about(struct history *history, const struct page_view *view, struct buffer *buffer)
{
    struct history_about about;
    struct page_out out = {.buffer = buffer};
    // Without it nothing else would make sense.
    out.error = history_about(history, &about);
    if (out.error)
        return out.error;
    page_put(&out, "{");
    page_name(&out, "version", EBB_VERSION);
    // What was asked for on the command line: hostile, when a file says it.
    page_name(&out, "title", about.title);
    page_bool(&out, "live", view->is_live);
    // A file that nobody writes to any more has ended, however it did.
    page_bool(&out, "ended", about.is_ended || !view->is_live);
    // The page tells a gap from quiet by it.
    page_u64(&out, "interval_ms", about.interval_ms);
    // The server's clock: the browser's may be another host's.
    page_i64(&out, "now_ms", view->now_ms);
    page_i64(&out, "first_ms", about.first_ms);
    page_i64(&out, "last_ms", about.last_ms);
    page_name(&out, "host", about.host);
    page_name(&out, "kernel", about.kernel);
    page_bool(&out, "levers", view->has_levers);
    page_key(&out, "subjects");
    write_subjects(history, &out);
    page_put(&out, "}\n");
    return out.error;
}

// The same for a batch and for a list.
void page_event(struct page_out *out, const struct event *event)
{
    page_put(out, "{");
    page_u64(out, "subject", event->subject);
    page_i64(out, "time_ms", event->time_ms);
    page_name(out, "kind", event_kind_name(event->kind));
    // A clock is set back as well as forth.
    if (event->kind == EVENT_CLOCK)
        page_i64(out, "value", (int64_t)event->value);
    else
        page_u64(out, "value", event->value);
    page_name(out, "text", event->text);
    page_put(out, "}");
}

// Drops the oldest above `most`, of the host, of processes, and of what comes by the thousand, each
// by themselves: a busy program's collections must not push out what its verdict was last week, nor
// processes that come and go that the host was suspended. How many are left.
static size_t keep_newest(struct event *events, size_t count, size_t most)
{
    enum { HOST, RARE, TICKS, GROUPS };
    size_t seen[GROUPS] = {0}, first = count;
    // From the end; what stays moves there, which keeps the order.
    for (size_t i = count; i-- > 0;) {
        bool is_tick = events[i].kind == EVENT_GC || events[i].kind == EVENT_PURGE;
        int group = events[i].subject == 0 ? HOST : is_tick ? TICKS : RARE;
        if (seen[group]++ < most)
            events[--first] = events[i];
    }
    memmove(events, events + first, (count - first) * sizeof *events);
    return count - first;
}

// history_events() bounds what is read, this what is sent.
int page_write_events(struct history *history, unsigned subject, int64_t from_ms, int64_t to_ms,
                      size_t most, struct buffer *buffer)
{
    struct event *events;
    size_t count;
    int error = history_events(history, subject, from_ms, to_ms, &events, &count);
    if (error)
        return error;
    if (most > 0 && count > 0)
        count = keep_newest(events, count, most);
    struct page_out out = {.buffer = buffer};
    page_put(&out, "[");
    // Ascending in time, as the recording gives them.
    for (size_t i = 0; i < count && !out.error; i++) {
        if (i > 0)
            page_put(&out, ",");
        page_event(&out, &events[i]);
    }
    page_put(&out, "]\n");
    free(events);
    return out.error;
}

// Every row that is known, those of no bytes too: the page's table keeps its form. RSS, which is
// unknown where a row is: a sum of the others would be another figure.
static uint64_t write_rows(struct page_out *out, const struct digest *digest)
{
    // Of whole bytes: no sum of them can overflow that the kernel could count.
    uint64_t rss_bytes = 0;
    page_key(out, "rows");
    page_put(out, "[");
    bool is_first = true, is_whole = true;
    for (int row = 0; row < ROW_COUNT; row++) {
        if (digest->row_bytes[row] == SAMPLE_UNKNOWN) {
            is_whole = false;
            continue;
        }
        page_put(out, is_first ? "{" : ",{");
        is_first = false;
        page_name(out, "key", account_row_key((enum account_row)row));
        // The page has no names of its own for rows: a new one needs no new page.
        page_name(out, "title", account_row_title((enum account_row)row));
        page_u64(out, "bytes", digest->row_bytes[row]);
        page_u64(out, "error_bytes", digest->row_error_bytes[row]);
        page_put(out, "}");
        // The account's invariant makes this sum RSS.
        rss_bytes += digest->row_bytes[row];
    }
    page_put(out, "]");
    return is_whole ? rss_bytes : SAMPLE_UNKNOWN;
}

// Rows sum to RSS exactly: the sum is what smaps said.
int page_write_account(struct history *history, unsigned subject, int64_t at_ms,
                       struct buffer *buffer)
{
    struct digest digest;
    int64_t time_ms;
    int error = history_digest(history, subject, at_ms, &time_ms, &digest);
    if (error)
        return error;
    struct page_out out = {.buffer = buffer};
    page_put(&out, "{");
    page_u64(&out, "subject", subject);
    page_i64(&out, "time_ms", time_ms);
    // Not the RSS of a sample near it, which would not fit the rows.
    uint64_t rss_bytes = write_rows(&out, &digest);
    page_u64(&out, "rss_bytes", rss_bytes);
    page_u64(&out, "lazy_bytes", digest.row_bytes[ROW_LAZY]);
    page_u64(&out, "effective_bytes",
             rss_bytes == SAMPLE_UNKNOWN ? SAMPLE_UNKNOWN : rss_bytes - digest.row_bytes[ROW_LAZY]);
    page_verdict(&out, "verdict", digest.verdict);
    page_name(&out, "headline", digest.headline);
    page_name(&out, "next", digest.next);
    page_key(&out, "figures");
    page_put(&out, "[");
    page_figures(&out, &digest, 0);
    page_put(&out, "]");
    // Beside the rows, never among them: see struct account.
    page_u64(&out, "swap_bytes", digest.swap_bytes);
    page_u64(&out, "huge_bytes", digest.huge_bytes);
    page_u64(&out, "locked_bytes", digest.locked_bytes);
    page_u64(&out, "group_usage_bytes", digest.group_usage_bytes);
    page_u64(&out, "group_limit_bytes", digest.group_limit_bytes);
    page_put(&out, "}\n");
    digest_free(&digest);
    return out.error;
}
