// SPDX-License-Identifier: Apache-2.0
// Unit tests of thread heaps and large blocks: whose a block is, what is given back, exact counts,
// a child's repair, and want of memory at every call of the system. Test code.
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine_test.h"

#include "heap/count.h"
#include "heap/fast.h"

static struct count count_now(void)
{
    struct count count;
    count_heap(&count);
    return count;
}

static void test_fast_path(void **state)
{
    (void)state;
    void *first = heap_test_allocate(48);
    void *second = heap_test_allocate(48);
    // The second came by the fast path, and goes and comes back by it.
    assert_int_equal(heap_push_fast(second), HEAP_PUSHED);
    assert_ptr_equal(heap_pop_fast(48), second);
    assert_int_equal(heap_push_fast((char *)first + 16), HEAP_NOT_PUSHED);
    assert_int_equal(heap_push_fast((char *)first + 1), HEAP_NOT_PUSHED);
    uint64_t outside[8] = {0};
    assert_int_equal(heap_push_fast(outside), HEAP_NOT_PUSHED);
    assert_int_equal(heap_push_fast(NULL), HEAP_NOT_PUSHED);
    assert_int_equal(heap_push_fast(first), HEAP_PUSHED);
    assert_int_equal(heap_push_fast(first), HEAP_NOT_PUSHED);
    assert_null(heap_pop_fast(CLASS_SMALL_MAX + 1));
    // What is large takes the slow path, and so do medium blocks.
    void *large = heap_test_allocate(1 << 22);
    void *medium = heap_test_allocate(50000);
    assert_int_equal(heap_push_fast(large), HEAP_NOT_PUSHED);
    assert_int_equal(heap_push_fast(medium), HEAP_NOT_PUSHED);
    heap_test_release(large);
    heap_test_release(medium);
    heap_test_release(second);
}

static void test_exact_counts(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 16, 100, 1000, 4000, 8000, 20000, 200000, 500000, 3000000};
    enum { SIZES = sizeof sizes / sizeof *sizes, EACH = 30 };
    void *blocks[SIZES][EACH];
    struct count before = count_now();
    uint64_t bytes = 0;
    for (int i = 0; i < SIZES; i++) {
        for (int j = 0; j < EACH; j++) {
            blocks[i][j] = heap_test_allocate(sizes[i]);
            bytes += heap_usable_bytes(blocks[i][j]);
        }
    }
    struct count full = count_now();
    assert_int_equal(full.in_use - before.in_use, bytes);
    assert_int_equal(full.live_blocks - before.live_blocks, SIZES * EACH);
    assert_int_equal(full.mallocs - before.mallocs, SIZES * EACH);
    assert_int_equal(full.frees, before.frees);
    assert_int_equal(full.guarded_blocks, EACH);
    for (int i = 0; i < SIZES; i++) {
        for (int j = 0; j < EACH; j++)
            heap_test_release(blocks[i][j]);
    }
    struct count after = count_now();
    assert_int_equal(after.in_use, before.in_use);
    assert_int_equal(after.mallocs, full.mallocs);
    assert_int_equal(after.frees, full.mallocs);
    assert_int_equal(after.guarded_blocks, 0);
}

static void *release_all(void *pointer)
{
    void **blocks = pointer;
    for (int i = 0; i < 3000; i++)
        heap_test_release(blocks[i]);
    return NULL;
}

static void test_remote_frees_come_home(void **state)
{
    (void)state;
    static void *blocks[3000];
    for (int i = 0; i < 3000; i++)
        blocks[i] = heap_test_allocate(200);
    struct count full = count_now();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, release_all, blocks), 0);
    pthread_join(thread, NULL);
    // Counted at once, before the owner has looked.
    assert_int_equal(full.live_blocks - count_now().live_blocks, 3000);
    for (int i = 0; i < 3000; i++)
        blocks[i] = heap_test_allocate(200);
    struct count again = count_now();
    assert_int_equal(again.live_blocks, full.live_blocks);
    assert_int_equal(again.free_in_spans, full.free_in_spans);
    release_all(blocks);
}

