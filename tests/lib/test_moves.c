// SPDX-License-Identifier: Apache-2.0
// Unit tests of moves that the system refuses: not a byte is lost, no hole is left in the
// reservation, and what mappings there are is counted. Test code.
#include "heap_test.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include "heap/run.h"

#define MIB        ((size_t)1 << 20)
#define PAGE       4096u
#define PIECES     6
#define BLOCKS     8
#define FILLED_MAX 70000

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
    // A hole for a moment is a risk that is not taken twice.
    assert_true(is_refused);
    space.has_no_moves = 1;
    moves = fake->moves;
    (void)heap_resize(make_patchwork(PIECES * MIB, 1), 3 * PIECES * MIB);
    assert_int_equal(fake->moves, moves);
}

// A limit that is lowered below what is reserved lets nothing be mapped at all.
static void test_no_hole_is_left(void **state)
{
    const struct fake_os *fake = *state;
    struct rlimit usual;
    unsigned char *block = make_patchwork(6 * MIB, 7);
    assert_int_equal(getrlimit(RLIMIT_AS, &usual), 0);
    const struct rlimit low = {.rlim_cur = 16 * MIB, .rlim_max = usual.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_AS, &low), 0);
    unsigned char *grown = heap_resize(block, 20 * MIB);
    void *filled = heap_test_allocate(5 * MIB);
    assert_int_equal(setrlimit(RLIMIT_AS, &usual), 0);
    check_marked(grown ? grown : block, 6 * MIB, 7);
    heap_test_release(filled);
    // It is refused where there is a hole; and takes all that was ever written.
    const struct wire_area *area = &space.ledger->areas[SPACE_GUARDED];
    uintptr_t begin = space_base + (uintptr_t)area->first * WIRE_SLOT_BYTES;
    size_t bytes = (size_t)(area->end - area->first) * WIRE_SLOT_BYTES;
    assert_int_equal(fake->os.purge_now(&fake->os, begin, bytes), 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_mappings_run_out, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_no_hole_is_left, heap_test_begin, heap_test_end),
        cmocka_unit_test_setup_teardown(test_seams_come_along, heap_test_begin, heap_test_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
