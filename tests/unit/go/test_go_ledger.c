// SPDX-License-Identifier: Apache-2.0
// Unit tests of Go's counters: MemStats from recorded values, readings, and the checks that refuse
// what is off by a field. Test world; pure.
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/go/go_check.h"
#include "runtime/go/go_ledger.h"

enum { BASE = 0x600000, MEMORY_BYTES = 64 << 10, MEMSTATS = BASE + 0x1000, MIB = 1 << 20 };

struct world {
    uint8_t bytes[MEMORY_BYTES];
    struct go_buffer_memory buffer;
    struct go_runtime runtime;
};

static void world_init(struct world *world, unsigned minor)
{
    memset(world, 0, sizeof *world);
    world->buffer = (struct go_buffer_memory){BASE, world->bytes, sizeof world->bytes};
    world->runtime.memory = go_memory_of_buffer(&world->buffer);
    world->runtime.machine = EM_X86_64;
    world->runtime.version.minor = minor;
    assert_int_equal(go_table_find(minor, &world->runtime.row), 0);
    world->runtime.address[GO_OBJECT_MEMSTATS] = MEMSTATS;
}

static void put(struct world *world, enum go_field_id id, size_t index, uint64_t value)
{
    const struct go_field *field = &world->runtime.row.fields[id];
    assert_true(field->size > 0);
    size_t size = field->size < 8 ? (size_t)field->size : 8;
    memcpy(world->bytes + (MEMSTATS - BASE) + (size_t)field->offset + index * 8, &value, size);
}

// What a program built with 1.24 holds shortly after its start.
static void fill_1_24(struct world *world)
{
    put(world, GO_DELTA_COMMITTED, 0, 20 * MIB);
    put(world, GO_DELTA_IN_HEAP, 0, 12 * MIB);
    put(world, GO_DELTA_IN_STACKS, 0, 1 * MIB);
    put(world, GO_DELTA_RELEASED, 0, 4 * MIB);
    put(world, GO_DELTA_LARGE_ALLOC, 0, 8 * MIB);
    put(world, GO_DELTA_LARGE_ALLOC_COUNT, 0, 8);
    put(world, GO_DELTA_LARGE_FREE, 0, 2 * MIB);
    put(world, GO_DELTA_LARGE_FREE_COUNT, 0, 2);
    put(world, GO_DELTA_SMALL_ALLOC_COUNT, 5, 1000);
    put(world, GO_DELTA_SMALL_FREE_COUNT, 5, 400);
    put(world, GO_DELTA_TINY_ALLOC_COUNT, 0, 77);
    put(world, GO_MEMSTATS_STACKS_SYS, 0, 8192);
    put(world, GO_MEMSTATS_MSPAN_SYS, 0, 65280);
    put(world, GO_MEMSTATS_MCACHE_SYS, 0, 15704);
    put(world, GO_MEMSTATS_BUCKHASH_SYS, 0, 2365);
    put(world, GO_MEMSTATS_GC_SYS, 0, 2010352);
    put(world, GO_MEMSTATS_OTHER_SYS, 0, 747915);
    put(world, GO_MEMSTATS_LAST_GC_UNIX, 0, 1795236266333813080u);
    put(world, GO_MEMSTATS_PAUSE_TOTAL_NS, 0, 352107);
    // The ring of pauses, then that of their ends: five collections.
    const uint64_t pauses[] = {100000, 100000, 100000, 50000, 2107};
    for (size_t i = 0; i < 5; i++)
        put(world, GO_MEMSTATS_PAUSE_TOTAL_NS, 1 + i, pauses[i]);
    put(world, GO_MEMSTATS_PAUSE_TOTAL_NS, 1 + 256 + 4, 1795236266333813080u);
    put(world, GO_MEMSTATS_NUMGC, 0, 5);
    put(world, GO_MEMSTATS_NUMFORCEDGC, 0, 2);
}

