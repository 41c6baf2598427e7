// SPDX-License-Identifier: Apache-2.0
// Unit tests of small arithmetic. Test code; no state.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/number.h"

static void test_whole(void **state)
{
    (void)state;
    assert_int_equal(number_whole(0), 0);
    assert_int_equal(number_whole(1.9), 1);
    assert_int_equal(number_whole(-1.9), -1);
    assert_int_equal(number_whole(1e30), INT64_C(9000000000000000000));
    assert_int_equal(number_whole(-INFINITY), -INT64_C(9000000000000000000));
    assert_int_equal(number_whole(NAN), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_whole),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
