// SPDX-License-Identifier: Apache-2.0
// Every exported function while the system refuses: its n-th call that can fail, or all from the
// n-th on, for n = 0, 1, 2, … until none does. The functions are those that ship, behind the prefix
// t_. After each: the result and errno are as promised, nothing that lived is spoiled or lost, the
// table is whole, and the same call succeeds once the system gives again. Test code.
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "heap_test.h"

#include "ebb/ebb.h"
#include "ebb/prefix.h"
#include "heap/count.h"
#include "release/engine.h"

#define NEVER     (1L << 40)
#define CALLS_MAX 200

// What a sanitizer of threads makes twenty times slower is tried at each third call: it looks for
// races between whichever calls there are.
#ifdef __SANITIZE_THREAD__
#define STRIDE 3
#else
#define STRIDE 1
#endif

// What a call did: its block or NULL, and whether that was a failure. Calls without a block leave
// it alone.
struct outcome {
    void *block;
    bool has_failed;
};

struct call {
    const char *name;
    size_t from; // the size of the block that is there before; 0: none
    size_t to;
    struct outcome (*make)(const struct call *call, void *before);
    bool takes_before; // on success the block is gone
};

static struct fake_os fake;
static struct failing_os failing;
static int next_error; // what errno is before each call: anything that nobody sets

static struct outcome judge(void *block)
{
    if (!block)
        assert_int_equal(errno, ENOMEM);
    else
        assert_int_equal(errno, next_error);
    return (struct outcome){block, !block};
}

static struct outcome no_block(void)
{
    assert_int_equal(errno, next_error);
    return (struct outcome){NULL, false};
}

static struct outcome call_malloc(const struct call *call, void *before)
{
    (void)before;
    return judge(t_malloc(call->to));
}

static struct outcome call_calloc(const struct call *call, void *before)
{
    (void)before;
    unsigned char *block = t_calloc(call->to / 4, 4);
    struct outcome outcome = judge(block);
    for (size_t i = 0; block && i < call->to / 4 * 4; i++) {
        if (block[i])
            fail_msg("calloc: byte %zu is %d", i, block[i]);
    }
    return outcome;
}

static struct outcome call_realloc(const struct call *call, void *before)
{
    return judge(t_realloc(before, call->to));
}

static struct outcome call_reallocarray(const struct call *call, void *before)
{
    return judge(t_reallocarray(before, call->to / 8, 8));
}

static struct outcome call_aligned_alloc(const struct call *call, void *before)
{
    (void)before;
    return judge(t_aligned_alloc(256, call->to));
}

static struct outcome call_memalign(const struct call *call, void *before)
{
    (void)before;
    return judge(t_memalign(1 << 17, call->to));
}

static struct outcome call_valloc(const struct call *call, void *before)
{
    (void)before;
    return judge(t_valloc(call->to));
}

static struct outcome call_pvalloc(const struct call *call, void *before)
{
    (void)before;
    return judge(t_pvalloc(call->to));
}

// The error is the result, and the pointer is left alone; errno may say the same, as in glibc.
static struct outcome call_posix_memalign(const struct call *call, void *before)
{
    (void)before;
    void *block = &errno;
    int error = t_posix_memalign(&block, 4096, call->to);
    assert_true(errno == next_error || (error && errno == ENOMEM));
    assert_true(error == 0 || error == ENOMEM);
    assert_true((error != 0) == (block == &errno));
    return (struct outcome){error ? NULL : block, error != 0};
}

static struct outcome call_free(const struct call *call, void *before)
{
    (void)call;
    t_free(before);
    return no_block();
}

// The system gives again: what it has not taken back before is not zero for who gets it next.
static void check_calloc(size_t bytes)
{
    failing.left = NEVER;
    unsigned char *block = t_calloc(bytes, 1);
    assert_non_null(block);
    assert_true(block[0] == 0 && memcmp(block, block + 1, bytes - 1) == 0);
    t_free(block);
}

static struct outcome call_free_and_calloc(const struct call *call, void *before)
{
    t_free(before);
    check_calloc(call->from);
    return no_block();
}

static struct outcome call_shrink_and_calloc(const struct call *call, void *before)
{
    struct outcome outcome = call_realloc(call, before);
    if (!outcome.has_failed)
        check_calloc(call->from / 2);
    return outcome;
}

