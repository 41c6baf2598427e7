// SPDX-License-Identifier: Apache-2.0
// Unit tests of the release engine: looks at times of the test's choosing on a system with its own
// clock. What stood still goes back within the bound, as the policy says; whatever is live keeps
// its contents; every span agrees with itself after each look. Test code.
#include <errno.h>
#include <pthread.h>

#include "engine_test.h"

#include "base/bits.h"
#include "heap/count.h"
#include "heap/sweep.h"

#define MIB ((size_t)1 << 20)
// The thread sanitizer takes thirty times as long, and these tests have one thread each.
#if defined(__SANITIZE_THREAD__)
#define BLOCKS 2000
#else
#define BLOCKS 3000
#endif
#define WITHIN_MS    1000u
#define LOOK_MS      50u
#define OTHERS_BLOCK 3000u

struct object {
    unsigned char *at;
    size_t bytes;
    unsigned char mark;
};

struct objects {
    struct object all[BLOCKS];
    uint64_t random;
};

static struct objects objects;

static int begin(void **state)
{
    objects = (struct objects){.random = 1234567};
    return engine_test_begin(state);
}

static void make_object(struct object *object, size_t most)
{
    object->bytes = heap_test_next(&objects.random) % most + 1;
    object->at = heap_test_allocate(object->bytes);
    object->mark = (unsigned char)(heap_test_next(&objects.random) % 255 + 1);
    assert_non_null(object->at);
    memset(object->at, object->mark, object->bytes);
}

static void check_object(const struct object *object)
{
    for (size_t at = 0; object->at && at < object->bytes; at += at < 64 ? 1 : 61)
        assert_int_equal(object->at[at], object->mark);
}

static void drop_object(struct object *object)
{
    check_object(object);
    heap_test_release(object->at);
    object->at = NULL;
}

// Sizes of every group, most of them small.
static void fill(void)
{
    static const size_t most[] = {100, 500, 4000, 16000, 60000, 2000000};
    for (int i = 0; i < BLOCKS; i++) {
        size_t kind = heap_test_next(&objects.random) % 64;
        if (!objects.all[i].at)
            make_object(&objects.all[i], most[kind < 2 ? 5 : kind < 8 ? 4 : kind % 4]);
    }
}

static void drop_most(void)
{
    for (int i = 0; i < BLOCKS; i++) {
        if (objects.all[i].at && heap_test_next(&objects.random) % 10)
            drop_object(&objects.all[i]);
    }
}

static void drop_all(void)
{
    for (int i = 0; i < BLOCKS; i++) {
        if (objects.all[i].at)
            drop_object(&objects.all[i]);
    }
}

static void check_lazy_is_off(const struct wire_record *span)
{
    assert_int_equal(span->lazy & ~span->off, 0);
}

static void check_heap(void)
{
    heap_test_check_spans(check_lazy_is_off);
    for (int i = 0; i < BLOCKS; i++)
        check_object(&objects.all[i]);
}

static size_t look(struct fake_os *fake, uint64_t after_ms)
{
    size_t gone = engine_test_look(fake, after_ms);
    check_heap();
    return gone;
}

// Looks as the helper does, over a time. Returns what went.
static size_t look_for(struct fake_os *fake, uint64_t ms)
{
    size_t gone = 0;
    for (uint64_t at = 0; at < ms; at += LOOK_MS)
        gone += look(fake, LOOK_MS);
    return gone;
}

static struct count counted(void)
{
    struct count count;
    count_heap(&count);
    return count;
}

// Free bytes that are still with the heap, in whole pages or not.
static uint64_t kept_bytes(void)
{
    struct count count = counted();
    return count.kept + count.free_in_spans - count.off_in_spans;
}

