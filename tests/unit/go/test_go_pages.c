// SPDX-License-Identifier: Apache-2.0
// Unit tests of Go's page bitmaps, the heap's ranges, its split into rows, and extents. Test world;
// reads itself.
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "proc/process.h"
#include "runtime/go/go_account.h"
#include "runtime/go/go_extents.h"
#include "runtime/go/go_pages.h"

enum { MIB = 1 << 20 };

static void set_bits(uint64_t *bits, unsigned from, unsigned count)
{
    for (unsigned i = from; i < from + count; i++)
        bits[i / 64] |= UINT64_C(1) << (i % 64);
}

static void test_runs(void **state)
{
    (void)state;
    struct go_chunk chunk = {0};
    enum go_page_state found;
    assert_int_equal(go_chunk_run(&chunk, 0, &found), GO_CHUNK_PAGES);
    assert_int_equal(found, GO_PAGES_KEPT);
    set_bits(chunk.allocated, 0, 100);
    set_bits(chunk.scavenged, 90, 70);
    // Allocated wins: scavenged pages that were allocated again count as allocated.
    assert_int_equal(go_chunk_run(&chunk, 0, &found), 100);
    assert_int_equal(found, GO_PAGES_ALLOCATED);
    assert_int_equal(go_chunk_run(&chunk, 100, &found), 60);
    assert_int_equal(found, GO_PAGES_RETURNED);
    assert_int_equal(go_chunk_run(&chunk, 160, &found), GO_CHUNK_PAGES - 160);
    assert_int_equal(found, GO_PAGES_KEPT);
    assert_int_equal(go_chunk_run(&chunk, GO_CHUNK_PAGES - 1, &found), 1);
}

// A heap of one chunk in this process: the fields that the walk follows point into ordinary memory.
struct heap {
    struct go_runtime runtime;
    struct process *process;
    uint8_t *pages;
    uint64_t *tables;        // stands for mheap_.pages.chunks
    struct go_chunk *chunks; // one second-level table
    uint64_t range[2], slice[3];
};