// Two pieces are kept, between blocks that live: they are moved to where the call wants them.
static struct outcome call_with_pieces(const struct call *call, void *before)
{
    unsigned char *blocks[4];
    long left = failing.left;
    failing.left = NEVER;
    (void)ebb_purge();
    for (int i = 0; i < 4; i++) {
        blocks[i] = t_malloc(1500000);
        memset(blocks[i], 0xff, 1500000);
    }
    t_free(blocks[0]);
    t_free(blocks[2]);
    failing.left = left;
    space.has_no_moves = 0;
    unsigned moves = fake.moves;
    unsigned failures = failing.failures;
    struct outcome outcome = before ? call_realloc(call, before) : call_calloc(call, NULL);
    assert_true(fake.moves > moves || failing.failures > failures);
    failing.left = NEVER;
    for (int i = 1; i < 4; i += 2) {
        assert_true(blocks[i][0] == 0xff && memcmp(blocks[i], blocks[i] + 1, 1499999) == 0);
        t_free(blocks[i]);
    }
    failing.left = left;
    return outcome;
}

static struct outcome call_trim(const struct call *call, void *before)
{
    (void)call;
    (void)before;
    (void)t_malloc_trim(0);
    return no_block();
}

static struct outcome call_purge(const struct call *call, void *before)
{
    (void)call;
    (void)before;
    (void)ebb_purge();
    return no_block();
}

static struct outcome call_info(const struct call *call, void *before)
{
    (void)call;
    struct mallinfo2 info = t_mallinfo2();
    assert_true(!before || info.uordblks + info.hblkhd > 0);
    assert_true(!before || t_malloc_usable_size(before) >= call->from);
    return no_block();
}

// The linker puts this in the place of pthread_create() (tests/lib/CMakeLists.txt).
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *pointer);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *pointer);

static bool has_no_threads;
static int refused_threads;

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *pointer)
{
    if (!has_no_threads)
        return __real_pthread_create(thread, attributes, run, pointer);
    refused_threads++;
    return EAGAIN;
}

// A whole life: its first allocation makes or takes a heap, its end gives it up.
static void *live(void *unused)
{
    (void)unused;
    void *blocks[3];
    for (int i = 0; i < 3; i++)
        blocks[i] = t_malloc((size_t)40 << i * 6);
    for (int i = 0; i < 3; i++)
        t_free(blocks[i]);
    return NULL;
}

static struct outcome call_thread(const struct call *call, void *before)
{
    (void)call;
    (void)before;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, live, NULL), 0);
    pthread_join(thread, NULL);
    return no_block();
}

// As call_thread(), but the thread dies with blocks that others free.
static void *leave_blocks(void *pointer)
{
    void **blocks = pointer;
    for (int i = 0; i < 40; i++)
        blocks[i] = t_malloc((size_t)i * 300);
    return NULL;
}

static struct outcome call_thread_leaving(const struct call *call, void *before)
{
    (void)call;
    (void)before;
    void *blocks[40];
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, leave_blocks, blocks), 0);
    pthread_join(thread, NULL);
    for (int i = 0; i < 40; i++)
        t_free(blocks[i]);
    return no_block();
}

static const struct call calls[] = {
    {"malloc of 1", 0, 1, call_malloc, false},
    {"malloc of 5000", 0, 5000, call_malloc, false},
    {"malloc of 40000", 0, 40000, call_malloc, false},
    {"malloc of 300000", 0, 300000, call_malloc, false},
    {"malloc of 3000000", 0, 3000000, call_malloc, false},
    {"calloc of 100", 0, 100, call_calloc, false},
    {"calloc of 50000", 0, 50000, call_calloc, false},
    {"calloc of 500000", 0, 500000, call_calloc, false},
    {"calloc of 5000000", 0, 5000000, call_calloc, false},
    {"realloc of nothing", 0, 700, call_realloc, true},
    {"realloc within small", 100, 3000, call_realloc, true},
    {"realloc small to medium", 100, 70000, call_realloc, true},
    {"realloc small to guarded", 100, 2000000, call_realloc, true},
    {"realloc within medium", 20000, 200000, call_realloc, true},
    {"realloc medium to large", 20000, 600000, call_realloc, true},
    {"realloc within large", 300000, 900000, call_realloc, true},
    {"realloc large to guarded", 300000, 3000000, call_realloc, true},
    {"realloc within guarded", 2000000, 30000000, call_realloc, true},
    {"realloc to less, small", 3000, 20, call_realloc, true},
    {"realloc to less, medium", 200000, 20000, call_realloc, true},
    {"realloc to less, large", 900000, 300000, call_realloc, true},
    {"realloc to less, guarded", 9000000, 2000000, call_realloc, true},
    {"realloc guarded to large", 9000000, 500000, call_realloc, true},
    {"realloc guarded to small", 9000000, 50, call_realloc, true},
    {"reallocarray", 100, 80000, call_reallocarray, true},
    {"aligned_alloc", 0, 1000, call_aligned_alloc, false},
    {"memalign", 0, 1000, call_memalign, false},
    {"memalign of much", 0, 2000000, call_memalign, false},
    {"posix_memalign", 0, 30000, call_posix_memalign, false},
    {"valloc", 0, 30000, call_valloc, false},
    {"pvalloc", 0, 30000, call_pvalloc, false},
    {"free of small", 50, 0, call_free, true},
    {"free of medium", 50000, 0, call_free, true},
    {"free of large", 500000, 0, call_free, true},
    {"free of guarded", 5000000, 0, call_free, true},
    {"free and calloc, medium", 200000, 0, call_free_and_calloc, true},
    {"free and calloc, large", 900000, 0, call_free_and_calloc, true},
    {"free and calloc, guarded", 5000000, 0, call_free_and_calloc, true},
    {"free and calloc, much", 90000000, 0, call_free_and_calloc, true},
    {"shrink and calloc", 9000000, 2000000, call_shrink_and_calloc, true},
    {"shrink and calloc, much", 90000000, 20000000, call_shrink_and_calloc, true},
    {"calloc of pieces", 0, 4000000, call_with_pieces, false},
    {"calloc of few pieces", 0, 20000000, call_with_pieces, false},
    {"realloc with pieces", 2000000, 6000000, call_with_pieces, true},
    {"malloc_trim", 5000, 0, call_trim, false},
    {"ebb_purge", 5000, 0, call_purge, false},
    {"mallinfo2", 5000, 0, call_info, false},
    {"a thread", 5000, 0, call_thread, false},
    {"a thread that leaves blocks", 5000, 0, call_thread_leaving, false},
};

