// SPDX-License-Identifier: Apache-2.0
// What an answer of mallctl() means, whatever a hostile target answers. Test code.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/allocators/mallctl.h"

static void test_answers(void **state)
{
    (void)state;
    assert_int_equal(mallctl_error_of(0), 0);
    assert_int_equal(mallctl_error_of(ENOENT), -ENOENT);
    // The upper half of the register is nobody's.
    assert_int_equal(mallctl_error_of(UINT64_C(0xdead00000000)), 0);
    assert_int_equal(mallctl_error_of(UINT64_C(0xdead00000000) + EAGAIN), -EAGAIN);
    assert_int_equal(mallctl_error_of(4096), -EBADMSG);
    assert_int_equal(mallctl_error_of(UINT32_C(0x80000000)), -EBADMSG);
    assert_int_equal(mallctl_error_of(UINT64_MAX), -EBADMSG);
}

static void test_names(void **state)
{
    (void)state;
    char name[MALLCTL_NAME_MAX];
    mallctl_arena_name(name, "purge", 3);
    assert_string_equal(name, "arena.3.purge");
    mallctl_arena_name(name, "muzzy_decay_ms", UINT32_MAX);
    assert_string_equal(name, "arena.4294967295.muzzy_decay_ms");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
