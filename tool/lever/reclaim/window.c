// SPDX-License-Identifier: Apache-2.0
// Reading pagemap and kpageflags, see window.h. Tool world; no state.
#include "lever/reclaim/window.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lever/reclaim/pages.h"
#include "lever/reclaim/runs.h"

// Flags are read by as many threads at once: on a host that has run for long, most of the time goes
// into tens of thousands of small reads, which do not hinder each other.
enum { READERS = 2, READER_RUNS_MIN = 4096 };

// In one piece, so that there is one failure.
struct window_buffers {
    uint64_t entries[WINDOW_PAGES], flags[WINDOW_PAGES];
    struct frame_run runs[WINDOW_PAGES], scratch[WINDOW_PAGES];
    uint64_t words[READERS][RUNS_HEAD_FRAMES + RUNS_SPAN_FRAMES];
    uint8_t fates[WINDOW_PAGES];
};

// Zeroed: fates of a window that was never judged leave every page alone.
int window_init(struct window *window)
{
    struct window_buffers *buffers = calloc(1, sizeof *buffers);
    if (!buffers)
        return -ENOMEM;
    *window = (struct window){
        .entries = buffers->entries,
        .flags = buffers->flags,
        .fates = buffers->fates,
        .buffers = buffers,
    };
    return 0;
}

// A freed window is empty, and may be freed again.
void window_free(struct window *window)
{
    free(window->buffers);
    *window = (struct window){0};
}

// Reads words number `first` and following. How many there were, which is less at the table's end;
// -errno.
static ssize_t read_words(int fd, uint64_t first, size_t count, uint64_t *ret_words)
{
    size_t got = 0;
    while (got < count) {
        ssize_t len = pread(fd, ret_words + got, (count - got) * sizeof *ret_words,
                            (off_t)((first + got) * sizeof *ret_words));
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return -errno;
        if ((size_t)len < sizeof *ret_words)
            break;
        got += (size_t)len / sizeof *ret_words;
    }
    return (ssize_t)got;
}

// The descriptor names the address space that process_open() saw: after an exec it reads as empty.
int window_read_entries(struct window *window, int pagemap_fd, uint64_t first_page, size_t count)
{
    ssize_t got = read_words(pagemap_fd, first_page, count, window->entries);
    if (got < 0)
        return (int)got;
    // Below the top of user space the table ends only where there is no address space any more.
    if ((size_t)got < count)
        return -ESRCH;
    window->first_page = first_page;
    window->count = count;
    return 0;
}

// The window itself stays as it is: the second look is compared with the first.
int window_read_part(const struct window *window, int pagemap_fd, size_t first, size_t count,
                     uint64_t *room)
{
    ssize_t got = read_words(pagemap_fd, window->first_page + first, count, room + first);
    if (got < 0)
        return (int)got;
    return (size_t)got == count ? 0 : -ESRCH;
}

// One thread's share: runs in ascending order, and where their flags go. Shares have no page in
// common.
struct share {
    const struct frame_run *runs;
    size_t run_count;
    uint64_t *words, *flags;
    int fd, error;
};

// Reads one span, from its first page's head on where that lies before it.
static int read_span(const struct share *share, const struct frame_span *span)
{
    uint64_t from = span->frame;
    ssize_t got = read_words(share->fd, from, span->count, share->words);
    // A compound page begins at a multiple of its size.
    if (got > 0 && (share->words[0] & PAGES_TAIL)) {
        from -= from % RUNS_HEAD_FRAMES;
        got = read_words(share->fd, from, span->count + (size_t)(span->frame - from), share->words);
    }
    if (got < 0)
        return (int)got;
    runs_spread(share->runs, span, share->words, from, (size_t)got, share->flags);
    return 0;
}

// As pthread_create() wants it.
static void *read_share(void *argument)
{
    struct share *share = argument;
    struct frame_span span = {0};
    while (!share->error && runs_next_span(share->runs, share->run_count, span.end_run, &span))
        share->error = read_span(share, &span);
    return NULL;
}

// Where no thread can be had, one after the other.
static int read_shares(struct share *shares, size_t count)
{
    pthread_t threads[READERS];
    bool has_thread[READERS] = {false};
    for (size_t i = 1; i < count; i++)
        has_thread[i] = pthread_create(&threads[i], NULL, read_share, &shares[i]) == 0;
    read_share(&shares[0]);
    int error = shares[0].error;
    for (size_t i = 1; i < count; i++) {
        if (has_thread[i])
            pthread_join(threads[i], NULL);
        else
            read_share(&shares[i]);
        error = error ? error : shares[i].error;
    }
    return error;
}

// Pages whose flags are not known are no anonymous pages, and so are left.
int window_read_flags(struct window *window, int kpageflags_fd)
{
    memset(window->flags, 0, window->count * sizeof *window->flags);
    if (kpageflags_fd < 0)
        return 0;
    struct window_buffers *buffers = window->buffers;
    size_t run_count = runs_find(window->entries, window->count, buffers->runs, buffers->scratch);
    // A thread for a few reads would take longer than they do.
    size_t readers = run_count < READER_RUNS_MIN ? 1 : READERS;
    struct share shares[READERS];
    for (size_t i = 0; i < readers; i++) {
        size_t first = run_count * i / readers, end = run_count * (i + 1) / readers;
        shares[i] = (struct share){
            .runs = buffers->runs + first,
            .run_count = end - first,
            .words = buffers->words[i],
            .flags = window->flags,
            .fd = kpageflags_fd,
        };
    }
    return read_shares(shares, readers);
}
