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
#include <unistd.h>

#include <cmocka.h>

#include "heap/fast.h"
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

// As malloc() and free() of lib/shim do it: the fast path first.
static inline void *heap_test_allocate(size_t bytes)
{
    void *block = heap_pop_fast(bytes);
    bool is_zero;
    return block ? block : heap_allocate(bytes, &is_zero);
}

static inline void heap_test_release(void *pointer)
{
    switch (heap_push_fast(pointer)) {
    case HEAP_PUSHED:
        break;
    case HEAP_PUSHED_LAST:
        heap_note_empty(pointer);
        break;
    case HEAP_NOT_PUSHED:
        heap_free(pointer);
    }
}

// Every span of the table agrees with itself, and `check` has nothing against it.
static inline void heap_test_check_spans(void (*check)(const struct wire_record *span))
{
    const struct wire_area *area = &space.ledger->areas[SPACE_ORDINARY];
    for (uint32_t slot = area->first; slot < area->frontier;) {
        const struct wire_record *record = space_record(slot);
        enum wire_kind kind = wire_run_kind(record->run);
        if (kind == WIRE_SMALL || kind == WIRE_MEDIUM) {
            assert_true(!record->heap || span_is_valid(record));
            check(record);
        }
        slot += wire_run_slots(record->run);
    }
}

// The kernel reads the byte in our place, and says EFAULT instead of ending us.
static inline bool heap_test_can_read(const void *address)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    bool can = write(ends[1], address, 1) == 1;
    close(ends[0]);
    close(ends[1]);
    return can;
}

static inline uint64_t heap_test_next(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

#endif
