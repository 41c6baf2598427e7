// SPDX-License-Identifier: Apache-2.0
// Unit tests of the space: runs against a model, the chain at every step, repair. Test code.
#include <errno.h>
#include <pthread.h>

#include "heap_test.h"

#include "heap/bins.h"

#define RUNS 200

struct run {
    struct wire_record *record;
    uint32_t slots;
    unsigned char mark;
};

static bool is_free_kind(enum wire_kind kind)
{
    return kind == WIRE_DIRTY || kind == WIRE_CLEAN;
}

// The chain covers the area without a gap, ends agree, no two free runs of a sort are neighbours,
// and what is inside a run says nothing.
static void check_chain(enum space_area which)
{
    const struct wire_area *area = &space.ledger->areas[which];
    enum wire_kind before = WIRE_NONE;
    uint32_t slot = area->first;
    while (slot < area->frontier) {
        struct wire_record *record = space_record(slot);
        uint32_t slots = wire_run_slots(record->run);
        enum wire_kind kind = wire_run_kind(record->run);
        assert_true(slots > 0 && kind != WIRE_NONE && kind != WIRE_FREE_END);
        for (uint32_t inside = 1; inside + 1 < slots; inside++)
            assert_true(kind == WIRE_MEDIUM || record[inside].run == 0);
        if (slots > 1 && is_free_kind(kind))
            assert_true(record[slots - 1].run == wire_run_make(WIRE_FREE_END, slots));
        else if (slots > 1 && kind != WIRE_MEDIUM)
            assert_true(record[slots - 1].run == 0);
        assert_false(is_free_kind(kind) && kind == before);
        before = kind;
        slot += slots;
    }
    assert_int_equal(slot, area->frontier);
}

static void fill_run(const struct run *run)
{
    memset((void *)space_address(run->record), run->mark, 64);
    memset((void *)(space_address(run->record) + (size_t)run->slots * WIRE_SLOT_BYTES - 64),
           run->mark, 64);
}

static void check_run(const struct run *run)
{
    const unsigned char *first = (const unsigned char *)space_address(run->record);
    assert_int_equal(first[0], run->mark);
    assert_int_equal(first[(size_t)run->slots * WIRE_SLOT_BYTES - 1], run->mark);
    assert_int_equal(wire_run_slots(run->record->run), run->slots);
}

static void take_run(struct run *run, uint64_t *random)
{
    enum space_pages pages;
    uint32_t align = 1u << heap_test_next(random) % 4;
    run->slots = (uint32_t)(1 + heap_test_next(random) % (heap_test_next(random) % 8 ? 5 : 150));
    assert_int_equal(
        space_take(SPACE_ORDINARY, run->slots, align, WIRE_LARGE, &run->record, &pages), 0);
    assert_int_equal(space_address(run->record) / WIRE_SLOT_BYTES % align, 0);
    if (pages == SPACE_CLEAN) {
        const uint64_t *words = (const uint64_t *)space_address(run->record);
        assert_true(words[0] == 0 && words[run->slots * (WIRE_SLOT_BYTES / 8) - 1] == 0);
    }
    run->mark = (unsigned char)(1 + heap_test_next(random) % 255);
    fill_run(run);
}

static void resize_run(struct run *run, uint64_t *random)
{
    enum space_pages pages;
    if (run->slots > 1 && heap_test_next(random) % 2) {
        uint32_t slots = (uint32_t)(1 + heap_test_next(random) % (run->slots - 1));
        space_give(space_cut(run->record, slots), SPACE_DIRTY);
        run->slots = slots;
    } else if (space_grow(run->record, run->slots + 3, &pages) == 0) {
        run->slots += 3;
    }
    fill_run(run);
}

