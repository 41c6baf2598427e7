// SPDX-License-Identifier: Apache-2.0
// Unit tests of moves that the system refuses: not a byte is lost, where there may be a hole in the
// reservation nothing is touched any more, and what mappings there are is counted. Test code.
#include "heap_test.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "heap/run.h"

#define MIB        ((size_t)1 << 20)
#define PAGE       4096u
#define PIECES     6
#define BLOCKS     8
#define FILLED_MAX 70000
#define THREADS    4
#define ROUNDS     120

static unsigned char *make_marked(size_t bytes, unsigned char mark)
{
    unsigned char *block = heap_test_allocate(bytes);
    assert_non_null(block);
    memset(block, mark, bytes);
    return block;
}

static void check_marked(const unsigned char *block, size_t bytes, unsigned char mark)
{
    for (size_t at = 0; at < bytes; at += PAGE)
        assert_int_equal(block[at], mark);
}

// A block of pages from everywhere, and one behind it, so that it has to move in order to grow.
static unsigned char *make_patchwork(size_t bytes, unsigned char mark)
{
    unsigned char *parts[2 * PIECES];
    for (int i = 0; i < 2 * PIECES; i++)
        parts[i] = make_marked(bytes / PIECES, 0xff);
    for (int i = 0; i < 2 * PIECES; i += 2)
        heap_test_release(parts[i]);
    unsigned char *block = make_marked(bytes, mark);
    (void)make_marked(bytes, 0xff);
    return block;
}

// What the process may still map, but for `room` of it. Returns how many there are.
static int fill_mappings(void *mappings[FILLED_MAX], int count, int room)
{
    while (count < FILLED_MAX) {
        // Neighbours of different protection do not become one.
        int protection = count % 2 ? PROT_READ : PROT_NONE;
        void *page = mmap(NULL, PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED)
            break;
        mappings[count++] = page;
    }
    while (room-- > 0 && count > 0)
        munmap(mappings[--count], PAGE);
    return count;
}

// The seams and the kept slots of the chain; what is nobody's is told by the kind of the heap's
// own.
static uint32_t check_chain(void)
{
    const struct wire_area *area = &space.ledger->areas[SPACE_GUARDED];
    uint32_t seams = 0;
    uint32_t kept = 0;
    uint32_t lost = 0;
    for (uint32_t slot = area->first; slot < area->frontier;) {
        const struct wire_record *record = space_record(slot);
        uint32_t slots = wire_run_slots(record->run);
        seams += record->recip;
        lost += wire_run_kind(record->run) == WIRE_META ? slots : 0;
        // What is lost has left its mappings to nobody.
        assert_true(wire_run_kind(record->run) != WIRE_META || record->recip == 0);
        bool is_block = wire_run_kind(record->run) == WIRE_GUARDED;
        assert_true(!is_block || record->bytes <= (uint64_t)slots * WIRE_SLOT_BYTES);
        bool is_free = run_is_free(record->run);
        kept += is_free && run_pages_of(record) != SPACE_CLEAN ? slots : 0;
        slot += slots;
    }
    assert_int_equal(seams, space.seams);
    assert_int_equal(kept, space.guarded_kept);
    return lost;
}

// The fewer mappings are left, the earlier a move is refused: with each block at another step.
static void test_mappings_run_out(void **state)
{
    const struct fake_os *fake = *state;
    static void *mappings[FILLED_MAX];
    unsigned char *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = make_patchwork(PIECES * MIB, (unsigned char)(i + 1));
    assert_true(space.seams >= BLOCKS);
    uint32_t moves = fake->moves;
    int count = fill_mappings(mappings, 0, 0);
    bool is_full = count < FILLED_MAX;
    bool is_refused = false;
    for (int i = 0; i < BLOCKS && is_full; i++) {
        count = fill_mappings(mappings, count, 4 + 2 * i);
        space.has_no_moves = 0;
        unsigned char *grown = heap_resize(blocks[i], 3 * PIECES * MIB);
        check_marked(grown ? grown : blocks[i], PIECES * MIB, (unsigned char)(i + 1));
        is_refused |= space.has_no_moves;
    }
    while (count > 0)
        munmap(mappings[--count], PAGE);
    if (!is_full)
        skip();
    assert_true(fake->moves > moves);
    // Where there may have been a hole for a moment nothing is touched, and it does not happen
    // twice.
    assert_true(is_refused);
    assert_true(check_chain() > 0);
    space.has_no_moves = 1;
    moves = fake->moves;
    (void)heap_resize(make_patchwork(PIECES * MIB, 1), 3 * PIECES * MIB);
    assert_int_equal(fake->moves, moves);
}

