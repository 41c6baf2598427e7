// SPDX-License-Identifier: Apache-2.0
// Unit tests of what guarded blocks leave to the next ones: where a block stands, which pages move
// to it, that it has guards and zeros where it must, and what is counted. Test code.
#include <pthread.h>

#include "heap_test.h"

#include "heap/kept.h"
#include "heap/run.h"

#define MIB    ((size_t)1 << 20)
#define BLOCKS 12
#define PAGE   4096u

struct slot_sums {
    uint32_t free;
    uint32_t kept;
    uint32_t seams;
};

// The chain, and what is counted beside it.
static void check_area(void)
{
    const struct wire_area *area = &space.ledger->areas[SPACE_GUARDED];
    struct slot_sums sums = {0, 0, 0};
    for (uint32_t slot = area->first; slot < area->frontier;) {
        const struct wire_record *record = space_record(slot);
        uint32_t slots = wire_run_slots(record->run);
        assert_in_range(slots, 1, area->frontier - slot);
        bool is_free = run_is_free(record->run);
        for (uint32_t inside = 1; inside + 1 < slots; inside++)
            assert_true(record[inside].run == 0);
        uint64_t end = is_free ? wire_run_make(WIRE_FREE_END, slots) : 0;
        assert_true(slots == 1 || record[slots - 1].run == end);
        bool is_clean = is_free && run_pages_of(record) == SPACE_CLEAN;
        assert_true(!is_clean || record->recip == 0);
        sums.seams += record->recip;
        sums.free += is_free ? slots : 0;
        sums.kept += is_free && !is_clean ? slots : 0;
        slot += slots;
    }
    assert_int_equal(sums.free, space.guarded_free);
    assert_int_equal(sums.kept, space.guarded_kept);
    assert_int_equal(sums.seams, space.seams);
}

struct held {
    unsigned char *block;
    size_t bytes;
    unsigned char mark;
};

static void mark_block(struct held *held, size_t from)
{
    for (size_t at = from & ~(size_t)(PAGE - 1); at < held->bytes; at += PAGE)
        held->block[at] = held->mark;
}

static void check_block(const struct held *held, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += PAGE)
        assert_int_equal(held->block[at], held->mark);
}

// Inaccessible right behind; and right in front, where its neighbour or the area ends.
static void check_guards(const struct held *held)
{
    size_t usable = heap_usable_bytes(held->block);
    assert_true(heap_test_can_read(held->block + usable - 1));
    assert_false(heap_test_can_read(held->block + usable));
    assert_false(heap_test_can_read(held->block - 1));
}

static void check_zeros(const unsigned char *block, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += PAGE / 4)
        assert_int_equal(block[at], 0);
}

static void make_block(struct held *held, uint64_t *random)
{
    bool is_zero;
    held->bytes = MIB + heap_test_next(random) % (heap_test_next(random) % 8 ? 6 * MIB : 30 * MIB);
    held->mark = (unsigned char)(1 + heap_test_next(random) % 255);
    held->block = heap_allocate(held->bytes, &is_zero);
    assert_non_null(held->block);
    if (is_zero)
        check_zeros(held->block, heap_usable_bytes(held->block));
    mark_block(held, 0);
}

static void resize_block(struct held *held, uint64_t *random)
{
    size_t bytes = MIB + heap_test_next(random) % (8 * MIB);
    held->block = heap_resize(held->block, bytes);
    assert_non_null(held->block);
    size_t common = bytes < held->bytes ? bytes : held->bytes;
    check_block(held, common);
    held->bytes = bytes;
    mark_block(held, common);
}

// Some of what is free goes back meanwhile, at once or lazily, whole runs or their fronts.
static void purge_some(uint64_t *random)
{
    const struct wire_area *area = &space.ledger->areas[SPACE_GUARDED];
    // A run that was joined with the one before leaves nothing at its slot: on to the next.
    for (uint32_t slot = area->first; slot < area->frontier; slot++) {
        uint32_t slots = wire_run_slots(space_record(slot)->run);
        if (slots && heap_test_next(random) % 3 == 0)
            (void)space_purge_run(slot, 1 + slots / 2, heap_test_next(random) % 2);
    }
}

static void test_model(void **state)
{
    const struct fake_os *fake = *state;
    struct held blocks[BLOCKS] = {{NULL, 0, 0}};
    uint64_t random = 4711;
    for (int round = 0; round < 1500; round++) {
        struct held *held = &blocks[heap_test_next(&random) % BLOCKS];
        if (!held->block) {
            make_block(held, &random);
            check_guards(held);
        } else if (heap_test_next(&random) % 3 == 0) {
            resize_block(held, &random);
            check_guards(held);
        } else {
            check_block(held, held->bytes);
            heap_test_release(held->block);
            held->block = NULL;
        }
        if (round % 40 == 0)
            purge_some(&random);
        check_area();
    }
    for (int i = 0; i < BLOCKS; i++) {
        if (blocks[i].block)
            heap_test_release(blocks[i].block);
    }
    assert_true(fake->moves > 100);
    (void)space_purge(SIZE_MAX);
    check_area();
}

