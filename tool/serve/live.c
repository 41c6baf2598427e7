// SPDX-License-Identifier: Apache-2.0
// The thread of a live watch: rounds of the sampler go into the recording and to the streams. Tool
// world.
//
// The sampler is this thread's alone; the lock is held for the recording only, never while a target
// is read, so that no client waits for a walk of smaps.
#include "serve/viewer_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "lever/journal_events.h"
#include "render/page.h"

enum {
    FORGET_EVERY_MS = 10000,
    FAILED_WAIT_MS = 500,
    KEEP_LEAST_MS = 60000,
    MEMORY_MAX = 10 << 20, // of the recording: the server's goal is 32 MiB for all that it holds
};

// The thread's own.
struct live {
    struct journal *journal;
    struct journal_events events; // of a round, with the levers' among them
    uint64_t keep_ms;
    int64_t forgotten_ms;
};

// What clients asked for since the last round.
static void take_wanted(struct viewer *viewer)
{
    pthread_mutex_lock(&viewer->lock);
    for (size_t i = 0; i < viewer->wanted_count; i++) {
        if (!sampler_digest(viewer->options.sampler, viewer->wanted[i]))
            sampler_want_account(viewer->options.sampler, viewer->wanted[i]);
    }
    viewer->wanted_count = 0;
    pthread_mutex_unlock(&viewer->lock);
}

// To the streams, if anybody listens; a client that missed it reads it from the series.
static void send_batch(struct viewer *viewer, const struct batch *batch,
                       const struct subject *subjects, size_t count)
{
    struct buffer line = {0};
    // Drawing for nobody would cost as much as drawing for somebody.
    if (!stream_has_clients(viewer->stream))
        return;
    if (page_write_batch(batch, subjects, count, &line) == 0)
        (void)stream_send(viewer->stream, "batch", &line);
    buffer_free(&line);
}

// One round. 0; -ESRCH at the end of all targets; -errno. `*ret_is_over`: no other round can do
// better, since the recording takes no more.
static int take_round(struct viewer *viewer, struct live *live, bool *ret_is_over)
{
    const struct batch *batch = NULL;
    take_wanted(viewer);
    int result = sampler_round(viewer->options.sampler, &batch);
    if (result < 0 && result != -ESRCH)
        return result;
    // Nothing was read at all: there is nothing to store.
    if (!batch)
        return result;
    size_t count;
    const struct subject *subjects = sampler_subjects(viewer->options.sampler, &count);
    // A copy: the sampler's own is not ours to change. Without memory levers are missing in it.
    struct batch whole = *batch;
    (void)journal_add_events(live->journal, subjects, count, &live->events, &whole);
    pthread_mutex_lock(&viewer->lock);
    int error = history_add(viewer->options.history, &whole, subjects, count);
    pthread_mutex_unlock(&viewer->lock);
    // In this order: a client that hears of a sample finds it in the series too.
    send_batch(viewer, &whole, subjects, count);
    *ret_is_over = error || result == -ESRCH;
    return error ? error : result;
}

// A round that could not be taken (no descriptors, no memory) is tried again: the host may recover,
// and the page says meanwhile that nothing comes.
static bool is_passing(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -EAGAIN;
}

// Hundreds of busy processes fill an hour with more than a server of a page may hold: then it holds
// less than an hour. The recording's pages are used again, so it stays as large as it got.
static void bound_memory(struct viewer *viewer, uint64_t *keep_ms)
{
    struct history_about about = {0};
    pthread_mutex_lock(&viewer->lock);
    int error = history_about(viewer->options.history, &about);
    int64_t held_ms = about.last_ms - about.first_ms;
    if (!error && about.file_bytes > MEMORY_MAX && held_ms > KEEP_LEAST_MS) {
        uint64_t less_ms = (uint64_t)held_ms / 10 * 9;
        less_ms = less_ms < *keep_ms ? less_ms : *keep_ms / 10 * 9;
        *keep_ms = less_ms > KEEP_LEAST_MS ? less_ms : KEEP_LEAST_MS;
        history_keep(viewer->options.history, *keep_ms);
    }
    pthread_mutex_unlock(&viewer->lock);
}

// Subjects that ended long ago go, so that a watch may stay for months.
static void forget(struct viewer *viewer, struct live *live)
{
    int64_t now_ms = viewer_now_ms();
    if (now_ms - live->forgotten_ms < FORGET_EVERY_MS && now_ms >= live->forgotten_ms)
        return;
    live->forgotten_ms = now_ms;
    bound_memory(viewer, &live->keep_ms);
    sampler_forget(viewer->options.sampler, now_ms - (int64_t)live->keep_ms);
}

// Until viewer_stop(); at the end of all targets too, since the page stays.
void *viewer_live(void *context)
{
    struct viewer *viewer = context;
    // NULL where there is no memory for it: then levers are not marked.
    struct live live = {.journal = journal_open(),
                        .keep_ms = viewer->options.keep_ms,
                        .forgotten_ms = viewer_now_ms()};
    pthread_mutex_lock(&viewer->lock);
    // The first round is due at once.
    for (uint64_t wait_ms = 0; !viewer_wait(viewer, wait_ms);) {
        pthread_mutex_unlock(&viewer->lock);
        bool is_over = false;
        int result = take_round(viewer, &live, &is_over);
        forget(viewer, &live);
        pthread_mutex_lock(&viewer->lock);
        // A page that was told that all has ended does not hear more.
        viewer->state = is_passing(result) && !is_over ? 0 : result;
        viewer_begin(viewer);
        if (viewer->state < 0)
            break;
        wait_ms = sampler_due_ms(viewer->options.sampler);
        // What fails at once must not be tried again at once.
        if (result < 0 && wait_ms < FAILED_WAIT_MS)
            wait_ms = FAILED_WAIT_MS;
    }
    while (!viewer_wait(viewer, FORGET_EVERY_MS))
        continue;
    pthread_mutex_unlock(&viewer->lock);
    journal_close(live.journal);
    free(live.events.events);
    return NULL;
}