static bool everything_is_mapped(const void *context, uint64_t address)
{
    (void)context;
    return address != 0;
}

static const struct go_limits limits = {
    .vm_size_bytes = UINT64_C(1) << 30,
    .now_unix_ns = 1795236300000000000u,
    .is_mapped = everything_is_mapped,
};

static void test_objects_of_1_24(void **state)
{
    (void)state;
    static struct world world;
    world_init(&world, 24);
    fill_1_24(&world);
    // The second generation adds to the first, and may be negative.
    size_t stride = (size_t)world.runtime.row.fields[GO_DELTA].size;
    uint64_t minus = (uint64_t)-MIB;
    memcpy(world.bytes + (MEMSTATS - BASE) + stride +
               (size_t)world.runtime.row.fields[GO_DELTA_IN_STACKS].offset,
           &minus, sizeof minus);
    struct go_ledger ledger;
    bool steady = false;
    assert_int_equal(go_ledger_read(&world.runtime, 5, &ledger, &steady), 0);
    assert_true(steady);
    // One cache holds ten more objects of class 5 (48 bytes) and three tiny ones.
    ledger.caches.small_allocs[5] = 10;
    ledger.caches.tiny_allocs = 3;
    struct go_memstats stats;
    go_ledger_compute(&world.runtime, &ledger, &stats);
    assert_int_equal(stats.stack_inuse, 0);
    assert_int_equal(stats.total_alloc, 8 * MIB + 1010 * 48);
    assert_int_equal(stats.heap_alloc, 6 * MIB + 610 * 48);
    assert_int_equal(stats.heap_objects, 6 + 610);
    assert_int_equal(stats.mallocs, 8 + 1010 + 80);
    assert_int_equal(stats.frees, 2 + 400 + 80);
    assert_int_equal(stats.num_gc, 5);
}

// Up to 1.15: spans in caches were counted as full, so the caches take off; frees are in three
// places.
static void test_objects_of_1_15(void **state)
{
    (void)state;
    static struct world world;
    world_init(&world, 15);
    struct go_ledger ledger;
    memset(&ledger, 0, sizeof ledger);
    ledger.values[GO_HEAP_LARGE_ALLOC] = 4 * MIB;
    ledger.values[GO_HEAP_LARGE_ALLOC_COUNT] = 4;
    ledger.values[GO_HEAP_LARGE_FREE] = 1 * MIB;
    ledger.values[GO_HEAP_LARGE_FREE_COUNT] = 1;
    ledger.values[GO_MEMSTATS_TINYALLOCS] = 5;
    ledger.values[GO_MEMSTATS_HEAP_SYS] = 64 * MIB;
    ledger.values[GO_MEMSTATS_HEAP_IDLE] = 40 * MIB;
    ledger.values[GO_MEMSTATS_HEAP_INUSE] = 24 * MIB;
    ledger.values[GO_MEMSTATS_STACKS_INUSE] = 1 * MIB;
    ledger.values[GO_MEMSTATS_NEXT_GC] = 9 * MIB;
    ledger.central_mallocs[2] = 500;
    ledger.heap_small_frees[2] = 100;
    ledger.caches.small_allocs[2] = -20;
    ledger.caches.small_frees[2] = 7;
    ledger.caches.large_free = MIB;
    ledger.caches.large_free_count = 1;
    struct go_memstats stats;
    go_ledger_compute(&world.runtime, &ledger, &stats);
    assert_int_equal(stats.total_alloc, 4 * MIB + 480 * 16);
    assert_int_equal(stats.heap_alloc, 2 * MIB + 373 * 16);
    assert_int_equal(stats.heap_objects, 2 + 373);
    assert_int_equal(stats.mallocs, 4 + 480 + 5);
    assert_int_equal(stats.heap_idle, 40 * MIB);
    assert_int_equal(stats.sys, 65 * MIB);
    assert_int_equal(stats.next_gc, 9 * MIB);
}

