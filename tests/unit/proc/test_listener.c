// SPDX-License-Identifier: Apache-2.0
// Unit tests: who listens on a port. Test world.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "proc/listener.h"

static const char table[] =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
    "inode\n"
    "   0: 0100007F:1EC6 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 "
    "111 1 0000000000000000 20 4 30 10 -1\n"
    "   1: 0100007F:1EC6 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 "
    "222 1 0000000000000000 100 0 0 10 0\n"
    "  10: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A "
    "00000000:00000000 00:00000000 00000000     0        0 333 1\n";

static void test_table(void **state)
{
    (void)state;
    uint64_t inode = 0;
    // The connection on the same port is no listener.
    assert_true(listener_parse(text_of(table), 7878, &inode));
    assert_int_equal(inode, 222);
    assert_true(listener_parse(text_of(table), 80, &inode));
    assert_int_equal(inode, 333);
    assert_false(listener_parse(text_of(table), 40000, &inode));
    assert_int_equal(inode, 333);
}

// Cut anywhere it finds what is whole, and never reads beyond the end.
static void test_cut(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof table - 1; len++) {
        char *cut = malloc(len + 1);
        uint64_t inode = 0;
        memcpy(cut, table, len);
        if (listener_parse((struct text){cut, len}, 7878, &inode))
            assert_true(inode == 222 || inode == 22 || inode == 2);
        free(cut);
    }
}

static void test_own(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    pid_t pid = 0;
    char name[64];
    assert_int_equal(listener_find("/proc", ntohs(address.sin_port), &pid, name), 0);
    assert_int_equal(pid, getpid());
    assert_true(strncmp(name, "unit_proc_liste", 15) == 0);
    close(fd);
    assert_int_equal(listener_find("/proc", ntohs(address.sin_port), &pid, name), -ENOENT);
    assert_int_equal(listener_find("/nowhere", 80, &pid, name), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
