// SPDX-License-Identifier: Apache-2.0
// Unit tests of the walk over libebb's ledger: a heap of each kind of run, made by hand; and heads
// and records that are damaged, of another version or hostile. Test world; pure.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/libebb/ledger.h"

enum { SLOTS = 64, MIDDLE = 48, PAGE = 4096, SLOT = WIRE_SLOT_BYTES };

static const uint64_t base = UINT64_C(0x7f0000000000);

// A reservation of 64 slots: one of records, the ledger's, 46 ordinary ones, 16 guarded ones.
struct heap {
    struct wire_record records[SLOTS];
    struct wire_ledger ledger;
    uint64_t absent; // a page that is not in memory; 0: none
    unsigned reads;
};

static uint64_t home(void)
{
    return base + SLOT;
}

// What it reads is the table or the ledger: all else would be outside of what it may know.
static int read_heap(void *context, uint64_t address, void *ret_data, size_t len)
{
    struct heap *heap = context;
    heap->reads++;
    if (heap->absent && address / PAGE == heap->absent / PAGE)
        return -ENODATA;
    const uint8_t *from = NULL;
    if (address >= base && address - base + len <= sizeof heap->records)
        from = (const uint8_t *)heap->records + (address - base);
    else if (address >= home() && address - home() + len <= sizeof heap->ledger)
        from = (const uint8_t *)&heap->ledger + (address - home());
    if (!from)
        fail_msg("a read outside of table and ledger: %llx", (unsigned long long)address);
    memcpy(ret_data, from, len);
    return 0;
}

static void put_run(struct heap *heap, uint32_t slot, enum wire_kind kind, uint32_t slots)
{
    heap->records[slot].run = wire_run_make(kind, slots);
}

// `class_bytes` has 48 bytes, a page and 20 KiB.
static void put_span(struct heap *heap, uint32_t slot, unsigned size_class, unsigned live)
{
    struct wire_record *record = &heap->records[slot];
    uint32_t slots = size_class == 2 ? 8 : 1;
    put_run(heap, slot, size_class == 2 ? WIRE_MEDIUM : WIRE_SMALL, slots);
    record->size_class = (uint8_t)size_class;
    record->block_bytes = heap->ledger.class_bytes[size_class];
    record->capacity = (uint16_t)(slots * SLOT / record->block_bytes);
    record->carved = record->capacity;
    record->state = live ? WIRE_SPAN_PARTIAL : WIRE_SPAN_SPARE;
    record->counts = UINT64_C(1000) << 16 | live;
}

static void make_heap(struct heap *heap)
{
    *heap = (struct heap){.ledger = {
                              .magic = WIRE_LEDGER_MAGIC,
                              .version = WIRE_LEDGER_VERSION,
                              .ledger_bytes = sizeof(struct wire_ledger),
                              .base = base,
                              .bytes = (uint64_t)SLOTS * SLOT,
                              .slot_bytes = SLOT,
                              .page_bytes = PAGE,
                              .record_bytes = sizeof(struct wire_record),
                              .class_count = 3,
                              .areas = {{1, MIDDLE, 1, 1}, {MIDDLE, SLOTS, MIDDLE, MIDDLE}},
                              .class_bytes = {48, PAGE, 5 * PAGE},
                          }};
    put_run(heap, 1, WIRE_META, 1);
    heap->ledger.areas[0].frontier = 2;
}

static int walk(struct heap *heap, struct libebb_sums *ret_sums, struct libebb_places *ret_places)
{
    const struct libebb_memory memory = {read_heap, heap};
    struct libebb_refusal refusal = {{0}, {0}};
    struct wire_ledger ledger;
    *ret_places = (struct libebb_places){0};
    int error = libebb_ledger_read(&memory, home(), &ledger, &refusal);
    return error ? error : libebb_walk(&memory, &ledger, ret_sums, ret_places);
}

// For heaps that must be refused, and leave nothing to free.
static int walk_error(struct heap *heap)
{
    struct libebb_sums sums;
    struct libebb_places places;
    int error = walk(heap, &sums, &places);
    libebb_places_free(&places);
    return error;
}

