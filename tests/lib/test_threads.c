// SPDX-License-Identifier: Apache-2.0
// Threads that allocate, free each other's blocks, begin and end, on the heap's functions:
// small enough for the thread sanitizer, which sees the plain accesses next to the atomic ones.
// Test code.
#include <pthread.h>

#include "heap_test.h"

#include "heap/count.h"
#include "heap/fast.h"
#include "heap/hold.h"
#include "heap/lists.h"
#include "heap/thread.h"

#define SLOTS   256
#define THREADS 4
#define ROUNDS  6000

#define FULL_SPANS  300
#define FULL_BLOCKS 8 // in a span

static void *slots[SLOTS];

// A block carries its size and its own address, so that a mix-up shows.
static void *make_block(uint64_t *random)
{
    size_t bytes = 32 + heap_test_next(random) % (heap_test_next(random) % 16 ? 1000 : 300000);
    uint64_t *block = heap_test_allocate(bytes);
    block[2] = bytes;
    block[3] = (uint64_t)(uintptr_t)block;
    return block;
}

static void drop_block(uint64_t *block)
{
    if (!block)
        return;
    assert_true(block[3] == (uint64_t)(uintptr_t)block);
    assert_true(heap_usable_bytes(block) >= block[2]);
    heap_test_release(block);
}

static void *exchange_blocks(void *pointer)
{
    uint64_t random = (uint64_t)(uintptr_t)pointer * 0x9e3779b97f4a7c15u;
    for (int round = 0; round < ROUNDS; round++) {
        void **slot = &slots[heap_test_next(&random) % SLOTS];
        void *mine = heap_test_next(&random) % 4 ? make_block(&random) : NULL;
        drop_block(__atomic_exchange_n(slot, mine, __ATOMIC_ACQ_REL));
    }
    return NULL;
}

static void *free_one_of_each(void *pointer)
{
    void **blocks = pointer;
    for (int i = 0; i < FULL_SPANS * FULL_BLOCKS; i += FULL_BLOCKS)
        heap_test_release(blocks[i]);
    return NULL;
}

static void free_one_of_each_elsewhere(void **blocks)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, free_one_of_each, blocks), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

// A long inbox is taken in by parts, each span once, and none is lost between them.
static void test_long_inbox(void **state)
{
    (void)state;
    static void *blocks[(FULL_SPANS + 2) * FULL_BLOCKS];
    for (int i = 0; i < (FULL_SPANS + 2) * FULL_BLOCKS; i++)
        blocks[i] = heap_test_allocate(8192);
    free_one_of_each_elsewhere(blocks);
    int parts = 0;
    for (bool is_done = false; !is_done; parts++) {
        hold_own(heap_of_thread);
        is_done = lists_drain_full(heap_of_thread);
        hold_own_end(heap_of_thread);
    }
    assert_true(parts > 1 && parts < FULL_SPANS);
    assert_int_equal(heap_of_thread->inbox, 0);
    for (int i = 0; i < FULL_SPANS * FULL_BLOCKS; i++) {
        const struct wire_record *span = space_record_at((uintptr_t)blocks[i]);
        assert_int_equal(span->state, WIRE_SPAN_PARTIAL);
        assert_int_equal(wire_live_blocks(span), FULL_BLOCKS - 1);
        // Its owner has not been fenced, so its first free there takes the lock.
        assert_int_equal(span->fast_owner, 0);
    }
    for (int i = 0; i < (FULL_SPANS + 2) * FULL_BLOCKS; i++) {
        if (i % FULL_BLOCKS || i >= FULL_SPANS * FULL_BLOCKS)
            heap_test_release(blocks[i]);
    }
}

static void test_exchange(void **state)
{
    (void)state;
    heap_test_release(heap_test_allocate(1));
    for (uintptr_t generation = 0; generation < 3; generation++) {
        pthread_t threads[THREADS];
        for (uintptr_t i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, exchange_blocks,
                                            (void *)(generation * THREADS + i + 1)),
                             0);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < SLOTS; i++)
        drop_block(slots[i]);
    struct count count;
    count_heap(&count);
    assert_int_equal(count.live_blocks, 0);
    assert_int_equal(count.mallocs, count.frees);
}

static void *release_one(void *block)
{
    heap_test_release(block);
    return NULL;
}

static void release_elsewhere(void *block)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, release_one, block), 0);
    pthread_join(thread, NULL);
}

