// SPDX-License-Identifier: Apache-2.0
// Unit tests of /proc/PID/limits: soft limits, unlimited ones, damaged files. Test world; pure.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proc/limits.h"
#include "support/fixture.h"

static const char whole[] =
    "Limit                     Soft Limit           Hard Limit           Units     \n"
    "Max cpu time              unlimited            unlimited            seconds   \n"
    "Max stack size            8388608              unlimited            bytes     \n"
    "Max locked memory         65536                65536                bytes     \n"
    "Max address space         unlimited            unlimited            bytes     \n";

static void test_soft_limits(void **state)
{
    (void)state;
    struct proc_limits limits;
    assert_int_equal(proc_limits_parse(text_of(whole), &limits), 0);
    assert_int_equal(limits.stack_bytes, 8388608);
    assert_int_equal(limits.locked_bytes, 65536);
    assert_true(limits.address_space_bytes == LIMIT_UNLIMITED);
}

static void test_some_are_enough(void **state)
{
    (void)state;
    struct proc_limits limits;
    assert_int_equal(proc_limits_parse(text_of("Max stack size   17 18 bytes"), &limits), 0);
    assert_int_equal(limits.stack_bytes, 17);
    assert_int_equal(limits.locked_bytes, 0);
}

static void test_damaged_files(void **state)
{
    (void)state;
    static const char *const files[] = {"",
                                        "\n\n",
                                        "Max stack size",
                                        "Max stack size   x",
                                        "Max stack size -1",
                                        "Max stack size   99999999999999999999999 1 bytes",
                                        "max stack size 1"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct proc_limits limits = {.stack_bytes = 7};
        assert_int_equal(proc_limits_parse(text_of(files[i]), &limits), -EBADMSG);
        assert_int_equal(limits.stack_bytes, 7);
    }
}

static void parse_prefix(struct text file)
{
    struct proc_limits limits;
    int error = proc_limits_parse(file, &limits);
    assert_true(error == 0 || error == -EBADMSG);
}

static void test_every_prefix(void **state)
{
    (void)state;
    fixture_text_prefixes(text_of(whole), parse_prefix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_soft_limits),
        cmocka_unit_test(test_some_are_enough),
        cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_every_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
