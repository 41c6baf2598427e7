// SPDX-License-Identifier: Apache-2.0
// Answers: from struct http_answer to libmicrohttpd's responses; tokens. Tool world.
#include "serve/http_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "render/json_write.h"

// Of a long answer, what is handed on at a time.
enum { BLOCK_BYTES = 16 << 10, HELD_BYTES = 128 << 10 };

// For pages without scripts, styles and connections of others; pictures may be made by the page
// itself (data:, blob:).
static const char default_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

static const char json_type[] = "application/json; charset=utf-8";

// An answer that is pulled: libmicrohttpd's, until the response is destroyed.
struct pulling {
    struct http *http;
    int fd;
    http_pull pull;
    void *context;
    void (*free_context)(void *context);
    bool is_stream, has_ended;
    struct buffer piece;
    size_t at; // of `piece`, what is handed on
};

// Does nobody read any more? A client that has only shut its own side reads still, but one that
// closed looks the same: of an answer without an end, that is the likelier.
static bool is_gone(const struct pulling *pulling)
{
    // RDHUP is the client's own end of sending; HUP and ERR come without being asked for.
    struct pollfd peer = {.fd = pulling->fd, .events = pulling->is_stream ? POLLRDHUP : 0};
    if (atomic_load(&pulling->http->is_stopping))
        return true;
    return poll(&peer, 1, 0) > 0 && (peer.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL));
}

// Waits until there is something to hand on, never in vain: 0 from the callback would make
// libmicrohttpd ask again at once. 1: there is; 0: the end; -1: broken off.
static int refill(struct pulling *pulling)
{
    while (pulling->at == pulling->piece.len) {
        if (pulling->has_ended)
            return 0;
        // Asked before each piece: what nobody reads is not made.
        if (is_gone(pulling))
            return -1;
        buffer_clear(&pulling->piece);
        pulling->at = 0;
        int result = pulling->pull(pulling->context, &pulling->piece);
        if (result < 0)
            return -1;
        // The last piece may hold something; the end comes at the next turn.
        pulling->has_ended = result > 0;
    }
    return 1;
}

// MHD_ContentReaderCallback, in the connection's thread.
static ssize_t read_piece(void *context, uint64_t position, char *block, size_t block_len)
{
    struct pulling *pulling = context;
    (void)position;
    int result = refill(pulling);
    if (result <= 0)
        return result == 0 ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
    // libmicrohttpd's block is smaller than most pieces.
    size_t len = pulling->piece.len - pulling->at;
    if (len > block_len)
        len = block_len;
    memcpy(block, pulling->piece.data + pulling->at, len);
    pulling->at += len;
    return (ssize_t)len;
}

// MHD_ContentReaderFreeCallback.
static void end_pulling(void *context)
{
    struct pulling *pulling = context;
    struct http *http = pulling->http;
    if (pulling->free_context)
        pulling->free_context(pulling->context);
    pthread_mutex_lock(&http->lock);
    http->streams -= pulling->is_stream;
    http->longs -= !pulling->is_stream;
    pthread_mutex_unlock(&http->lock);
    buffer_free(&pulling->piece);
    free(pulling);
}

// Takes a place among the long answers. False when all are taken.
static bool take_place(struct http *http, bool is_stream)
{
    pthread_mutex_lock(&http->lock);
    // Streams and long answers do not take each other's places.
    bool has_place =
        is_stream ? http->streams < http->options.streams_max : http->longs < HTTP_LONG_MAX;
    http->streams += has_place && is_stream;
    http->longs += has_place && !is_stream;
    pthread_mutex_unlock(&http->lock);
    return has_place;
}

// The answer's pull is the response's from here on. NULL: no memory, and it is still the answer's.
static struct MHD_Response *respond_pulling(struct http_request *request,
                                            struct http_answer *answer)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct pulling *pulling = calloc(1, sizeof *pulling);
    if (!pulling || !info) {
        free(pulling);
        return NULL;
    }
    *pulling = (struct pulling){
        .http = request->http,
        .fd = info->connect_fd,
        .pull = answer->pull,
        .context = answer->pull_context,
        .free_context = answer->pull_free,
        .is_stream = answer->is_stream,
    };
    // Without a length: HTTP/1.1 sends it in chunks, so that a client sees whether it was cut off.
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_piece, pulling, end_pulling);
    if (!response) {
        free(pulling);
        return NULL;
    }
    // end_pulling() frees it from here on.
    answer->pull = NULL;
    answer->pull_free = NULL;
    return response;
}

// http_pull: a body that is there already, as one piece.
static int pull_held(void *context, struct buffer *piece)
{
    struct buffer *held = context;
    struct buffer empty = *piece;
    *piece = *held;
    *held = empty;
    return 1;
}

// http_answer's pull_free.
static void free_held(void *context)
{
    buffer_free(context);
    free(context);
}

// A large body that nobody reads stays in memory: it becomes a long answer, which has its place
// among few. Without memory for that it stays what it is.
static void hold_large(struct http_answer *answer)
{
    struct buffer *held = answer->body.len > HELD_BYTES ? malloc(sizeof *held) : NULL;
    if (!held)
        return;
    *held = answer->body;
    answer->body = (struct buffer){0};
    answer->pull = pull_held;
    answer->pull_context = held;
    answer->pull_free = free_held;
}

