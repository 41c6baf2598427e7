// SPDX-License-Identifier: Apache-2.0
// Server-sent events to any number of clients: messages are made once and shared. Tool world;
// thread-safe.
//
// A ring holds the last messages, bounded in number and bytes; each client has a place in it. Who
// falls out of the ring is broken off, and comes back: nobody is waited for, and a slow client
// costs what a fast one does.
//
// Source of the format: HTML standard, "Server-sent events".
#ifndef EBB_SERVE_STREAM_H
#define EBB_SERVE_STREAM_H

#include "serve/http.h"

struct stream;

enum { STREAM_MESSAGES_MAX = 64, STREAM_BYTES_MAX = 2 << 20 };

// 0 or -ENOMEM. stream_free() wants no client left: http_stop() comes first.
int stream_new(struct stream **ret_stream);
void stream_free(struct stream *stream);

// Does anybody listen? A message need not be made for nobody.
bool stream_has_clients(struct stream *stream);

// Sends `data`, which is one line of text, as event `event` (static), and takes it over in any
// case. 0; -ENOMEM, and this message is lost to all; -EINVAL for what has line breaks.
int stream_send(struct stream *stream, const char *event, struct buffer *data);

// Ends all clients' answers, and those that come: their next read is the end.
void stream_end(struct stream *stream);

// Makes the answer a client of the stream, from its next message on. 0 or -ENOMEM.
int stream_answer(struct stream *stream, struct http_answer *answer);

#endif