static void *allocate_all(void *pointer)
{
    void **blocks = pointer;
    for (int i = 0; i < 3000; i++)
        blocks[i] = heap_test_allocate(200);
    return NULL;
}

// A thread ends and leaves blocks: whoever frees the last of a span gives it back, but for the span
// that was current, which waits for the next thread.
static void test_abandoned_spans_go_back(void **state)
{
    (void)state;
    static void *blocks[3000];
    heap_test_release(heap_test_allocate(1));
    for (int round = 0; round < 5; round++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, allocate_all, blocks), 0);
        pthread_join(thread, NULL);
        struct count full = count_now();
        release_all(blocks);
        struct count empty = count_now();
        assert_int_equal(full.live_blocks - empty.live_blocks, 3000);
        assert_in_range(empty.kept - full.kept, 3000 * 208 - WIRE_SLOT_BYTES, 3000 * 208 * 2);
    }
    // One heap for the main thread, one for all the others after each other.
    uint32_t heap_count = 0;
    for (const struct heap *heap = (const struct heap *)(uintptr_t)heaps.first; heap;
         heap = heap->next)
        heap_count++;
    assert_int_equal(heap_count, 2);
}

// What a thread had and where it was.
struct stay {
    pthread_barrier_t *barrier; // NULL: it is alone
    struct heap *heap;
    uintptr_t place;
    void *blocks[600];
    int count;
};

static void *stay_once(void *pointer)
{
    struct stay *stay = pointer;
    for (int i = 0; i < stay->count; i++)
        stay->blocks[i] = heap_test_allocate(4096);
    stay->heap = heap_of_thread;
    stay->place = (uintptr_t)&heap_of_thread;
    if (stay->barrier)
        pthread_barrier_wait(stay->barrier);
    return NULL;
}

// Two threads leave much at the same time. The next gets what was left in its place, whichever that
// is: libc gives it the stack of the one that was waited for last.
static void test_successor_gets_the_heap(void **state)
{
    (void)state;
    static struct stay stays[2];
    pthread_barrier_t both;
    int places_found = 0;
    pthread_barrier_init(&both, NULL, 2);
    for (int last = 0; last < 2; last++) {
        pthread_t threads[2];
        for (int i = 0; i < 2; i++) {
            stays[i] = (struct stay){.barrier = &both, .count = 600};
            assert_int_equal(pthread_create(&threads[i], NULL, stay_once, &stays[i]), 0);
        }
        pthread_join(threads[!last], NULL);
        pthread_join(threads[last], NULL);
        static struct stay next;
        next = (struct stay){.count = 1};
        assert_int_equal(pthread_create(&threads[0], NULL, stay_once, &next), 0);
        pthread_join(threads[0], NULL);
        for (int i = 0; i < 2; i++) {
            places_found += stays[i].place == next.place;
            assert_true(stays[i].place != next.place || stays[i].heap == next.heap);
            for (int k = 0; k < stays[i].count; k++)
                heap_test_release(stays[i].blocks[k]);
        }
        heap_test_release(next.blocks[0]);
    }
    pthread_barrier_destroy(&both);
    if (!places_found)
        print_message("no thread was where another had been\n");
}

// Blocks of twenty classes, made in steps of so many classes.
struct leaving {
    int step; // without a common factor with 20
    void *blocks[20];
};

static void *leave_some(void *pointer)
{
    struct leaving *leaving = pointer;
    for (int i = 0; i < 20; i++) {
        int which = i * leaving->step % 20;
        leaving->blocks[which] = heap_test_allocate((size_t)(which + 1) * 50);
    }
    return NULL;
}

