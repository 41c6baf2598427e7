// SPDX-License-Identifier: Apache-2.0
// The claims of takeover.h: an owner stopped after any load or store of its fast path, a helper
// that purges the span meanwhile, and the owner going on afterwards, at every step of the helper or
// in the middle of it. Then all of the span is allocated: nothing is handed out twice, nothing
// live was touched, and what was lost comes back with the empty span. Test code: the owner's half
// is played by hand, and the helper is single-stepped where the processor can.
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <ucontext.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "stage_test.h"

#include "base/bits.h"
#include "heap/takeover.h"

// The owner in its fast path.
static struct {
    struct object *object; // what is freed, or what malloc gets
    struct wire_record *seen_span;
    struct block *block;
    struct block *next;
    uint64_t counts;
    unsigned step;
    bool is_through;
} owner;

// One load or store of heap_pop_fast() or pop_class(), in their order.
static void step_malloc(void)
{
    bool is_medium = stage.block_bytes > CLASS_SMALL_MAX;
    switch (owner.step++) {
    case 0:
        stage.heap->is_busy = is_medium;
        break;
    case 1:
        owner.seen_span = stage.heap->current[class_of_size(stage.block_bytes)];
        break;
    case 2:
        owner.block = (struct block *)(uintptr_t)owner.seen_span->free;
        if (!owner.block)
            owner.step = 8;
        break;
    case 3:
        owner.next = owner.block->next;
        break;
    case 4:
        owner.seen_span->free = (uint64_t)(uintptr_t)owner.next;
        break;
    case 5:
        owner.counts = owner.seen_span->counts;
        break;
    case 6:
        owner.seen_span->counts = owner.counts + SPAN_COUNT_ONE;
        break;
    case 7:
        owner.block->tag = 0;
        // The program's from here on, and written to.
        stage.objects[stage.count] = (struct object){(unsigned char *)owner.block, 77};
        stage_fill(&stage.objects[stage.count++]);
        break;
    case 8:
        stage.heap->is_busy = 0;
        break;
    default:
        owner.is_through = true;
    }
}

// The same of heap_push_fast() and push_medium().
static void step_free(void)
{
    bool is_medium = stage.block_bytes > CLASS_SMALL_MAX;
    struct block *block = (struct block *)(void *)owner.object->at;
    switch (owner.step++) {
    case 0:
        stage.heap->is_busy = is_medium;
        break;
    case 1:
        if (stage.span->fast_owner != (uint64_t)(uintptr_t)stage.heap)
            owner.step = 8;
        break;
    case 2:
        block->tag = span_tag(stage.span, block);
        break;
    case 3:
        owner.next = (struct block *)(uintptr_t)stage.span->free;
        break;
    case 4:
        block->next = owner.next;
        break;
    case 5:
        stage.span->free = (uint64_t)(uintptr_t)block;
        break;
    case 6:
        owner.counts = stage.span->counts;
        break;
    case 7:
        stage.span->counts = owner.counts - 1;
        stage_remove(owner.object);
        break;
    case 8:
        stage.heap->is_busy = 0;
        break;
    default:
        owner.is_through = true;
    }
}

static void go_on(unsigned steps)
{
    for (unsigned i = 0; i < steps && !owner.is_through; i++) {
        if (stage.scene.way == IS_MALLOC)
            step_malloc();
        else
            step_free();
    }
}

static void finish_owner(void)
{
    go_on(20);
}

// False where the owner has nothing to free.
static bool start_owner(unsigned steps)
{
    owner.step = 0;
    owner.object = stage.scene.way == IS_FREE ? stage_any() : NULL;
    owner.is_through = stage.scene.way == IS_FREE && !owner.object;
    if (owner.is_through)
        return false;
    go_on(steps);
    return true;
}

static size_t help(void)
{
    struct takeover takeover = {.heap = stage.heap, .count = 1, .is_lazy = stage.scene.is_lazy};
    takeover.slots[0] = space_slot(stage.span);
    struct heap *own = stage_leave();
    size_t gone = takeover_purge(&takeover);
    heap_of_thread = own;
    return gone;
}

static const size_t sizes[] = {112, 1000, 3000, 8192, 20480};

// Each scene ends with nothing live, so that many can have one heap.
static void begin_heap(uint64_t scenes)
{
    static struct fake_os fake;
    if (scenes % 100 != 0)
        return;
    heap_stop();
    fake_os_start(&fake);
    assert_int_equal(heap_start_on(&fake.os), 0);
}

static struct scene scene_of(uint64_t number)
{
    struct scene scene = {.seed = (uint32_t)number};
    scene.way = number % 2 ? IS_MALLOC : IS_FREE;
    number /= 2;
    scene.is_current = scene.way == IS_MALLOC || number % 2;
    number /= 2;
    scene.fill = (enum fill)(number % FILLS);
    number /= FILLS;
    scene.has_remote = number % 2;
    number /= 2;
    scene.stop = (unsigned)(number % 10);
    number /= 10;
    scene.bytes = sizes[number % (sizeof sizes / sizeof *sizes)];
    scene.is_lazy = number % 3 == 0;
    return scene;
}