static void test_all_kinds_are_counted(void **state)
{
    (void)state;
    struct heap heap;
    struct libebb_sums sums;
    struct libebb_places places;
    make_heap(&heap);
    put_span(&heap, 2, 0, 100);
    heap.records[2].state = WIRE_SPAN_CURRENT;
    heap.records[2].remote = UINT64_C(9) << 48;
    put_run(&heap, 3, WIRE_DIRTY, 2);
    put_run(&heap, 5, WIRE_LAZY, 3);
    put_run(&heap, 8, WIRE_CLEAN, 4);
    put_run(&heap, 12, WIRE_BUSY, 1);
    put_span(&heap, 13, 2, 4);
    put_run(&heap, 21, WIRE_LARGE, 3);
    heap.records[21].bytes = 2 * SLOT + PAGE;
    put_span(&heap, 24, 1, 0);
    put_run(&heap, 25, WIRE_QUARANTINE, 1);
    heap.ledger.areas[0].frontier = 26;
    put_run(&heap, MIDDLE, WIRE_GUARDED, 2);
    heap.records[MIDDLE].bytes = 3 * PAGE;
    heap.ledger.areas[1].frontier = MIDDLE + 2;
    assert_int_equal(walk(&heap, &sums, &places), 0);
    // One more is counted while the span is current, and nine were freed by others.
    assert_int_equal(sums.small_used, 90 * 48);
    assert_int_equal(sums.medium_used, 4 * 5 * PAGE);
    assert_int_equal(sums.large_used, 2 * SLOT + PAGE + 3 * PAGE);
    assert_int_equal(sums.span_bytes, 9 * SLOT);
    assert_int_equal(sums.spare_bytes, SLOT);
    assert_int_equal(sums.dirty_bytes, 3 * SLOT);
    assert_int_equal(sums.lazy_bytes, 3 * SLOT);
    assert_int_equal(sums.clean_bytes, 5 * SLOT);
    assert_int_equal(sums.objects, 90 + 4 + 2);
    // The spare span's are in the ledger already.
    assert_int_equal(sums.mallocs, 2 * 1000 + 2);
    assert_int_equal(sums.runs, 11);
    assert_int_equal(sums.unsure_count, 0);
    assert_int_equal(ranges_bytes(&places.kept), 4 * SLOT);
    assert_int_equal(ranges_bytes(&places.tails), SLOT - PAGE);
    assert_int_equal(ranges_bytes(&places.large), sums.large_used);
    assert_int_equal(ranges_bytes(&places.lazy), 3 * SLOT);
    // The ledger's slot, and both pages of records.
    assert_int_equal(ranges_bytes(&places.metadata), SLOT + 2 * PAGE);
    libebb_places_free(&places);
}

// What is free between blocks of 5 KiB is slack: nothing gives it back while its neighbours live.
static void test_blocks_that_share_pages(void **state)
{
    (void)state;
    struct heap heap;
    struct libebb_sums sums;
    struct libebb_places places;
    make_heap(&heap);
    heap.ledger.class_bytes[1] = PAGE + 1024;
    put_span(&heap, 2, 1, 6);
    put_span(&heap, 3, 2, 1);
    heap.ledger.areas[0].frontier = 11;
    assert_int_equal(walk(&heap, &sums, &places), 0);
    assert_int_equal(sums.unsure_count, 0);
    assert_int_equal(sums.small_used, 6 * (PAGE + 1024));
    assert_int_equal(sums.medium_used, 5 * PAGE);
    assert_int_equal(ranges_bytes(&places.small), SLOT);
    assert_int_equal(ranges_bytes(&places.medium), 8 * SLOT);
    libebb_places_free(&places);
}