// The pacer's goal: by GOGC alone, by the sweeper's distance, by the memory limit with its
// headroom.
static void test_next_gc(void **state)
{
    (void)state;
    static struct world world;
    world_init(&world, 24);
    struct go_ledger ledger;
    memset(&ledger, 0, sizeof ledger);
    struct go_memstats stats;
    ledger.values[GO_CONTROLLER_MEMORY_LIMIT] = INT64_MAX;
    ledger.values[GO_CONTROLLER_TRIGGERED] = UINT64_MAX;
    ledger.values[GO_CONTROLLER_GC_PERCENT_HEAP_GOAL] = 4 * MIB;
    go_ledger_compute(&world.runtime, &ledger, &stats);
    assert_int_equal(stats.next_gc, 4 * MIB);
    ledger.values[GO_CONTROLLER_SWEEP_DIST_MIN_TRIGGER] = 5 * MIB;
    go_ledger_compute(&world.runtime, &ledger, &stats);
    assert_int_equal(stats.next_gc, 5 * MIB);
    ledger.values[GO_CONTROLLER_GC_PERCENT_HEAP_GOAL] = UINT64_MAX;
    ledger.values[GO_CONTROLLER_MEMORY_LIMIT] = 200 * MIB;
    ledger.values[GO_CONTROLLER_MAPPED_READY] = 120 * MIB;
    ledger.values[GO_CONTROLLER_HEAP_FREE] = 10 * MIB;
    ledger.values[GO_CONTROLLER_TOTAL_ALLOC] = 90 * MIB;
    go_ledger_compute(&world.runtime, &ledger, &stats);
    // 180 MiB are left for the heap, less 3 percent.
    assert_int_equal(stats.next_gc, 180 * MIB - (uint64_t)180 * MIB / 100 * 3);
    world.runtime.version.minor = 19;
    go_ledger_compute(&world.runtime, &ledger, &stats);
    assert_int_equal(stats.next_gc, 179 * MIB);
}

static void test_shifted_memstats_is_refused(void **state)
{
    (void)state;
    static struct world world;
    world_init(&world, 24);
    fill_1_24(&world);
    assert_true(go_check_object(&world.runtime, GO_OBJECT_MEMSTATS, &limits));
    for (int shift = -64; shift <= 64; shift += 8) {
        if (shift == 0)
            continue;
        world.runtime.address[GO_OBJECT_MEMSTATS] = (uint64_t)(MEMSTATS + shift);
        assert_false(go_check_object(&world.runtime, GO_OBJECT_MEMSTATS, &limits));
    }
}

static void test_impossible_memstats_is_refused(void **state)
{
    (void)state;
    static const struct {
        enum go_field_id id;
        uint64_t value;
    } changes[] = {
        {GO_MEMSTATS_LAST_GC_UNIX, 12345},
        {GO_MEMSTATS_LAST_GC_UNIX, 1995236266333813080u},
        {GO_MEMSTATS_NUMGC, 0},
        {GO_MEMSTATS_NUMFORCEDGC, 6},
        {GO_MEMSTATS_GC_CPU_FRACTION, 17},
        {GO_MEMSTATS_GC_CPU_FRACTION, 0x4000000000000000u}, // 2.0
        {GO_MEMSTATS_GC_CPU_FRACTION, 0x7ff8000000000000u}, // not a number
        {GO_MEMSTATS_MSPAN_SYS, 0},
        {GO_MEMSTATS_MSPAN_SYS, 65280 + 160},
        {GO_MEMSTATS_MCACHE_SYS, 16384}, // a whole chunk up to 1.17
        {GO_MEMSTATS_OTHER_SYS, UINT64_C(1) << 40},
        {GO_DELTA_IN_HEAP, 12 * MIB + 8},
        {GO_DELTA_LARGE_FREE, 9 * MIB},
    };
    static struct world world;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        world_init(&world, 24);
        fill_1_24(&world);
        put(&world, changes[i].id, 0, changes[i].value);
        assert_false(go_check_object(&world.runtime, GO_OBJECT_MEMSTATS, &limits));
    }
}