// The runs of each area follow each other up to the frontier, and every span agrees with itself.
static void check_table(void)
{
    for (int i = 0; i < WIRE_AREAS; i++) {
        const struct wire_area *area = &space.ledger->areas[i];
        uint32_t slot = area->first;
        while (slot < area->frontier) {
            const struct wire_record *record = space_record(slot);
            enum wire_kind kind = wire_run_kind(record->run);
            uint32_t slots = wire_run_slots(record->run);
            assert_in_range(slots, 1, area->frontier - slot);
            bool is_large = kind == WIRE_LARGE || kind == WIRE_GUARDED;
            uint64_t rest = (uint64_t)slots * WIRE_SLOT_BYTES - record->bytes;
            assert_true(!is_large || rest <= WIRE_SLOT_BYTES);
            assert_true(kind != WIRE_NONE && kind != WIRE_BUSY && kind != WIRE_FREE_END);
            bool is_span = kind == WIRE_SMALL || kind == WIRE_MEDIUM;
            assert_true(!is_span || !record->heap || span_is_valid(record));
            slot += slots;
        }
        assert_int_equal(slot, area->frontier);
    }
}

static void check_ledger(uint64_t live_blocks)
{
    struct count count;
    count_heap(&count);
    assert_int_equal(count.live_blocks, live_blocks);
    assert_int_equal(count.mallocs - count.frees, live_blocks);
    struct ebb_stats stats;
    assert_int_equal(ebb_get_stats(&stats, sizeof stats), 0);
    assert_int_equal(stats.heap_sys, stats.heap_inuse + stats.heap_idle);
    assert_int_equal(stats.sys, stats.heap_sys + stats.mspan_sys);
    assert_true(stats.heap_alloc <= stats.heap_inuse && stats.heap_released <= stats.heap_idle);
    check_table();
}

// Blocks that live through everything, and free ones of all kinds between them.
#define KEPT 40

static unsigned char *kept[KEPT];

static size_t kept_bytes(int i)
{
    static const size_t sizes[] = {40, 1000, 9000, 70000, 400000};
    return sizes[i % 5] + (size_t)i;
}

static void furnish(void)
{
    static void *freed[KEPT];
    for (int i = 0; i < KEPT; i++) {
        kept[i] = t_malloc(kept_bytes(i));
        freed[i] = t_malloc(kept_bytes(i));
        memset(kept[i], i + 1, kept_bytes(i));
        memset(freed[i], 0xff, kept_bytes(i));
    }
    for (int i = 0; i < KEPT; i++)
        t_free(freed[i]);
}

static void check_kept(bool is_furnished)
{
    for (int i = 0; is_furnished && i < KEPT; i++) {
        bool is_whole = kept[i][0] == i + 1 && memcmp(kept[i], kept[i] + 1, kept_bytes(i) - 1) == 0;
        assert_true(is_whole);
    }
}

static unsigned char *make_before(const struct call *call)
{
    unsigned char *before = call->from ? t_malloc(call->from) : NULL;
    if (before)
        memset(before, 0x5a, call->from);
    return before;
}

