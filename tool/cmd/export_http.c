// SPDX-License-Identifier: Apache-2.0
// Metrics over HTTP, see export_parts.h. Tool world; handlers run on threads of the server, and
// share nothing but the source, which has a lock of its own.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/export_parts.h"
#include "cmd/listen.h"
#include "cmd/messages.h"
#include "cmd/options.h"

#ifdef EBB_WITH_HTTP

#include "serve/http.h"

// A port that the list of exporters' ports has for nobody else. Beyond CONNECTIONS_MAX, connections
// are turned away where none of those that are there asks for nothing.
enum { EXPORT_PORT = 9876, CONNECTIONS_MAX = 16 };

// Does not change while the server runs, so that its threads need no lock for it.
struct export_server {
    struct export_source *source;
    struct http *http;
    char token[HTTP_TOKEN_MAX];
};

static int answer_metrics(void *context, const struct http_request *request,
                          struct http_answer *answer)
{
    // The frame has checked everything else about the request.
    struct export_server *server = context;
    // A scraper that does not ask for OpenMetrics gets the classic format, as all of them read
    // that.
    enum metrics_format format = metrics_format_of(http_request_header(request, "Accept"));
    answer->type = metrics_format_type(format);
    return export_source_render(server->source, format, &answer->body);
}

// That it answers is all that is asked; ebb_sample_age_seconds tells whether its readings are new.
static int answer_healthy(void *context, const struct http_request *request,
                          struct http_answer *answer)
{
    static const char text[] = "ebb export is healthy.\n";
    (void)context;
    (void)request;
    answer->type = "text/plain; charset=utf-8";
    return buffer_append(&answer->body, text, sizeof text - 1);
}

static int answer_root(void *context, const struct http_request *request,
                       struct http_answer *answer)
{
    static const char page[] = "<!doctype html>\n<html lang=\"en\"><title>ebb export</title>"
                               "<p>ebb export: <a href=\"/metrics\">/metrics</a></html>\n";
    (void)context;
    (void)request;
    answer->type = "text/html; charset=utf-8";
    return buffer_append(&answer->body, page, sizeof page - 1);
}

// The last two tell nothing of any process.
static const struct http_route routes[] = {
    {"/metrics", HTTP_GET, false, answer_metrics},
    {"/-/healthy", HTTP_GET, true, answer_healthy},
    {"/", HTTP_GET, true, answer_root},
    {NULL, HTTP_GET, false, NULL},
};

// Where to listen, and whether that is allowed.
static int read_address(const struct options *options, struct http_address *ret_address)
{
    // Addresses alone: what a name means is another host's to say.
    int status = listen_read_address("export", options_get(options, "listen")->string, EXPORT_PORT,
                                     ret_address);
    if (status != EXIT_DONE)
        return status;
    // Metrics tell names of processes and how much memory they have: nothing for strangers.
    if (ret_address->is_loopback || options_flag(options, "allow-remote"))
        return EXIT_DONE;
    message_error("export: other hosts could read the metrics there, which name processes");
    message_hint("--allow-remote allows it; --token-file FILE lets in those alone who know it.");
    return EXIT_USAGE;
}

// Prometheus names its target in Host as its own configuration does, and that may be any name of
// this host. On loopback nobody does, so there the names stay few, against pages that rebind
// theirs.
static int start(const struct options *options, struct export_server *server)
{
    struct http_address address;
    int fd = -1;
    int status = read_address(options, &address);
    if (status == EXIT_DONE && options_get(options, "token-file")->given)
        status = listen_read_token(options_get(options, "token-file")->string, server->token);
    // A scraper is told one address, so no other port will do.
    if (status == EXIT_DONE && (fd = http_listen(&address)) < 0)
        status = listen_refuse("export", &address, true, fd);
    if (status != EXIT_DONE)
        return status;
    // A few connections are plenty: one scraper, perhaps two, and a probe.
    const struct http_options http_options = {
        .routes = routes,
        .context = server,
        .token = server->token[0] ? server->token : NULL,
        .any_host = !address.is_loopback,
        .connections_max = CONNECTIONS_MAX,
    };
    // The socket is the server's from here on, also when it fails.
    int error = http_start(&http_options, fd, &address, &server->http);
    if (error) {
        message_error("cannot serve: %s", strerror(-error));
        return EXIT_FAILED;
    }
    char shown[HTTP_ADDRESS_TEXT_MAX];
    http_address_format(&address, shown);
    // On stderr, where messages go; port 0 is told as what it became.
    message_error("metrics at http://%s/metrics", shown);
    if (!address.is_loopback && !server->token[0])
        message_hint("No token is needed there: whoever reaches the port may read them.");
    return EXIT_DONE;
}

int export_server_start(const struct options *options, struct export_source *source,
                        struct export_server **ret_server)
{
    struct export_server *server = calloc(1, sizeof *server);
    if (!server) {
        message_error("cannot serve: %s", strerror(ENOMEM));
        return EXIT_FAILED;
    }
    // Handlers get the server as their context, and the source through it.
    server->source = source;
    int status = start(options, server);
    if (status == EXIT_DONE)
        *ret_server = server;
    else
        free(server);
    return status;
}

// The server's threads use the source, so they end before it does.
void export_server_stop(struct export_server *server)
{
    if (!server)
        return;
    http_stop(server->http);
    free(server);
}

#else

int export_server_start(const struct options *options, struct export_source *source,
                        struct export_server **ret_server)
{
    (void)options;
    (void)source;
    (void)ret_server;
    message_error("this ebb was built without HTTP (libmicrohttpd)");
    message_hint("--textfile FILE works all the same, with the textfile collector of "
                 "node_exporter.");
    return EXIT_FAILED;
}

void export_server_stop(struct export_server *server)
{
    (void)server;
}

#endif