#define SCENES (2u * 2 * FILLS * 2 * 10 * (sizeof sizes / sizeof *sizes))

// The helper's work as a whole falls between two steps of the owner.
static void test_every_stop(void **state)
{
    (void)state;
    size_t gone = 0;
    for (uint64_t number = 0; number < SCENES; number++) {
        struct scene scene = scene_of(number);
        begin_heap(number);
        stage_set(&scene);
        if (start_owner(scene.stop)) {
            gone += help();
            finish_owner();
        }
        stage_check();
    }
    heap_stop();
    assert_true(gone > 0);
}

// Several times over without an allocation in between: a list that was cut leads nowhere.
static void test_again_and_again(void **state)
{
    (void)state;
    for (uint64_t number = 0; number < SCENES; number += 3) {
        struct scene scene = scene_of(number);
        begin_heap(number / 3);
        stage_set(&scene);
        for (int round = 0; round < 4; round++) {
            if (!start_owner((unsigned)(heap_test_next(&stage.random) % 10)))
                break;
            (void)help();
            finish_owner();
            if (round % 2)
                (void)help();
        }
        stage_check();
    }
    heap_stop();
}

// Others free a third of the span's blocks, but not what the owner is about to free.
static void free_more_remotely(void)
{
    for (uint32_t i = stage.count; i-- > 0;) {
        struct object *object = &stage.objects[i];
        bool is_in_span = space_record_at((uintptr_t)object->at) == stage.span;
        if (!is_in_span || object == owner.object || heap_test_next(&stage.random) % 3 != 0)
            continue;
        // The last one takes the place of what goes.
        if (owner.object == &stage.objects[stage.count - 1])
            owner.object = object;
        stage_free_remotely(object);
    }
}

// The owner stays where it was stopped, while others free more of its blocks and helpers come again
// for these: what it has in its hands is as much its own the fourth time as the first.
static void test_stopped_for_long(void **state)
{
    (void)state;
    for (uint64_t number = 0; number < SCENES; number++) {
        struct scene scene = scene_of(number);
        begin_heap(number);
        stage_set(&scene);
        if (start_owner(scene.stop)) {
            for (int round = 0; round < 3; round++) {
                (void)help();
                free_more_remotely();
            }
            (void)help();
            finish_owner();
        }
        stage_check();
    }
    heap_stop();
}

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)

// And begins anew, as long as the span lets it.
static void finish_and_go_on(void)
{
    finish_owner();
    for (int i = 0; i < 3; i++) {
        stage.scene.way = i % 2 ? IS_MALLOC : IS_FREE;
        if (start_owner(20))
            finish_owner();
    }
}

#define TRAP_FLAG 0x100

static volatile uint64_t steps_left;
static volatile bool is_stepping;

// After each of the helper's instructions; after the chosen one the owner goes on.
static void count_step(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    ucontext_t *user = context;
    if (is_stepping && --steps_left > 0)
        return;
    user->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
    if (is_stepping) {
        is_stepping = false;
        finish_and_go_on();
    }
}

static void help_in_steps(uint64_t steps)
{
    steps_left = steps;
    is_stepping = true;
    __writeeflags(__readeflags() | TRAP_FLAG);
    (void)help();
    __writeeflags(__readeflags() & ~(uint64_t)TRAP_FLAG);
    is_stepping = false;
}

// The owner goes on in the middle of the helper's work, at any of its instructions.
static void test_every_instruction(void **state)
{
    (void)state;
    struct sigaction old;
    struct sigaction action = {.sa_sigaction = count_step, .sa_flags = SA_SIGINFO};
    uint64_t random = 4711;
    const char *more = getenv("EBB_TAKEOVER_RUNS");
    long runs = more ? atol(more) : 300;
    assert_int_equal(sigaction(SIGTRAP, &action, &old), 0);
    for (long run = 0; run < runs; run++) {
        struct scene scene = scene_of(heap_test_next(&random) >> 8);
        // Few blocks: most instructions are then those that matter.
        scene.bytes = scene.bytes < 1000 ? 1000 : scene.bytes;
        begin_heap((uint64_t)run);
        stage_set(&scene);
        if (start_owner(scene.stop)) {
            uint64_t most = UINT64_C(1) << heap_test_next(&random) % 14;
            help_in_steps(heap_test_next(&random) % most + 1);
            finish_owner();
        }
        stage_check();
    }
    heap_stop();
    assert_int_equal(sigaction(SIGTRAP, &old, NULL), 0);
}

#else

static void test_every_instruction(void **state)
{
    (void)state;
    print_message("single steps need an x86-64 without a sanitizer\n");
    skip();
}

#endif

// How the span was when each barrier came.
static struct {
    unsigned count;
    bool is_closed[3];
    uint64_t off[3];
} barriers;