// The first free to a full span opens it, so that the next ones are plain.
static void test_full_span_opens(void **state)
{
    (void)state;
    static void *blocks[20 * FULL_BLOCKS];
    for (int i = 0; i < 20 * FULL_BLOCKS; i++)
        blocks[i] = heap_test_allocate(8192);
    const struct wire_record *span = space_record_at((uintptr_t)blocks[0]);
    assert_int_equal(span->state, WIRE_SPAN_FULL);
    assert_int_equal(heap_push_fast(blocks[0]), HEAP_NOT_PUSHED);
    heap_test_release(blocks[0]);
    assert_int_equal(span->state, WIRE_SPAN_PARTIAL);
    assert_int_equal(heap_push_fast(blocks[1]), HEAP_PUSHED);
    for (int i = 2; i < 20 * FULL_BLOCKS; i++)
        heap_test_release(blocks[i]);
}

// What comes in while a part of the inbox is taken in stands in front of the rest.
static void test_inbox_that_grows(void **state)
{
    (void)state;
    static void *blocks[(FULL_SPANS + 2) * FULL_BLOCKS];
    for (int i = 0; i < (FULL_SPANS + 2) * FULL_BLOCKS; i++)
        blocks[i] = heap_test_allocate(8192);
    free_one_of_each_elsewhere(blocks);
    // The current span's, which a helper leaves alone: it goes back to the inbox.
    void *last = blocks[(FULL_SPANS + 2) * FULL_BLOCKS - 1];
    release_elsewhere(last);
    hold_own(heap_of_thread);
    assert_false(lists_drain_full(heap_of_thread));
    lists_drain_inbox(heap_of_thread);
    hold_own_end(heap_of_thread);
    assert_false(space_record_at((uintptr_t)last)->remote & WIRE_REMOTE_QUEUED);
    for (int i = 0; i < FULL_SPANS * FULL_BLOCKS; i += FULL_BLOCKS)
        assert_int_equal(wire_remote_count(space_record_at((uintptr_t)blocks[i])->remote), 0);
}

static void *get_heap(void *heap)
{
    heap_test_release(heap_test_allocate(48));
    *(struct heap **)heap = heap_of_thread;
    return NULL;
}

// A thread that has ended leaves its heap to the next one.
static void test_heap_of_an_ended_thread(void **state)
{
    (void)state;
    heap_test_release(heap_test_allocate(48));
    struct heap *heaps_had[2] = {NULL};
    for (int i = 0; i < 2; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, get_heap, &heaps_had[i]), 0);
        pthread_join(thread, NULL);
        assert_int_equal(heaps_had[i]->state, HEAP_ABANDONED);
        assert_int_equal(heaps.abandoned, 1);
        assert_int_equal(heaps.threads, 1);
    }
    assert_ptr_equal(heaps_had[0], heaps_had[1]);
}

// A span that was queued where it had been until a moment ago goes on to the heap that has it now.
static void test_inbox_of_another(void **state)
{
    (void)state;
    struct heap *other = NULL;
    uint32_t count;
    pthread_t thread;
    void *block = heap_test_allocate(100);
    struct wire_record *span = space_record_at((uintptr_t)block);
    assert_int_equal(pthread_create(&thread, NULL, get_heap, &other), 0);
    pthread_join(thread, NULL);
    assert_true(span_push_remote(span, block, &count));
    other->inbox = space_slot(span);
    assert_true(heap_claim(other));
    lists_drain_inbox(other);
    heap_disown(other);
    assert_int_equal(heap_of_thread->inbox, space_slot(span));
    hold_own(heap_of_thread);
    lists_drain_inbox(heap_of_thread);
    hold_own_end(heap_of_thread);
    assert_int_equal(wire_live_blocks(span), 0);
}

// A list that a helper has cut may be shorter than it was: an empty span does not go on with it.
static void test_spare_with_a_cut_list(void **state)
{
    (void)state;
    void *blocks[2 * FULL_BLOCKS];
    for (int i = 0; i < 2 * FULL_BLOCKS; i++)
        blocks[i] = heap_test_allocate(8192);
    struct wire_record *span = space_record_at((uintptr_t)blocks[0]);
    for (int i = 0; i < FULL_BLOCKS; i++)
        heap_test_release(blocks[i]);
    assert_int_equal(span->state, WIRE_SPAN_SPARE);
    span->relinked = 1;
    span->free = 0;
    // The spare span comes before new memory: all of it is there again.
    for (int i = 0; i < FULL_BLOCKS; i++) {
        blocks[i] = heap_test_allocate(8192);
        assert_ptr_equal(space_record_at((uintptr_t)blocks[i]), span);
    }
    for (int i = 0; i < 2 * FULL_BLOCKS; i++)
        heap_test_release(blocks[i]);
}

