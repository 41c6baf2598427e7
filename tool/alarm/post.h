// SPDX-License-Identifier: Apache-2.0
// Posts a JSON object to a URL: plain HTTP itself, HTTPS by curl(1). Tool world; thread-safe.
//
// RFC 9112 as far as one POST needs it: Content-Length, Connection: close, the status line of the
// answer. No redirects, no proxies, no cookies: a web hook that moves is configured anew.
#ifndef EBB_ALARM_POST_H
#define EBB_ALARM_POST_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/text.h"

struct post_url {
    bool is_https;
    char host[256]; // a name, or an address without its brackets
    char port[6];
    char path[1024]; // with the query; begins with '/'
};

// Takes a URL apart. 0; -EINVAL: another scheme, no host, user and password in it, a fragment, a
// blank, or bytes beyond ASCII; -ENAMETOOLONG. Pure.
int post_parse_url(struct text text, struct post_url *ret_url);

// The number of a status line ("HTTP/1.1 204 No Content"), or -EBADMSG. Pure.
int post_parse_status(struct text line);

// Posts over plain HTTP. 0 with the status of the answer; -errno: -ENOENT when the host has no
// address, -EAGAIN when nobody says in time which it has, -ETIMEDOUT, -ECONNREFUSED, -ECANCELED and
// the like; -EBADMSG: no HTTP.
int post_send(const struct post_url *url, struct text body, unsigned timeout_ms,
              const atomic_bool *cancelled, int *ret_status);

#endif
