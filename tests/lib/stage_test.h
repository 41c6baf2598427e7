// SPDX-License-Identifier: Apache-2.0
// A span whose thread is in the middle of an operation while somebody else works on it: how it is
// set up, what lives in it, and what must hold when both are through. For the tests of takeover.h.
#ifndef EBB_TESTS_LIB_STAGE_TEST_H
#define EBB_TESTS_LIB_STAGE_TEST_H

#include "engine_test.h"

#include "heap/count.h"

#define STAGE_OBJECTS_MAX 16384

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

// One at a time.
static struct stage {
    struct scene scene;
    uint64_t random;
    struct heap *heap; // of the owner
    struct wire_record *span;
    size_t block_bytes;
    struct object objects[STAGE_OBJECTS_MAX];
    uint32_t count;
} stage;

static inline unsigned char stage_mark(void)
{
    return (unsigned char)(heap_test_next(&stage.random) % 250 + 1);
}

static inline void stage_fill(struct object *object)
{
    memset(object->at, object->mark, stage.block_bytes);
}

static inline struct object *stage_add(void *block)
{
    assert_true(stage.count < STAGE_OBJECTS_MAX);
    struct object *object = &stage.objects[stage.count++];
    *object = (struct object){block, stage_mark()};
    stage_fill(object);
    return object;
}

static inline void stage_check_object(const struct object *object)
{
    for (size_t at = 0; at < stage.block_bytes; at += at < 64 ? 1 : 59)
        assert_int_equal(object->at[at], object->mark);
    assert_int_equal(object->at[stage.block_bytes - 1], object->mark);
}

static inline void stage_remove(struct object *object)
{
    *object = stage.objects[--stage.count];
}

// Any object in the span under test; NULL where there is none.
static inline struct object *stage_any(void)
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
static inline struct heap *stage_leave(void)
{
    struct heap *own = heap_of_thread;
    heap_of_thread = (struct heap *)(uintptr_t)&heap_empty;
    return own;
}

static inline void stage_free_remotely(struct object *object)
{
    struct heap *own = stage_leave();
    heap_free(object->at);
    heap_of_thread = own;
    stage_remove(object);
}

static inline uint32_t stage_live(void)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < stage.count; i++)
        found += space_record_at((uintptr_t)stage.objects[i].at) == stage.span;
    return found;
}

// How many blocks stay with the program.
static inline uint32_t stage_live_of(enum fill fill)
{
    uint32_t all = stage_live();
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

static inline void stage_free_some(void)
{
    uint32_t live = stage_live_of(stage.scene.fill);
    for (uint32_t left = stage_live(); left > live; left--) {
        struct object *object = stage_any();
        // By stretches, so that whole pages come free.
        if (stage.scene.fill == PAGES)
            object = stage_any() < object ? object : stage_any();
        bool is_remote = stage.scene.has_remote && heap_test_next(&stage.random) % 3 == 0;
        if (is_remote && left > live + 1) {
            stage_free_remotely(object);
            continue;
        }
        heap_test_release(object->at);
        stage_remove(object);
    }
    // However short the list is, others have freed more.
    for (uint32_t left = live / 2; stage.scene.has_remote && left > 0; left--)
        stage_free_remotely(stage_any());
}

// A full span: current, or partial with another one current.
static inline void stage_set(const struct scene *scene)
{
    stage.scene = *scene;
    stage.random = scene->seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    stage.count = 0;
    unsigned size_class = class_of_size(scene->bytes);
    stage.block_bytes = class_block_bytes[size_class];
    uint32_t capacity = class_capacity(size_class);
    stage_add(heap_test_allocate(stage.block_bytes));
    stage.heap = heap_of_thread;
    stage.span = space_record_at((uintptr_t)stage.objects[0].at);
    for (uint32_t i = 1; i < capacity + (scene->is_current ? 0 : 1); i++)
        stage_add(heap_test_allocate(stage.block_bytes));
    stage_free_some();
    enum wire_span_state wanted = scene->is_current ? WIRE_SPAN_CURRENT : WIRE_SPAN_PARTIAL;
    if (stage.span->state == WIRE_SPAN_FULL)
        return;
    assert_int_equal(stage.span->state, wanted);
}
static inline bool stage_is_led_to_no_live(void)
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
static inline void stage_allocate_all(void)
{
    uint32_t wanted = class_capacity(class_of_size(stage.block_bytes)) * 2u;
    for (uint32_t i = 0; i < wanted; i++)
        stage_add(heap_test_allocate(stage.block_bytes));
    for (uint32_t i = 0; i < stage.count; i++)
        stage_check_object(&stage.objects[i]);
}

// At the end nothing is live, and the span has become empty: also what was lost is free again.
static inline void stage_free_all(void)
{
    struct count count;
    while (stage.count) {
        stage_check_object(&stage.objects[stage.count - 1]);
        heap_test_release(stage.objects[--stage.count].at);
    }
    (void)engine_test_purge();
    count_heap(&count);
    assert_int_equal(count.live_blocks, 0);
    assert_int_equal(count.mallocs, count.frees);
    assert_true(!stage.span->heap || stage.span->state == WIRE_SPAN_CURRENT);
}

static inline void stage_check(void)
{
    assert_true(stage_is_led_to_no_live());
    for (uint32_t i = 0; i < stage.count; i++)
        stage_check_object(&stage.objects[i]);
    assert_int_equal(wire_live_blocks(stage.span), stage_live());
    assert_int_equal(stage.heap->is_busy, 0);
    stage_allocate_all();
    assert_int_equal(wire_live_blocks(stage.span), stage_live());
    stage_free_all();
}

#endif