static int note_barrier(const struct os *os)
{
    (void)os;
    const struct wire_record *span = stage.span;
    assert_true(barriers.count < 3);
    assert_int_equal(stage.heap->is_wanted, 1);
    barriers.is_closed[barriers.count] =
        span->fast_owner == 0 && stage.heap->current[span->size_class] == &heap_no_span;
    barriers.off[barriers.count++] = span->off;
    return 0;
}

// One barrier for the hold, one between closing and relinking, one before opening: where one is
// missing it needs luck to see what comes of it.
static void test_barriers(void **state)
{
    (void)state;
    static struct fake_os fake;
    const struct scene scene = {.fill = ONE_LIVE, .bytes = 112, .is_current = true, .seed = 5};
    fake_os_start(&fake);
    fake.os.fence_threads = note_barrier;
    assert_int_equal(heap_start_on(&fake.os), 0);
    stage_set(&scene);
    barriers.count = 0;
    assert_true(help() > 0);
    assert_int_equal(barriers.count, 3);
    assert_true(!barriers.is_closed[0] && barriers.is_closed[1] && barriers.is_closed[2]);
    assert_true(!barriers.off[1] && barriers.off[2]);
    fake.os.fence_threads = os_real.fence_threads;
    stage_check();
    heap_stop();
}

// Refused lazily and done at once, or refused altogether: the engine is told.
static void test_refusals_are_told(void **state)
{
    (void)state;
    static struct fake_os fake;
    const struct scene scene = {.fill = ONE_LIVE, .bytes = 112, .is_current = true, .seed = 8};
    fake_os_start(&fake);
    fake.has_no_lazy = true;
    assert_int_equal(heap_start_on(&fake.os), 0);
    stage_set(&scene);
    struct takeover takeover = {.heap = stage.heap, .count = 1, .is_lazy = true};
    takeover.slots[0] = space_slot(stage.span);
    struct heap *own = stage_leave();
    assert_true(takeover_purge(&takeover) > 0);
    assert_true(!takeover.is_lazy && !takeover.is_refused);
    heap_of_thread = own;
    stage_check();
    stage_set(&scene);
    takeover.slots[0] = space_slot(stage.span);
    fake.locked = (struct os_range){space_base, space_bytes};
    own = stage_leave();
    assert_int_equal(takeover_purge(&takeover), 0);
    assert_true(takeover.is_refused);
    heap_of_thread = own;
    heap_stop();
}

// An empty span's run still tells how much of it was given back: used again, that counts as reuse.
static void test_returned_bytes_stay_known(void **state)
{
    (void)state;
    static struct fake_os fake;
    const struct scene scene = {.fill = HALF, .bytes = 20480, .seed = 7};
    fake_os_start(&fake);
    assert_int_equal(heap_start_on(&fake.os), 0);
    stage_set(&scene);
    size_t gone = help();
    assert_true(gone > 0);
    while (stage_live() > 0) {
        struct object *object = stage_any();
        heap_test_release(object->at);
        stage_remove(object);
    }
    assert_int_equal(wire_run_kind(stage.span->run), WIRE_DIRTY);
    assert_int_equal(stage.span->bytes, gone);
    heap_stop();
}

static void *make_heap(void *heap)
{
    heap_test_release(heap_test_allocate(16));
    *(struct heap **)heap = heap_of_thread;
    return NULL;
}

// What was this heap's when it was looked at may be another's now: that is left alone.
static void test_span_of_another(void **state)
{
    (void)state;
    static struct fake_os fake;
    const struct scene scene = {.fill = ONE_LIVE, .bytes = 112, .is_current = true, .seed = 6};
    struct takeover takeover = {.count = 1};
    pthread_t thread;
    fake_os_start(&fake);
    assert_int_equal(heap_start_on(&fake.os), 0);
    stage_set(&scene);
    assert_int_equal(pthread_create(&thread, NULL, make_heap, &takeover.heap), 0);
    pthread_join(thread, NULL);
    assert_ptr_not_equal(takeover.heap, stage.heap);
    takeover.slots[0] = space_slot(stage.span);
    assert_int_equal(takeover_purge(&takeover), 0);
    takeover_close(&takeover);
    assert_int_equal(stage.span->off, 0);
    assert_int_equal(stage.span->fast_owner, (uint64_t)(uintptr_t)stage.heap);
    assert_ptr_equal(stage.heap->current[stage.span->size_class], stage.span);
    assert_ptr_equal(takeover.heap->current[stage.span->size_class], &heap_no_span);
    stage_check();
    heap_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_stop),
        cmocka_unit_test(test_again_and_again),
        cmocka_unit_test(test_stopped_for_long),
        cmocka_unit_test(test_every_instruction),
        cmocka_unit_test(test_barriers),
        cmocka_unit_test(test_span_of_another),
        cmocka_unit_test(test_returned_bytes_stay_known),
        cmocka_unit_test(test_refusals_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
