// SPDX-License-Identifier: Apache-2.0
// The look at the next window, in a thread of its own, see ahead.h. Tool world.
#include "lever/reclaim/ahead.h"

// The descriptors are opened by the walk, which outlives this.
int ahead_init(struct ahead *ahead, int pagemap_fd, int kpageflags_fd)
{
    *ahead = (struct ahead){.pagemap_fd = pagemap_fd, .kpageflags_fd = kpageflags_fd};
    return window_init(&ahead->window);
}

static void finish(struct ahead *ahead)
{
    if (ahead->is_running)
        pthread_join(ahead->thread, NULL);
    ahead->is_running = false;
}

void ahead_free(struct ahead *ahead)
{
    finish(ahead);
    window_free(&ahead->window);
}

// As pthread_create() wants it.
static void *look(void *argument)
{
    struct ahead *ahead = argument;
    struct window *window = &ahead->window;
    ahead->error = window_read_entries(window, ahead->pagemap_fd, ahead->first_page, ahead->count);
    if (!ahead->error)
        ahead->error = window_read_flags(window, ahead->kpageflags_fd);
    return NULL;
}

void ahead_start(struct ahead *ahead, uint64_t first_page, size_t count)
{
    finish(ahead);
    ahead->first_page = first_page;
    ahead->count = count;
    // Not looked at until the thread says otherwise; errors are found again by the next look.
    ahead->error = -1;
    ahead->is_running = pthread_create(&ahead->thread, NULL, look, ahead) == 0;
}

bool ahead_take(struct ahead *ahead, uint64_t first_page, size_t count, struct window *window)
{
    finish(ahead);
    if (ahead->error || ahead->count != count || ahead->first_page != first_page || count == 0)
        return false;
    struct window taken = ahead->window;
    ahead->window = *window;
    *window = taken;
    // What was taken once is old.
    ahead->count = 0;
    return true;
}
