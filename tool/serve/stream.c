// SPDX-License-Identifier: Apache-2.0
// Server-sent events, see stream.h. Tool world; `lock` guards all of it.
#include "serve/stream.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// Clients ask often enough to see their own end; a proxy cuts connections that are silent for long.
enum { WAIT_MS = 500, HEARTBEAT_WAITS = 20 };

struct stream {
    pthread_mutex_t lock;
    pthread_cond_t has_more;
    struct buffer ring[STREAM_MESSAGES_MAX]; // of message n at n % STREAM_MESSAGES_MAX
    uint64_t first, next;                    // messages [first, next) are there
    size_t bytes;
    unsigned clients;
    bool has_ended;
};

// One client's place; its own thread's.
struct client {
    struct stream *stream;
    uint64_t next; // message
    unsigned silent_waits;
    bool has_begun;
};

// The clock of the wait is one that nobody sets.
int stream_new(struct stream **ret_stream)
{
    struct stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return -ENOMEM;
    // The default clock is the one that people set.
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&stream->has_more, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&stream->lock, NULL);
    *ret_stream = stream;
    return 0;
}

// Messages that nobody read go with it.
void stream_free(struct stream *stream)
{
    if (!stream)
        return;
    for (size_t i = 0; i < STREAM_MESSAGES_MAX; i++)
        buffer_free(&stream->ring[i]);
    pthread_cond_destroy(&stream->has_more);
    pthread_mutex_destroy(&stream->lock);
    free(stream);
}

// May be out of date as soon as it is told: a client that has just come misses one message, which
// it then reads from the series.
bool stream_has_clients(struct stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    bool has_some = stream->clients > 0;
    pthread_mutex_unlock(&stream->lock);
    return has_some;
}

// The oldest message goes: who has not read it yet is too slow.
static void drop_first(struct stream *stream)
{
    struct buffer *oldest = &stream->ring[stream->first++ % STREAM_MESSAGES_MAX];
    stream->bytes -= oldest->len;
    buffer_free(oldest);
}

// One message at least is kept, however large: the client that waits for it gets it.
static void add(struct stream *stream, struct buffer message)
{
    while (stream->first < stream->next && (stream->next - stream->first == STREAM_MESSAGES_MAX ||
                                            stream->bytes + message.len > STREAM_BYTES_MAX))
        drop_first(stream);
    stream->bytes += message.len;
    stream->ring[stream->next++ % STREAM_MESSAGES_MAX] = message;
}

// Made once, under the lock, since its number is its place in the ring.
int stream_send(struct stream *stream, const char *event, struct buffer *data)
{
    struct buffer message = {0};
    // A line break would begin another field of the message, and a text from a target is in it.
    int error = data->len > 0 && strpbrk(data->data, "\r\n") ? -EINVAL : 0;
    pthread_mutex_lock(&stream->lock);
    if (!error)
        error = buffer_printf(
            &message, "id: %llu\nevent: %s\ndata: ", (unsigned long long)stream->next, event);
    if (!error && data->len > 0)
        error = buffer_append(&message, data->data, data->len);
    if (!error)
        error = buffer_append(&message, "\n\n", 2);
    if (error)
        buffer_free(&message);
    else
        add(stream, message);
    // Woken after a failure as well: what is not there costs a waiter one look.
    pthread_cond_broadcast(&stream->has_more);
    pthread_mutex_unlock(&stream->lock);
    buffer_free(data);
    return error;
}

// Those who wait are woken: the end does not take the length of a wait.
void stream_end(struct stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    stream->has_ended = true;
    pthread_cond_broadcast(&stream->has_more);
    pthread_mutex_unlock(&stream->lock);
}

// Waits for the next message, under the lock. False: for now there is none.
static bool wait_for_more(struct client *client)
{
    struct stream *stream = client->stream;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += WAIT_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    // Spurious wakes are no messages.
    int error = 0;
    while (!error && client->next >= stream->next && !stream->has_ended)
        error = pthread_cond_timedwait(&stream->has_more, &stream->lock, &until);
    return client->next < stream->next;
}

// The next message, or a comment now and then so that both ends see that the other is there. 0; 1
// at the stream's end; -EPIPE for who was too slow.
static int next_message(struct client *client, struct buffer *piece)
{
    struct stream *stream = client->stream;
    bool has_more = wait_for_more(client);
    if (stream->has_ended)
        return 1;
    // What it wants next is gone: it could not know what it missed.
    if (client->next < stream->first)
        return -EPIPE;
    if (has_more) {
        // Any bytes show that both ends are there.
        client->silent_waits = 0;
        const struct buffer *message = &stream->ring[client->next++ % STREAM_MESSAGES_MAX];
        return buffer_append(piece, message->data, message->len);
    }
    if (++client->silent_waits < HEARTBEAT_WAITS)
        return 0;
    client->silent_waits = 0;
    return buffer_append(piece, ":\n\n", 3);
}

// http_pull. The first piece comes at once, so that the client knows that it is connected.
static int pull(void *context, struct buffer *piece)
{
    struct client *client = context;
    if (!client->has_begun) {
        // EventSource comes back a second after it was broken off.
        client->has_begun = true;
        static const char hello[] = "retry: 1000\n:\n\n";
        return buffer_append(piece, hello, sizeof hello - 1);
    }
    pthread_mutex_lock(&client->stream->lock);
    int result = next_message(client, piece);
    pthread_mutex_unlock(&client->stream->lock);
    return result;
}

// http_answer's pull_free: also for a client that never got its first message.
static void end_client(void *context)
{
    struct client *client = context;
    pthread_mutex_lock(&client->stream->lock);
    client->stream->clients--;
    pthread_mutex_unlock(&client->stream->lock);
    free(client);
}

// Messages from before are not sent: a client reads what was from the series.
int stream_answer(struct stream *stream, struct http_answer *answer)
{
    struct client *client = calloc(1, sizeof *client);
    if (!client)
        return -ENOMEM;
    client->stream = stream;
    pthread_mutex_lock(&stream->lock);
    // From here on, and nothing from before.
    client->next = stream->next;
    stream->clients++;
    pthread_mutex_unlock(&stream->lock);
    answer->type = "text/event-stream; charset=utf-8";
    answer->pull = pull;
    answer->pull_context = client;
    answer->pull_free = end_client;
    answer->is_stream = true;
    return 0;
}
