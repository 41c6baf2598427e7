// SPDX-License-Identifier: Apache-2.0
// The API of the page, PAGE.md: reading requests, answering from the recording. Tool world.
//
// Each handler takes the lock for the recording alone; long answers take it for one part at a time,
// so that the sampler's next round never waits for a client.
#include "serve/viewer_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "render/page.h"

// More is a download, for which there is CSV.
enum { POINTS_MAX = 100000, POINTS_DEFAULT = 2000 };

// Moments that no recording reaches, from which differences still fit.
static const int64_t moment_first = INT64_MIN / 4, moment_last = INT64_MAX / 4;

// What most requests ask for.
struct asked {
    uint64_t subject, points;
    int64_t from_ms, to_ms, at_ms;
};

// False with an answer that says what is wrong with the query.
static bool take_asked(const struct http_request *request, uint64_t points, bool needs_subject,
                       struct asked *ret_asked, struct http_answer *answer)
{
    const struct uri *uri = http_request_uri(request);
    struct asked asked = {
        .points = points, .from_ms = moment_first, .to_ms = moment_last, .at_ms = moment_last};
    // The first that is wrong is named; what is not asked for is not looked at.
    const char *wrong = !uri_take_u64(uri, "subject", UINT32_MAX, &asked.subject) ? "subject"
                        : !uri_take_u64(uri, "points", POINTS_MAX, &asked.points) ? "points"
                        : !uri_take_moment(uri, "from", &asked.from_ms)           ? "from"
                        : !uri_take_moment(uri, "to", &asked.to_ms)               ? "to"
                        : !uri_take_moment(uri, "at", &asked.at_ms)               ? "at"
                                                                                  : NULL;
    // Subjects count from 1.
    if (!wrong && needs_subject && asked.subject == 0)
        wrong = "subject";
    if (wrong) {
        (void)http_answer_error(answer, 400, "%s is missing, no number, or out of range", wrong);
        return false;
    }
    *ret_asked = asked;
    return true;
}

// Recordings are read under the lock, and what failed there is told as what it means.
static int answer_reading(struct http_answer *answer, int error)
{
    if (error == -ENOENT)
        return http_answer_error(answer, 404, "the recording has no such subject or moment");
    return error;
}

// Costs a few reads for each subject: a page asks for it when it connects, not each round.
static int get_about(void *context, const struct http_request *request, struct http_answer *answer)
{
    struct viewer *viewer = context;
    (void)request;
    // All of it in one go: subjects and head belong to one moment.
    pthread_mutex_lock(&viewer->lock);
    struct page_view view = {
        // A page whose processes have ended stays, and says so.
        .is_live = viewer->state == 0,
        .has_levers = viewer->options.has_levers,
        .now_ms = viewer_now_ms(),
    };
    int error = page_write_about(viewer->options.history, &view, &answer->body);
    pthread_mutex_unlock(&viewer->lock);
    return answer_reading(answer, error);
}

// An answer of 1 MiB at most: it is built whole, under the lock.
static const size_t events_max = 5000;

// Without a subject those of all, as the page wants them at its start.
static int get_events(void *context, const struct http_request *request, struct http_answer *answer)
{
    struct viewer *viewer = context;
    struct asked asked;
    if (!take_asked(request, 0, false, &asked, answer))
        return 0;
    pthread_mutex_lock(&viewer->lock);
    int error = page_write_events(viewer->options.history, (unsigned)asked.subject, asked.from_ms,
                                  asked.to_ms, events_max, &answer->body);
    pthread_mutex_unlock(&viewer->lock);
    return answer_reading(answer, error);
}

// Of a living process that has no account yet, one is taken soon: see viewer.h.
static int get_account(void *context, const struct http_request *request,
                       struct http_answer *answer)
{
    struct viewer *viewer = context;
    struct asked asked;
    if (!take_asked(request, 0, true, &asked, answer))
        return 0;
    pthread_mutex_lock(&viewer->lock);
    int error = page_write_account(viewer->options.history, (unsigned)asked.subject, asked.at_ms,
                                   &answer->body);
    // Not for a moment long ago, nor for one that has had its turn: viewer_want() sees to that.
    if (error == -ENOENT && viewer->options.sampler)
        viewer_want(viewer, (unsigned)asked.subject);
    pthread_mutex_unlock(&viewer->lock);
    return answer_reading(answer, error);
}

// A series on its way to a client.
struct sending {
    struct viewer *viewer;
    struct page_series series;
};

// http_pull: one part.
static int pull_series(void *context, struct buffer *piece)
{
    struct sending *sending = context;
    pthread_mutex_lock(&sending->viewer->lock);
    int result = page_series_next(sending->viewer->options.history, &sending->series, piece);
    pthread_mutex_unlock(&sending->viewer->lock);
    return result;
}

// http_answer's pull_free.
static void end_series(void *context)
{
    struct sending *sending = context;
    page_series_end(&sending->series);
    free(sending);
}

// The first look, which tells whether there is such a subject.
static int begin_series(struct viewer *viewer, const struct asked *asked, bool is_csv,
                        struct http_answer *answer)
{
    struct sending *sending = calloc(1, sizeof *sending);
    if (!sending)
        return -ENOMEM;
    sending->viewer = viewer;
    sending->series = (struct page_series){.subject = (unsigned)asked->subject,
                                           .from_ms = asked->from_ms,
                                           .to_ms = asked->to_ms,
                                           .points = asked->points,
                                           .is_csv = is_csv};
    pthread_mutex_lock(&viewer->lock);
    int error = page_series_begin(viewer->options.history, &sending->series);
    pthread_mutex_unlock(&viewer->lock);
    // Nothing was sent yet: a status can still say what is wrong.
    if (error) {
        free(sending);
        return answer_reading(answer, error);
    }
    // From here on the answer frees it, whatever becomes of it.
    answer->pull = pull_series;
    answer->pull_context = sending;
    answer->pull_free = end_series;
    return 0;
}

// For drawing: the default is about what a screen has columns.
static int get_series(void *context, const struct http_request *request, struct http_answer *answer)
{
    struct asked asked;
    if (!take_asked(request, POINTS_DEFAULT, true, &asked, answer))
        return 0;
    // All of it is what a CSV is for; a page could not draw more points anyway.
    if (asked.points == 0)
        asked.points = POINTS_DEFAULT;
    return begin_series(context, &asked, false, answer);
}

// The name says the subject's number, not its name, which may be anything.
static int get_csv(void *context, const struct http_request *request, struct http_answer *answer)
{
    struct asked asked;
    if (!take_asked(request, 0, true, &asked, answer))
        return 0;
    // The list of its figures is read first: a CSV names its columns once.
    int error = begin_series(context, &asked, true, answer);
    // An error is JSON, whatever was asked for.
    if (answer->pull) {
        answer->type = "text/csv; charset=utf-8; header=present";
        text_format(answer->attachment, sizeof answer->attachment, "ebb-%u.csv",
                    (unsigned)asked.subject);
    }
    return error;
}

// A recording that ended has one, too: the page need not know which it shows.
static int get_stream(void *context, const struct http_request *request, struct http_answer *answer)
{
    struct viewer *viewer = context;
    (void)request;
    return stream_answer(viewer->stream, answer);
}

const struct http_route viewer_api_routes[] = {
    {.path = "/api/about", .handler = get_about},
    {.path = "/api/series", .handler = get_series},
    {.path = "/api/events", .handler = get_events},
    {.path = "/api/account", .handler = get_account},
    {.path = "/api/csv", .handler = get_csv},
    {.path = "/api/stream", .handler = get_stream},
    {.path = NULL},
};
