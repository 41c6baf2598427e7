// SPDX-License-Identifier: Apache-2.0
// Two threads that free the same block at the same moment: both have looked, and found it live,
// before either has freed it. No look can find that; what comes of it must end the process with a
// line, and not hand a block out for ever, nor fault in the heap's own words. Test code: the steps
// of both threads are played by hand, in their order.
#include <signal.h>
#include <sys/wait.h>

#include "heap_test.h"

#include "heap/large.h"
#include "heap/lists.h"
#include "heap/misuse.h"

// What free_remote() does after its look.
static void free_from_afar(void *block)
{
    uint32_t count;
    struct wire_record *span = space_record_at((uintptr_t)block);
    if (span_push_remote(span, block, &count))
        lists_enqueue(span);
}

static void twice_from_afar(void)
{
    void *block = heap_test_allocate(48);
    free_from_afar(block);
    free_from_afar(block);
}

// Another free falls in between: the list leads in a circle, and only the sum tells.
static void twice_from_afar_around_another(void)
{
    void *block = heap_test_allocate(200000);
    void *other = heap_test_allocate(200000);
    free_from_afar(block);
    free_from_afar(other);
    free_from_afar(block);
    free_from_afar(other);
    (void)heap_test_allocate(200000);
    (void)heap_test_allocate(200000);
    (void)heap_test_allocate(200000);
}

static void from_afar_and_by_the_owner(void)
{
    void *blocks[9];
    for (int i = 0; i < 9; i++)
        blocks[i] = heap_test_allocate(8192);
    for (int i = 0; i < 8; i++) {
        free_from_afar(blocks[i]);
        span_push(space_record_at((uintptr_t)blocks[i]), blocks[i]);
    }
    heap_leave(heap_enter());
    (void)heap_test_allocate(8192);
}

// The owner's free was the last: the span is empty, and nobody's, when the other's arrives.
static void after_the_last_free(void)
{
    void *blocks[9];
    for (int i = 0; i < 9; i++)
        blocks[i] = heap_test_allocate(8192);
    for (int i = 0; i < 8; i++)
        heap_test_release(blocks[i]);
    assert_int_equal(space_record_at((uintptr_t)blocks[0])->heap, 0);
    free_from_afar(blocks[0]);
}

static void large_twice(void)
{
    struct wire_record *record = space_record_at((uintptr_t)heap_test_allocate(300000));
    large_free(record);
    large_free(record);
}

static void huge_twice(void)
{
    struct wire_record *record = space_record_at((uintptr_t)heap_test_allocate(5000000));
    large_free(record);
    large_free(record);
}

// The span went while somebody looked at a block of it, and its record with it: records.h.
static void *make_wiped_span(void)
{
    void *block = heap_test_allocate(48);
    space_record_at((uintptr_t)block)->block_bytes = 0;
    space_record_at((uintptr_t)block)->fast_owner = 0;
    return block;
}

static void free_in_wiped_span(void)
{
    heap_test_release(make_wiped_span());
}

static void realloc_in_wiped_span(void)
{
    (void)heap_resize(make_wiped_span(), 10);
}

static void query_in_wiped_span(void)
{
    (void)heap_usable_bytes(make_wiped_span());
}

static const struct {
    void (*run)(void);
    const char *said;
} races[] = {
    {twice_from_afar, "ebb: fatal: double free of 0x"},
    {twice_from_afar_around_another, "ebb: fatal: more frees than blocks at 0x"},
    {from_afar_and_by_the_owner, "ebb: fatal: more frees than blocks at 0x"},
    {after_the_last_free, "ebb: fatal: more frees than blocks at 0x"},
    {large_twice, "ebb: fatal: double free of 0x"},
    {huge_twice, "ebb: fatal: double free of 0x"},
    {free_in_wiped_span, "ebb: fatal: invalid free of 0x"},
    {realloc_in_wiped_span, "ebb: fatal: invalid realloc of 0x"},
    {query_in_wiped_span, "ebb: fatal: invalid size query of 0x"},
};

// In a child, whose stderr comes back as `said`. Returns its status.
static int run_apart(void (*run)(void), char *said, size_t room)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        // A circle is walked for ever.
        alarm(20);
        signal(SIGABRT, SIG_DFL);
        signal(SIGFPE, SIG_DFL);
        signal(SIGSEGV, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        run();
        _exit(0);
    }
    close(ends[1]);
    size_t length = 0;
    for (ssize_t got = 1; got > 0; length += (size_t)got)
        got = read(ends[0], said + length, room - 1 - length);
    said[length] = '\0';
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void test_races(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof races / sizeof *races; i++) {
        char said[400];
        int status = run_apart(races[i].run, said, sizeof said);
        bool is_told = strncmp(said, races[i].said, strlen(races[i].said)) == 0;
        if (!is_told || !WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
            fail_msg("race %zu: status %#x: %s", i, (unsigned)status, said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_races, heap_test_begin, heap_test_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