// A ledger of 1.24 whose variables agree.
static void fill_ledger(struct world *world, struct go_ledger *ledger)
{
    world_init(world, 24);
    fill_1_24(world);
    assert_int_equal(go_ledger_read_once(&world->runtime, ledger), 0);
    // Only its address counts from here on: the values are in the ledger.
    world->runtime.address[GO_OBJECT_CONTROLLER] = BASE;
    ledger->values[GO_HEAP_SPAN_INUSE] = 1600;
    ledger->values[GO_HEAP_CACHE_INUSE] = 1208;
    ledger->values[GO_CONTROLLER_HEAP_IN_USE] = 12 * MIB;
    ledger->values[GO_CONTROLLER_HEAP_FREE] = 7 * MIB;
    ledger->values[GO_CONTROLLER_HEAP_RELEASED] = 4 * MIB;
    ledger->values[GO_CONTROLLER_TOTAL_ALLOC] = 8 * MIB + 1000 * 48;
    ledger->values[GO_CONTROLLER_TOTAL_FREE] = 2 * MIB + 400 * 48;
    ledger->values[GO_CONTROLLER_GC_PERCENT] = 100;
    ledger->values[GO_CONTROLLER_HEAP_MINIMUM] = 4 * MIB;
    ledger->values[GO_CONTROLLER_HEAP_MARKED] = 3 * MIB;
    ledger->values[GO_CONTROLLER_GC_PERCENT_HEAP_GOAL] = 6 * MIB;
    struct go_memstats stats;
    go_ledger_compute(&world->runtime, ledger, &stats);
    ledger->values[GO_CONTROLLER_MAPPED_READY] = stats.sys - stats.heap_released;
}

// Figures that contradict each other across variables, each by no more than a wrong address gives.
static void test_identities(void **state)
{
    (void)state;
    static const struct {
        enum go_field_id id;
        uint64_t value;
    } changes[] = {
        {GO_CONTROLLER_HEAP_RELEASED, 5 * MIB},
        {GO_CONTROLLER_HEAP_IN_USE, 13 * MIB},
        {GO_CONTROLLER_HEAP_FREE, 6 * MIB},
        {GO_CONTROLLER_MAPPED_READY, 21 * MIB},
        {GO_CONTROLLER_TOTAL_ALLOC, 9 * MIB},
        {GO_CONTROLLER_TOTAL_FREE, 1 * MIB},
        {GO_CONTROLLER_GC_PERCENT_HEAP_GOAL, UINT64_MAX}, // but GOGC is on
        {GO_CONTROLLER_GC_PERCENT_HEAP_GOAL, 3 * MIB},    // below the minimum
        {GO_CONTROLLER_HEAP_MARKED, 7 * MIB},
        {GO_CONTROLLER_GC_PERCENT, UINT32_MAX}, // off, but there is a goal
        {GO_MEMSTATS_NUMGC, 4},
        {GO_MEMSTATS_NUMGC, 0},
        {GO_MEMSTATS_LAST_GC_UNIX, 1795236266333813081u},
        {GO_MEMSTATS_OTHER_SYS, 747915 + MIB},
        {GO_MEMSTATS_BUCKHASH_SYS, 2365 + MIB},
        {GO_HEAP_SPAN_INUSE, 160000},
    };
    static struct world world;
    struct go_ledger ledger;
    fill_ledger(&world, &ledger);
    assert_null(go_check_ledger(&world.runtime, &ledger, &limits));
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        fill_ledger(&world, &ledger);
        ledger.values[changes[i].id] = changes[i].value;
        assert_non_null(go_check_ledger(&world.runtime, &ledger, &limits));
    }
    fill_ledger(&world, &ledger);
    put(&world, GO_MEMSTATS_PAUSE_TOTAL_NS, 0, 352108);
    assert_non_null(go_check_ledger(&world.runtime, &ledger, &limits));
    fill_ledger(&world, &ledger);
    ledger.caches.count = 1;
    ledger.caches.tiny_allocs = 100 * MIB;
    assert_non_null(go_check_ledger(&world.runtime, &ledger, &limits));
}

