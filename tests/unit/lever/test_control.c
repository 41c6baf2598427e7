// SPDX-License-Identifier: Apache-2.0
// Unit tests of the words that ask libebb for something: what is still under way stays asked for,
// and no word is the one that was obeyed last. Test world; pure.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lever/control.h"

static void test_a_request_says_what_is_asked_for(void **state)
{
    (void)state;
    const struct wire_ledger ledger = {.control = 0};
    const struct control_request request = {WIRE_POLICY_FREE, 500, false};
    uint64_t word = control_word(&ledger, &request);
    assert_int_equal(wire_control_policy(word), WIRE_POLICY_FREE);
    assert_int_equal(wire_control_within_ms(word), 500);
    // Nobody asked for a purge.
    assert_int_equal(wire_control_purge_number(word), 0);
}

static void test_a_purge_has_a_new_number(void **state)
{
    (void)state;
    uint64_t last = wire_control_make(WIRE_POLICY_KEEP, 100, UINT16_MAX);
    const struct wire_ledger ledger = {.control = last, .control_obeyed = last};
    const struct control_request request = {.is_purge = true};
    uint64_t word = control_word(&ledger, &request);
    assert_int_equal(wire_control_purge_number(word), 0);
    // What was obeyed is not asked for again: the program may have changed it since.
    assert_int_equal(wire_control_policy(word), WIRE_POLICY_NONE);
    assert_int_equal(wire_control_within_ms(word), 0);
}

static void test_what_is_under_way_stays_asked_for(void **state)
{
    (void)state;
    const struct wire_ledger ledger = {.control = wire_control_make(WIRE_POLICY_KEEP, 100, 3)};
    const struct control_request bound = {.return_within_ms = 250}, purge = {.is_purge = true};
    uint64_t word = control_word(&ledger, &bound);
    assert_int_equal(wire_control_policy(word), WIRE_POLICY_KEEP);
    assert_int_equal(wire_control_within_ms(word), 250);
    assert_int_equal(wire_control_purge_number(word), 3);
    word = control_word(&ledger, &purge);
    assert_int_equal(wire_control_within_ms(word), 100);
    assert_int_equal(wire_control_purge_number(word), 4);
}

// The same policy again, since the program has set another meanwhile: a word that equals the one
// obeyed last would ask for nothing.
static void test_the_same_request_is_another_word(void **state)
{
    (void)state;
    const struct control_request request = {.policy = WIRE_POLICY_FREE};
    struct wire_ledger ledger = {.control = 0};
    for (unsigned i = 0; i < 600; i++) {
        uint64_t word = control_word(&ledger, &request);
        assert_true(word != ledger.control_obeyed);
        assert_int_equal(wire_control_policy(word), WIRE_POLICY_FREE);
        ledger.control = ledger.control_obeyed = word;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_says_what_is_asked_for),
        cmocka_unit_test(test_a_purge_has_a_new_number),
        cmocka_unit_test(test_what_is_under_way_stays_asked_for),
        cmocka_unit_test(test_the_same_request_is_another_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
