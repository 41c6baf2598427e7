// SPDX-License-Identifier: Apache-2.0
// Unit tests of libebb's lowest layer and of its size classes. Test code; no state.
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heap_test.h"

#include "base/bits.h"
#include "base/die.h"
#include "heap/class.h"

static void test_bits(void **state)
{
    (void)state;
    assert_int_equal(bits_round_up(0, 16), 0);
    assert_int_equal(bits_round_up(17, 16), 32);
    assert_int_equal(bits_ceil_div(4097, 4096), 2);
    assert_true(bits_is_power_of_two(1) && !bits_is_power_of_two(0) && !bits_is_power_of_two(12));
    assert_int_equal(bits_highest(0x80), 7);
    assert_int_equal(bits_lowest(0x80), 7);
    assert_true(bits_range(0, 63) == UINT64_MAX);
    assert_true(bits_range(3, 5) == 0x38);
    assert_int_equal(bits_count(0xf0f0), 8);
}

static void test_line(void **state)
{
    (void)state;
    struct line line = {.len = 0};
    line_add(&line, "a ");
    line_add_hex(&line, 0x1f);
    line_add(&line, " ");
    line_add_decimal(&line, UINT64_MAX);
    line.text[line.len] = '\0';
    assert_string_equal(line.text, "a 0x1f 18446744073709551615");
    for (int i = 0; i < 100; i++)
        line_add(&line, "0123456789");
    assert_int_equal(line.len, sizeof line.text - 1);
}

static void test_classes(void **state)
{
    (void)state;
    uint8_t steps[CLASS_STEPS];
    class_fill_steps(steps);
    for (size_t size = 0; size <= CLASS_MEDIUM_MAX; size++) {
        unsigned size_class = class_of_size(size);
        assert_true(class_block_bytes[size_class] >= size);
        assert_true(size_class == 0 || class_block_bytes[size_class - 1] < size);
        if (size <= CLASS_SMALL_MAX)
            assert_int_equal(steps[(size + 15) / 16], size_class);
    }
    for (unsigned size_class = 0; size_class < CLASS_COUNT; size_class++) {
        uint32_t bytes = class_block_bytes[size_class];
        assert_int_equal(bytes % (size_class < CLASS_SMALL ? 16 : PAGE_BYTES), 0);
        assert_in_range(class_capacity(size_class), 4, WIRE_SLOT_BYTES / 16);
        // A medium span has a bit per block.
        assert_true(size_class < CLASS_SMALL || class_capacity(size_class) <= 64);
        assert_true((size_class < CLASS_SMALL) == (bytes <= CLASS_SMALL_MAX));
    }
    // What is above a KiB is so at once; pages of sqlite's, and what it sorts, fit in closely.
    assert_int_equal(class_block_bytes[class_of_size(1024)], 1024);
    assert_in_range(class_block_bytes[class_of_size(4368)], 4368, 4400);
    assert_in_range(class_block_bytes[class_of_size(1032)], 1032, 1060);
}

static void test_aligned_classes(void **state)
{
    (void)state;
    for (size_t align = 1; align <= WIRE_SLOT_BYTES; align *= 2) {
        for (size_t size = 0; size <= CLASS_MEDIUM_MAX; size += size < 5000 ? 1 : 997) {
            unsigned size_class = class_of_aligned(size, align);
            assert_true(size_class < CLASS_COUNT);
            assert_true(class_block_bytes[size_class] >= size);
            assert_int_equal(class_block_bytes[size_class] % align, 0);
        }
    }
    assert_int_equal(class_of_aligned(1, WIRE_SLOT_BYTES * 2), CLASS_COUNT);
    assert_int_equal(class_of_aligned(CLASS_MEDIUM_MAX + 1, 16), CLASS_COUNT);
}

// The fast path's test of divisibility, for all that it can meet.
static void test_reciprocals(void **state)
{
    (void)state;
    for (unsigned size_class = 0; size_class < CLASS_SMALL; size_class++) {
        uint32_t recip = class_reciprocal(size_class);
        uint32_t bytes = class_block_bytes[size_class];
        for (uint32_t offset = 0; offset < WIRE_SLOT_BYTES; offset++)
            assert_int_equal(offset * recip < recip, offset % bytes == 0);
    }
}

struct counted {
    struct lock lock;
    long count;
};

static void *count_up(void *pointer)
{
    struct counted *counted = pointer;
    for (int i = 0; i < 20000; i++) {
        lock_take(&counted->lock);
        counted->count++;
        lock_release(&counted->lock);
    }
    return NULL;
}

static void *hold(void *pointer)
{
    lock_take(pointer);
    return NULL;
}

static void test_lock(void **state)
{
    (void)state;
    struct counted counted = {.count = 0};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, &counted), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(counted.count, 80000);
    assert_true(lock_try(&counted.lock));
    assert_false(lock_try(&counted.lock));
    assert_false(lock_is_foreign(&counted.lock));
    lock_release(&counted.lock);
    assert_false(lock_is_foreign(&counted.lock));
    assert_int_equal(pthread_create(&threads[0], NULL, hold, &counted.lock), 0);
    pthread_join(threads[0], NULL);
    assert_true(lock_is_foreign(&counted.lock));
    lock_reset(&counted.lock);
    assert_true(lock_try(&counted.lock));
}

// As where a signal handler that has interrupted malloc() calls it again.
static void test_own_lock(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct lock lock = {0};
        close(STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        alarm(10);
        lock_take(&lock);
        lock_take(&lock);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits),        cmocka_unit_test(test_line),
        cmocka_unit_test(test_classes),     cmocka_unit_test(test_aligned_classes),
        cmocka_unit_test(test_reciprocals), cmocka_unit_test(test_lock),
        cmocka_unit_test(test_own_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
