// SPDX-License-Identifier: Apache-2.0
// The watch's life: routes, thread, end; see watch.h. Tool world.
#include "serve/watch_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "serve/assets.h"

// As samples have it: settable, so never used to wait.
int64_t watch_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool watch_wait(struct watch *watch, uint64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    int error = 0;
    while (!watch->is_stopping && !error)
        error = pthread_cond_timedwait(&watch->wake, &watch->lock, &until);
    return watch->is_stopping;
}

// Each subject once: a client that asks again and again costs the target nothing.
void watch_want(struct watch *watch, unsigned subject)
{
    for (size_t i = 0; i < watch->asked_count; i++) {
        if (watch->asked[i] == subject)
            return;
    }
    if (watch->asked_count == WATCH_WANTED_MAX || watch->wanted_count == WATCH_WANTED_MAX)
        return;
    watch->asked[watch->asked_count++] = subject;
    watch->wanted[watch->wanted_count++] = subject;
}

bool watch_has_page(void)
{
    return assets_find("/") != NULL;
}

// The API's routes, and one for each file.
static struct http_route *make_routes(bool has_levers)
{
    size_t count = 0, files = 0;
    while (watch_api_routes[count].path)
        count++;
    while (assets_list()[files].path)
        files++;
    struct http_route *routes = calloc(count + files + 3, sizeof *routes);
    if (!routes)
        return NULL;
    memcpy(routes, watch_api_routes, count * sizeof *routes);
    for (size_t i = 0; i < files; i++)
        routes[count++] = (struct http_route){
            .path = assets_list()[i].path, .is_public = true, .handler = watch_file};
    if (files == 0)
        routes[count++] =
            (struct http_route){.path = "/", .is_public = true, .handler = watch_no_page};
    if (has_levers)
        routes[count++] =
            (struct http_route){.path = "/api/lever", .method = HTTP_POST, .handler = watch_lever};
    return routes;
}

const struct http_route *watch_routes(const struct watch *watch)
{
    return watch->routes;
}

int watch_state(struct watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    int state = watch->state;
    pthread_mutex_unlock(&watch->lock);
    return state;
}

// Waiting is by a clock that nobody sets.
static void init_lock(struct watch *watch)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&watch->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&watch->lock, NULL);
}

int watch_start(const struct watch_options *options, struct watch **ret_watch)
{
    struct watch *watch = calloc(1, sizeof *watch);
    if (!watch) {
        sampler_close(options->sampler);
        (void)history_close(options->history);
        return -ENOMEM;
    }
    watch->options = *options;
    init_lock(watch);
    watch->routes = make_routes(options->has_levers);
    int error = watch->routes ? stream_new(&watch->stream) : -ENOMEM;
    if (!error) {
        error = -pthread_create(&watch->thread, NULL, options->sampler ? watch_live : watch_follow,
                                watch);
        watch->has_thread = !error;
    }
    if (error) {
        watch_free(watch);
        return error;
    }
    *ret_watch = watch;
    return 0;
}

void watch_stop(struct watch *watch)
{
    if (!watch)
        return;
    pthread_mutex_lock(&watch->lock);
    watch->is_stopping = true;
    pthread_cond_broadcast(&watch->wake);
    pthread_mutex_unlock(&watch->lock);
    if (watch->stream)
        stream_end(watch->stream);
    if (watch->has_thread)
        pthread_join(watch->thread, NULL);
    watch->has_thread = false;
}

void watch_free(struct watch *watch)
{
    if (!watch)
        return;
    watch_stop(watch);
    stream_free(watch->stream);
    free(watch->routes);
    sampler_close(watch->options.sampler);
    (void)history_close(watch->options.history);
    pthread_cond_destroy(&watch->wake);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
}