// An empty span that is still linked in the inbox stays until it has come through there.
static void test_empty_span_in_the_inbox(void **state)
{
    (void)state;
    enum { BLOCKS = WIRE_SLOT_BYTES / 8192, OTHERS = 1600 };
    static void *others[OTHERS];
    void *blocks[BLOCKS];
    for (int i = 0; i < OTHERS; i++)
        others[i] = heap_test_allocate(7000);
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = heap_test_allocate(8192);
    const struct wire_record *span = space_record_at((uintptr_t)blocks[0]);
    release_elsewhere(blocks[0]);
    // Taken in from the current span, without a look at the inbox.
    blocks[0] = heap_test_allocate(8192);
    assert_ptr_equal(space_record_at((uintptr_t)blocks[0]), span);
    assert_int_equal(heap_of_thread->inbox, space_slot(span));
    for (int i = 0; i < BLOCKS; i++)
        heap_test_release(blocks[i]);
    // Frees on the slow path alone, until the heap gives up its current spans.
    for (int i = 0; i < OTHERS; i += 8)
        heap_test_release(others[i]);
    assert_int_equal(span->state, WIRE_SPAN_PARTIAL);
    assert_int_equal(span_used(span), 0);
    hold_own(heap_of_thread);
    lists_drain_inbox(heap_of_thread);
    hold_own_end(heap_of_thread);
    assert_int_equal(span->heap, 0);
    for (int i = 0; i < OTHERS; i++) {
        if (i % 8)
            heap_test_release(others[i]);
    }
}

#define INBOX_SPANS  400
#define INBOX_ROUNDS 60

static void *inbox_blocks[INBOX_SPANS][FULL_BLOCKS];
static int inbox_done; // atomic: threads

// One block of each span after another, so that each free may be the first since the owner looked.
static void *release_across(void *pointer)
{
    for (uintptr_t i = (uintptr_t)pointer; i < FULL_BLOCKS; i += 2) {
        for (int span = 0; span < INBOX_SPANS; span++)
            heap_test_release(inbox_blocks[span][i]);
    }
    __atomic_add_fetch(&inbox_done, 1, __ATOMIC_RELEASE);
    return NULL;
}

// While the owner takes spans in they come in again. At the end each free has been counted.
static void test_inbox_loses_nothing(void **state)
{
    (void)state;
    for (int round = 0; round < INBOX_ROUNDS; round++) {
        pthread_t threads[2];
        inbox_done = 0;
        for (int i = 0; i < INBOX_SPANS * FULL_BLOCKS; i++)
            inbox_blocks[i / FULL_BLOCKS][i % FULL_BLOCKS] = heap_test_allocate(8192);
        for (uintptr_t i = 0; i < 2; i++)
            pthread_create(&threads[i], NULL, release_across, (void *)i);
        while (__atomic_load_n(&inbox_done, __ATOMIC_ACQUIRE) < 2) {
            hold_own(heap_of_thread);
            lists_drain_inbox(heap_of_thread);
            hold_own_end(heap_of_thread);
        }
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        hold_own(heap_of_thread);
        lists_drain_inbox(heap_of_thread);
        hold_own_end(heap_of_thread);
        // The current one, and spare ones: no other has a block in use, or is thought to.
        assert_true(heap_of_thread->spans <= 1);
    }
}

#define HOLDS 50000

struct shared {
    struct heap *heap;
    int plain;   // by whoever holds the heap
    int is_done; // atomic
};

// Long enough for the other to come in between, where nothing keeps it out.
static void count_slowly(int *plain)
{
    int before = *(volatile int *)plain;
    for (volatile int i = 0; i < 100; i++)
        continue;
    *(volatile int *)plain = before + 1;
}

static void *hold_often(void *pointer)
{
    struct shared *shared = pointer;
    intptr_t held = 0;
    while (!__atomic_load_n(&shared->is_done, __ATOMIC_ACQUIRE)) {
        if (!hold_other(shared->heap))
            continue;
        count_slowly(&shared->plain);
        held++;
        hold_other_end(shared->heap);
    }
    return (void *)held;
}

// The owner's plain store and the others' barrier keep each other out, and nobody sleeps for ever.
static void test_hold(void **state)
{
    (void)state;
    heap_test_release(heap_test_allocate(16));
    struct shared shared = {.heap = heap_of_thread};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, hold_often, &shared), 0);
    for (int i = 0; i < HOLDS; i++) {
        struct heap *heap = heap_enter();
        assert_ptr_equal(heap, shared.heap);
        count_slowly(&shared.plain);
        heap_leave(heap);
    }
    __atomic_store_n(&shared.is_done, 1, __ATOMIC_RELEASE);
    void *held;
    pthread_join(thread, &held);
    assert_int_equal(shared.plain, HOLDS + (intptr_t)held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_exchange, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_long_inbox, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_empty_span_in_the_inbox, heap_test_begin,
                                        heap_test_end),
        cmocka_unit_test_setup_teardown(test_inbox_that_grows, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_inbox_of_another, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_spare_with_a_cut_list, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_inbox_loses_nothing, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_heap_of_an_ended_thread, heap_test_begin,
                                        heap_test_end),
        cmocka_unit_test_setup_teardown(test_full_span_opens, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_hold, heap_test_begin, heap_test_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