static void check_before(const unsigned char *before, size_t bytes)
{
    if (before && bytes)
        assert_true(before[0] == 0x5a && memcmp(before, before + 1, bytes - 1) == 0);
}

// The call, once; returns what is now there in the place of `before`.
static unsigned char *make_call(const struct call *call, unsigned char *before, uint64_t others,
                                bool *has_failed)
{
    errno = next_error;
    struct outcome outcome = call->make(call, before);
    *has_failed = outcome.has_failed;
    assert_true(!outcome.block || t_malloc_usable_size(outcome.block) >= call->to);
    long left = failing.left;
    failing.left = NEVER;
    bool is_gone = call->takes_before && !outcome.has_failed;
    unsigned char *there = is_gone ? outcome.block : before;
    check_before(there, call->to && call->to < call->from ? call->to : call->from);
    if (outcome.block && !is_gone) {
        memset(outcome.block, 0xee, call->to);
        check_before(before, call->from);
        t_free(outcome.block);
    }
    check_ledger(others + (there != NULL));
    failing.left = left;
    return there;
}

static int stop_heap(void **state)
{
    (void)state;
    engine_stop();
    heap_stop();
    return 0;
}

// One call whose n-th request fails, and once more without failures. True if no request failed.
static bool try_call(const struct call *call, long n, int repeats, bool is_furnished)
{
    fake_os_start(&fake);
    failing_os_start(&failing, &fake.os, NEVER, repeats);
    assert_int_equal(heap_start_on(&failing.os), 0);
    uint64_t others = is_furnished ? KEPT : 0;
    if (is_furnished)
        furnish();
    unsigned char *before = make_before(call);
    bool has_failed;
    failing.left = n;
    failing.failures = 0;
    before = make_call(call, before, others, &has_failed);
    bool is_undisturbed = failing.failures == 0;
    failing.left = NEVER;
    assert_true(!is_undisturbed || !has_failed);
    check_kept(is_furnished);
    if (has_failed || !call->takes_before)
        before = make_call(call, before, others, &has_failed);
    assert_false(has_failed);
    check_kept(is_furnished);
    t_free(before);
    for (int i = 0; is_furnished && i < KEPT; i++)
        t_free(kept[i]);
    check_ledger(0);
    (void)stop_heap(NULL);
    return is_undisturbed;
}

static void fail_each(const struct call *call, int repeats, bool is_furnished)
{
    long n = 0;
    while (n < CALLS_MAX && !try_call(call, n, repeats, is_furnished))
        n += STRIDE;
    assert_in_range(n, 0, CALLS_MAX - 1);
}

static void test_call(void **state)
{
    const struct call *call = *state;
    next_error = 1000;
    fail_each(call, 0, false);
    fail_each(call, 0, true);
    fail_each(call, 1, false);
    fail_each(call, 1, true);
}

// Where no helper can be started, looks ride on slow paths, and memory goes back all the same.
static void test_no_thread(void **state)
{
    (void)state;
    setenv("EBB_CONF", "helper:on", 1);
    fake_os_start(&fake);
    assert_int_equal(heap_start_on(&fake.os), 0);
    has_no_threads = true;
    void *blocks[200];
    for (int i = 0; i < 200; i++)
        blocks[i] = memset(t_malloc(60000), 1, 60000);
    assert_int_equal(refused_threads, 1);
    errno = 77;
    for (int i = 0; i < 200; i++)
        t_free(blocks[i]);
    for (int i = 0; i < 200; i++) {
        fake.clock_ns += 100000000;
        void *block = t_malloc(2000000);
        t_free(block);
    }
    assert_int_equal(errno, 77);
    assert_int_equal(refused_threads, 1);
    assert_true(fake.purged_bytes >= 100 * 60000);
    failing.left = NEVER;
    check_ledger(0);
    has_no_threads = false;
    setenv("EBB_CONF", "helper:off", 1);
}

int main(int argc, char **argv)
{
    (void)argc;
    // Read before main(): no thread of libebb's own shall make calls of the system in between.
    if (!getenv("EBB_CONF")) {
        setenv("EBB_CONF", "helper:off", 1);
        execv("/proc/self/exe", argv);
    }
    enum { CALLS = sizeof calls / sizeof *calls };
    struct CMUnitTest tests[CALLS + 1] = {
        [CALLS] = cmocka_unit_test_teardown(test_no_thread, stop_heap),
    };
    for (size_t i = 0; i < CALLS; i++) {
        tests[i].name = calls[i].name;
        tests[i].test_func = test_call;
        tests[i].teardown_func = stop_heap;
        tests[i].initial_state = (void *)(uintptr_t)&calls[i];
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