static void test_drop_goes_back_in_time(void **state)
{
    struct fake_os *fake = *state;
    fake->clock_ns = 5000000000;
    fill();
    (void)look(fake, 0);
    uint64_t full = counted().in_use;
    drop_most();
    // Young: nothing of it.
    size_t early = look_for(fake, WITHIN_MS / 8);
    assert_int_equal(early, 0);
    size_t gone = look_for(fake, WITHIN_MS);
    assert_true(gone > full / 2);
    // What is left is in pages with live blocks, and spans' unused ends.
    assert_true(kept_bytes() < full / 4);
    // And nothing is tried again.
    unsigned purges = fake->purges;
    assert_int_equal(look_for(fake, 2 * WITHIN_MS), 0);
    assert_int_equal(fake->purges, purges);
    assert_int_equal(fake->lazy_purges, 0);
    drop_all();
    (void)look_for(fake, 2 * WITHIN_MS);
    assert_int_equal(counted().live_blocks, 0);
}

// A span that changes between looks is left alone, and goes when it no longer does.
static void test_young_stays(void **state)
{
    struct fake_os *fake = *state;
    void *blocks[600];
    bool is_zero;
    for (int i = 0; i < 600; i++)
        blocks[i] = heap_allocate(1000, &is_zero);
    for (int i = 0; i < 600; i++) {
        if (i % 100 != 0)
            heap_test_release(blocks[i]);
    }
    for (int i = 0; i < 40; i++) {
        for (int j = 0; j < 600; j += 100) {
            if (i % 2)
                blocks[j] = heap_test_allocate(1000);
            else
                heap_test_release(blocks[j]);
        }
        (void)look(fake, LOOK_MS);
    }
    // The spans that were worked on, and the others.
    assert_int_equal(space_record_at((uintptr_t)blocks[0])->off, 0);
    assert_true(look_for(fake, WITHIN_MS) > 0);
    assert_true(space_record_at((uintptr_t)blocks[0])->off != 0);
}

static void use_policy(struct fake_os *fake, enum wire_policy policy)
{
    assert_int_equal(engine_set_policy(policy), 0);
    fill();
    (void)look(fake, 0);
    drop_most();
    (void)look_for(fake, 2 * WITHIN_MS);
}

// A block that comes and goes at the end of a long free run does not keep all of it young.
static void test_most_of_a_run_is_old(void **state)
{
    struct fake_os *fake = *state;
    void *blocks[40];
    size_t gone = 0;
    bool is_zero;
    for (int i = 0; i < 40; i++)
        blocks[i] = heap_allocate(300000, &is_zero);
    for (int i = 0; i < 40; i++)
        heap_test_release(blocks[i]);
    for (uint64_t at = 0; at < (uint64_t)2 * WITHIN_MS; at += LOOK_MS) {
        void *block = heap_allocate(300000, &is_zero);
        gone += look(fake, LOOK_MS);
        heap_test_release(block);
    }
    assert_true(gone >= (size_t)30 * 300000);
}

static void test_policies(void **state)
{
    struct fake_os *fake = *state;
    use_policy(fake, WIRE_POLICY_KEEP);
    assert_int_equal(fake->purges + fake->lazy_purges, 0);
    assert_true(engine_purge() > 0);
    assert_true(fake->purges > 0);
    check_heap();
    use_policy(fake, WIRE_POLICY_FREE);
    assert_true(fake->lazy_purges > 0);
    assert_true(counted().lazy > 0);
    assert_true(space.ledger->purged_lazily > 0);
    unsigned lazy_purges = fake->lazy_purges;
    use_policy(fake, WIRE_POLICY_DONTNEED);
    assert_int_equal(fake->lazy_purges, lazy_purges);
    assert_int_equal(engine_set_policy((enum wire_policy)5), -EINVAL);
    assert_int_equal(engine_set_policy(WIRE_POLICY_NONE), -EINVAL);
    drop_all();
    // All that is lazy goes at once when all is asked for.
    (void)engine_purge();
    assert_int_equal(counted().lazy, 0);
    check_heap();
}

static uint64_t slots_of(enum wire_kind kind)
{
    const struct wire_area *area = &space.ledger->areas[SPACE_ORDINARY];
    uint64_t slots = 0;
    for (uint32_t slot = area->first; slot < area->frontier;) {
        uint64_t run = space_record(slot)->run;
        slots += wire_run_kind(run) == kind ? wire_run_slots(run) : 0;
        slot += wire_run_slots(run);
    }
    return slots;
}

