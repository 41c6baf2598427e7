// SPDX-License-Identifier: Apache-2.0
// What one thread has left is found again among the heaps of many that live, although no search
// looks at all of them. Test code.
#include <pthread.h>

#include "heap_test.h"

#define LIVING 200
#define BYTES  48
#define BLOCKS 4000 // three spans

static pthread_barrier_t begun;
static pthread_barrier_t done;
static void *left[BLOCKS];

// Leaves every second block behind: its spans stay, with room in them.
static void *leave(void *unused)
{
    (void)unused;
    for (int i = 0; i < BLOCKS; i++)
        left[i] = heap_test_allocate(BYTES);
    for (int i = 0; i < BLOCKS; i += 2)
        heap_test_release(left[i]);
    pthread_barrier_wait(&begun);
    return NULL;
}

static void *live(void *unused)
{
    (void)unused;
    void *block = heap_test_allocate(BYTES);
    pthread_barrier_wait(&begun);
    pthread_barrier_wait(&done);
    heap_test_release(block);
    return NULL;
}

static void start(pthread_t *thread, void *(*run)(void *))
{
    pthread_attr_t attributes;
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, 128 << 10), 0);
    assert_int_equal(pthread_create(thread, &attributes, run, NULL), 0);
    (void)pthread_attr_destroy(&attributes);
}

static bool is_left(const void *block)
{
    const struct wire_record *span = space_record_at((uintptr_t)block);
    for (int i = 1; i < BLOCKS; i += 2) {
        if (space_record_at((uintptr_t)left[i]) == span)
            return true;
    }
    return false;
}

// Every new span of ours looks at a few heaps: until all have been looked at, and not more often.
static void test_found_among_many(void **state)
{
    (void)state;
    static pthread_t threads[LIVING + 1];
    // Else the first allocation would take over all that was left.
    const void *block = heap_test_allocate(BYTES);
    pthread_barrier_init(&begun, NULL, LIVING + 2);
    pthread_barrier_init(&done, NULL, LIVING + 1);
    for (int i = 0; i <= LIVING; i++)
        start(&threads[i], i == LIVING / 2 ? leave : live);
    pthread_barrier_wait(&begun);
    pthread_join(threads[LIVING / 2], NULL);
    unsigned allocated = 0;
    for (; allocated < 16 * (WIRE_SLOT_BYTES / BYTES) && !is_left(block); allocated++)
        block = heap_test_allocate(BYTES);
    assert_true(is_left(block));
    pthread_barrier_wait(&done);
    for (int i = 0; i <= LIVING; i++) {
        if (i != LIVING / 2)
            pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&begun);
    pthread_barrier_destroy(&done);
}

// Spans in a heap's classes, by the table.
static uint32_t count_spans(const struct heap *heap)
{
    const struct wire_area *area = &space.ledger->areas[SPACE_ORDINARY];
    uint32_t count = 0;
    for (uint32_t slot = area->first; slot < area->frontier;) {
        const struct wire_record *record = space_record(slot);
        enum wire_kind kind = wire_run_kind(record->run);
        bool is_span = kind == WIRE_SMALL || kind == WIRE_MEDIUM;
        count += is_span && record->heap == (uint64_t)(uintptr_t)heap;
        slot += wire_run_slots(record->run);
    }
    return count;
}

static void *leave_at_once(void *heap)
{
    for (int i = 0; i < BLOCKS; i++)
        left[i] = heap_test_allocate(BYTES);
    for (int i = 0; i < BLOCKS; i += 2)
        heap_test_release(left[i]);
    *(struct heap **)heap = heap_of_thread;
    return NULL;
}

// Who looks there for a span lets go of the heap, with or without one, and both count right.
static void test_left_heap_stays(void **state)
{
    (void)state;
    pthread_t thread;
    struct heap *other = NULL;
    void *block = heap_test_allocate(1000);
    assert_int_equal(pthread_create(&thread, NULL, leave_at_once, &other), 0);
    pthread_join(thread, NULL);
    heap_test_release(heap_test_allocate(3000));
    assert_int_equal(other->state, HEAP_ABANDONED);
    assert_int_equal(heaps.abandoned, 1);
    assert_int_equal(other->spans, count_spans(other));
    heap_test_release(block);
    block = heap_test_allocate(BYTES);
    assert_true(is_left(block));
    assert_int_equal(other->state, HEAP_ABANDONED);
    assert_int_equal(other->spans, count_spans(other));
    assert_int_equal(heap_of_thread->spans, count_spans(heap_of_thread));
    heap_test_release(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_found_among_many, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_left_heap_stays, heap_test_begin, heap_test_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