// All kinds of use of what is left, which spares what is not the heap's.
static void use_heap(unsigned char *block, size_t bytes)
{
    void *blocks[3 * BLOCKS];
    for (size_t i = 0; i < 3 * BLOCKS; i++)
        blocks[i] = make_marked((1 + i % 5) * MIB, 0xee);
    block = heap_resize(block, 2 * bytes);
    check_marked(block, bytes, 7);
    for (size_t i = 0; i < 3 * BLOCKS; i++)
        heap_test_release(blocks[i]);
    heap_test_release(block);
    (void)space_purge(SIZE_MAX);
}

// What is nobody's; nowhere else is a hole.
static unsigned char *find_hole(void)
{
    const struct wire_area *area = &space.ledger->areas[SPACE_GUARDED];
    unsigned char *hole = NULL;
    for (uint32_t slot = area->first; slot < area->frontier;) {
        const struct wire_record *record = space_record(slot);
        uint32_t slots = wire_run_slots(record->run);
        unsigned char *begin = (unsigned char *)space_address(record);
        bool is_lost = wire_run_kind(record->run) == WIRE_META;
        // Of private memory the kernel finds only that it is there.
        bool is_whole = msync(begin, (size_t)slots * WIRE_SLOT_BYTES, MS_ASYNC) == 0;
        assert_true(is_whole || is_lost);
        hole = is_lost ? begin : hole;
        slot += slots;
    }
    return hole;
}

// A limit that is lowered below what is reserved lets nothing be mapped at all: not even the hole
// that a refused move leaves, where somebody else maps something when the limit is gone.
static void test_no_hole_is_used(void **state)
{
    (void)state;
    struct rlimit usual;
    unsigned char *block = make_patchwork(6 * MIB, 7);
    assert_int_equal(getrlimit(RLIMIT_AS, &usual), 0);
    const struct rlimit low = {.rlim_cur = 16 * MIB, .rlim_max = usual.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_AS, &low), 0);
    unsigned char *grown = heap_resize(block, 20 * MIB);
    void *filled = heap_test_allocate(5 * MIB);
    // Pages go back all the same.
    (void)space_purge(SIZE_MAX);
    assert_int_equal(space.guarded_kept, 0);
    assert_int_equal(setrlimit(RLIMIT_AS, &usual), 0);
    check_marked(grown ? grown : block, 6 * MIB, 7);
    heap_test_release(filled);
    unsigned char *hole = find_hole();
    assert_non_null(hole);
    assert_ptr_equal(mmap(hole, PAGE, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
                     hole);
    hole[0] = 99;
    use_heap(grown ? grown : block, 6 * MIB);
    assert_int_equal(hole[0], 99);
    assert_true(check_chain() > 0);
}

// A new block is filled, which is zero where it says so.
static unsigned char *fill_block(unsigned char *last)
{
    bool is_zero = false;
    unsigned char *block = heap_allocate(8 * MIB, &is_zero);
    for (size_t at = 0; is_zero && at < 8 * MIB; at += 8)
        assert_int_equal(block[at], 0);
    memset(block, 0xdd, 8 * MIB);
    return last;
}

static unsigned char *grow(unsigned char *last)
{
    unsigned char *grown = heap_resize(last, 12 * MIB);
    check_marked(grown, 2 * MIB - 2 * PAGE, 7);
    memset(grown, 7, 12 * MIB);
    return grown;
}

// Wherever a move loses its target, nothing else is lost, and the target is not touched again.
static void test_lost_places(void **state)
{
    unsigned char *(*const acts[])(unsigned char *) = {fill_block, grow, grow};
    for (unsigned i = 0; i < 9; i++) {
        struct fake_os *fake = *state;
        unsigned char *parts[6];
        for (int part = 0; part < 6; part++)
            parts[part] = make_marked(3 * MIB - PAGE, 0xff);
        // It ends in the middle of a slot, and grows in place, or has to move.
        unsigned char *last = make_marked(2 * MIB - 2 * PAGE, 7);
        if (i % 3 == 2)
            (void)make_marked(2 * MIB, 1);
        heap_test_release(parts[1]);
        heap_test_release(parts[3]);
        fake->lost_move = fake->moves + 1 + i / 3;
        last = acts[i % 3](last);
        bool is_lost = fake->lost.bytes > 0;
        // There are two kept pieces, and the block that moves is a third.
        assert_int_equal(is_lost, i < 6 || i == 8);
        assert_int_equal(space.has_no_moves, is_lost);
        assert_int_equal(check_chain() > 0, is_lost);
        use_heap(last, 2 * MIB - 2 * PAGE);
        for (size_t at = 0; at < fake->lost.bytes; at += PAGE)
            assert_int_equal(*(unsigned char *)(fake->lost.address + at), FAKE_LOST);
        check_chain();
        heap_stop();
        assert_int_equal(heap_test_begin(state), 0);
    }
}