// Up to 1.15 the heap has two parts, and a stripped image tells GOGC by the goal alone.
static void test_old_heap(void **state)
{
    (void)state;
    static struct world world;
    world_init(&world, 15);
    struct go_ledger ledger;
    memset(&ledger, 0, sizeof ledger);
    ledger.values[GO_MEMSTATS_HEAP_SYS] = 64 * MIB;
    ledger.values[GO_MEMSTATS_HEAP_IDLE] = 40 * MIB;
    ledger.values[GO_MEMSTATS_HEAP_INUSE] = 24 * MIB;
    ledger.values[GO_MEMSTATS_NEXT_GC] = UINT64_MAX;
    assert_null(go_check_ledger(&world.runtime, &ledger, &limits));
    world.runtime.address[GO_OBJECT_GCPERCENT] = BASE;
    ledger.values[GO_GCPERCENT] = 100;
    assert_non_null(go_check_ledger(&world.runtime, &ledger, &limits));
    ledger.values[GO_GCPERCENT] = UINT32_MAX;
    assert_null(go_check_ledger(&world.runtime, &ledger, &limits));
    ledger.values[GO_MEMSTATS_HEAP_IDLE] = 42 * MIB;
    assert_non_null(go_check_ledger(&world.runtime, &ledger, &limits));
}

// A goal of all ones in memory looks like a GOGC that is off, and what is around it like a pacer.
static void test_controller_by_its_minimum(void **state)
{
    (void)state;
    static struct world world;
    world_init(&world, 17);
    world.runtime.address[GO_OBJECT_CONTROLLER] = BASE;
    const struct go_field *fields = world.runtime.row.fields;
    const struct {
        int32_t percent;
        uint64_t minimum;
        bool fits;
    } rows[] = {
        {100, 4 * MIB, true},
        {50, 2 * MIB, true},
        {-1, 184467440737053573u, true}, // (2^64 - 4 MiB) / 100
        {-1, 4 * MIB, false},
        {100, 5 * MIB, false},
        {-1, UINT64_MAX, false},
        {-2, 184467440736633742u, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t goal = rows[i].percent < 0 ? UINT64_MAX : 8 * MIB;
        memcpy(world.bytes + fields[GO_CONTROLLER_GC_PERCENT].offset, &rows[i].percent, 4);
        memcpy(world.bytes + fields[GO_CONTROLLER_HEAP_MINIMUM].offset, &rows[i].minimum, 8);
        memcpy(world.bytes + fields[GO_CONTROLLER_HEAP_GOAL].offset, &goal, 8);
        assert_int_equal(go_check_object(&world.runtime, GO_OBJECT_CONTROLLER, &limits),
                         rows[i].fits);
    }
}

static void test_unreadable_memory_is_an_error(void **state)
{
    (void)state;
    static struct world world;
    world_init(&world, 24);
    world.runtime.address[GO_OBJECT_MEMSTATS] = BASE + MEMORY_BYTES - 64;
    struct go_ledger ledger;
    assert_int_equal(go_ledger_read_once(&world.runtime, &ledger), -ENXIO);
    assert_false(go_check_object(&world.runtime, GO_OBJECT_MEMSTATS, &limits));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects_of_1_24),
        cmocka_unit_test(test_objects_of_1_15),
        cmocka_unit_test(test_next_gc),
        cmocka_unit_test(test_shifted_memstats_is_refused),
        cmocka_unit_test(test_impossible_memstats_is_refused),
        cmocka_unit_test(test_identities),
        cmocka_unit_test(test_old_heap),
        cmocka_unit_test(test_controller_by_its_minimum),
        cmocka_unit_test(test_unreadable_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
