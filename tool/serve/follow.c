// SPDX-License-Identifier: Apache-2.0
// The thread of a watch over a file: what another ebb writes to it meanwhile goes to the streams,
// as if it had been sampled here. Tool world.
#include "serve/viewer_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "render/page.h"
#include "sample/digest.h"

// A second's samples of one subject are a few; what piled up longer is in the series.
enum { LOOK_EVERY_MS = 1000, SAMPLES_MAX = 64, SILENT_S = 90 };

// What came since `after_ms`, as a batch whose digests are its own.
struct news {
    struct batch batch;
    struct subject *subjects;
    size_t subject_count;
};

// Digests are owned here, unlike those of a sampler's batch: hence the cast.
static void news_free(struct news *news)
{
    for (size_t i = 0; i < news->batch.sample_count; i++) {
        struct digest *digest = (struct digest *)(uintptr_t)news->batch.samples[i].digest;
        if (digest)
            digest_free(digest);
        free(digest);
    }
    free(news->batch.samples);
    free(news->batch.events);
    free(news->subjects);
}

// The account that a sample stands for, or NULL.
static struct digest *read_digest(struct history *history, unsigned subject, int64_t time_ms)
{
    struct digest *digest = calloc(1, sizeof *digest);
    // The moment is the sample's own, so the account at or before it is just that.
    int64_t found_ms;
    if (!digest || history_digest(history, subject, time_ms, &found_ms, digest) < 0) {
        free(digest);
        return NULL;
    }
    return digest;
}

// One point of a series as the sample that it was.
static struct sample sample_at(const struct series *series, size_t i, unsigned subject)
{
    uint64_t *const *columns = series->columns;
    return (struct sample){
        .subject = subject,
        .time_ms = series->time_ms[i],
        // A minute of which only extremes are left has no kind; what is new is never such a one.
        .kind = (enum sample_kind)columns[SERIES_KIND][i],
        .rss_bytes = columns[SERIES_RSS][i],
        .lazy_bytes = columns[SERIES_LAZY][i],
        .effective_bytes = columns[SERIES_EFFECTIVE][i],
        .anon_bytes = columns[SERIES_ANON][i],
        .virtual_bytes = columns[SERIES_VIRTUAL][i],
        .swap_bytes = columns[SERIES_SWAP][i],
        .minor_faults = columns[SERIES_MINOR_FAULTS][i],
        .major_faults = columns[SERIES_MAJOR_FAULTS][i],
        .cpu_ms = columns[SERIES_CPU_MS][i],
        .threads = columns[SERIES_THREADS][i],
    };
}

// Samples of one subject in (after_ms, until_ms].
static int add_samples(struct history *history, struct news *news, unsigned subject,
                       int64_t after_ms, int64_t until_ms)
{
    struct batch *batch = &news->batch;
    struct series series;
    int error = history_series(history, subject, after_ms + 1, until_ms, SAMPLES_MAX, &series);
    if (error)
        return error;
    for (size_t i = 0; i < series.count && !error; i++) {
        error = array_reserve_one(&batch->samples, &batch->sample_capacity, batch->sample_count,
                                  sizeof *batch->samples);
        if (error)
            break;
        struct sample sample = sample_at(&series, i, subject);
        // Without memory for it the sample stays, as a cheap one.
        if (sample.kind == SAMPLE_ACCOUNT)
            sample.digest = read_digest(history, subject, sample.time_ms);
        batch->samples[batch->sample_count++] = sample;
    }
    series_free(&series);
    return error;
}

// Everything in (after_ms, until_ms]. 0 or -errno; news_free() in any case.
static int read_news(struct history *history, int64_t after_ms, int64_t until_ms, struct news *news)
{
    news->batch.time_ms = until_ms;
    int error = history_subjects(history, &news->subjects, &news->subject_count);
    for (size_t i = 0; i < news->subject_count && !error; i++) {
        // Most of a long recording's subjects ended long ago: they cost nothing.
        if (news->subjects[i].last_ms > after_ms)
            error = add_samples(history, news, news->subjects[i].id, after_ms, until_ms);
    }
    if (!error)
        error = history_events(history, 0, after_ms + 1, until_ms, &news->batch.events,
                               &news->batch.event_count);
    return error;
}

// Where the follower is.
struct place {
    int64_t seen_ms;   // the recording's last moment
    uint64_t silent_s; // looks since it moved
    struct history_about about;
};

// To the streams, if anybody listens. 0 or -errno.
static int send_news(struct viewer *viewer, int64_t after_ms, int64_t until_ms)
{
    struct news news;
    struct buffer line = {0};
    memset(&news, 0, sizeof news);
    // Nobody listens: nothing is read.
    if (!stream_has_clients(viewer->stream))
        return 0;
    int error = read_news(viewer->options.history, after_ms, until_ms, &news);
    if (!error)
        error = page_write_batch(&news.batch, news.subjects, news.subject_count, &line);
    if (!error)
        error = stream_send(viewer->stream, "batch", &line);
    buffer_free(&line);
    news_free(&news);
    return error;
}

// Sends what is new and moves on. What cannot be read now may be at the next look; a batch that
// was lost is in the series.
static void look(struct viewer *viewer, struct place *place)
{
    if (history_about(viewer->options.history, &place->about) < 0)
        return;
    place->silent_s++;
    // The clock of the recording's host was set back, and with it went all that was before.
    if (place->about.last_ms < place->seen_ms)
        place->seen_ms = place->about.last_ms;
    if (place->about.last_ms > place->seen_ms) {
        (void)send_news(viewer, place->seen_ms, place->about.last_ms);
        place->seen_ms = place->about.last_ms;
        place->silent_s = 0;
    }
    // A writer that was killed ends no recording: it is over when nothing comes for long.
    bool is_over = place->about.is_ended || place->silent_s > SILENT_S;
    // It may begin to move again: a host that slept.
    viewer->state = is_over ? -ESRCH : 0;
}

// Until viewer_stop(). One that was still written a minute ago may go on.
void *viewer_follow(void *context)
{
    struct viewer *viewer = context;
    struct place place = {.seen_ms = 0};
    pthread_mutex_lock(&viewer->lock);
    if (history_about(viewer->options.history, &place.about) == 0)
        place.seen_ms = place.about.last_ms;
    if (viewer_now_ms() - place.seen_ms > SILENT_S * 1000)
        // Old: over at the first look, unless it moves.
        place.silent_s = SILENT_S;
    look(viewer, &place);
    viewer_begin(viewer);
    while (!viewer_wait(viewer, LOOK_EVERY_MS)) {
        // What was ended is never written again.
        if (!place.about.is_ended)
            look(viewer, &place);
    }
    pthread_mutex_unlock(&viewer->lock);
    return NULL;
}