// Lazily freed runs are runs of their own, taken before clean ones, and not known to be zero.
static void test_lazy_runs(void **state)
{
    struct fake_os *fake = *state;
    bool is_zero;
    assert_int_equal(engine_set_policy(WIRE_POLICY_FREE), 0);
    unsigned char *blocks[8];
    for (int i = 0; i < 8; i++)
        blocks[i] = memset(heap_allocate(600000, &is_zero), 7, 600000);
    uint32_t frontier = space.ledger->areas[SPACE_ORDINARY].frontier;
    for (int i = 0; i < 8; i++)
        heap_test_release(blocks[i]);
    (void)look_for(fake, 2 * WITHIN_MS);
    assert_true(slots_of(WIRE_LAZY) >= 80);
    assert_int_equal(slots_of(WIRE_DIRTY), 0);
    for (int i = 0; i < 8; i++) {
        is_zero = true;
        blocks[i] = heap_allocate(600000, &is_zero);
        assert_false(is_zero);
    }
    assert_int_equal(space.ledger->areas[SPACE_ORDINARY].frontier, frontier);
    assert_true(space.ledger->reused_bytes >= 8 * 600000);
}

// A large block's pages wait for the plan where that frees lazily, and are used again after it.
static void test_large_are_lazy(void **state)
{
    struct fake_os *fake = *state;
    const size_t big = 300 * MIB;
    bool is_zero;
    assert_int_equal(engine_set_policy(WIRE_POLICY_FREE), 0);
    (void)look(fake, WITHIN_MS);
    void *block = heap_allocate(big, &is_zero);
    heap_test_release(block);
    assert_int_equal(space.ledger->purged_bytes, 0);
    (void)look_for(fake, 2 * WITHIN_MS);
    assert_true(space.ledger->purged_lazily >= big);
    block = heap_allocate(big, &is_zero);
    assert_false(is_zero);
    assert_true(space.ledger->reused_bytes >= big);
    // Where it does not, what is too much to keep goes with the free.
    assert_int_equal(engine_set_policy(WIRE_POLICY_DONTNEED), 0);
    (void)look(fake, WITHIN_MS);
    heap_test_release(block);
    assert_true(space.ledger->purged_bytes - space.ledger->purged_lazily >= big / 4);
}

// A kernel that refuses to free lazily: at once then, and it is not asked again.
static void test_lazily_refused(void **state)
{
    struct fake_os *fake = *state;
    fake->has_no_lazy = true;
    use_policy(fake, WIRE_POLICY_FREE);
    assert_int_equal(fake->lazy_purges, 0);
    assert_true(fake->purges > 0);
    assert_int_equal(counted().lazy, 0);
    assert_int_equal(space.ledger->purged_lazily, 0);
    assert_true(space.has_no_lazy);
    unsigned refused = fake->refused;
    assert_true(refused > 0);
    drop_all();
    (void)look_for(fake, 2 * WITHIN_MS);
    assert_int_equal(fake->refused, refused);
}

static void test_no_vectors(void **state)
{
    struct fake_os *fake = *state;
    fake->has_no_vectors = true;
    use_policy(fake, WIRE_POLICY_AUTO);
    assert_true(space.has_no_vectors);
    assert_true(kept_bytes() < counted().in_use * 2);
}

// Locked memory: nothing is lost, nothing counts as zero, and it is not tried for ever.
static void test_all_refused(void **state)
{
    struct fake_os *fake = *state;
    fake->locked = (struct os_range){0, SIZE_MAX};
    use_policy(fake, WIRE_POLICY_AUTO);
    assert_int_equal(fake->purged_bytes, 0);
    assert_false(space.has_no_vectors);
    unsigned refused = fake->refused;
    assert_int_equal(look_for(fake, 10 * WITHIN_MS), 0);
    // The same few things again at most.
    assert_true(fake->refused - refused <= 20);
    assert_int_equal(slots_of(WIRE_LAZY), 0);
    assert_int_equal(counted().off_in_spans, 0);
    for (int i = 0; i < BLOCKS; i++) {
        bool is_zero = false;
        if (objects.all[i].at)
            continue;
        struct object *object = &objects.all[i];
        *object = (struct object){.bytes = 40000, .mark = 9};
        object->at = heap_allocate(object->bytes, &is_zero);
        for (size_t at = 0; is_zero && at < object->bytes; at++)
            assert_int_equal(object->at[at], 0);
        memset(object->at, object->mark, object->bytes);
    }
    check_heap();
}

