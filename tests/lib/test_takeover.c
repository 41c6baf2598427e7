// SPDX-License-Identifier: Apache-2.0
// The claims of takeover.h: an owner stopped after any load or store of its fast path, a helper
// that purges the span meanwhile, and the owner going on afterwards, at every step of the helper or
// in the middle of it. Then all of the span is allocated: nothing is handed out twice, nothing
// live was touched, and what was lost comes back with the empty span. Test code: the owner's half
// is played by hand, and the helper is single-stepped where the processor can.
#include <signal.h>
#include <stdlib.h>
#include <ucontext.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "heap_test.h"

#include "base/bits.h"
#include "heap/count.h"
#include "heap/takeover.h"
#include "release/engine.h"

// Each test has a heap of its own, so the engine begins anew.
static size_t purge_all(void)
{
    engine_stop();
    return engine_purge();
}

#define BLOCKS_MAX 16384

// How the span's blocks are split between the program and the free list.
enum fill { FULL_LIST, EMPTY_LIST, ONE_FREE, TWO_FREE, THREE_FREE, ONE_LIVE, HALF, PAGES, FILLS };

enum way { IS_MALLOC, IS_FREE };

struct scene {
    enum way way;
    enum fill fill;
    size_t bytes;
    bool is_current;
    bool has_remote; // another thread has freed some, too
    bool is_lazy;
    unsigned stop; // steps of the owner before the helper comes
    uint32_t seed;
};

// An object of the program: filled with a byte of its own.
struct object {
    unsigned char *at;
    unsigned char mark;
};

struct stage {
    struct scene scene;
    uint64_t random;
    struct wire_record *span;
    size_t block_bytes;
    struct object objects[BLOCKS_MAX];
    uint32_t count;
    // The owner in its fast path.
    struct heap *heap;
    struct object *object; // what is freed, or what malloc gets
    struct wire_record *seen_span;
    struct block *block;
    struct block *next;
    uint64_t counts;
    unsigned step;
    bool is_through;
};

static struct stage stage;

static unsigned char next_mark(void)
{
    return (unsigned char)(heap_test_next(&stage.random) % 250 + 1);
}

static void fill_object(struct object *object)
{
    memset(object->at, object->mark, stage.block_bytes);
}

static struct object *add_object(void *block)
{
    assert_true(stage.count < BLOCKS_MAX);
    struct object *object = &stage.objects[stage.count++];
    *object = (struct object){block, next_mark()};
    fill_object(object);
    return object;
}

static void check_object(const struct object *object)
{
    for (size_t at = 0; at < stage.block_bytes; at += at < 64 ? 1 : 59)
        assert_int_equal(object->at[at], object->mark);
    assert_int_equal(object->at[stage.block_bytes - 1], object->mark);
}

static void remove_object(struct object *object)
{
    *object = stage.objects[--stage.count];
}

// Any object in the span under test; NULL where there is none.
static struct object *any_object(void)
{
    uint32_t first = (uint32_t)(heap_test_next(&stage.random) % (stage.count + 1));
    for (uint32_t i = 0; i < stage.count; i++) {
        struct object *object = &stage.objects[(first + i) % stage.count];
        if (space_record_at((uintptr_t)object->at) == stage.span)
            return object;
    }
    return NULL;
}

// What is done in here is done as by a thread that does not own the heap.
static struct heap *leave_owner(void)
{
    struct heap *own = heap_of_thread;
    heap_of_thread = (struct heap *)(uintptr_t)&heap_empty;
    return own;
}

static void free_remotely(struct object *object)
{
    struct heap *own = leave_owner();
    heap_free(object->at);
    heap_of_thread = own;
    remove_object(object);
}

static uint32_t count_in_span(void)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < stage.count; i++)
        found += space_record_at((uintptr_t)stage.objects[i].at) == stage.span;
    return found;
}

