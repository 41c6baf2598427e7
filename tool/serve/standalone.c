// SPDX-License-Identifier: Apache-2.0
// The page with a recording inside it, see standalone.h. Tool world.
//
// The page's own files go in as they are: one style, one script. Nothing in them may end a script
// element, which the build checks (bundle.cmake).
#include "serve/standalone.h"

#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "base/text.h"
#include "render/page.h"
#include "serve/assets.h"

// All series together: some ten MiB of text. With many processes each still gets POINTS_LEAST, and
// the file grows beyond that.
enum { POINTS_OF_ALL = 100000, POINTS_LEAST = 200, POINTS_MOST = 20000 };

// Only what stands in the file runs and shows.
static const char policy[] =
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src "
    "'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:\">\n";

// Written piece by piece: the whole page is never in memory.
struct standalone {
    struct history *history;
    const struct standalone_options *options;
    struct buffer text;
};

// Hands on what was gathered.
static int flush(struct standalone *page)
{
    if (page->text.len == 0)
        return 0;
    int error = page->options->write(page->options->context, page->text.data, page->text.len);
    buffer_clear(&page->text);
    return error;
}

// Our own words.
static int put(struct standalone *page, const char *text)
{
    return buffer_append(&page->text, text, strlen(text));
}

// As it is: what is served is what is sent by mail. Between these words of ours.
static int put_asset(struct standalone *page, const char *before, const char *path,
                     const char *after)
{
    const struct asset *asset = assets_find(path);
    int error = asset ? put(page, before) : -ENOTSUP;
    if (!error)
        error = buffer_append(&page->text, asset->start, (size_t)(asset->end - asset->start));
    if (!error)
        error = put(page, after);
    return error ? error : flush(page);
}

// In the place of what the frame links.
static int put_style(struct standalone *page)
{
    int error = put(page, policy);
    return error ? error : put_asset(page, "<style>\n", "/style.css", "</style>\n");
}

static int put_script(struct standalone *page)
{
    return put_asset(page, "<script type=\"module\">\n", "/app.js", "</script>\n");
}

// All series share the points: a file with two hundred processes still opens.
static int put_series(struct standalone *page, unsigned subject)
{
    size_t points = POINTS_OF_ALL / page->options->subject_count;
    struct page_series series = {.subject = subject,
                                 .from_ms = page->options->from_ms,
                                 .to_ms = page->options->to_ms,
                                 .points = points < POINTS_LEAST  ? POINTS_LEAST
                                           : points > POINTS_MOST ? POINTS_MOST
                                                                  : points};
    int error = page_series_begin(page->history, &series);
    if (error)
        return error;
    // 0: there is more; 1: that was the last part.
    int state = 0;
    while (state == 0 && !error) {
        state = page_series_next(page->history, &series, &page->text);
        error = state < 0 ? state : flush(page);
    }
    page_series_end(&series);
    return error;
}

// One JSON text, in the form that the server gives piece by piece.
static int put_recording(struct standalone *page)
{
    const struct standalone_options *options = page->options;
    // Not live: the page then shows what it has, and asks for nothing.
    struct page_view view = {.now_ms = options->to_ms};
    int error = put(page, "<script type=\"application/json\" id=\"recording\">\n{\"about\":");
    if (!error)
        error = page_write_about(page->history, &view, &page->text);
    if (!error)
        error = put(page, ",\n\"series\":[");
    for (size_t i = 0; i < options->subject_count && !error; i++) {
        error = put(page, i ? ",\n" : "");
        if (!error)
            error = put_series(page, options->subjects[i]);
    }
    if (!error)
        error = put(page, "],\n\"events\":");
    if (!error)
        error =
            page_write_events(page->history, 0, options->from_ms, options->to_ms, 0, &page->text);
    return error ? error : put(page, "}\n</script>\n");
}

// A line of the frame. What fetches a file is left out: the files stand in the page.
static int put_line(struct standalone *page, struct text line)
{
    int error = 0;
    if (text_starts_with(line, "<link ") || text_starts_with(line, "<script src="))
        return 0;
    if (text_equals(line, "</head>"))
        error = put_style(page);
    // Data before the script, which finds it when it runs.
    if (text_equals(line, "</body>")) {
        error = put_recording(page);
        if (!error)
            error = put_script(page);
    }
    if (!error)
        error = buffer_append(&page->text, line.data, line.len);
    return error ? error : put(page, "\n");
}

// The frame is read by lines, which its own file promises to keep simple.
int standalone_write(struct history *history, const struct standalone_options *options)
{
    const struct asset *frame = assets_find("/");
    if (!frame)
        return -ENOTSUP;
    struct standalone page = {.history = history, .options = options};
    struct text rest = {(const char *)frame->start, (size_t)(frame->end - frame->start)};
    struct text line;
    // A recording that goes on meanwhile: all of the page is of one moment.
    int error = history_begin_reading(history);
    while (!error && text_next_line(&rest, &line))
        error = put_line(&page, line);
    history_end_reading(history);
    if (!error)
        error = flush(&page);
    buffer_free(&page.text);
    return error;
}