// Large blocks come, grow and go; what is in them says whose they are.
static void *churn(void *seed)
{
    uint64_t random = (uintptr_t)seed;
    unsigned char *blocks[BLOCKS] = {NULL};
    size_t sizes[BLOCKS] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        size_t i = heap_test_next(&random) % BLOCKS;
        size_t bytes = MIB + heap_test_next(&random) % 1000 * PAGE;
        if (blocks[i])
            check_marked(blocks[i], sizes[i], (unsigned char)i);
        if (heap_test_next(&random) % 4 == 0) {
            heap_free(blocks[i]);
            blocks[i] = NULL;
            sizes[i] = 0;
            continue;
        }
        blocks[i] = blocks[i] ? heap_resize(blocks[i], bytes) : heap_test_allocate(bytes);
        check_marked(blocks[i], sizes[i] < bytes ? sizes[i] : bytes, (unsigned char)i);
        sizes[i] = bytes;
        for (size_t at = 0; at < bytes; at += PAGE)
            blocks[i][at] = (unsigned char)i;
    }
    for (size_t i = 0; i < BLOCKS; i++)
        heap_free(blocks[i]);
    return NULL;
}

// Others are in the middle of moves while one is lost.
static void test_lost_among_threads(void **state)
{
    struct fake_os *fake = *state;
    pthread_t threads[THREADS];
    fake->lost_move = 12;
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)(i * 4711 + 1)), 0);
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_true(fake->lost.bytes > 0);
    for (size_t at = 0; at < fake->lost.bytes; at += PAGE)
        assert_int_equal(*(unsigned char *)(fake->lost.address + at), FAKE_LOST);
    assert_true(check_chain() > 0);
}

// As with an older kernel, or under a filter: nothing is lost.
static void test_moves_are_unknown(void **state)
{
    struct fake_os *fake = *state;
    fake->has_no_moves = true;
    unsigned char *block = make_patchwork(6 * MIB, 7);
    assert_true(space.has_no_moves);
    use_heap(block, 6 * MIB);
    assert_int_equal(check_chain(), 0);
}

// A block that moves takes its seams along, and one more.
static void test_seams_come_along(void **state)
{
    (void)state;
    unsigned char *block = make_patchwork(6 * MIB, 7);
    uint32_t before = space.seams;
    assert_true(before > 0);
    unsigned char *grown = heap_resize(block, 7 * MIB);
    assert_ptr_not_equal(grown, block);
    assert_true(space.seams > before);
    check_marked(grown, 6 * MIB, 7);
    const struct wire_area *area = &space.ledger->areas[SPACE_GUARDED];
    uint32_t sum = 0;
    for (uint32_t slot = area->first; slot < area->frontier;) {
        sum += space_record(slot)->recip;
        slot += wire_run_slots(space_record(slot)->run);
    }
    assert_int_equal(space.seams, sum);
}

// Mappings of any length, mostly of slots: every page comes along, and none of those behind.
static void test_pieces_of_any_length(void **state)
{
    enum { PAGES = 600, SLOT_PAGES = 16, TURNS = 60 };
    (void)state;
    uint64_t random = 1;
    for (int turn = 0; turn < TURNS; turn++) {
        unsigned char *from = mmap(NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        unsigned char *to = mmap(NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(from != MAP_FAILED && to != MAP_FAILED);
        size_t pages = 1 + heap_test_next(&random) % PAGES;
        for (size_t at = 0; at < PAGES; at++)
            memcpy(from + at * PAGE, &at, sizeof at);
        // Every other piece is not for children, so that none joins its neighbours.
        for (size_t at = 0, length; at < pages; at += length) {
            size_t unit = heap_test_next(&random) % 3 ? SLOT_PAGES : 1;
            length = (1 + heap_test_next(&random) % 6) * unit;
            if (length <= pages - at && at / unit % 2)
                assert_int_equal(madvise(from + at * PAGE, length * PAGE, MADV_DONTFORK), 0);
        }
        assert_int_equal(os_real.move(&os_real, (uintptr_t)from, (uintptr_t)to, pages * PAGE), 0);
        for (size_t at = 0; at < PAGES; at++)
            assert_memory_equal((at < pages ? to : from) + at * PAGE, &at, sizeof at);
        munmap(from, (size_t)PAGES * PAGE);
        munmap(to, (size_t)PAGES * PAGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_mappings_run_out, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_no_hole_is_used, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_lost_places, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_lost_among_threads, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_moves_are_unknown, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_seams_come_along, heap_test_begin, heap_test_end),
        cmocka_unit_test(test_pieces_of_any_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
