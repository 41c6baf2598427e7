// SPDX-License-Identifier: Apache-2.0
// Unit tests of the growing buffer and array. Test code; no state.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/array.h"
#include "base/buffer.h"

static void test_append_and_print(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    assert_int_equal(buffer_text(&buffer).len, 0);
    assert_int_equal(buffer_append(&buffer, NULL, 0), 0);
    assert_string_equal(buffer.data, "");
    for (int i = 0; i < 1000; i++)
        assert_int_equal(buffer_printf(&buffer, "%03d,", i), 0);
    assert_int_equal(buffer.len, 4000);
    assert_memory_equal(buffer.data + 3996, "999,", 5);
    buffer_clear(&buffer);
    assert_string_equal(buffer.data, "");
    buffer_free(&buffer);
    assert_null(buffer.data);
}

static void test_limit(void **state)
{
    (void)state;
    struct buffer buffer = {.limit = 10};
    assert_int_equal(buffer_append(&buffer, "12345678", 8), 0);
    assert_int_equal(buffer_append(&buffer, "abc", 3), -EFBIG);
    assert_string_equal(buffer.data, "12345678");
    assert_int_equal(buffer_printf(&buffer, "%s", "abc"), -EFBIG);
    assert_int_equal(buffer_append(&buffer, "ab", 2), 0);
    assert_int_equal(buffer_append(&buffer, "", SIZE_MAX), -ENOMEM);
    assert_string_equal(buffer.data, "12345678ab");
    buffer_free(&buffer);
    assert_int_equal(buffer.limit, 10);
}

// Reads a pipe that holds 5 bytes.
static int read_pipe(struct buffer *buffer)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "hello", 5), 5);
    close(ends[1]);
    int error = buffer_read_fd(buffer, ends[0]);
    close(ends[0]);
    return error;
}

static void test_read_fd(void **state)
{
    (void)state;
    struct buffer exact = {.limit = 5}, cut = {.limit = 4};
    assert_int_equal(read_pipe(&exact), 0);
    assert_string_equal(exact.data, "hello");
    assert_int_equal(read_pipe(&cut), -EFBIG);
    assert_string_equal(cut.data, "hell");
    assert_int_equal(buffer_read_fd(&exact, -1), -EBADF);
    buffer_free(&exact);
    buffer_free(&cut);
}

static void test_read_at_does_not_wait(void **state)
{
    (void)state;
    char directory[] = "/tmp/ebb-buffer-XXXXXX";
    assert_non_null(mkdtemp(directory));
    int fd = open(directory, O_RDONLY | O_DIRECTORY);
    assert_int_equal(mkfifoat(fd, "fifo", 0600), 0);
    struct buffer buffer = {0};
    // A blocking open would hang here until the runner's timeout.
    assert_int_equal(buffer_read_at(&buffer, fd, "fifo"), 0);
    assert_int_equal(buffer.len, 0);
    assert_int_equal(buffer_read_at(&buffer, fd, "missing"), -ENOENT);
    assert_int_equal(buffer_read_at(&buffer, fd, "."), -EISDIR);
    buffer_free(&buffer);
    unlinkat(fd, "fifo", 0);
    close(fd);
    rmdir(directory);
}

static void test_array_growth(void **state)
{
    (void)state;
    uint32_t *items = NULL;
    size_t capacity = 0;
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(array_reserve_one(&items, &capacity, i, sizeof *items), 0);
        items[i] = i * i;
    }
    assert_true(capacity >= 100);
    assert_int_equal(items[99], 9801);
    size_t huge = SIZE_MAX / 4, before = huge;
    assert_int_equal(array_reserve_one(&items, &huge, huge, sizeof *items), -ENOMEM);
    assert_int_equal(huge, before);
    free(items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_and_print), cmocka_unit_test(test_limit),
        cmocka_unit_test(test_read_fd),          cmocka_unit_test(test_read_at_does_not_wait),
        cmocka_unit_test(test_array_growth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