static unsigned char *make_dirty(size_t bytes)
{
    unsigned char *block = heap_test_allocate(bytes);
    assert_non_null(block);
    memset(block, 0xff, bytes);
    return block;
}

// Four blocks side by side, of which the first and the third are free then.
static void make_pieces(unsigned char *blocks[4], size_t bytes)
{
    for (int i = 0; i < 4; i++)
        blocks[i] = make_dirty(bytes);
    heap_test_release(blocks[0]);
    heap_test_release(blocks[2]);
}

static unsigned count_new_pages(const unsigned char *block, size_t bytes)
{
    unsigned count = 0;
    for (size_t at = 0; at < bytes; at += PAGE)
        count += block[at] == 0;
    return count;
}

static void test_pieces_move(void **state)
{
    const struct fake_os *fake = *state;
    unsigned char *blocks[4];
    bool is_zero;
    make_pieces(blocks, 3 * MIB - PAGE);
    uint32_t kept = space.guarded_kept;
    unsigned char *block = heap_allocate(6 * MIB - PAGE, &is_zero);
    assert_int_equal(fake->moves, 2);
    assert_int_equal(kept, 96);
    assert_int_equal(space.guarded_kept, 0);
    assert_int_equal(space.seams, 2);
    assert_false(is_zero);
    // Nothing of it is faulted in anew but what was the first piece's guard.
    assert_int_equal(count_new_pages(block, 6 * MIB - PAGE), 1);
    assert_false(heap_test_can_read(blocks[0]));
    check_area();
    // A seam goes with its pages.
    heap_test_release(block);
    (void)space_purge(SIZE_MAX);
    assert_int_equal(space.seams, 0);
    heap_test_release(blocks[1]);
    heap_test_release(blocks[3]);
}

// What lives in a place without pages gets them for what it grows by, too.
static void test_growth_is_filled(void **state)
{
    const struct fake_os *fake = *state;
    unsigned char *blocks[4];
    make_pieces(blocks, 3 * MIB - PAGE);
    unsigned char *grown = heap_resize(blocks[1], 9 * MIB - PAGE);
    assert_int_equal(fake->moves, 3);
    assert_in_range(count_new_pages(grown, 9 * MIB - PAGE), 1, 3);
    // And there is room behind for the next time.
    assert_ptr_equal(heap_resize(grown, 11 * MIB), grown);
    assert_int_equal(fake->moves, 3);
    heap_test_release(grown);
    heap_test_release(blocks[3]);
}

// A little of what is kept is no reason to write to all of a block that is to be zero.
static void test_few_pieces_are_wiped(void **state)
{
    const struct fake_os *fake = *state;
    unsigned char *blocks[4];
    bool is_zero;
    make_pieces(blocks, 2 * MIB);
    unsigned char *block = heap_allocate(20 * MIB, &is_zero);
    assert_true(is_zero);
    assert_int_equal(fake->moves, 2);
    check_zeros(block, 20 * MIB);
    heap_test_release(block);
    heap_test_release(blocks[1]);
    heap_test_release(blocks[3]);
}

// A block that is huge beside what is kept may never be written to: what is kept stays free.
static void test_sparse_blocks_get_nothing(void **state)
{
    const struct fake_os *fake = *state;
    unsigned char *blocks[4];
    bool is_zero;
    make_pieces(blocks, 4 * MIB);
    uint32_t kept = space.guarded_kept;
    void *sparse = heap_allocate(1000 * MIB, &is_zero);
    assert_true(is_zero);
    assert_int_equal(fake->moves, 0);
    assert_int_equal(space.guarded_kept, kept);
    heap_test_release(sparse);
    heap_test_release(blocks[1]);
    heap_test_release(blocks[3]);
}

// What a block no longer has, and what there is no room for.
static void test_shrunk_and_cut(void **state)
{
    (void)state;
    bool is_zero;
    unsigned char *block = make_dirty(9 * MIB);
    assert_ptr_equal(heap_resize(block, 2 * MIB), block);
    assert_in_range(space.guarded_kept, 7 * 16 - 2, 7 * 16);
    assert_false(heap_test_can_read(block + 2 * MIB));
    unsigned char *next = heap_allocate(6 * MIB, &is_zero);
    assert_false(is_zero);
    assert_int_equal(next[0], 0xff);
    heap_test_release(next);
    heap_test_release(block);
    // Of 60 MiB 16 are kept, the front: a quarter more than lives is not more than that.
    (void)space_purge(SIZE_MAX);
    block = make_dirty(60 * MIB);
    uint64_t purged = space.ledger->purged_bytes;
    heap_test_release(block);
    uint64_t gone = space.ledger->purged_bytes - purged;
    assert_int_equal(gone + (uint64_t)space.guarded_kept * WIRE_SLOT_BYTES,
                     60 * MIB + WIRE_SLOT_BYTES);
    check_area();
}

