// SPDX-License-Identifier: Apache-2.0
// What the unit tests of libebb share: cmocka's includes, and a heap on a fake system per test.
#ifndef EBB_TESTS_LIB_HEAP_TEST_H
#define EBB_TESTS_LIB_HEAP_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "heap/heap.h"
#include "os/fake.h"

// Starts the heap on a fresh fake, which is the test's state.
static inline int heap_test_begin(void **state)
{
    static struct fake_os fake;
    fake_os_start(&fake);
    *state = &fake;
    return heap_start_on(&fake.os);
}

static inline int heap_test_end(void **state)
{
    (void)state;
    heap_stop();
    return 0;
}

static inline uint64_t heap_test_next(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

#endif
