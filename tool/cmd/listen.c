// SPDX-License-Identifier: Apache-2.0
// Listening, for the verbs that serve, see listen.h. Tool world.
#include "cmd/listen.h"

#ifdef EBB_WITH_HTTP

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proc/listener.h"

// So many ports are tried from the verb's own on: as many pages as one user has open at a time.
enum { PORT_LARGEST = 65535, PORT_TRIES = 20 };

// Is there a port in the text itself? Then it is meant. Digits alone are a port.
static bool names_port(const char *listen)
{
    // Colons within brackets are the address's.
    const char *behind = strrchr(listen, ']');
    return strchr(behind ? behind : listen, ':') || strspn(listen, "0123456789") == strlen(listen);
}

// Its own colons hide where a port would begin: "::1:80" is an address as well.
static bool lacks_brackets(const char *listen)
{
    struct in6_addr address;
    return inet_pton(AF_INET6, listen, &address) == 1;
}

int listen_read_address(const char *verb, const char *listen, unsigned port,
                        struct http_address *ret_address)
{
    int error = http_address_parse(text_of(listen), port, ret_address);
    if (!error)
        return EXIT_DONE;
    if (error == -ERANGE)
        return message_refuse_usage(verb, "a port is at most 65535");
    char text[192];
    if (lacks_brackets(listen))
        text_format(text, sizeof text,
                    "--listen takes an IPv6 address in brackets: [%s] or [%s]:%u", listen, listen,
                    port);
    else
        text_format(text, sizeof text,
                    "--listen takes ADDRESS:PORT, where ADDRESS is an address of this host: "
                    "127.0.0.1:%u, [::1]:%u",
                    port, port);
    return message_refuse_usage(verb, text);
}

// The address of --listen and --port. `*ret_is_exact`: no other port will do.
static int read_address(const struct command *command, unsigned port, struct http_address *address,
                        bool *ret_is_exact)
{
    const struct option_value *listen = options_get(&command->options, "listen");
    const struct option_value *number = options_get(&command->options, "port");
    const char *verb = command->verb->name;
    // Who names a port has told others about it.
    *ret_is_exact = number->given || (listen->given && names_port(listen->string));
    if (number->given && listen->given && names_port(listen->string))
        return message_refuse_usage(verb, "--listen has a port already: leave --port out");
    if (number->given && number->number > PORT_LARGEST)
        return message_refuse_usage(verb, "--port is at most 65535");
    if (number->given)
        port = (unsigned)number->number;
    return listen_read_address(verb, listen->string, port, address);
}