// The response to whichever body there is; the answer's parts that it took over are emptied.
static struct MHD_Response *respond(struct http_request *request, struct http_answer *answer)
{
    if (answer->pull && take_place(request->http, answer->is_stream)) {
        struct MHD_Response *response = respond_pulling(request, answer);
        // Without memory the place is given back; the answer frees its pull.
        if (response)
            return response;
        pthread_mutex_lock(&request->http->lock);
        request->http->streams -= answer->is_stream;
        request->http->longs -= !answer->is_stream;
        pthread_mutex_unlock(&request->http->lock);
        return NULL;
    }
    if (answer->pull) {
        http_answer_free(answer);
        (void)http_answer_error(answer, MHD_HTTP_SERVICE_UNAVAILABLE,
                                "too many long answers at a time");
    }
    // libmicrohttpd takes it as not const, and leaves it alone.
    if (answer->asset)
        return MHD_create_response_from_buffer(answer->asset_len, (void *)(uintptr_t)answer->asset,
                                               MHD_RESPMEM_PERSISTENT);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(answer->body.len, answer->body.data, MHD_RESPMEM_MUST_FREE);
    if (response)
        answer->body = (struct buffer){0};
    return response;
}

// What every answer says: nobody may frame it, guess its type, keep it, or embed it elsewhere.
static void add_headers(const struct http_request *request, const struct http_answer *answer,
                        struct MHD_Response *response)
{
    const char *policy = request->http->options.policy;
    MHD_add_response_header(response, "Content-Security-Policy", policy ? policy : default_policy);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
    MHD_add_response_header(response, "Cross-Origin-Opener-Policy", "same-origin");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                            answer->type ? answer->type : json_type);
    // no-cache keeps a file and asks whether it is still the same; no-store keeps nothing.
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL,
                            answer->etag ? "no-cache" : "no-store");
    if (answer->etag)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, answer->etag);
    // The name is ours: plain ASCII without quotes.
    if (answer->attachment[0]) {
        char value[sizeof answer->attachment + 32];
        text_format(value, sizeof value, "attachment; filename=\"%s\"", answer->attachment);
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_DISPOSITION, value);
    }
    // Places become free soon.
    if (answer->status == MHD_HTTP_SERVICE_UNAVAILABLE)
        MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    // RFC 9110, 11.6.1: a 401 names the scheme.
    if (answer->status == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
}

// RFC 9110, 10.2.1: a 405 says what would do.
static void add_allowed(const struct http_request *request, struct MHD_Response *response)
{
    // A path has one or two routes.
    bool has_get = false, has_post = false;
    for (const struct http_route *route = request->http->options.routes; route->path; route++) {
        bool is_here = strcmp(route->path, request->uri.path) == 0;
        has_get |= is_here && route->method == HTTP_GET;
        has_post |= is_here && route->method == HTTP_POST;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW,
                            has_get && has_post ? "GET, HEAD, POST"
                            : has_post          ? "POST"
                                                : "GET, HEAD");
}

// Does the client have these bytes already (RFC 9110, 13.1.2)? Lists of tags are searched as text:
// ours are hashes.
static bool is_known(const struct http_request *request, const struct http_answer *answer)
{
    const char *tags = http_request_header(request, MHD_HTTP_HEADER_IF_NONE_MATCH);
    return tags && answer->etag && (strcmp(tags, "*") == 0 || strstr(tags, answer->etag));
}

// The one place where an answer becomes a response.
enum MHD_Result http_send(struct http_request *request, struct http_answer *answer)
{
    // A 304 repeats the headers and leaves the body out.
    if (answer->asset && is_known(request, answer)) {
        answer->status = MHD_HTTP_NOT_MODIFIED;
        answer->asset_len = 0;
    }
    if (answer->status == 0)
        answer->status = MHD_HTTP_OK;
    enum MHD_Result result = MHD_NO;
    hold_large(answer);
    bool is_long = answer->pull != NULL;
    struct MHD_Response *response = respond(request, answer);
    if (response) {
        add_headers(request, answer, response);
        if (answer->status == MHD_HTTP_METHOD_NOT_ALLOWED)
            add_allowed(request, response);
        // A stream has its own way of seeing that nobody reads: it falls behind.
        unsigned seconds = answer->is_stream ? 0 : is_long ? HTTP_LONG_S : HTTP_READ_S;
        http_set_deadline(request, request->is_head ? HTTP_READ_S : seconds);
        result = MHD_queue_response(request->connection, answer->status, response);
        MHD_destroy_response(response);
    }
    http_answer_free(answer);
    return result;
}

// The sentence is made first, since it may be longer than any buffer of ours.
int http_answer_error(struct http_answer *answer, unsigned status, const char *format, ...)
{
    char sentence[512];
    va_list args;
    va_start(args, format);
    text_vformat(sentence, sizeof sentence, format, args);
    va_end(args);
    http_answer_free(answer);
    answer->status = status;
    // Written by hand: an error must be possible where memory for a tree is not.
    int error = buffer_append(&answer->body, "{\"error\":", 9);
    if (!error)
        error = json_write_name(&answer->body, sentence);
    return error ? error : buffer_append(&answer->body, "}\n", 2);
}

// Empty again, as it was before the handler.
void http_answer_free(struct http_answer *answer)
{
    if (answer->pull_free)
        answer->pull_free(answer->pull_context);
    buffer_free(&answer->body);
    *answer = (struct http_answer){0};
}

// 128 bits: nobody guesses them over HTTP.
int http_token_make(char ret_token[HTTP_TOKEN_MAX])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[16];
    // Never short for so few bytes, and never waits once the host is up.
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return -errno;
    for (size_t i = 0; i < sizeof bytes; i++) {
        ret_token[2 * i] = digits[bytes[i] >> 4];
        ret_token[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret_token[2 * sizeof bytes] = '\0';
    return 0;
}

// RFC 3986's unreserved characters: the same in a fragment and in a header.
bool http_token_is_valid(const char *token)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    size_t len = strlen(token);
    return len >= HTTP_TOKEN_LEN_MIN && len < HTTP_TOKEN_MAX && strspn(token, allowed) == len;
}
