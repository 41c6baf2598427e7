// SPDX-License-Identifier: Apache-2.0
// Listening, for the verbs that serve: --listen, --port, --token, --allow-remote. Tool world.
#ifndef EBB_CMD_LISTEN_H
#define EBB_CMD_LISTEN_H

#ifdef EBB_WITH_HTTP

#include "cmd/verb.h"
#include "serve/http.h"

struct listening {
    struct http_address address;
    int fd;
    char token[HTTP_TOKEN_MAX]; // "": none
};

// Reads the options and listens. The verb's table has "listen" and "port"; "token", "token-file"
// and "allow-remote" as it likes. `needs_token`: one is made where none is given; an address that
// other hosts reach needs --allow-remote, and a token where the verb has one. Without --port and a
// port in --listen the first free one from `port` on. EXIT_DONE, or a status after a message.
int listen_open(const struct command *command, unsigned port, bool needs_token,
                struct listening *ret_listening);

// The parts of it, for a verb with other rules. The address in the text of a --listen, whose port
// is `port` where it names none; and what is said where it cannot be listened on (`error` is
// -errno; `is_exact`: no other port would have done). EXIT_DONE, or a status after a message.
int listen_read_address(const char *verb, const char *listen, unsigned port,
                        struct http_address *ret_address);
int listen_refuse(const char *verb, const struct http_address *address, bool is_exact, int error);

// The token in a file's first line. EXIT_DONE, or a status after a message.
int listen_read_token(const char *path, char ret_token[HTTP_TOKEN_MAX]);

// "http://127.0.0.1:7878/#token=..."; of a server on all addresses with the host's name.
enum { LISTEN_URL_MAX = 512 };
void listen_url(const struct listening *listening, char ret_url[LISTEN_URL_MAX]);

// Waits for Ctrl-C, SIGTERM, SIGHUP or the end of `for_ns` (0: none), and lets the server see to
// its clients meanwhile; `look` is called each second. Call listen_block_signals() before any
// thread is started.
void listen_block_signals(void);
void listen_wait(struct http *http, uint64_t for_ns, void (*look)(void *context), void *context);

#endif
#endif