// Bits of a small span are its pages, of a medium one its blocks.
static void test_pages_off_are_not_slack(void **state)
{
    (void)state;
    struct heap heap;
    struct libebb_sums sums;
    struct libebb_places places;
    make_heap(&heap);
    put_span(&heap, 2, 0, 10);
    heap.records[2].off = 0xf0f0;
    heap.records[2].lazy = 0x00f0;
    put_span(&heap, 3, 2, 1);
    heap.records[3].off = 0x6;
    heap.records[3].lazy = 0x4;
    heap.ledger.areas[0].frontier = 11;
    assert_int_equal(walk(&heap, &sums, &places), 0);
    assert_int_equal(sums.off_lazy, 4 * PAGE + 5 * PAGE);
    assert_int_equal(sums.off_returned, 4 * PAGE + 5 * PAGE);
    assert_int_equal(sums.span_bytes, 9 * SLOT - 18 * PAGE);
    assert_int_equal(ranges_bytes(&places.small), 8 * PAGE);
    assert_int_equal(ranges_bytes(&places.medium), 8 * SLOT - 10 * PAGE);
    assert_int_equal(ranges_bytes(&places.lazy), 9 * PAGE);
    assert_int_equal(ranges_bytes(&places.returned), 9 * PAGE);
    libebb_places_free(&places);
}

static void refuse_head(struct heap *heap, uint64_t address, const char *why)
{
    const struct libebb_memory memory = {read_heap, heap};
    struct libebb_refusal refusal = {{0}, {0}};
    struct wire_ledger ledger;
    assert_int_equal(libebb_ledger_read(&memory, address, &ledger, &refusal), -EBADMSG);
    if (!strstr(refusal.why, why))
        fail_msg("\"%s\" does not say \"%s\"", refusal.why, why);
    assert_true(refusal.needs[0]);
}

static void test_damaged_heads_are_refused(void **state)
{
    (void)state;
    struct heap heap;
    make_heap(&heap);
    refuse_head(&heap, home() + 4, "no address");
    refuse_head(&heap, UINT64_MAX - 7, "no address");
    heap.ledger.magic++;
    refuse_head(&heap, home(), "does not begin as one");
    make_heap(&heap);
    heap.ledger.version = 77;
    refuse_head(&heap, home(), "version 77, and this ebb reads version");
    uint32_t *const lengths[] = {&heap.ledger.ledger_bytes, &heap.ledger.slot_bytes,
                                 &heap.ledger.page_bytes, &heap.ledger.record_bytes};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        make_heap(&heap);
        ++*lengths[i];
        refuse_head(&heap, home(), "lengths");
    }
    make_heap(&heap);
    heap.ledger.class_count = WIRE_CLASSES_MAX + 1;
    refuse_head(&heap, home(), "size classes");
}

// A reservation that wraps, that is not the ledger's own, or whose areas leave it.
static void test_hostile_places_are_refused(void **state)
{
    (void)state;
    struct heap heap;
    static const uint64_t places[][2] = {
        {base + 1, (uint64_t)SLOTS * SLOT},     {base, (uint64_t)SLOTS * SLOT + 1},
        {base + 4ULL * SLOT, 4ULL * SLOT},      {0, 4ULL * SLOT},
        {UINT64_MAX << 20, UINT64_MAX << 20},   {base, UINT64_C(1) << 60},
        {base, (uint64_t)UINT32_MAX * SLOT},    {base, SLOT},
        {0, (uint64_t)(UINT32_MAX - 1) * SLOT},
    };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        make_heap(&heap);
        heap.ledger.base = places[i][0];
        heap.ledger.bytes = places[i][1];
        refuse_head(&heap, home(), "");
    }
    static const struct wire_area areas[][2] = {
        {{0, 48, 2, 2}, {48, 64, 48, 48}},  {{1, 48, 0, 2}, {48, 64, 48, 48}},
        {{1, 48, 49, 2}, {48, 64, 48, 48}}, {{1, 48, 2, 2}, {47, 64, 48, 48}},
        {{1, 48, 2, 2}, {48, 65, 48, 48}},  {{1, 48, 2, 2}, {48, 64, UINT32_MAX, 48}},
    };
    for (size_t i = 0; i < sizeof areas / sizeof areas[0]; i++) {
        make_heap(&heap);
        memcpy(heap.ledger.areas, areas[i], sizeof heap.ledger.areas);
        refuse_head(&heap, home(), "areas");
    }
}