static void test_model(void **state)
{
    (void)state;
    static struct run runs[RUNS];
    memset(runs, 0, sizeof runs);
    uint64_t random = 12345;
    for (int round = 0; round < 20000; round++) {
        struct run *run = &runs[heap_test_next(&random) % RUNS];
        if (!run->record) {
            take_run(run, &random);
        } else if (heap_test_next(&random) % 3 == 0) {
            check_run(run);
            resize_run(run, &random);
        } else {
            check_run(run);
            space_give(run->record, SPACE_DIRTY);
            run->record = NULL;
        }
        if (round % 500 == 0)
            (void)space_purge((size_t)WIRE_SLOT_BYTES * 50);
        if (round % 50 == 0)
            check_chain(SPACE_ORDINARY);
    }
    for (int i = 0; i < RUNS; i++) {
        if (runs[i].record)
            space_give(runs[i].record, SPACE_DIRTY);
    }
    (void)space_purge(SIZE_MAX);
    assert_int_equal(space.dirty_slots, 0);
    check_chain(SPACE_ORDINARY);
}

static void *hold_lock(void *unused)
{
    lock_take(&space.lock);
    return unused;
}

// As after a fork in the middle of an operation of another thread: its last store may be missing.
static void test_repair(void **state)
{
    (void)state;
    struct wire_record *records[6];
    enum space_pages pages;
    for (int i = 0; i < 6; i++)
        assert_int_equal(space_take(SPACE_ORDINARY, 4, 1, WIRE_LARGE, &records[i], &pages), 0);
    space_give(records[1], SPACE_DIRTY);
    space_give(records[3], SPACE_DIRTY);
    uint32_t dirty = space.dirty_slots;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, hold_lock, NULL), 0);
    pthread_join(thread, NULL);
    // Taken from its bin, ends half cleared, a purge under way, and words left inside a run.
    bins_remove(&space.bins[SPACE_ORDINARY][SPACE_DIRTY], records[1]);
    records[1][3].run = 0;
    records[3]->run = wire_run_make(WIRE_BUSY, 4);
    records[4][1].run = wire_run_make(WIRE_FREE_END, 2);
    space_repair();
    check_chain(SPACE_ORDINARY);
    assert_int_equal(space.dirty_slots, dirty);
    assert_true(lock_try(&space.lock));
    lock_release(&space.lock);
    // All three that are between 1 and 3 become one run again, which is found.
    space_give(records[2], SPACE_DIRTY);
    check_chain(SPACE_ORDINARY);
    struct wire_record *again;
    assert_int_equal(space_take(SPACE_ORDINARY, 12, 1, WIRE_LARGE, &again, &pages), 0);
    assert_ptr_equal(again, records[1]);
}

static void test_small_address_space(void **state)
{
    (void)state;
    heap_stop();
    static struct fake_os fake;
    fake_os_start(&fake);
    fake.limit = (size_t)300 << 20;
    assert_int_equal(heap_start_on(&fake.os), 0);
    assert_int_equal(space_bytes, (size_t)224 << 20);
    struct wire_record *record;
    enum space_pages pages;
    assert_int_equal(space_take(SPACE_ORDINARY, 5000, 1, WIRE_LARGE, &record, &pages), -ENOMEM);
    assert_int_equal(space_take(SPACE_ORDINARY, 500, 1, WIRE_LARGE, &record, &pages), 0);
    check_chain(SPACE_ORDINARY);
    heap_stop();
    fake.limit = (size_t)1 << 20;
    assert_int_equal(heap_start_on(&fake.os), -ENOMEM);
}

static void test_metadata(void **state)
{
    (void)state;
    unsigned char *last = NULL;
    // What a program that allocates next to nothing pays.
    assert_in_range(space.ledger->metadata_bytes, 1, 256 << 10);
    for (int i = 0; i < 1000; i++) {
        unsigned char *taken = space_take_meta(1000);
        assert_non_null(taken);
        assert_int_equal((uintptr_t)taken % 64, 0);
        for (int at = 0; at < 1000; at++)
            assert_int_equal(taken[at], 0);
        assert_true(!last || taken >= last + 1000 || taken + 1000 <= last);
        memset(taken, 0xff, 1000);
        last = taken;
    }
    check_chain(SPACE_ORDINARY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_model, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_repair, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_small_address_space, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_metadata, heap_test_begin, heap_test_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
