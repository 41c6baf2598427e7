// SPDX-License-Identifier: Apache-2.0
// The viewer's life: routes, thread, end; see viewer.h. Tool world.
#include "serve/viewer_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "serve/assets.h"

// As samples have it: settable, so never used to wait.
int64_t viewer_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// Each wait may be cut short by the end, and by nothing else. The lock is held by the caller, and
// free while it waits.
bool viewer_wait(struct viewer *viewer, uint64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    // Whole seconds apart, so that nothing overflows for long waits.
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    int error = 0;
    while (!viewer->is_stopping && !error)
        error = pthread_cond_timedwait(&viewer->wake, &viewer->lock, &until);
    return viewer->is_stopping;
}

// Said each round, heard once.
void viewer_begin(struct viewer *viewer)
{
    viewer->has_begun = true;
    pthread_cond_broadcast(&viewer->wake);
}

// So that the first client finds something. A large target may take longer: then it finds it later.
static void wait_for_begin(struct viewer *viewer)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    // After a second the address is printed in any case.
    int error = 0;
    pthread_mutex_lock(&viewer->lock);
    while (!viewer->has_begun && !error)
        error = pthread_cond_timedwait(&viewer->wake, &viewer->lock, &until);
    pthread_mutex_unlock(&viewer->lock);
}

// Each subject once: a client that asks again and again costs the target nothing.
void viewer_want(struct viewer *viewer, unsigned subject)
{
    // A few dozen at most.
    for (size_t i = 0; i < viewer->asked_count; i++) {
        if (viewer->asked[i] == subject)
            return;
    }
    // More than a page's user clicks at: the others get their accounts when it is their turn.
    if (viewer->asked_count == VIEWER_WANTED_MAX || viewer->wanted_count == VIEWER_WANTED_MAX)
        return;
    viewer->asked[viewer->asked_count++] = subject;
    // The sampler's thread takes it over in its next round.
    viewer->wanted[viewer->wanted_count++] = subject;
}

// Without uPlot its modules would not load: then none of its files are there.
bool viewer_has_page(void)
{
    return assets_find("/") != NULL;
}

// The API's routes, and one for each file.
static struct http_route *make_routes(bool has_levers)
{
    // Both tables are constant, and end with NULL.
    size_t count = 0, files = 0;
    while (viewer_api_routes[count].path)
        count++;
    while (assets_list()[files].path)
        files++;
    // A page's or its substitute's, the lever's, and the end.
    struct http_route *routes = calloc(count + files + 3, sizeof *routes);
    if (!routes)
        return NULL;
    memcpy(routes, viewer_api_routes, count * sizeof *routes);
    for (size_t i = 0; i < files; i++)
        // Files hold no figures: they need no token, which the browser does not have yet.
        routes[count++] = (struct http_route){
            .path = assets_list()[i].path, .is_public = true, .handler = viewer_file};
    // Where there is no page, its address still says why.
    if (files == 0)
        routes[count++] =
            (struct http_route){.path = "/", .is_public = true, .handler = viewer_no_page};
    if (has_levers)
        routes[count++] =
            (struct http_route){.path = "/api/lever", .method = HTTP_POST, .handler = viewer_lever};
    return routes;
}

// Made at the start, and not changed while the server runs.
const struct http_route *viewer_routes(const struct viewer *viewer)
{
    return viewer->routes;
}

// The thread writes it, who asks is another.
int viewer_state(struct viewer *viewer)
{
    pthread_mutex_lock(&viewer->lock);
    int state = viewer->state;
    pthread_mutex_unlock(&viewer->lock);
    return state;
}

// Waiting is by a clock that nobody sets.
static void init_lock(struct viewer *viewer)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&viewer->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&viewer->lock, NULL);
}

// What it was given is its own from the first line on, so that callers have one way out.
int viewer_start(const struct viewer_options *options, struct viewer **ret_viewer)
{
    struct viewer *viewer = calloc(1, sizeof *viewer);
    if (!viewer) {
        sampler_close(options->sampler);
        (void)history_close(options->history);
        return -ENOMEM;
    }
    viewer->options = *options;
    init_lock(viewer);
    viewer->routes = make_routes(options->has_levers);
    int error = viewer->routes ? stream_new(&viewer->stream) : -ENOMEM;
    if (!error) {
        // With signals blocked by the caller, the thread inherits that.
        error = -pthread_create(&viewer->thread, NULL,
                                options->sampler ? viewer_live : viewer_follow, viewer);
        viewer->has_thread = !error;
    }
    if (error) {
        viewer_free(viewer);
        return error;
    }
    // Also for a recording that is opened: its first look tells whether it goes on.
    wait_for_begin(viewer);
    *ret_viewer = viewer;
    return 0;
}

// Streams end before the server does: their threads are woken, not waited for.
void viewer_stop(struct viewer *viewer)
{
    if (!viewer)
        return;
    pthread_mutex_lock(&viewer->lock);
    viewer->is_stopping = true;
    pthread_cond_broadcast(&viewer->wake);
    pthread_mutex_unlock(&viewer->lock);
    if (viewer->stream)
        stream_end(viewer->stream);
    // It is in a round at most: the sampler's readings are bounded.
    if (viewer->has_thread)
        pthread_join(viewer->thread, NULL);
    viewer->has_thread = false;
}

// Behind http_stop(): no handler runs any more.
void viewer_free(struct viewer *viewer)
{
    if (!viewer)
        return;
    // Once more is fine: a viewer that failed to start was never stopped.
    viewer_stop(viewer);
    stream_free(viewer->stream);
    free(viewer->routes);
    // NULL is fine for both: a file has no sampler.
    sampler_close(viewer->options.sampler);
    (void)history_close(viewer->options.history);
    pthread_cond_destroy(&viewer->wake);
    pthread_mutex_destroy(&viewer->lock);
    free(viewer);
}