// How many blocks stay with the program.
static uint32_t live_of(enum fill fill)
{
    uint32_t all = count_in_span();
    uint32_t gone = fill == ONE_FREE ? 1 : fill == TWO_FREE ? 2 : 3;
    switch (fill) {
    case FULL_LIST:
    case ONE_LIVE:
        return 1;
    case EMPTY_LIST:
        return all;
    case HALF:
        return all / 2;
    case PAGES:
        return all / 8 + 1;
    default:
        return all > gone ? all - gone : 1;
    }
}

static void free_some(void)
{
    uint32_t live = live_of(stage.scene.fill);
    for (uint32_t left = count_in_span(); left > live; left--) {
        struct object *object = any_object();
        // By stretches, so that whole pages come free.
        if (stage.scene.fill == PAGES)
            object = any_object() < object ? object : any_object();
        bool is_remote = stage.scene.has_remote && heap_test_next(&stage.random) % 3 == 0;
        if (is_remote && left > live + 1) {
            free_remotely(object);
            continue;
        }
        heap_test_release(object->at);
        remove_object(object);
    }
    // However short the list is, others have freed more.
    for (uint32_t left = live / 2; stage.scene.has_remote && left > 0; left--)
        free_remotely(any_object());
}

// A full span: current, or partial with another one current.
static void set_scene(const struct scene *scene)
{
    stage.scene = *scene;
    stage.random = scene->seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    stage.count = 0;
    unsigned size_class = class_of_size(scene->bytes);
    stage.block_bytes = class_block_bytes[size_class];
    uint32_t capacity = class_capacity(size_class);
    add_object(heap_test_allocate(stage.block_bytes));
    stage.heap = heap_of_thread;
    stage.span = space_record_at((uintptr_t)stage.objects[0].at);
    for (uint32_t i = 1; i < capacity + (scene->is_current ? 0 : 1); i++)
        add_object(heap_test_allocate(stage.block_bytes));
    free_some();
    enum wire_span_state wanted = scene->is_current ? WIRE_SPAN_CURRENT : WIRE_SPAN_PARTIAL;
    if (stage.span->state == WIRE_SPAN_FULL)
        return;
    assert_int_equal(stage.span->state, wanted);
}

// One load or store of heap_pop_fast() or pop_class(), in their order.
static void step_malloc(void)
{
    bool is_medium = stage.block_bytes > CLASS_SMALL_MAX;
    switch (stage.step++) {
    case 0:
        stage.heap->is_busy = is_medium;
        break;
    case 1:
        stage.seen_span = stage.heap->current[class_of_size(stage.block_bytes)];
        break;
    case 2:
        stage.block = (struct block *)(uintptr_t)stage.seen_span->free;
        if (!stage.block)
            stage.step = 8;
        break;
    case 3:
        stage.next = stage.block->next;
        break;
    case 4:
        stage.seen_span->free = (uint64_t)(uintptr_t)stage.next;
        break;
    case 5:
        stage.counts = stage.seen_span->counts;
        break;
    case 6:
        stage.seen_span->counts = stage.counts + SPAN_COUNT_ONE;
        break;
    case 7:
        stage.block->tag = 0;
        // The program's from here on, and written to.
        stage.objects[stage.count] = (struct object){(unsigned char *)stage.block, 77};
        fill_object(&stage.objects[stage.count++]);
        break;
    case 8:
        stage.heap->is_busy = 0;
        break;
    default:
        stage.is_through = true;
    }
}

// The same of heap_push_fast() and push_medium().
static void step_free(void)
{
    bool is_medium = stage.block_bytes > CLASS_SMALL_MAX;
    struct block *block = (struct block *)(void *)stage.object->at;
    switch (stage.step++) {
    case 0:
        stage.heap->is_busy = is_medium;
        break;
    case 1:
        if (stage.span->fast_owner != (uint64_t)(uintptr_t)stage.heap)
            stage.step = 8;
        break;
    case 2:
        block->tag = span_tag(stage.span, block);
        break;
    case 3:
        stage.next = (struct block *)(uintptr_t)stage.span->free;
        break;
    case 4:
        block->next = stage.next;
        break;
    case 5:
        stage.span->free = (uint64_t)(uintptr_t)block;
        break;
    case 6:
        stage.counts = stage.span->counts;
        break;
    case 7:
        stage.span->counts = stage.counts - 1;
        remove_object(stage.object);
        break;
    case 8:
        stage.heap->is_busy = 0;
        break;
    default:
        stage.is_through = true;
    }
}