// A word from outside.
static void test_control(void **state)
{
    struct fake_os *fake = *state;
    fill();
    drop_most();
    (void)look(fake, 0);
    uint64_t word = wire_control_make(WIRE_POLICY_KEEP, 70, 0);
    space.ledger->control = word;
    assert_int_equal(look(fake, 1), 0);
    assert_int_equal(space.ledger->control_obeyed, word);
    assert_int_equal(space.ledger->policy, WIRE_POLICY_KEEP);
    assert_int_equal(space.ledger->return_within_ms, 70);
    assert_int_equal(look_for(fake, 3 * WITHIN_MS), 0);
    // Purge now, even so, and once.
    space.ledger->control = wire_control_make(WIRE_POLICY_NONE, 0, 1);
    assert_true(look(fake, 1) > 0);
    assert_int_equal(space.ledger->policy, WIRE_POLICY_KEEP);
    fill();
    drop_most();
    assert_int_equal(look_for(fake, 3 * WITHIN_MS), 0);
    // What makes no sense changes nothing, and is obeyed all the same.
    word = wire_control_make((enum wire_policy)77, 3, 1);
    space.ledger->control = word;
    assert_int_equal(look(fake, 1), 0);
    assert_int_equal(space.ledger->control_obeyed, word);
    assert_int_equal(space.ledger->policy, WIRE_POLICY_KEEP);
    assert_int_equal(space.ledger->return_within_ms, 70);
    // The same request twice, told apart by the bits that mean nothing.
    space.ledger->control = wire_control_make(WIRE_POLICY_AUTO, 200, 1) | 1 << 8;
    assert_true(look_for(fake, 200) > 0);
    assert_int_equal(space.ledger->return_within_ms, 200);
}

// Near its limit the heap gives back at once, what is lazily freed too.
static void test_limit(void **state)
{
    struct fake_os *fake = *state;
    assert_int_equal(engine_set_policy(WIRE_POLICY_FREE), 0);
    fill();
    (void)look(fake, 0);
    uint64_t full = counted().in_use;
    drop_most();
    (void)look_for(fake, 2 * WITHIN_MS);
    assert_true(counted().lazy > 0);
    fill();
    engine_set_limit(full / 2);
    (void)look(fake, 1);
    drop_most();
    (void)look(fake, 1);
    assert_int_equal(space.ledger->pressure, WIRE_PRESSURE_SHORT);
    (void)look(fake, 1);
    assert_int_equal(counted().lazy, 0);
    assert_int_equal(slots_of(WIRE_DIRTY), 0);
    (void)look(fake, 1);
    assert_true(counted().in_use < full / 3);
    assert_true(space.ledger->pressure != WIRE_PRESSURE_SHORT);
}

// What is used again soon is freed lazily the next time.
static void test_reuse_is_expected(void **state)
{
    struct fake_os *fake = *state;
    for (int i = 0; i < 6; i++) {
        fill();
        (void)look_for(fake, 300);
        drop_most();
        (void)look_for(fake, WITHIN_MS);
    }
    assert_true(fake->lazy_purges > 0);
    assert_true(counted().lazy > MIB);
    // Long after nobody expects it any more.
    fill();
    (void)look(fake, 300 * WITHIN_MS);
    unsigned lazy_purges = fake->lazy_purges;
    drop_most();
    (void)look_for(fake, 2 * WITHIN_MS);
    assert_int_equal(fake->lazy_purges, lazy_purges);
}

// Another thread with a heap of its own: makes blocks, waits, frees them or goes.
struct other {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int stage;
    void *blocks[OTHERS_BLOCK];
    bool frees;
};

static void set_stage(struct other *other, int reached)
{
    pthread_mutex_lock(&other->mutex);
    other->stage = reached;
    pthread_cond_broadcast(&other->changed);
    pthread_mutex_unlock(&other->mutex);
}

