// SPDX-License-Identifier: Apache-2.0
// Unit tests of the delivery of alarms: real shells, a real socket. Test code.
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "alarm/deliver.h"
#include "alarm/post.h"
#include "base/buffer.h"
#include "support/fixture.h"

enum { WAIT_MS = 20000 };

static const char environment[] = "EBB_ALARM_STATE=began\0EBB_ALARM_NAME=a b;$(touch x)";

static struct alarm_note note_of(const char *text, const char *json)
{
    return (struct alarm_note){text_of(text), text_of(json), {environment, sizeof environment}};
}

// Delivers one note by a command, and gives what it failed with.
static void deliver_by(const char *command, unsigned timeout_ms,
                       char problem[static ALARM_PROBLEM_MAX])
{
    const struct alarm_delivery_options options = {.command = command, .timeout_ms = timeout_ms};
    const struct alarm_note note = note_of("the text\n", "{}");
    struct alarm_delivery *delivery;
    assert_int_equal(alarm_delivery_open(&options, &delivery), 0);
    assert_int_equal(alarm_delivery_put(delivery, &note), 0);
    alarm_delivery_close(delivery, WAIT_MS, problem);
    // No child is left behind, dead or alive.
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void test_a_command_gets_the_message(void **state)
{
    (void)state;
    char problem[ALARM_PROBLEM_MAX], path[] = "/tmp/ebb-test-alarm.XXXXXX", command[256];
    struct buffer file = {0};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    snprintf(command, sizeof command,
             "{ cat; echo \"$EBB_ALARM_STATE,$EBB_ALARM_NAME\"; kill -s PIPE $$; echo no; } >%s",
             path);
    deliver_by(command, 0, problem);
    assert_int_equal(buffer_read_fd(&file, fd), 0);
    unlink(path);
    close(fd);
    assert_string_equal(file.data, "the text\nbegan,a b;$(touch x)\n");
    // SIGPIPE is as a program expects it, whatever we made of it.
    assert_string_equal(problem, "the command of the alarm died of signal 13");
    buffer_free(&file);
}

static void test_failures_are_told(void **state)
{
    (void)state;
    char problem[ALARM_PROBLEM_MAX];
    deliver_by("exit 3", 0, problem);
    assert_string_equal(problem, "the command of the alarm ended with status 3");
    deliver_by("true", 0, problem);
    assert_string_equal(problem, "");
}

static void test_a_command_that_hangs(void **state)
{
    (void)state;
    char problem[ALARM_PROBLEM_MAX];
    // With a child that holds on, too.
    deliver_by("sleep 1000 & sleep 1000; wait", 1000, problem);
    assert_string_equal(problem, "the command of the alarm took longer than 1 s and was killed");
}

static void test_the_end_does_not_wait_for_ever(void **state)
{
    (void)state;
    const struct alarm_delivery_options options = {.command = "sleep 1000"};
    const struct alarm_note note = note_of("", "");
    struct alarm_delivery *delivery;
    char problem[ALARM_PROBLEM_MAX];
    int full = 0;
    assert_int_equal(alarm_delivery_open(&options, &delivery), 0);
    // A storm is bounded, and putting never waits.
    for (int i = 0; i < 200; i++)
        full += alarm_delivery_put(delivery, &note) == -ENOBUFS;
    assert_true(full >= 200 - 66);
    alarm_delivery_close(delivery, 50, problem);
    assert_string_equal(problem,
                        "the command of the alarm was still running when ebb ended, and was ended");
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

// A server of one answer; what it was asked is in `request`.
struct server {
    int fd;
    unsigned port;
    const char *answer; // NULL: it never answers
    char request[4096];
    pthread_t thread;
};

static void *serve(void *context)
{
    struct server *server = context;
    int fd = accept(server->fd, NULL, NULL);
    size_t len = 0;
    while (fd >= 0 && len + 1 < sizeof server->request) {
        ssize_t got = recv(fd, server->request + len, sizeof server->request - 1 - len, 0);
        len += got > 0 ? (size_t)got : 0;
        if (got <= 0 || strstr(server->request, "{\"a\":1}"))
            break;
    }
    if (server->answer)
        (void)!write(fd, server->answer, strlen(server->answer));
    else
        (void)recv(fd, server->request, 1, 0);
    close(fd);
    return NULL;
}

static void server_start(struct server *server, const char *answer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    memset(server, 0, sizeof *server);
    server->answer = answer;
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(server->fd, 4), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &len), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_stop(struct server *server)
{
    pthread_join(server->thread, NULL);
    close(server->fd);
}

static void post_to(const struct server *server, unsigned timeout_ms,
                    char problem[static ALARM_PROBLEM_MAX])
{
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/hook?k=v", server->port);
    const struct alarm_delivery_options options = {.webhook = url, .timeout_ms = timeout_ms};
    const struct alarm_note note = note_of("text", "{\"a\":1}");
    struct alarm_delivery *delivery;
    assert_int_equal(alarm_delivery_open(&options, &delivery), 0);
    assert_int_equal(alarm_delivery_put(delivery, &note), 0);
    alarm_delivery_close(delivery, WAIT_MS, problem);
}

static void test_a_web_hook(void **state)
{
    (void)state;
    struct server server;
    char problem[ALARM_PROBLEM_MAX];
    server_start(&server, "HTTP/1.1 204 No Content\r\n\r\n");
    post_to(&server, 0, problem);
    server_stop(&server);
    assert_string_equal(problem, "");
    assert_non_null(strstr(server.request, "POST /hook?k=v HTTP/1.1\r\nHost: 127.0.0.1:"));
    assert_non_null(strstr(server.request, "Content-Length: 7\r\n"));
    assert_non_null(strstr(server.request, "\r\n\r\n{\"a\":1}"));
    // What only says that the answer is still to come is none.
    server_start(&server, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                          "HTTP/1.1 200 OK\r\n\r\n");
    post_to(&server, 0, problem);
    server_stop(&server);
    assert_string_equal(problem, "");
}

static void test_web_hooks_that_fail(void **state)
{
    (void)state;
    struct server server;
    char problem[ALARM_PROBLEM_MAX];
    server_start(&server, "HTTP/1.0 500 No\r\n\r\n");
    post_to(&server, 0, problem);
    server_stop(&server);
    assert_string_equal(problem, "the web hook at 127.0.0.1 answered 500");
    server_start(&server, "220 smtp ready\r\n");
    post_to(&server, 0, problem);
    server_stop(&server);
    assert_non_null(strstr(problem, "speaks no HTTP"));
    server_start(&server, NULL);
    post_to(&server, 300, problem);
    server_stop(&server);
    assert_non_null(strstr(problem, "timed out"));
    // Nobody listens there any more.
    post_to(&server, 1000, problem);
    assert_non_null(strstr(problem, "refused"));
}

static void test_urls(void **state)
{
    (void)state;
    static const struct {
        const char *url, *host, *port, *path;
    } good[] = {
        {"http://localhost", "localhost", "80", "/"},
        {"http://10.0.0.1:8080/a/b?c=d", "10.0.0.1", "8080", "/a/b?c=d"},
        {"https://[::1]/x", "::1", "443", "/x"},
        {"http://h?q", "h", "80", "/?q"},
    };
    static const char *const bad[] = {
        "",
        "h",
        "ftp://h/",
        "http://",
        "http:///x",
        "http://u:p@h/",
        "http://h:0/",
        "http://h:65536/",
        "http://h:x/",
        "http://h /",
        "http://h/\r\nX: y",
        "http://[::1",
        "http://[]/",
        "http://h/#a",
        "http://h\x80/",
    };
    struct post_url url;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(post_parse_url(text_of(good[i].url), &url), 0);
        assert_string_equal(url.host, good[i].host);
        assert_string_equal(url.port, good[i].port);
        assert_string_equal(url.path, good[i].path);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (post_parse_url(text_of(bad[i]), &url) != -EINVAL)
            fail_msg("taken: %s", bad[i]);
    char long_url[2000] = "http://h/";
    memset(long_url + 9, 'a', sizeof long_url - 10);
    assert_int_equal(post_parse_url(text_of(long_url), &url), -ENAMETOOLONG);
    struct alarm_delivery *delivery;
    const struct alarm_delivery_options options = {.webhook = "gopher://h"};
    assert_int_equal(alarm_delivery_open(&options, &delivery), -EINVAL);
}

static void parse_cut(struct text text)
{
    struct post_url url;
    (void)post_parse_url(text, &url);
    (void)post_parse_status(text);
}

static void test_status_lines(void **state)
{
    (void)state;
    assert_int_equal(post_parse_status(text_of("HTTP/1.1 204 No Content\r\n")), 204);
    assert_int_equal(post_parse_status(text_of("HTTP/1.0 599")), 599);
    assert_int_equal(post_parse_status(text_of("HTTP/2 200")), -EBADMSG);
    assert_int_equal(post_parse_status(text_of("HTTP/1.1 99")), -EBADMSG);
    fixture_text_prefixes(text_of("HTTP/1.1 204 No Content\r\n"), parse_cut);
    fixture_text_prefixes(text_of("https://[::1]:8080/a?b"), parse_cut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_command_gets_the_message),
        cmocka_unit_test(test_failures_are_told),
        cmocka_unit_test(test_a_command_that_hangs),
        cmocka_unit_test(test_the_end_does_not_wait_for_ever),
        cmocka_unit_test(test_a_web_hook),
        cmocka_unit_test(test_web_hooks_that_fail),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_status_lines),
    };
    // As the command itself has it.
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