// Runs that lead nowhere, out of their area, or to something that is no beginning.
static void test_broken_chains_are_told(void **state)
{
    (void)state;
    struct heap heap;
    static const uint64_t runs[] = {
        0,
        WIRE_DIRTY, // of 0 slots
        UINT64_MAX,
        (uint64_t)WIRE_CLEAN | UINT64_C(0x100000001) << 8, // one slot, in 32 bits
        (uint64_t)WIRE_CLEAN | UINT64_C(47) << 8,          // one beyond the area's end
        (uint64_t)WIRE_TAIL | 1 << 8,
        (uint64_t)WIRE_FREE_END | 1 << 8,
        (uint64_t)WIRE_NONE | 1 << 8,
        (uint64_t)0xee | 1 << 8, // no kind
    };
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        make_heap(&heap);
        heap.records[2].run = runs[i];
        heap.ledger.areas[0].frontier = 3;
        assert_int_equal(walk_error(&heap), -EAGAIN);
        // Never more than a step per slot, whatever they say.
        assert_true(heap.reads <= 2 + SLOTS);
    }
    // Records that are not in memory are no runs, and the ledger is not guessed.
    make_heap(&heap);
    heap.absent = base;
    assert_int_equal(walk_error(&heap), -EAGAIN);
    heap.absent = home();
    assert_int_equal(walk_error(&heap), -ENODATA);
}

// Each breaks one rule that the heap keeps.
static void spoil(struct wire_record *record, unsigned how)
{
    switch (how) {
    case 0:
        record->block_bytes = 64;
        break;
    case 1:
        record->size_class = 3;
        break;
    case 2:
        record->capacity = 0;
        break;
    case 3:
        record->capacity = UINT16_MAX;
        break;
    case 4:
        record->state = 99;
        break;
    case 5:
        record->carved = UINT16_MAX;
        break;
    case 6:
        record->counts |= 0xffff;
        break;
    default:
        record->block_bytes = 0;
        break;
    }
}

// A span that is just being made is unsure; a heap of them is no heap.
static void test_contradictions_are_unsure(void **state)
{
    (void)state;
    struct heap heap;
    struct libebb_sums sums;
    struct libebb_places places;
    for (unsigned how = 0; how < 8; how++) {
        make_heap(&heap);
        put_span(&heap, 2, 0, 5);
        spoil(&heap.records[2], how);
        heap.ledger.areas[0].frontier = 3;
        assert_int_equal(walk(&heap, &sums, &places), 0);
        assert_int_equal(sums.unsure_bytes, SLOT);
        assert_int_equal(sums.small_used, 0);
        libebb_places_free(&places);
    }
    make_heap(&heap);
    put_run(&heap, 2, WIRE_LARGE, 1);
    heap.records[2].bytes = 2 * SLOT;
    heap.ledger.areas[0].frontier = 3;
    assert_int_equal(walk(&heap, &sums, &places), 0);
    assert_int_equal(sums.unsure_count, 1);
    libebb_places_free(&places);
    for (uint32_t slot = 2; slot < 30; slot++) {
        put_span(&heap, slot, 0, 5);
        heap.records[slot].block_bytes = 1;
    }
    heap.ledger.areas[0].frontier = 30;
    assert_int_equal(walk_error(&heap), -EBADMSG);
}

static void test_policies_have_names(void **state)
{
    (void)state;
    assert_null(libebb_policy_name(WIRE_POLICY_NONE));
    assert_string_equal(libebb_policy_name(WIRE_POLICY_AUTO), "auto");
    assert_string_equal(libebb_policy_name(WIRE_POLICY_KEEP), "keep");
    assert_null(libebb_policy_name(WIRE_POLICY_KEEP + 1));
    assert_null(libebb_policy_name(UINT32_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_kinds_are_counted),
        cmocka_unit_test(test_blocks_that_share_pages),
        cmocka_unit_test(test_pages_off_are_not_slack),
        cmocka_unit_test(test_damaged_heads_are_refused),
        cmocka_unit_test(test_hostile_places_are_refused),
        cmocka_unit_test(test_broken_chains_are_told),
        cmocka_unit_test(test_contradictions_are_unsure),
        cmocka_unit_test(test_policies_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