int listen_read_token(const char *path, char ret_token[HTTP_TOKEN_MAX])
{
    // As text editors leave it: a line, and nothing or more behind it.
    char shown[MESSAGE_NAME_MAX];
    struct buffer file = {.limit = 4096};
    struct text rest, line = {"", 0};
    message_escape(path, shown, sizeof shown);
    int error = buffer_read_at(&file, AT_FDCWD, path);
    rest = buffer_text(&file);
    (void)text_next_line(&rest, &line);
    // The token is copied before the buffer goes; an empty file gives an empty line, which is no
    // token.
    bool fits = text_copy(line, ret_token, HTTP_TOKEN_MAX) && http_token_is_valid(ret_token);
    buffer_free(&file);
    if (error) {
        message_error("cannot read the token in %s: %s", shown, strerror(-error));
        return error == -EACCES ? EXIT_NOT_PERMITTED : EXIT_FAILED;
    }
    if (!fits) {
        message_error("the first line of %s is no token", shown);
        message_hint("A token has 8 to 128 letters, digits and -._~ : head -c 24 /dev/urandom | "
                     "base64 | tr '+/' '-_' makes one.");
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

// "auto" makes one; so does an address that needs one.
static int read_token(const struct command *command, bool needs_token,
                      char ret_token[HTTP_TOKEN_MAX])
{
    const struct option_value *value = options_find(&command->options, "token");
    const struct option_value *file = options_find(&command->options, "token-file");
    ret_token[0] = '\0';
    if (file && file->given && value && value->given)
        return message_refuse_usage(command->verb->name, "either --token or --token-file");
    // A file is seen by who may read it, a command line by all.
    if (file && file->given)
        return listen_read_token(file->string, ret_token);
    // On loopback one is not needed: Host and Origin keep foreign pages out.
    if (!value || (!value->given && !needs_token))
        return EXIT_DONE;
    // A token that is typed is seen by others in ps; but scripts need one that they know.
    if (value->given && strcmp(value->string, "auto") != 0) {
        if (!http_token_is_valid(value->string))
            return message_refuse_usage(command->verb->name,
                                        "--token takes 8 to 128 letters, digits and -._~, or auto");
        text_copy(text_of(value->string), ret_token, HTTP_TOKEN_MAX);
        return EXIT_DONE;
    }
    int error = http_token_make(ret_token);
    if (error)
        message_error("%s: no token could be made: %s", command->verb->name, strerror(-error));
    return error ? EXIT_FAILED : EXIT_DONE;
}

// The one who has it is who the user must talk to.
static void tell_owner(unsigned port)
{
    pid_t pid;
    char name[64], shown[MESSAGE_NAME_MAX];
    // Best effort: the process may be another user's, or in another namespace.
    int error = listener_find("/proc", port, &pid, name);
    message_escape(name, shown, sizeof shown);
    if (!error)
        message_hint("Process %d (%s) listens on it.", (int)pid, shown);
    else if (error == -EACCES)
        message_hint("A process of another user listens on it.");
}

// What was tried, and what would help.
int listen_refuse(const char *verb, const struct http_address *address, bool is_exact, int error)
{
    char text[HTTP_ADDRESS_TEXT_MAX];
    http_address_format(address, text);
    // The common case, and the one where more can be said.
    if (error == -EADDRINUSE && is_exact) {
        message_error("%s: port %u is in use", verb, address->port);
        tell_owner(address->port);
        message_hint("Port 0 takes any that is free.");
    } else if (error == -EADDRINUSE) {
        message_error("%s: %d ports up to %u are all in use", verb, PORT_TRIES, address->port);
        message_hint("Port 0 takes any that is free.");
    } else if (error == -EACCES) {
        message_error("%s: this user may not listen on %s", verb, text);
        message_hint("Ports below 1024 are root's; others need no rights.");
        return EXIT_NOT_PERMITTED;
        // A slip in the address, or an interface that is down.
    } else if (error == -EADDRNOTAVAIL) {
        message_error("%s: this host has no address %s", verb, text);
    } else {
        message_error("%s: cannot listen on %s: %s", verb, text, strerror(-error));
    }
    return EXIT_FAILED;
}

// Usage is judged before anything is opened.
int listen_open(const struct command *command, unsigned port, bool needs_token,
                struct listening *ret_listening)
{
    struct listening listening = {.fd = -1};
    bool is_exact;
    int status = read_address(command, port, &listening.address, &is_exact);
    if (status != EXIT_DONE)
        return status;
    // 0.0.0.0 is among them: it is reached from outside as well.
    bool is_remote = !listening.address.is_loopback;
    if (is_remote && options_find(&command->options, "allow-remote") &&
        !options_has_flag(&command->options, "allow-remote")) {
        message_error("%s: other hosts reach that address: it needs --allow-remote",
                      command->verb->name);
        message_hint("From one host, ssh -L 7878:127.0.0.1:7878 HOST is safer: it encrypts.");
        return EXIT_USAGE;
    }
    status = read_token(command, needs_token || is_remote, listening.token);
    if (status != EXIT_DONE)
        return status;
    // http_listen() writes down the port that it got.
    unsigned wanted = listening.address.port;
    listening.fd = is_exact ? http_listen(&listening.address)
                            : http_listen_near(&listening.address, PORT_TRIES);
    if (listening.fd < 0)
        return listen_refuse(command->verb->name, &listening.address, is_exact, listening.fd);
    // Bookmarks of the first one would lead to another page.
    if (!is_exact && wanted != 0 && wanted != listening.address.port)
        message_hint("Port %u is in use: this is port %u.", wanted, listening.address.port);
    *ret_listening = listening;
    return EXIT_DONE;
}

// A fragment stays in the browser: it is in no log, no Referer and no request.
void listen_url(const struct listening *listening, char ret_url[LISTEN_URL_MAX])
{
    char address[HTTP_ADDRESS_TEXT_MAX], name[256] = "";
    http_address_format(&listening->address, address);
    // 0.0.0.0 is where it listens, not where it is reached.
    bool is_everywhere = text_starts_with(text_of(address), "0.0.0.0:") ||
                         text_starts_with(text_of(address), "[::]:");
    if (is_everywhere && gethostname(name, sizeof name - 1) == 0 && name[0])
        text_format(ret_url, LISTEN_URL_MAX, "http://%s:%u/%s%s", name, listening->address.port,
                    listening->token[0] ? "#token=" : "", listening->token);
    else
        text_format(ret_url, LISTEN_URL_MAX, "http://%s/%s%s", address,
                    listening->token[0] ? "#token=" : "", listening->token);
}

// What people and service managers end a program with.
static void fill_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGHUP);
}

// Threads inherit the mask, so that the signals wait for the one that looks for them.
void listen_block_signals(void)
{
    sigset_t signals;
    fill_signals(&signals);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

// Goes on while the host sleeps, as "--for 1h" is meant.
static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

// One second is what a client may be late by.
void listen_wait(struct http *http, uint64_t for_ns, void (*look)(void *context), void *context)
{
    sigset_t signals;
    fill_signals(&signals);
    // Without an end it lasts longer than any host runs.
    uint64_t end_ns = for_ns ? now_ns() + for_ns : UINT64_MAX;
    for (;;) {
        uint64_t now = now_ns(), left_ms = now < end_ns ? (end_ns - now) / 1000000 + 1 : 0;
        // At least once a second, as http_tick() looks after connections that hang.
        const struct timespec wait = {.tv_sec = left_ms >= 1000,
                                      .tv_nsec = left_ms < 1000 ? (long)left_ms * 1000000 : 0};
        // Needs no descriptor: Ctrl-C ends a server that clients have taken the last one from.
        if (left_ms == 0 || sigtimedwait(&signals, NULL, &wait) > 0)
            break;
        http_tick(http);
        if (look)
            look(context);
    }
}

#else

// A translation unit must not be empty.
typedef int ebb_without_http;

#endif
