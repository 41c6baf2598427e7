// SPDX-License-Identifier: Apache-2.0
// What the unit tests of the release engine share: per test a heap whose engine begins anew, and
// looks at times of the test's choosing. Test code; no state of its own.
#ifndef EBB_TESTS_LIB_ENGINE_TEST_H
#define EBB_TESTS_LIB_ENGINE_TEST_H

#include "heap_test.h"

#include "release/engine_state.h"

static inline int engine_test_begin(void **state)
{
    engine_stop();
    return heap_test_begin(state);
}

// Stopped first: the engine knows addresses of the heap.
static inline int engine_test_end(void **state)
{
    engine_stop();
    return heap_test_end(state);
}

// All that is free, of a heap that an engine of an earlier test knows nothing of.
static inline size_t engine_test_purge(void)
{
    engine_stop();
    return engine_purge();
}

// One look, so long after the present time. Returns what went.
static inline size_t engine_test_look(struct fake_os *fake, uint64_t after_ms)
{
    fake->clock_ns += after_ms * 1000000;
    return engine_look_once();
}

#endif
