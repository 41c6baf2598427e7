// SPDX-License-Identifier: Apache-2.0
// A system that takes nothing back, as locked memory is: asked some times in vain, it is asked
// seldom. Test code.
#include "heap_test.h"

#include "release/engine_state.h"

#define SECOND_NS UINT64_C(1000000000)
#define LOOKS     20 // in a second

static int begin(void **state)
{
    engine_stop();
    return heap_test_begin(state);
}

static int end(void **state)
{
    engine_stop();
    return heap_test_end(state);
}

static void look_for(struct fake_os *fake, unsigned seconds)
{
    for (unsigned i = 0; i < seconds * LOOKS; i++) {
        fake->clock_ns += SECOND_NS / LOOKS;
        (void)engine_look_once();
    }
}

// Each round has a run that has just been freed, and so is worth a try.
static void test_refused_again_and_again(void **state)
{
    struct fake_os *fake = *state;
    unsigned before = 0;
    fake->clock_ns = 5 * SECOND_NS;
    fake->locked = (struct os_range){0, SIZE_MAX};
    for (int round = 0; round < 12; round++) {
        before = fake->refused;
        heap_test_release(heap_test_allocate(600000));
        look_for(fake, 1);
    }
    assert_true(before >= 8);
    assert_int_equal(fake->refused, before);
    look_for(fake, 30);
    assert_true(fake->refused > before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_refused_again_and_again, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