static void wait_stage(struct other *other, int reached)
{
    pthread_mutex_lock(&other->mutex);
    while (other->stage < reached)
        pthread_cond_wait(&other->changed, &other->mutex);
    pthread_mutex_unlock(&other->mutex);
}

static void *live(void *pointer)
{
    struct other *other = pointer;
    for (unsigned i = 0; i < OTHERS_BLOCK; i++)
        other->blocks[i] = memset(heap_test_allocate(700 + i % 300), (int)(i % 250), 700);
    for (unsigned i = 0; other->frees && i < OTHERS_BLOCK; i++) {
        if (i % 50 != 0)
            heap_test_release(other->blocks[i]);
    }
    set_stage(other, 1);
    wait_stage(other, 2);
    // It goes on with what it has.
    for (unsigned i = 0; i < OTHERS_BLOCK; i++) {
        if (i % 50 != 0)
            other->blocks[i] = memset(heap_test_allocate(700), (int)(i % 250), 700);
    }
    return NULL;
}

static void start_other(struct other *other, bool frees)
{
    memset(other, 0, sizeof *other);
    other->frees = frees;
    pthread_mutex_init(&other->mutex, NULL);
    pthread_cond_init(&other->changed, NULL);
    assert_int_equal(pthread_create(&other->thread, NULL, live, other), 0);
    wait_stage(other, 1);
}

static void check_others(const struct other *other, unsigned each)
{
    for (unsigned i = 0; i < OTHERS_BLOCK; i += each) {
        const unsigned char *block = other->blocks[i];
        for (unsigned at = 0; at < 700; at++)
            assert_int_equal(block[at], i % 250);
    }
}

static void stop_other(struct other *other)
{
    check_others(other, 50);
    set_stage(other, 2);
    pthread_join(other->thread, NULL);
    check_others(other, 1);
    for (unsigned i = 0; i < OTHERS_BLOCK; i++)
        heap_test_release(other->blocks[i]);
}

static void test_sleeping_owner(void **state)
{
    struct fake_os *fake = *state;
    struct other other;
    start_other(&other, true);
    (void)look(fake, 0);
    size_t gone = look_for(fake, WITHIN_MS);
    // Of 2.4 MiB all but the pages with one of the 60 blocks, at most two for each.
    assert_true(gone > 2000000 - 60 * 2 * 4096);
    stop_other(&other);
    (void)look_for(fake, 2 * WITHIN_MS);
    assert_int_equal(counted().live_blocks, 0);
}

// Without a fence nothing of a thread that may run is touched; its end makes it anybody's.
static void test_no_fence(void **state)
{
    struct fake_os *fake = *state;
    struct other other;
    fake->has_no_fence = true;
    start_other(&other, true);
    (void)look(fake, 0);
    (void)look_for(fake, 3 * WITHIN_MS);
    const struct wire_record *span = space_record_at((uintptr_t)other.blocks[0]);
    assert_int_equal(span->off, 0);
    check_others(&other, 50);
    set_stage(&other, 2);
    pthread_join(other.thread, NULL);
    for (unsigned i = 0; i < OTHERS_BLOCK; i++)
        heap_test_release(other.blocks[i]);
    assert_true(look_for(fake, 2 * WITHIN_MS) > MIB);
}

// Full spans of a sleeping thread that others have freed from, and its empty ones.
static void test_inbox(void **state)
{
    struct fake_os *fake = *state;
    struct other other;
    start_other(&other, false);
    for (unsigned i = 0; i < OTHERS_BLOCK; i++) {
        if (i % 50 != 0)
            heap_test_release(other.blocks[i]);
    }
    (void)look(fake, 0);
    assert_true(look_for(fake, WITHIN_MS) > 2000000 - 60 * 2 * 4096);
    stop_other(&other);
    (void)look_for(fake, 2 * WITHIN_MS);
    assert_int_equal(counted().live_blocks, 0);
}

static void test_spares(void **state)
{
    struct fake_os *fake = *state;
    void *blocks[256];
    for (int i = 0; i < 256; i++)
        blocks[i] = memset(heap_test_allocate(1000), 1, 1000);
    for (int i = 0; i < 256; i++)
        heap_test_release(blocks[i]);
    assert_true(heap_of_thread->spare_count > 0);
    (void)look(fake, 0);
    (void)look_for(fake, WITHIN_MS + 200);
    assert_int_equal(heap_of_thread->spare_count, 0);
    assert_int_equal(slots_of(WIRE_DIRTY), 0);
}