// Short threads after each other that leave blocks, which are freed then: each class stays where it
// was, whatever comes first.
static void test_short_threads_stay_in_place(void **state)
{
    (void)state;
    static const int steps[] = {1, 7, 19, 3, 11};
    struct leaving leaving;
    const struct wire_record *spans[20];
    heap_test_release(heap_test_allocate(1));
    for (int round = 0; round < 5; round++) {
        pthread_t thread;
        leaving.step = steps[round];
        assert_int_equal(pthread_create(&thread, NULL, leave_some, &leaving), 0);
        pthread_join(thread, NULL);
        for (int i = 0; i < 20; i++) {
            const struct wire_record *span = space_record_at((uintptr_t)leaving.blocks[i]);
            if (round)
                assert_ptr_equal(span, spans[i]);
            spans[i] = span;
            heap_test_release(leaving.blocks[i]);
        }
    }
}

// Where a class has no free block, none of a larger class serves: what was freed comes back for its
// own size alone, and no block is longer than its class.
static void test_classes_keep_their_blocks(void **state)
{
    (void)state;
    const size_t sizes[] = {4400, 45000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        // Two, so that the span stays.
        void *first = heap_test_allocate(sizes[i]), *second = heap_test_allocate(sizes[i]);
        heap_test_release(first);
        size_t smaller = sizes[i] - sizes[i] / 4;
        void *other = heap_test_allocate(smaller);
        assert_ptr_not_equal(other, first);
        assert_int_equal(heap_usable_bytes(other), class_block_bytes[class_of_size(smaller)]);
        assert_ptr_equal(heap_test_allocate(sizes[i]), first);
        heap_test_release(first);
        heap_test_release(second);
        heap_test_release(other);
    }
}

// While a block of the class is free, in whatever span, no further page is carved.
static void test_free_blocks_before_new_pages(void **state)
{
    (void)state;
    enum { COUNT = 100, AGAIN = 8 };
    void *blocks[COUNT];
    for (int i = 0; i < COUNT; i++)
        blocks[i] = heap_test_allocate(1000);
    // In the first span, while the second is current.
    for (int i = 0; i < AGAIN; i++)
        heap_test_release(blocks[i]);
    const struct wire_record *first = space_record_at((uintptr_t)blocks[AGAIN]);
    for (int i = 0; i < AGAIN; i++) {
        blocks[i] = heap_test_allocate(1000);
        assert_ptr_equal(space_record_at((uintptr_t)blocks[i]), first);
    }
    for (int i = 0; i < COUNT; i++)
        heap_test_release(blocks[i]);
}

static void test_trim_keeps_what_lives(void **state)
{
    struct fake_os *fake = *state;
    enum { COUNT = 5000 };
    static unsigned char *blocks[COUNT];
    uint64_t random = 4711;
    for (int i = 0; i < COUNT; i++) {
        size_t bytes = 16 + heap_test_next(&random) % (i % 50 ? 2000 : 200000);
        blocks[i] = heap_test_allocate(bytes);
        memset(blocks[i], i % 251, heap_usable_bytes(blocks[i]));
    }
    for (int i = 0; i < COUNT; i++) {
        if (heap_test_next(&random) % 10 == 0)
            continue;
        heap_test_release(blocks[i]);
        blocks[i] = NULL;
    }
    // Once, what lies behind the frontier goes as well, which is nobody's purge.
    space_forbid_huge();
    fake->purged_bytes = 0;
    size_t gone = engine_test_purge();
    assert_true(gone > (size_t)1 << 20);
    assert_int_equal(gone, fake->purged_bytes);
    assert_int_equal(count_now().kept, 0);
    for (int i = 0; i < COUNT; i++) {
        for (size_t at = 0; blocks[i] && at < heap_usable_bytes(blocks[i]); at++)
            assert_int_equal(blocks[i][at], i % 251);
        if (!blocks[i])
            blocks[i] = heap_test_allocate(heap_test_next(&random) % 3000);
    }
    for (int i = 0; i < COUNT; i++)
        heap_test_release(blocks[i]);
}

