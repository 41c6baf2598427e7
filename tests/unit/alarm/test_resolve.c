// SPDX-License-Identifier: Apache-2.0
// Finding a web hook's host: from the system's files, and from a name server that never answers,
// in a mount namespace of its own. Test code.
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "alarm/clock.h"
#include "alarm/resolve.h"

enum { EXIT_SKIP = 77 };

static const atomic_bool no = false, yes = true;

static void test_what_needs_no_server(void **state)
{
    (void)state;
    struct addrinfo *addresses;
    const char *const hosts[] = {"127.0.0.1", "::1", "localhost"};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        assert_int_equal(resolve_host(hosts[i], "80", alarm_clock_ms() + 60000, &no, &addresses),
                         0);
        assert_non_null(addresses);
        freeaddrinfo(addresses);
    }
    // No label of a name is that long: there is nobody to be asked.
    char host[256];
    memset(host, 'a', sizeof host - 1);
    host[255] = '\0';
    assert_int_equal(resolve_host(host, "80", alarm_clock_ms() + 60000, &no, &addresses), -ENOENT);
}

// A socket that takes questions, and says nothing. -1 where it cannot be had.
static int open_silence(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(53)};
    address.sin_addr.s_addr = htonl(0x7f586335);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return bind(fd, (struct sockaddr *)&address, sizeof address) == 0 ? fd : -1;
}

// Left to itself the resolver would wait for a minute.
static bool ask_silence_alone(void)
{
    char path[] = "/tmp/ebb-resolve-XXXXXX";
    static const char text[] = "nameserver 127.88.99.53\noptions timeout:20 attempts:3\n";
    int fd = mkstemp(path);
    bool is_written = fd >= 0 && write(fd, text, sizeof text - 1) == (ssize_t)sizeof text - 1;
    bool is_done = is_written && unshare(CLONE_NEWNS) == 0 &&
                   mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                   mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL) == 0;
    unlink(path);
    close(fd);
    return is_done;
}

// In a process of its own: the mount goes with it, and so does the thread that still asks.
static int ask_in_vain(void)
{
    char question[512];
    struct addrinfo *addresses;
    int fd = open_silence();
    if (fd < 0 || !ask_silence_alone())
        return EXIT_SKIP;
    alarm(30);
    int late = resolve_host("ebb.example", "80", alarm_clock_ms() + 500, &no, &addresses);
    // Another service may be asked first here.
    if (recv(fd, question, sizeof question, 0) < 0)
        return EXIT_SKIP;
    int ended = resolve_host("ebb.example", "80", alarm_clock_ms() + 60000, &yes, &addresses);
    return late == -EAGAIN && ended == -ECANCELED ? 0 : 1;
}

static void test_a_server_that_never_answers(void **state)
{
    (void)state;
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(ask_in_vain());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == EXIT_SKIP) {
        print_message("no name server can be put in the place of this host's\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_needs_no_server),
        cmocka_unit_test(test_a_server_that_never_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