// Where it would soon be faulted in again all of it waits for the plan, but for what is above a
// GiB.
static void test_reused_are_kept(void **state)
{
    (void)state;
    const size_t big = 300 * MIB;
    bool is_zero;
    heap_test_release(heap_allocate(big, &is_zero));
    assert_in_range(space.guarded_kept, 1, 200 * MIB / WIRE_SLOT_BYTES);
    (void)space_purge(SIZE_MAX);
    atomic_store32(&space.expects_reuse, 1);
    void *block = heap_allocate(big, &is_zero);
    heap_test_release(block);
    assert_int_equal(space.guarded_kept, big / WIRE_SLOT_BYTES + 1);
    block = heap_allocate(big, &is_zero);
    assert_false(is_zero);
    // What was lazily freed counts as used again, and nothing else does.
    assert_int_equal(space.ledger->reused_bytes, 0);
    heap_test_release(block);
    const struct wire_record *run = space_record(space.ledger->areas[SPACE_GUARDED].first);
    assert_int_equal(space_purge_run(space_slot(run), UINT32_MAX, true), big + WIRE_SLOT_BYTES);
    block = heap_allocate(big, &is_zero);
    assert_int_equal(space.ledger->reused_bytes, big + WIRE_SLOT_BYTES);
    heap_test_release(block);
    block = heap_allocate(1200 * MIB, &is_zero);
    heap_test_release(block);
    assert_int_equal(space.guarded_kept, 1024 * MIB / WIRE_SLOT_BYTES);
    check_area();
}

#define SEAMS_MANY 2048u
#define SEAMS_MAX  4096u

// As if moves had left so many more.
static void add_seams(struct wire_record *record, uint32_t seams)
{
    record->recip += seams;
    space.seams += seams;
}

// Mappings are the process's, and few: there is an end to moves.
static void test_seams_are_bounded(void **state)
{
    const struct fake_os *fake = *state;
    unsigned char *blocks[4];
    bool is_zero;
    make_pieces(blocks, 3 * MIB - PAGE);
    struct wire_record *other = space_record_at((uintptr_t)blocks[1]);
    add_seams(other, SEAMS_MAX - 1);
    // One more is possible.
    unsigned char *block = heap_allocate(6 * MIB - PAGE, &is_zero);
    assert_int_equal(fake->moves, 1);
    check_area();
    heap_test_release(block);
    heap_test_release(blocks[1]);
    heap_test_release(blocks[3]);
}

// Where there are many, what is in many pieces becomes one again, by going back.
static void test_patchwork_goes_back(void **state)
{
    (void)state;
    for (int is_many = 0; is_many < 2; is_many++) {
        unsigned char *whole = make_dirty(2 * MIB);
        unsigned char *pieces = make_dirty(2 * MIB);
        unsigned char *guard = make_dirty(2 * MIB);
        add_seams(space_record_at((uintptr_t)pieces), 100);
        add_seams(space_record_at((uintptr_t)guard), is_many ? SEAMS_MANY : 0);
        uint32_t before = space.seams;
        heap_test_release(pieces);
        assert_int_equal(space.guarded_kept == 0, is_many);
        assert_int_equal(before - space.seams, is_many ? 100 : 0);
        heap_test_release(whole);
        assert_true(space.guarded_kept > 0);
        check_area();
        heap_test_release(guard);
        (void)space_purge(SIZE_MAX);
        assert_int_equal(space.seams, 0);
    }
}

static void *repair(void *unused)
{
    space_repair();
    return unused;
}

// A child whose parent held the lock counts anew, in use or kept.
static void test_seams_are_counted_anew(void **state)
{
    (void)state;
    pthread_t thread;
    unsigned char *live = make_dirty(2 * MIB);
    unsigned char *kept = make_dirty(2 * MIB);
    unsigned char *last = make_dirty(2 * MIB);
    add_seams(space_record_at((uintptr_t)live), 3);
    add_seams(space_record_at((uintptr_t)kept), 4);
    heap_test_release(kept);
    lock_take(&space.lock);
    assert_int_equal(pthread_create(&thread, NULL, repair, NULL), 0);
    pthread_join(thread, NULL);
    assert_int_equal(space.seams, 7);
    check_area();
    heap_test_release(live);
    heap_test_release(last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_model, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_pieces_move, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_growth_is_filled, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_few_pieces_are_wiped, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_sparse_blocks_get_nothing, heap_test_begin,
                                        heap_test_end),
        cmocka_unit_test_setup_teardown(test_shrunk_and_cut, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_reused_are_kept, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_seams_are_bounded, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_patchwork_goes_back, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_seams_are_counted_anew, heap_test_begin,
                                        heap_test_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