// What a guarded block leaves is the next one's, whole or cut or grown at its end, with a guard.
static void test_guarded_blocks_are_kept(void **state)
{
    (void)state;
    static const size_t sizes[] = {5, 3, 8, 5};
    bool is_zero;
    char *first = heap_allocate((size_t)5 << 20, &is_zero);
    assert_true(is_zero);
    memset(first, 1, (size_t)5 << 20);
    heap_test_release(first);
    assert_true(count_now().kept >= (uint64_t)5 << 20);
    for (int i = 0; i < 4; i++) {
        size_t bytes = sizes[i] << 20;
        char *again = heap_allocate(bytes, &is_zero);
        assert_ptr_equal(again, first);
        assert_false(is_zero);
        memset(again, 1, bytes);
        assert_true(heap_test_can_read(again + bytes - 1));
        assert_false(heap_test_can_read(again + bytes));
        heap_test_release(again);
    }
    // Given back it is no memory any more, and zeros when it comes again.
    assert_true(engine_test_purge() >= (size_t)8 << 20);
    assert_false(heap_test_can_read(first));
    assert_ptr_equal(heap_allocate((size_t)5 << 20, &is_zero), first);
    assert_true(is_zero && first[0] == 0);
    heap_test_release(first);
}

static void test_large_blocks(void **state)
{
    struct fake_os *fake = *state;
    bool is_zero;
    unsigned char *block = heap_allocate((size_t)5 << 20, &is_zero);
    assert_true(is_zero);
    block[0] = 1;
    block[((size_t)5 << 20) - 1] = 2;
    // In place while there is room, by moving pages when not.
    unsigned char *grown = heap_resize(block, (size_t)9 << 20);
    assert_ptr_equal(grown, block);
    void *wall = heap_allocate((size_t)2 << 20, &is_zero);
    unsigned char *moved = heap_resize(block, (size_t)40 << 20);
    assert_ptr_not_equal(moved, block);
    assert_int_equal(fake->moves, 1);
    assert_true(moved[0] == 1 && moved[((size_t)5 << 20) - 1] == 2);
    assert_ptr_equal(heap_resize(moved, (size_t)6 << 20), moved);
    assert_int_equal(heap_usable_bytes(moved), (size_t)6 << 20);
    moved = heap_resize(moved, 5000);
    assert_int_equal(moved[0], 1);
    heap_test_release(moved);
    heap_test_release(wall);
    assert_int_equal(count_now().guarded, 0);
    for (size_t align = 16; align <= (size_t)8 << 20; align *= 2) {
        void *aligned = heap_allocate_aligned(align * 3 + 7, align);
        assert_int_equal((uintptr_t)aligned % align, 0);
        heap_test_release(aligned);
        aligned = heap_allocate_aligned(0, align);
        assert_int_equal((uintptr_t)aligned % align, 0);
        heap_test_release(aligned);
    }
    assert_null(heap_allocate((size_t)1 << 50, &is_zero));
    assert_null(heap_allocate_aligned(1, (size_t)1 << 50));
}

// A bit of everything; true if nothing was refused. All that was given must be usable and come
// back.
static bool use_heap(void)
{
    static const size_t sizes[] = {10, 100, 3000, 8000, 30000, 200000, 400000, 2000000, 9000000};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    unsigned char *blocks[SIZES];
    bool is_whole = true;
    for (int i = 0; i < SIZES; i++) {
        blocks[i] = i % 2 ? heap_allocate_aligned(sizes[i], 4096) : heap_test_allocate(sizes[i]);
        is_whole = is_whole && blocks[i];
        if (blocks[i])
            memset(blocks[i], i + 1, sizes[i]);
    }
    for (int i = 0; i < SIZES; i++) {
        unsigned char *grown = blocks[i] ? heap_resize(blocks[i], sizes[i] * 5) : NULL;
        is_whole = is_whole && grown;
        blocks[i] = grown ? grown : blocks[i];
        if (blocks[i])
            assert_true(blocks[i][0] == i + 1 && blocks[i][sizes[i] - 1] == i + 1);
    }
    for (int i = 0; i < SIZES; i++) {
        if (blocks[i])
            heap_test_release(blocks[i]);
    }
    (void)engine_test_purge();
    return is_whole;
}

