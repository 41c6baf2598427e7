// SPDX-License-Identifier: Apache-2.0
// The thread of a live watch: rounds of the sampler go into the recording and to the streams. Tool
// world.
//
// The sampler is this thread's alone; the lock is held for the recording only, never while a target
// is read, so that no client waits for a walk of smaps.
#include "serve/watch_internal.h"

#include <errno.h>

#include "render/page.h"

enum { FORGET_EVERY_MS = 60000 };

// What clients asked for since the last round.
static void take_wanted(struct watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    for (size_t i = 0; i < watch->wanted_count; i++) {
        if (!sampler_digest(watch->options.sampler, watch->wanted[i]))
            sampler_want_account(watch->options.sampler, watch->wanted[i]);
    }
    watch->wanted_count = 0;
    pthread_mutex_unlock(&watch->lock);
}

// To the streams, if anybody listens; a client that missed it reads it from the series.
static void send_batch(struct watch *watch, const struct batch *batch,
                       const struct subject *subjects, size_t count)
{
    struct buffer line = {0};
    if (!stream_has_clients(watch->stream))
        return;
    if (page_write_batch(batch, subjects, count, &line) == 0)
        (void)stream_send(watch->stream, "batch", &line);
    buffer_free(&line);
}

// One round. 0; -ESRCH at the end of all targets; -errno.
static int take_round(struct watch *watch)
{
    const struct batch *batch = NULL;
    take_wanted(watch);
    int result = sampler_round(watch->options.sampler, &batch);
    if (result < 0 && result != -ESRCH)
        return result;
    if (!batch)
        return result;
    size_t count;
    const struct subject *subjects = sampler_subjects(watch->options.sampler, &count);
    pthread_mutex_lock(&watch->lock);
    int error = history_add(watch->options.history, batch, subjects, count);
    if (!error)
        error = history_flush(watch->options.history);
    pthread_mutex_unlock(&watch->lock);
    // In this order: a client that hears of a sample finds it in the series too.
    send_batch(watch, batch, subjects, count);
    return error ? error : result;
}

// A round that could not be taken (no descriptors, no memory) is tried again: the host may recover,
// and the page says meanwhile that nothing comes.
static bool is_passing(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -EAGAIN;
}

// Subjects that ended long ago go, so that a watch may stay for months.
static void forget(struct watch *watch, int64_t *last_ms)
{
    int64_t now_ms = watch_now_ms();
    if (now_ms - *last_ms < FORGET_EVERY_MS && now_ms >= *last_ms)
        return;
    *last_ms = now_ms;
    if (watch->options.keep_ms > 0)
        sampler_forget(watch->options.sampler, now_ms - (int64_t)watch->options.keep_ms);
}

// Until watch_stop(); at the end of all targets too, since the page stays.
void *watch_live(void *context)
{
    struct watch *watch = context;
    int64_t forgotten_ms = watch_now_ms();
    pthread_mutex_lock(&watch->lock);
    while (!watch_wait(watch, sampler_due_ms(watch->options.sampler))) {
        pthread_mutex_unlock(&watch->lock);
        int result = take_round(watch);
        forget(watch, &forgotten_ms);
        pthread_mutex_lock(&watch->lock);
        watch->state = is_passing(result) ? 0 : result;
        if (watch->state < 0)
            break;
    }
    while (!watch_wait(watch, FORGET_EVERY_MS))
        continue;
    pthread_mutex_unlock(&watch->lock);
    return NULL;
}