static void heap_open(struct heap *heap)
{
    memset(heap, 0, sizeof *heap);
    assert_int_equal(process_open("/proc", getpid(), &heap->process), 0);
    heap->runtime.memory = go_memory_of_process(heap->process);
    heap->runtime.machine = EM_X86_64;
    assert_int_equal(go_table_find(24, &heap->runtime.row), 0);
    uint8_t *area = mmap(NULL, 2 * GO_CHUNK_BYTES, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(area != MAP_FAILED);
    madvise(area, 2 * GO_CHUNK_BYTES, MADV_NOHUGEPAGE);
    heap->pages = area + (GO_CHUNK_BYTES - (uintptr_t)area % GO_CHUNK_BYTES) % GO_CHUNK_BYTES;
    heap->tables = calloc(GO_CHUNKS_L2_COUNT, sizeof *heap->tables);
    heap->chunks = calloc(GO_CHUNKS_L2_COUNT, sizeof *heap->chunks);
    assert_non_null(heap->tables);
    assert_non_null(heap->chunks);
    // Pages that were never touched are not read: a real table is.
    memset(heap->tables, 0, GO_CHUNKS_L2_COUNT * sizeof *heap->tables);
    memset(heap->chunks, 0xff, GO_CHUNKS_L2_COUNT * sizeof *heap->chunks);
    uint64_t index = ((uintptr_t)heap->pages - go_table_arena_base(EM_X86_64)) / GO_CHUNK_BYTES;
    heap->tables[index / GO_CHUNKS_L2_COUNT] = (uintptr_t)heap->chunks;
    memset(&heap->chunks[index % GO_CHUNKS_L2_COUNT], 0, sizeof *heap->chunks);
    struct go_chunk *chunk = &heap->chunks[index % GO_CHUNKS_L2_COUNT];
    set_bits(chunk->allocated, 0, 128);
    set_bits(chunk->scavenged, 256, 256);
    heap->runtime.address[GO_OBJECT_HEAP] =
        (uintptr_t)heap->tables - (uint64_t)heap->runtime.row.fields[GO_HEAP_CHUNKS].offset;
}

static void test_free_pages_are_measured(void **state)
{
    (void)state;
    struct heap heap;
    heap_open(&heap);
    // Half of the kept pages and ten returned ones are resident.
    memset(heap.pages + 128 * GO_PAGE_BYTES, 1, 64 * GO_PAGE_BYTES);
    memset(heap.pages + 300 * GO_PAGE_BYTES, 1, 10 * GO_PAGE_BYTES);
    struct page_range range = {(uintptr_t)heap.pages, (uintptr_t)heap.pages + GO_CHUNK_BYTES};
    struct go_page_totals totals;
    assert_int_equal(go_pages_measure(&heap.runtime, heap.process, &range, 1, 0, &totals), 0);
    assert_int_equal(totals.unread_bytes, 0);
    assert_int_equal(totals.bytes[GO_PAGES_ALLOCATED], 128 * GO_PAGE_BYTES);
    assert_int_equal(totals.bytes[GO_PAGES_KEPT], 128 * GO_PAGE_BYTES);
    assert_int_equal(totals.bytes[GO_PAGES_RETURNED], 256 * GO_PAGE_BYTES);
    assert_int_equal(totals.resident[GO_PAGES_KEPT], 64 * GO_PAGE_BYTES);
    assert_int_equal(totals.resident[GO_PAGES_RETURNED], 10 * GO_PAGE_BYTES);
    assert_int_equal(go_pages_measure(&heap.runtime, heap.process, &range, 1, 1, &totals), -ETIME);
    process_close(heap.process);
    free(heap.tables);
    free(heap.chunks);
}

static int ranges_of(uint64_t (*items)[2], uint64_t count, struct page_range **ret_ranges,
                     size_t *ret_count)
{
    enum { BASE = 0x1000, BYTES = 128 << 10 };
    static uint8_t bytes[BYTES];
    struct go_buffer_memory buffer = {BASE, bytes, sizeof bytes};
    struct go_runtime runtime = {.memory = go_memory_of_buffer(&buffer), .machine = EM_X86_64};
    assert_int_equal(go_table_find(24, &runtime.row), 0);
    runtime.address[GO_OBJECT_HEAP] = BASE;
    const uint64_t slice[3] = {BASE, count, count};
    size_t offset = (size_t)runtime.row.fields[GO_HEAP_IN_USE_RANGES].offset;
    assert_true(offset > 64 && offset + sizeof slice < sizeof bytes);
    memcpy(bytes, items, 2 * sizeof items[0]);
    memcpy(bytes + offset, slice, sizeof slice);
    return go_heap_ranges(&runtime, NULL, ret_ranges, ret_count);
}

static void test_heap_ranges(void **state)
{
    (void)state;
    const uint64_t start = UINT64_C(0xc000000000);
    uint64_t good[2][2] = {{start + 64 * MIB, start + 68 * MIB}, {start, start + 4 * MIB}};
    uint64_t overlapping[2][2] = {{start, start + 8 * MIB}, {start + 4 * MIB, start + 12 * MIB}};
    uint64_t backward[2][2] = {{start, start + 8 * MIB}, {start + 16 * MIB, start + 12 * MIB}};
    struct page_range *ranges;
    size_t count;
    assert_int_equal(ranges_of(good, 2, &ranges, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(ranges[0].start, start);
    free(ranges);
    assert_int_equal(ranges_of(overlapping, 2, &ranges, &count), -EBADMSG);
    assert_int_equal(ranges_of(backward, 2, &ranges, &count), -EBADMSG);
    assert_int_equal(ranges_of(good, UINT64_C(1) << 40, &ranges, &count), -EBADMSG);
}

static uint64_t split_sum(const struct go_heap_split *split)
{
    return split->in_use + split->slack + split->kept + split->stacks + split->work_bufs +
           split->repopulated;
}

static const struct go_memstats sample = {
    .heap_alloc = 100 * MIB,
    .heap_inuse = 110 * MIB,
    .heap_idle = 90 * MIB,
    .heap_released = 60 * MIB,
    .stack_inuse = 5 * MIB,
    .work_bufs = 1 * MIB,
};

static void split(const struct go_page_totals *pages, uint64_t resident, uint64_t lazy,
                  uint64_t untouched, struct go_heap_split *ret_split)
{
    const struct go_heap_measure measure = {resident, lazy, pages, untouched};
    go_heap_split(&sample, &measure, ret_split);
}

static void test_split_adds_up(void **state)
{
    (void)state;
    struct go_page_totals pages = {0};
    pages.bytes[GO_PAGES_KEPT] = 30 * MIB;
    pages.resident[GO_PAGES_KEPT] = 20 * MIB;
    pages.resident[GO_PAGES_RETURNED] = 50 * MIB;
    struct go_heap_split parts;
    // All there: 116 used, 20 kept, of the returned 50 all but 2 lazily freed.
    split(&pages, 138 * MIB, 48 * MIB, 0, &parts);
    assert_int_equal(parts.in_use, 100 * MIB);
    assert_int_equal(parts.slack, 10 * MIB);
    assert_int_equal(parts.kept, 20 * MIB);
    assert_int_equal(parts.repopulated, 2 * MIB);
    assert_int_equal(parts.error, 0);
    assert_int_equal(split_sum(&parts), 138 * MIB);
    // 30 MiB of the large objects were never touched.
    split(&pages, 108 * MIB, 48 * MIB, 0, &parts);
    assert_int_equal(parts.kept, 20 * MIB);
    assert_int_equal(parts.error, 30 * MIB);
    assert_int_equal(split_sum(&parts), 108 * MIB);
    assert_int_equal(parts.slack, 0);
    // The same, where they were found to be so.
    split(&pages, 108 * MIB, 48 * MIB, 30 * MIB, &parts);
    assert_int_equal(parts.in_use, 70 * MIB);
    assert_int_equal(parts.slack, 10 * MIB);
    assert_int_equal(parts.error, 0);
    assert_int_equal(split_sum(&parts), 108 * MIB);
    // Nonsense from a target in motion never makes more than is resident.
    split(&pages, 3 * MIB, 0, 0, &parts);
    assert_int_equal(split_sum(&parts), 3 * MIB);
}

static void test_split_before_1_14(void **state)
{
    (void)state;
    struct go_heap_split parts;
    split(NULL, 140 * MIB, 0, 0, &parts);
    assert_int_equal(parts.in_use, 100 * MIB);
    assert_int_equal(parts.kept, 24 * MIB);
    assert_int_equal(parts.error, 6 * MIB);
    assert_int_equal(split_sum(&parts), 140 * MIB);
}

static void test_extents(void **state)
{
    (void)state;
    struct go_extents extents = {0};
    assert_int_equal(go_extents_add(&extents, 0x9010, 8), 0);
    assert_int_equal(go_extents_add(&extents, 0x9020, 8), 0);
    assert_int_equal(go_extents_add(&extents, 0x1000, 0x2000), 0);
    assert_int_equal(go_extents_add(&extents, 0x40000, 0x1000), 0);
    // Neither of these can be memory.
    assert_int_equal(go_extents_add(&extents, UINT64_MAX - 10, 100), 0);
    assert_int_equal(go_extents_add(&extents, 0x5000, 0), 0);
    go_extents_merge(&extents, 0x6000);
    assert_int_equal(extents.count, 2);
    assert_int_equal(extents.items[0].start, 0x1000);
    assert_int_equal(extents.items[0].end, 0xa000);
    assert_int_equal(extents.items[1].start, 0x40000);
    go_extents_free(&extents);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_free_pages_are_measured),
        cmocka_unit_test(test_heap_ranges),
        cmocka_unit_test(test_split_adds_up),
        cmocka_unit_test(test_split_before_1_14),
        cmocka_unit_test(test_extents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