// The n-th call of the system fails, for n = 0, 1, … until none does.
static void fail_at_each_call(int repeats)
{
    heap_stop();
    bool was_whole = false;
    for (long left = 0; !was_whole && left < 500; left++) {
        static struct fake_os fake;
        static struct failing_os failing;
        fake_os_start(&fake);
        failing_os_start(&failing, &fake.os, left, repeats);
        bool is_started = heap_start_on(&failing.os) == 0;
        if (is_started) {
            was_whole = use_heap() && !failing.failures;
            failing.left = 1 << 20;
            assert_int_equal(count_now().live_blocks, 0);
            assert_true(use_heap());
            assert_int_equal(count_now().live_blocks, 0);
        }
        heap_stop();
    }
    assert_true(was_whole);
}

static void test_nth_failure(void **state)
{
    (void)state;
    fail_at_each_call(0);
}

static void test_all_fail_from_the_nth(void **state)
{
    (void)state;
    fail_at_each_call(1);
}

static pthread_barrier_t barrier;

static void *hold_heap(void *pointer)
{
    void **block = pointer;
    *block = heap_test_allocate(300);
    struct heap *heap = heap_enter();
    // The fork happens between these two.
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    heap_leave(heap);
    return NULL;
}

// A heap whose thread was in the middle of a slow path is given up in the child; all else goes on.
static int live_in_child(void *theirs, void **own)
{
    alarm(20);
    uint32_t lost = 0;
    for (int i = 0; i < 1000; i++)
        heap_test_release(own[i]);
    heap_test_release(theirs);
    for (int i = 0; i < 1000; i++)
        own[i] = heap_test_allocate(300);
    for (const struct heap *heap = (const struct heap *)(uintptr_t)heaps.first; heap;
         heap = heap->next)
        lost += heap->state == HEAP_LOST;
    return lost == 1 && use_heap() ? 0 : 1;
}

static void test_child_gives_up_a_busy_heap(void **state)
{
    (void)state;
    static void *own[1000];
    void *theirs = NULL;
    for (int i = 0; i < 1000; i++)
        own[i] = heap_test_allocate(300);
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, hold_heap, &theirs), 0);
    pthread_barrier_wait(&barrier);
    pid_t child = fork();
    if (child == 0)
        _exit(live_in_child(theirs, own));
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_fast_path, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_exact_counts, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_remote_frees_come_home, heap_test_begin,
                                        heap_test_end),
        cmocka_unit_test_setup_teardown(test_abandoned_spans_go_back, heap_test_begin,
                                        heap_test_end),
        cmocka_unit_test_setup_teardown(test_successor_gets_the_heap, heap_test_begin,
                                        heap_test_end),
        cmocka_unit_test_setup_teardown(test_short_threads_stay_in_place, heap_test_begin,
                                        heap_test_end),
        cmocka_unit_test_setup_teardown(test_classes_keep_their_blocks, heap_test_begin,
                                        heap_test_end),
        cmocka_unit_test_setup_teardown(test_free_blocks_before_new_pages, heap_test_begin,
                                        heap_test_end),
        cmocka_unit_test_setup_teardown(test_trim_keeps_what_lives, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_guarded_blocks_are_kept, heap_test_begin,
                                        heap_test_end),
        cmocka_unit_test_setup_teardown(test_large_blocks, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_nth_failure, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_all_fail_from_the_nth, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_child_gives_up_a_busy_heap, heap_test_begin,
                                        heap_test_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