static void go_on(unsigned steps)
{
    for (unsigned i = 0; i < steps && !stage.is_through; i++) {
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
    stage.step = 0;
    stage.object = stage.scene.way == IS_FREE ? any_object() : NULL;
    stage.is_through = stage.scene.way == IS_FREE && !stage.object;
    if (stage.is_through)
        return false;
    go_on(steps);
    return true;
}

static size_t help(void)
{
    struct takeover takeover = {.heap = stage.heap, .count = 1, .is_lazy = stage.scene.is_lazy};
    takeover.slots[0] = space_slot(stage.span);
    struct heap *own = leave_owner();
    size_t gone = takeover_purge(&takeover);
    heap_of_thread = own;
    return gone;
}

static bool lists_lead_to_no_live_block(void)
{
    for (uint32_t i = 0; i < stage.count; i++) {
        const struct wire_record *span = space_record_at((uintptr_t)stage.objects[i].at);
        long number = span_block_at(span, (uintptr_t)stage.objects[i].at);
        if (number < 0 || span_is_off(span, (uint32_t)number))
            return false;
    }
    return true;
}

// All that the span can still give, and the same again from others: no two overlap.
static void allocate_all(void)
{
    uint32_t wanted = class_capacity(class_of_size(stage.block_bytes)) * 2u;
    for (uint32_t i = 0; i < wanted; i++)
        add_object(heap_test_allocate(stage.block_bytes));
    for (uint32_t i = 0; i < stage.count; i++)
        check_object(&stage.objects[i]);
}

// At the end nothing is live, and the span has become empty: also what was lost is free again.
static void free_all(void)
{
    struct count count;
    while (stage.count) {
        check_object(&stage.objects[stage.count - 1]);
        heap_test_release(stage.objects[--stage.count].at);
    }
    (void)purge_all();
    count_heap(&count);
    assert_int_equal(count.live_blocks, 0);
    assert_int_equal(count.mallocs, count.frees);
    assert_true(!stage.span->heap || stage.span->state == WIRE_SPAN_CURRENT);
}

static void check_all(void)
{
    assert_true(lists_lead_to_no_live_block());
    for (uint32_t i = 0; i < stage.count; i++)
        check_object(&stage.objects[i]);
    assert_int_equal(wire_live_blocks(stage.span), count_in_span());
    allocate_all();
    assert_int_equal(wire_live_blocks(stage.span), count_in_span());
    free_all();
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
        set_scene(&scene);
        if (start_owner(scene.stop)) {
            gone += help();
            finish_owner();
        }
        check_all();
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
        set_scene(&scene);
        for (int round = 0; round < 4; round++) {
            if (!start_owner((unsigned)(heap_test_next(&stage.random) % 10)))
                break;
            (void)help();
            finish_owner();
            if (round % 2)
                (void)help();
        }
        check_all();
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
        set_scene(&scene);
        if (start_owner(scene.stop)) {
            uint64_t most = UINT64_C(1) << heap_test_next(&random) % 14;
            help_in_steps(heap_test_next(&random) % most + 1);
            finish_owner();
        }
        check_all();
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
    set_scene(&scene);
    barriers.count = 0;
    assert_true(help() > 0);
    assert_int_equal(barriers.count, 3);
    assert_true(!barriers.is_closed[0] && barriers.is_closed[1] && barriers.is_closed[2]);
    assert_true(!barriers.off[1] && barriers.off[2]);
    fake.os.fence_threads = os_real.fence_threads;
    check_all();
    heap_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_stop),
        cmocka_unit_test(test_again_and_again),
        cmocka_unit_test(test_every_instruction),
        cmocka_unit_test(test_barriers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