static void test_abandoned(void **state)
{
    struct fake_os *fake = *state;
    struct other other;
    start_other(&other, true);
    (void)look(fake, 0);
    set_stage(&other, 2);
    pthread_join(other.thread, NULL);
    check_others(&other, 1);
    for (unsigned i = 0; i < OTHERS_BLOCK; i++) {
        if (i % 50 != 0)
            heap_test_release(other.blocks[i]);
    }
    assert_true(look_for(fake, WITHIN_MS + 200) > 2000000 - 60 * 2 * 4096);
    check_others(&other, 50);
}

// Spans are armed: the next free of each takes the slow path, and opens it again.
static void test_arming(void **state)
{
    (void)state;
    void *blocks[500];
    for (int i = 0; i < 500; i++)
        blocks[i] = heap_test_allocate(500);
    heap_test_release(blocks[0]);
    const struct wire_record *first = space_record_at((uintptr_t)blocks[1]);
    assert_int_equal(first->fast_owner, (uint64_t)(uintptr_t)heap_of_thread);
    sweep_arm();
    for (int i = 1; i < 500; i++)
        assert_int_equal(space_record_at((uintptr_t)blocks[i])->fast_owner, 0);
    heap_test_release(blocks[1]);
    assert_int_equal(first->fast_owner, (uint64_t)(uintptr_t)heap_of_thread);
    check_heap();
}

// Whatever a walk finds while others change it: it ends, inside of the table.
static void test_torn_records(void **state)
{
    (void)state;
    fill();
    const struct wire_area *area = &space.ledger->areas[SPACE_ORDINARY];
    uint64_t random = 99;
    for (int round = 0; round < 2000; round++) {
        uint32_t slots = area->frontier - area->first;
        struct wire_record *record =
            space_record(area->first + (uint32_t)(heap_test_next(&random) % slots));
        const struct wire_record saved = *record;
        enum wire_kind kind = (enum wire_kind)(heap_test_next(&random) % 16);
        uint32_t length = (uint32_t)heap_test_next(&random) >> heap_test_next(&random) % 32;
        length = round % 5 ? length : UINT32_MAX - (uint32_t)round;
        record->run = wire_run_make(kind, round % 3 ? length : 0);
        record->off = heap_test_next(&random);
        record->lazy = heap_test_next(&random);
        record->counts = heap_test_next(&random);
        record->carved = (uint16_t)heap_test_next(&random);
        record->block_bytes = (uint32_t)(heap_test_next(&random) >> heap_test_next(&random) % 64);
        record->size_class = (uint8_t)heap_test_next(&random);
        struct sweep sweep;
        struct sweep_item item;
        uint32_t items = 0;
        uint32_t last = 0;
        sweep_begin(&sweep, (uint64_t)round * 1000);
        while (sweep_next(&sweep, &item)) {
            assert_true(item.slot >= last);
            assert_true(++items <= 4 * slots);
            last = item.slot;
        }
        record->run = saved.run;
        *record = saved;
    }
    check_heap();
}

// Milliseconds in 32 bits: after 49 days ages go on.
static void test_clock_wraps(void **state)
{
    struct fake_os *fake = *state;
    fake->clock_ns = (uint64_t)UINT32_MAX * 1000000 - 300000000;
    fill();
    (void)look(fake, 0);
    uint64_t full = counted().in_use;
    drop_most();
    assert_int_equal(look_for(fake, WITHIN_MS / 8), 0);
    assert_true(look_for(fake, WITHIN_MS) > full / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_drop_goes_back_in_time, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_most_of_a_run_is_old, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_young_stays, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_policies, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_lazy_runs, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_large_are_lazy, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_lazily_refused, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_no_vectors, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_all_refused, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_control, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_limit, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_reuse_is_expected, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_sleeping_owner, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_no_fence, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_inbox, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_spares, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_abandoned, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_arming, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_torn_records, begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_clock_wraps, begin, engine_test_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
